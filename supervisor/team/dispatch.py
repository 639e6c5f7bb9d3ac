"""How a team works on one task: route it, hand it over, and bring what comes of it to whoever asked.

    Task -> front door (or rule) -> worker -> Result
               |                      |
               +--- not sure -------- +--- cannot, failed ---> a person

One actor a run, at ``<team>/<run>``; the workers' runs are below it.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from ...actors.actor import PERSON, Actor, applies, handles, settles
from ...actors.outcome import Later, Outcome
from ...actors.router import Router
from ...actors.turn import Turn
from ...protocols.approvals import Answer, Question
from ...protocols.failures import Failure, of_exception
from ...protocols.ids import Address
from ...protocols.lifecycle import Restarted
from ...protocols.model import Usage
from ...protocols.tasks import Cancel, Result, Route, Task
from ..definitions import Supervisor
from .events import Asked, Closed, Received, Returned, Routed, TeamState
from .panel import PANEL, Consult, Seat
from .routing import NOBODY, by_words


class TeamActor(Actor):
    """One task of a team."""

    State = TeamState

    def __init__(self, team: Supervisor) -> None:
        self.team = team
        self.names = tuple(w.name for w in team.workers)

    @handles(Task)
    def received(self, turn: Turn[TeamState], task: Task) -> Later[Result]:
        later = turn.later(task)
        turn.emit(Received(task, later.id))
        self._route(turn)
        return later

    @settles(Task)
    def returned(self, turn: Turn[TeamState], outcome: Outcome[Result]) -> None:
        asked = str(outcome.tag)
        result = (
            outcome.value
            if outcome.failure is None
            else Result("failed", reason=outcome.failure.message, failure=outcome.failure)
        )
        turn.emit(Returned(asked, result))
        if isinstance(self.team.route, Router) and asked == self.team.route.name:
            self._front_door(turn, self.team.route, result)
        else:
            self._came(turn, asked, result)

    @settles(Consult)
    def consulted(self, turn: Turn[TeamState], outcome: Outcome[Result]) -> None:
        failure = outcome.failure
        result = outcome.value if failure is None else Result("failed", reason=failure.message, failure=failure)
        turn.emit(Returned(PANEL, result))
        self._came(turn, PANEL, result)

    def _came(self, turn: Turn[TeamState], asked: str, result: Result) -> None:
        if result.status == "done":
            self._close(turn, result)
        else:
            text = f"{asked} can't complete this: {result.reason}. Task: {_short(turn.state.task.objective)}"
            options = (
                "approve: let it try again",
                *(f"answer with the name of another worker: {n}" for n in self.names if n != asked),
            )
            self._person(turn, text, result.failure, options)

    @settles(PERSON)
    def decided(self, turn: Turn[TeamState], outcome: Outcome[Answer]) -> None:
        if outcome.failure is not None:
            self._close(turn, Result("cannot", reason=outcome.failure.message, failure=outcome.failure))
            return
        answer = outcome.value
        if answer.decision == "reject":
            self._close(turn, Result("cannot", reason=f"{answer.by}: {answer.reason}", by=answer.by))
        elif answer.decision == "approve":
            if turn.state.to in self.names:
                self._ask(turn, turn.state.to)
            else:
                self._route(turn)
        elif (name := _named(answer.value, self.names)) is not None:
            turn.emit(Routed(Route(name, why=answer.reason), answer.by))
            self._ask(turn, name)
        else:
            self._close(turn, Result("done", answer.value, by=answer.by))

    @handles(Restarted)
    def again(self, turn: Turn[TeamState], msg: Restarted) -> None:
        """A step of the team itself failed: a person says how to go on, rather than the same step failing for ever."""
        if turn.state.later and not turn.pending():
            text = f"A step of {turn.me} failed and its message is parked. Let it try again?"
            self._person(turn, text, msg.cause, self.names)

    @handles(Cancel)
    def cancel(self, turn: Turn[TeamState], msg: Cancel) -> None:
        failure = Failure("abandon", "cancelled", msg.reason or "the run was cancelled", where=turn.me)
        for name, tries in turn.state.tries.items():
            turn.tell(self._address(turn, name, tries), msg)
        self._close(turn, Result("failed", reason=failure.message, failure=failure))

    # -- its steps ----------------------------------------------------------------------------------------------

    def _route(self, turn: Turn[TeamState]) -> None:
        route = self.team.route
        if isinstance(route, Router):
            self._ask(turn, route.name)
            return
        try:
            name = route(turn.state.task) if route is not None else by_words(turn.state.task, self.team)
        except Exception as error:  # noqa: BLE001 - the user's rule: its failure goes to a person
            self._person(
                turn, "the routing rule failed; who should take this?", of_exception(error, where=turn.me), self.names
            )
            return
        if isinstance(name, tuple) and self._may_consult(name):
            self._consult(turn, name, "rule", "")
        elif isinstance(name, str) and name in self.names:
            turn.emit(Routed(Route(name), "rule"))
            self._ask(turn, name)
        else:
            self._undecided(turn, Route(NOBODY, 0.0, f"the rule says {name!r}"), "rule")

    def _front_door(self, turn: Turn[TeamState], router: Router, result: Result) -> None:
        if result.status != "done":
            self._undecided(turn, Route(NOBODY, 0.0, result.reason), router.name)
            return
        route, several = router.read(result.output)
        if (
            several
            and len(several) <= router.consult
            and route.confidence >= router.at_least
            and self._may_consult(several)
        ):
            self._consult(turn, several, router.name, route.why)
        elif route.to in self.names and route.confidence >= router.at_least:
            turn.emit(Routed(route, router.name))
            self._ask(turn, route.to)
        else:
            self._undecided(turn, route, router.name)

    def _undecided(self, turn: Turn[TeamState], route: Route, by: str) -> None:
        turn.emit(Routed(msgspec.structs.replace(route, to=NOBODY), by))
        guess = f" ({route.to}, {route.confidence:.0%} sure)" if route.to in self.names else ""
        why = route.why or "no reason given"
        text = f"Who should take this? {by} could not tell{guess}: {why}. Task: {_short(turn.state.task.objective)}"
        self._person(turn, text, None, self.names)

    def _person(self, turn: Turn[TeamState], text: str, failure: Failure | None, options: tuple[str, ...]) -> None:
        turn.escalate(Question("escalation", text, failure=failure, options=options), topic="task")

    def _ask(self, turn: Turn[TeamState], name: str) -> None:
        tries = turn.state.tries.get(name, 0) + 1
        turn.emit(Asked(name, tries))
        turn.ask(self._address(turn, name, tries), turn.state.task, tag=name)

    def _may_consult(self, names: tuple[str, ...]) -> bool:
        return bool(names) and len(set(names)) == len(names) and set(names) <= set(self.names)

    def _consult(self, turn: Turn[TeamState], names: tuple[str, ...], by: str, why: str) -> None:
        """Have several workers do the task side by side (``panel``)."""
        turn.emit(Routed(Route(PANEL, why=", ".join(names) + (f": {why}" if why else "")), by))
        seats: list[Seat] = []
        for name in (*names, PANEL):
            tries = turn.state.tries.get(name, 0) + 1
            turn.emit(Asked(name, tries))
            seats.append(Seat(name, Address(self._address(turn, name, tries))))
        turn.ask(seats[-1].run, Consult(turn.state.task, tuple(seats[:-1])), tag=PANEL)

    def _address(self, turn: Turn[TeamState], name: str, tries: int) -> str:
        return f"{turn.me}/{name}" if tries == 1 else f"{turn.me}/{name}/{tries}"

    def _close(self, turn: Turn[TeamState], result: Result) -> None:
        spent = turn.state.spent
        total = msgspec.structs.replace(
            result,
            steps=sum(r.steps for r in spent),
            usage=sum((r.usage for r in spent), Usage()),
            cost=sum(r.cost for r in spent),
        )
        turn.emit(Closed(total))
        turn.reply(Later[Result](turn.state.later), total)
        turn.stop()

    # -- what is remembered -------------------------------------------------------------------------------------

    @applies(Received)
    def has_received(self, state: TeamState, event: Received) -> TeamState:
        return state.evolve(task=event.task, later=event.later)

    @applies(Routed)
    def was_routed(self, state: TeamState, event: Routed) -> TeamState:
        return state.evolve(to=event.route.to)

    @applies(Asked)
    def has_asked(self, state: TeamState, event: Asked) -> TeamState:
        return state.evolve(tries={**state.tries, event.name: event.tries})

    @applies(Returned)
    def has_returned(self, state: TeamState, event: Returned) -> TeamState:
        return state.evolve(spent=(*state.spent, event.result))

    @applies(Closed)
    def was_closed(self, state: TeamState, event: Closed) -> TeamState:
        return state


def _named(value: Raw, names: tuple[str, ...]) -> str | None:
    said = msgspec.json.decode(value)
    return said if isinstance(said, str) and said in names else None


def _short(text: str) -> str:
    return text if len(text) <= 300 else text[:297] + "..."
