"""How a team works on one task: route it, hand it over, and bring what comes of it to whoever asked.

    Task -> front door (or rule, or who can) -> worker -> Result
               |                      |            |
               +--- not sure -------- +---- cannot, failed ---> a person
               +--- planner, or the task has a plan: its steps (planned)

One actor a run, at ``<team>/<run>``; the workers' runs are below it.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from ...actors.actor import PERSON, applies, handles, settles
from ...actors.drawing import exhausted, remind
from ...actors.outcome import Later, Outcome
from ...actors.planner import Planner
from ...actors.router import Router
from ...actors.turn import Turn
from ...protocols.approvals import Answer, Question
from ...protocols.codec import NULL, decode
from ...protocols.decisions import Decision
from ...protocols.decisions import again as tries_again
from ...protocols.effects import Effect
from ...protocols.errors import Rejected
from ...protocols.failures import Failure, of_exception
from ...protocols.lifecycle import Restarted
from ...protocols.model import Usage
from ...protocols.plans import Plan
from ...protocols.provenance import Vouched
from ...protocols.tasks import Cancel, Overdue, Result, Route, Task, changed_task, overdue
from .checking import refusal
from .events import TASK, Asked, Closed, PlanRefused, Received, Retasked, Returned, Routed, TeamState, Work, vouched
from .offering import without
from .panel import PANEL, Consult, Seat
from .planned import Planning, fits_worker, named
from .routing import NOBODY, able, by_words, least_busy, unable
from .undoing import undoer

TAKES: tuple[Decision, ...] = ("retry", "change", "replace", "result", "stop")
"""What the questions of a team about a task take; ``replace`` where there is another worker."""

ALONE: tuple[Decision, ...] = ("retry", "change", "result", "stop")
"""The same where there is none."""

LOST = Work(PANEL, 0)
"""Stands for what is not with a worker whose answer can be had again."""

STEPS = "steps"
"""By whom the sum of what steps took is, among what was spent."""


class TeamActor(Planning):
    """One task of a team."""

    State = TeamState

    def vouches(self, state: TeamState, before: Vouched | None) -> Vouched:
        return vouched(state)

    def spent(self, state: TeamState) -> float:
        return sum(result.cost for result in state.spent)

    @handles(Task)
    def received(self, turn: Turn[TeamState], task: Task) -> Later[Result]:
        if task.plan is not None and (why := refusal(task.plan, self.team, turn.now, task.deadline)):
            raise Rejected(why, hint="mend the plan and give it again")
        later = turn.later(task)
        turn.emit(Received(task, later.id, turn.provenance))
        if task.deadline is not None and task.deadline <= turn.now:
            self.overdue(turn, Overdue())
            return later
        if task.deadline is not None:
            turn.remind(Overdue(), at=task.deadline)
        remind(turn)
        if task.plan is not None:
            self.begin(turn, task.plan, "the task")
        else:
            self._route(turn)
        return later

    @settles(Task)
    def returned(self, turn: Turn[TeamState], outcome: Outcome[Result]) -> None:
        result = (
            outcome.value
            if outcome.failure is None
            else Result("failed", reason=outcome.failure.message, failure=outcome.failure)
        )
        tag: Any = outcome.tag
        if isinstance(tag, dict):
            self.step_returned(turn, str(outcome.tag["step"]), str(outcome.tag["by"]), int(outcome.tag["try"]), result)
            return
        asked, has = str(tag), self.under_way(turn.state).get(TASK)
        if has is not None and has.name != asked:
            return  # somebody else has it by now
        turn.emit(Returned(asked, result, provenance=turn.provenance))
        if result.status != "done" and exhausted(turn, result.failure):  # nobody else could go on either
            self.close(turn, result)
        elif isinstance(self.team.route, Router) and asked == self.team.route.name:
            self._front_door(turn, self.team.route, result)
        elif isinstance(self.team.route, Planner) and asked == self.team.route.name:
            self._drafted(turn, self.team.route, result)
        else:
            self._came(turn, asked, result)

    @settles(Consult)
    def consulted(self, turn: Turn[TeamState], outcome: Outcome[Result]) -> None:
        failure = outcome.failure
        result = outcome.value if failure is None else Result("failed", reason=failure.message, failure=failure)
        turn.emit(Returned(PANEL, result, provenance=turn.provenance))
        self._came(turn, PANEL, result)

    def _came(self, turn: Turn[TeamState], asked: str, result: Result) -> None:
        if result.status == "done" or exhausted(turn, result.failure):
            self.close(turn, result)
        else:
            self.free(turn, TASK)
            text = f"{asked} can't complete this: {result.reason}. Task: {_short(turn.state.task.objective)}"
            self._person(turn, text, result.failure, tuple(n for n in self.names if n != asked))

    @settles(PERSON)
    def decided(self, turn: Turn[TeamState], outcome: Outcome[Answer]) -> None:
        if isinstance(outcome.tag, str):
            self.step_decided(turn, outcome.tag, outcome.value if outcome.failure is None else None, outcome.failure)
            return
        if outcome.failure is not None:
            self.close(turn, Result("cannot", reason=outcome.failure.message, failure=outcome.failure))
            return
        answer = outcome.value
        if answer.decision in ("stop", "reject"):
            self.close(turn, Result("cannot", reason=f"{answer.by}: {answer.reason}", by=answer.by))
        elif tries_again(answer.decision) or answer.decision == "change":
            if answer.decision == "change":
                said = bytes(answer.value).decode() if turn.state.origin is not None else ""
                turn.emit(Retasked(changed_task(turn.state.task, answer.value), answer.by, said))
            if turn.state.to in self.names:
                self._ask(turn, turn.state.to)
            else:
                self._route(turn)
        elif isinstance(self.team.route, Planner) and (plan := _plan(answer.value)) is not None:
            self._planned(turn, plan, answer.by)
        elif answer.decision != "result" and (name := named(answer.value, self.names)) is not None:
            turn.emit(Routed(Route(name, why=answer.reason), answer.by))
            self._ask(turn, name)
        else:
            self.close(turn, Result("done", answer.value, by=answer.by))

    def considers(self, state: TeamState, effect: Effect, answer: Answer) -> None:
        """A change must be a task, a result of the type that the worker who has the task or step gives, or any of them where nobody has
        it."""
        step = self.asked_about(state, effect)
        if step is not None:
            self.consider_step(state, step, answer)
        elif answer.decision == "change":
            changed_task(state.task, answer.value)
        elif isinstance(self.team.route, Planner) and _looks_like_a_plan(answer.value):
            decode(answer.value, Plan)  # with a field misspelled it must not pass for the result
        elif answer.decision == "result":
            fits_worker(answer.value, self.team, (state.to,))

    @handles(Restarted)
    def again(self, turn: Turn[TeamState], msg: Restarted) -> None:
        """A step of the team itself failed: what is with workers is looked after anew, about anything else a person says how to go on,
        rather than the same step failing for ever."""
        if not turn.state.later:
            return
        self.take_up(turn)
        if turn.state.plan is not None:
            self.take_up_plan(turn)
        elif TASK not in turn.state.queued and self.under_way(turn.state).get(TASK, LOST).name == PANEL:
            text = f"A step of {turn.me} failed and its message is parked. Let it try again?"
            self._person(turn, text, msg.cause, self.names)

    @handles(Cancel)
    def cancel(self, turn: Turn[TeamState], msg: Cancel) -> None:
        self.cut_off(turn, Failure("abandon", "cancelled", msg.reason or "the run was cancelled", where=turn.me))

    @handles(Overdue)
    def overdue(self, turn: Turn[TeamState], msg: Overdue) -> None:
        waited = "a place" if turn.state.queued else "a person" if turn.pending() else ""
        self.cut_off(turn, overdue(turn.me, waited, msg.limit))

    # -- its steps ----------------------------------------------------------------------------------------------

    def _route(self, turn: Turn[TeamState]) -> None:
        route, task = self.team.route, turn.state.task
        names = able(self.team, task.needs)
        if not names:
            self._undecided(turn, Route(NOBODY, 0.0, unable(self.team, task.needs)), "what it needs")
            return
        if isinstance(route, Planner):
            self.hand(turn, TASK, route.name)
            return
        if route is least_busy or (task.needs and (route is None or len(names) == 1)):
            self.offer(turn, TASK, names)
            return
        if isinstance(route, Router):
            self.hand(turn, TASK, route.name)
            return
        try:
            name = route(task) if route is not None else by_words(task, self.team)
        except Exception as error:  # noqa: BLE001 - the user's rule: its failure goes to a person
            self._person(
                turn, "the routing rule failed; who should take this?", of_exception(error, where=turn.me), self.names
            )
            return
        if isinstance(name, tuple) and self._may_consult(turn, name):
            self._consult(turn, name, "rule", "")
        elif isinstance(name, str) and name in names:
            turn.emit(Routed(Route(name), "rule"))
            self._ask(turn, name)
        else:
            lacks = isinstance(name, tuple) or name in self.names
            why = f", which cannot be: it needs {' and '.join(task.needs)}" if lacks and task.needs else ""
            self._undecided(turn, Route(NOBODY, 0.0, f"the rule says {name!r}{why}"), "rule")

    def _front_door(self, turn: Turn[TeamState], router: Router, result: Result) -> None:
        if result.status != "done":
            self._undecided(turn, Route(NOBODY, 0.0, result.reason), router.name)
            return
        route, several = router.read(result.output)
        needs = turn.state.task.needs
        if (
            several
            and len(several) <= router.consult
            and route.confidence >= router.at_least
            and self._may_consult(turn, several)
        ):
            self._consult(turn, several, router.name, route.why)
        elif route.to in self.names and route.to not in able(self.team, needs):
            self._undecided(turn, Route(NOBODY, 0.0, f"{route.to} cannot {' and '.join(needs)}"), router.name)
        elif route.to in self.names and route.confidence >= router.at_least:
            turn.emit(Routed(route, router.name))
            self._ask(turn, route.to)
        else:
            self._undecided(turn, route, router.name)

    def _drafted(self, turn: Turn[TeamState], planner: Planner, result: Result) -> None:
        """The planner came back."""
        if result.status == "done":
            self._planned(turn, decode(result.output, Plan), planner.name)
        else:
            text = f"{planner.name} has no plan: {result.reason}. Task: {_short(turn.state.task.objective)}"
            self._person(turn, text, result.failure, self._instead())

    def _planned(self, turn: Turn[TeamState], plan: Plan, by: str) -> None:
        """Take a plan that a model or a person made, or say why not: to the model as often as it may try again, then to a person."""
        why = refusal(plan, self.team, turn.now, turn.state.task.deadline)
        if not why:
            self.begin(turn, plan, by)
            return
        turn.emit(PlanRefused(by, why))
        planner = self.team.route
        assert isinstance(planner, Planner)
        if by == planner.name and len(turn.state.refused) <= planner.retries:
            self.hand(turn, TASK, planner.name)
            return
        failure = Failure("change_arguments", "plan_refused", why, where=turn.me)
        text = f"The plan that {by} made cannot be taken: {why}. Task: {_short(turn.state.task.objective)}"
        self._person(turn, text, failure, self._instead())

    def _instead(self) -> tuple[str, ...]:
        """Who could do all of it, where there is no plan; a person may also let it plan again, or give a plan as the result."""
        return self.names

    def _undecided(self, turn: Turn[TeamState], route: Route, by: str) -> None:
        turn.emit(Routed(msgspec.structs.replace(route, to=NOBODY), by))
        sure = route.confidence if route.to in self.names and 0.0 <= route.confidence <= 1.0 else None
        guess = f" ({route.to}, {route.confidence:.0%} sure)" if route.to in self.names else ""
        why = route.why or "no reason given"
        text = f"Who should take this? {by} could not tell{guess}: {why}. Task: {_short(turn.state.task.objective)}"
        unsure = f"Who should take it: {by} names {route.to}, and is not sure." if guess else "Who should take it."
        self._person(turn, text, None, self.names, unsure, sure)

    def _person(
        self, turn: Turn[TeamState], text: str, failure: Failure | None, options: tuple[str, ...], unsure: str = "",
        confidence: float | None = None,
    ) -> None:  # fmt: skip
        question = Question(
            "escalation", text, failure=failure, options=options, takes=TAKES if options else ALONE, unsure=unsure,
            confidence=confidence,
        )  # fmt: skip
        turn.escalate(question, topic="task")

    def nobody(self, turn: Turn[TeamState], work: str, text: str, failure: Failure | None) -> None:
        if work:
            self.person(turn, work, text, failure, self.names)
        else:
            self._person(turn, text, failure, self.names)

    def _ask(self, turn: Turn[TeamState], name: str) -> None:
        self.offer(turn, TASK, (name,))

    def _may_consult(self, turn: Turn[TeamState], names: tuple[str, ...]) -> bool:
        known = able(self.team, turn.state.task.needs)
        return bool(names) and len(set(names)) == len(names) and set(names) <= set(known)

    def _consult(self, turn: Turn[TeamState], names: tuple[str, ...], by: str, why: str) -> None:
        """Have several workers do the task side by side (``panel``)."""
        turn.emit(Routed(Route(PANEL, why=", ".join(names) + (f": {why}" if why else "")), by))
        self.offer(turn, TASK, names, together=True)

    def convene(self, turn: Turn[TeamState], names: tuple[str, ...]) -> None:
        seats: list[Seat] = []
        for name in (*names, PANEL):
            tries = turn.state.tries.get(name, 0) + 1
            turn.emit(Asked(name, tries, seat=name != PANEL))
            seats.append(Seat(name, self.place_of(turn, Work(name, tries), TASK)))
        self.ask(turn, seats[-1].run, Consult(self.task_of(turn, TASK, names[0]), tuple(seats[:-1])), TASK, PANEL)

    def hand(self, turn: Turn[TeamState], work: str, name: str) -> None:
        if work == TASK and name in self.names and name != turn.state.to:
            turn.emit(Routed(Route(name), "load" if self.counted else "what it needs"))
        before = turn.context
        if work and self.reports(turn):
            turn.context = msgspec.structs.replace(before, undo=undoer(turn.me))
        super().hand(turn, work, name)
        turn.context = before

    def task_of(self, turn: Turn[TeamState], work: str, name: str) -> Task:
        state = turn.state
        step = self.step(state, work)
        if step is not None:
            return self.step_task(state, step)
        task = state.task
        if (
            task.needs or task.priority or task.deadline is not None or task.budget is not None
        ):  # the team's own business
            task = msgspec.structs.replace(task, needs=(), priority=0, deadline=None, budget=None)
        if name not in self.names and state.refused:
            why = "\n".join(f"Your plan was refused: {why}. Make another one." for why in state.refused)
            task = msgspec.structs.replace(task, objective=f"{task.objective}\n\n{why}")
        return task

    def cut_off(self, turn: Turn[TeamState], failure: Failure) -> None:
        """It is over before its end: whoever works on it is told."""
        for work, has in self.under_way(turn.state).items():
            self.dismiss(turn, self.place_of(turn, has, work), has, failure)
        self.undo(turn, failure.message, answers=False)
        self.close(turn, self.left(turn.state, Result("failed", reason=failure.message, failure=failure)))

    def is_stopped(self, turn: Turn[TeamState], why: Failure) -> None:
        """It was given up, and nobody has it go on: what was done for its plan is undone, unless that has begun."""
        if self.reports(turn) and turn.state.closing is None:
            for work, has in self.under_way(turn.state).items():
                self.dismiss(turn, self.place_of(turn, has, work), has, why)
            self.undo(turn, why.message, answers=False)

    def close(self, turn: Turn[TeamState], result: Result) -> None:
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
        return state.evolve(task=event.task, later=event.later, origin=event.provenance)

    @applies(Routed)
    def was_routed(self, state: TeamState, event: Routed) -> TeamState:
        return state.evolve(to=event.route.to)

    @applies(Retasked)
    def was_retasked(self, state: TeamState, event: Retasked) -> TeamState:
        return state.evolve(task=event.task, said=(*state.said, event.said) if event.said else state.said)

    @applies(Returned)
    def has_returned(self, state: TeamState, event: Returned) -> TeamState:
        work = without(state.work, event.step) if event.step in state.work else state.work
        if not event.step:
            return state.evolve(spent=(*state.spent, event.result), work=work)
        new, sums = event.result, [r for r in state.spent if r.by == STEPS]
        before = sums[0] if sums else Result("done", by=STEPS)
        total = Result(
            "done", NULL, "", STEPS, before.steps + new.steps, before.usage + new.usage, before.cost + new.cost
        )
        spent = (*(r for r in state.spent if r.by != STEPS), total)
        outputs = {**state.outputs, event.step: new.output} if new.status == "done" else state.outputs
        sources = state.outputs_from
        if event.provenance is not None:
            sources = {**sources, event.step: event.provenance}
        return state.evolve(spent=spent, work=work, outputs=outputs, outputs_from=sources)

    @applies(PlanRefused)
    def was_refused(self, state: TeamState, event: PlanRefused) -> TeamState:
        return state.evolve(refused=(*state.refused, event.why))

    @applies(Closed)
    def was_closed(self, state: TeamState, event: Closed) -> TeamState:
        return state


def _looks_like_a_plan(value: Raw) -> bool:
    said: object = msgspec.json.decode(value)
    return isinstance(said, dict) and "steps" in said


def _plan(value: Raw) -> Plan | None:
    """The plan that an answer gives; None where it is none."""
    try:
        plan: Plan = decode(value, Plan)
    except msgspec.ValidationError:
        return None
    return plan


def _short(text: str) -> str:
    return text if len(text) <= 300 else text[:297] + "..."
