"""Several workers on one task, side by side: they agree, or what they say is a conflict that the declared resolvers decide.

    Consult -> each worker a run of its own -> all are back -> they agree, and enough of them answered -> the answer
                                                            -> Conflict -> resolvers -> a judge or a person, where it takes one
                                                            -> nobody has an answer -> cannot, with everybody's reasons

Who fails, or can't, makes no claim, but was asked: where not more than half of those asked have answered, one opinion is no agreement,
and the resolvers decide with what there is. One actor a consultation, at ``<team>/<run>/panel``, like a worker of its team.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from ...actors.actor import Actor, applies, handles, settles
from ...actors.drawing import exhausted
from ...actors.outcome import Later, Outcome
from ...actors.turn import Turn
from ...protocols.codec import encode
from ...protocols.conflicts import (
    Agreed,
    Claim,
    Conflict,
    ConflictFound,
    ConflictResolved,
    Decided,
    Resolve,
    Silent,
    told,
)
from ...protocols.failures import Failure, of_exception
from ...protocols.ids import Address
from ...protocols.lifecycle import Restarted
from ...protocols.messages import Event, Request, State
from ...protocols.model import Usage
from ...protocols.tasks import Cancel, Result, Task
from ..conflicts.actor import accepts
from ..conflicts.deciding import Open, claim, settle
from ..conflicts.policy import Conflicts

PANEL: Final = "panel"
UNDECIDED: Final = Decided("", "")


class Seat(Struct, frozen=True):
    """A worker that is asked, and the address of its run."""

    name: str
    run: Address


class Consult(Request[Result], wire="team.consult"):
    """Ask several workers to do the same task, and bring what they agree on."""

    task: Task
    seats: tuple[Seat, ...]


class Convened(Event, wire="panel.convened"):
    """Several workers are asked, side by side."""

    task: Task
    seats: tuple[Seat, ...]
    later: str


class Spoke(Event, wire="panel.spoke"):
    """One of them is back."""

    by: str
    result: Result


class PanelState(State):
    """Where one consultation is: who is asked, who is back, who sees to the conflict."""

    task: Task = Task("")
    seats: tuple[Seat, ...] = ()
    later: str = ""
    back: dict[str, Result] = msgspec.field(default_factory=dict[str, Result])
    conflict: Conflict | None = None
    to: Address = Address("")


class PanelActor(Actor):
    """One consultation."""

    State = PanelState
    inner = True

    def __init__(self, policy: Conflicts, forms: Mapping[str, Any]) -> None:
        """``forms``: the types of the workers' answers, by name."""
        self.policy, self.forms = policy, dict(forms)

    @handles(Consult)
    def convene(self, turn: Turn[PanelState], msg: Consult) -> Later[Result]:
        later = turn.later(msg)
        turn.emit(Convened(msg.task, msg.seats, later.id))
        for seat in msg.seats:
            turn.ask(seat.run, msg.task, tag=seat.name)
        return later

    @settles(Task)
    def spoke(self, turn: Turn[PanelState], outcome: Outcome[Result]) -> None:
        failure = outcome.failure
        result = outcome.value if failure is None else Result("failed", reason=failure.message, failure=failure)
        state = turn.emit(Spoke(str(outcome.tag), result))
        if len(state.back) == len(state.seats):
            self._weigh(turn)

    @settles(Resolve)
    def ruled(self, turn: Turn[PanelState], outcome: Outcome[Decided]) -> None:
        conflict = turn.state.conflict
        assert conflict is not None
        if outcome.failure is not None:
            self._end(turn, self._none(turn.state, outcome.failure))
        else:
            self._follow(turn, conflict, outcome.value)

    @handles(Restarted)
    def again(self, turn: Turn[PanelState], msg: Restarted) -> None:
        """A step of this actor failed. Whoever is not back is not waited for any more: the team is told, and asks a person."""
        if turn.state.later:
            failed = Failure("abandon", "restarted", "the consultation failed", where=turn.me, cause=msg.cause)
            self._dismiss(turn, failed.message)
            self._end(turn, Result("failed", reason=failed.message, failure=failed))

    @handles(Cancel)
    def cancel(self, turn: Turn[PanelState], msg: Cancel) -> None:
        failure = Failure("abandon", "cancelled", msg.reason or "the run was cancelled", where=turn.me)
        self._dismiss(turn, failure.message)
        self._end(turn, Result("failed", reason=failure.message, failure=failure))

    # -- its steps ----------------------------------------------------------------------------------------------

    def _weigh(self, turn: Turn[PanelState]) -> None:
        state = turn.state
        claims, silent = self._claims(state, turn.now)
        if not claims:
            failure = next((one.failure for one in silent if one.failure is not None), None)
            self._end(turn, Result("cannot", reason=_reasons(silent), failure=failure))
            return
        conflict = Conflict("answers", state.task.objective, claims, silent)
        if len({bytes(c.stance) for c in claims}) == 1 and len(claims) > len(silent):
            turn.emit(Agreed(told(conflict).claims, silent))
            best = max(range(len(claims)), key=lambda n: (claims[n].confidence or 0.0, -n))
            self._end(turn, state.back[claims[best].who])
            return
        over = settle(self.policy.steps("answers"), conflict, turn.now, accept=accepts(conflict, self.forms))
        broke = next((one.failure for one in silent if exhausted(turn, one.failure)), None)
        if (
            isinstance(over, Open) and broke is not None
        ):  # those who are silent have spent what there was to ask anybody else with
            self._end(turn, self._none(state, broke))
        elif isinstance(over, Open):
            to = Address(
                f"{turn.me.rsplit('/panel', 1)[0]}/conflict/{turn.me.rsplit('/panel', 1)[1].strip('/') or '1'}"
            )
            known = told(conflict)
            turn.emit(ConflictFound(known, to, over.passed))
            turn.ask(to, Resolve(known, over.at, over.passed))
        else:
            self._follow(turn, conflict, over)

    def _claims(self, state: PanelState, now: float) -> tuple[tuple[Claim, ...], tuple[Silent, ...]]:
        claims: list[Claim] = []
        silent: list[Silent] = []
        for seat in state.seats:
            result = state.back[seat.name]
            if result.status != "done":
                silent.append(Silent(seat.name, f"{result.status}: {result.reason}", seat.run, result.failure))
                continue
            try:
                claims.append(claim(seat.name, result.output, seat.run, now, self.policy.compare))
            except KeyboardInterrupt:  # of whoever sits at the terminal
                raise
            except BaseException as error:  # noqa: BLE001 - the user's ``compare``: what it cannot read agrees with nothing but its like
                failure = of_exception(error, where="compare", code="compare_failed")
                claims.append(Claim(seat.name, result.output, None, seat.run, result.output, failure.message, now))
        return tuple(claims), tuple(silent)

    def _follow(self, turn: Turn[PanelState], conflict: Conflict, decided: Decided) -> None:
        state = turn.emit(ConflictResolved(told(conflict), decided))
        if decided.winner is not None:
            self._end(turn, state.back[conflict.claims[decided.winner].who], decided)
        elif decided.made:
            self._end(turn, Result("done", decided.value, by=decided.by), decided)
        else:
            why = f"{decided.by}: {decided.reason}"
            unresolved = Failure(
                "abandon", "conflict_unresolved", f"the answers contradict each other; {why}", where=turn.me
            )
            self._end(turn, self._none(state, unresolved), decided)

    def _none(self, state: PanelState, failure: Failure) -> Result:
        """No answer stands: the partial result is what each of them said."""
        said = {name: result.output for name, result in state.back.items() if result.status == "done"}
        output = Raw(encode(said))
        return Result("cannot", output, failure.message, failure=failure)

    def _dismiss(self, turn: Turn[PanelState], why: str) -> None:
        for seat in turn.state.seats:
            if seat.name not in turn.state.back:
                turn.tell(seat.run, Cancel(why))
        if turn.state.to:
            turn.tell(turn.state.to, Cancel(why))

    def _end(self, turn: Turn[PanelState], result: Result, decided: Decided = UNDECIDED) -> None:
        spent: tuple[Result | Decided, ...] = (*turn.state.back.values(), decided)
        total = msgspec.structs.replace(
            result,
            steps=sum(r.steps for r in spent),
            usage=sum((r.usage for r in spent), Usage()),
            cost=sum(r.cost for r in spent),
        )
        turn.reply(Later[Result](turn.state.later), total)
        turn.stop()

    # -- what is remembered -------------------------------------------------------------------------------------

    @applies(Convened)
    def convened(self, state: PanelState, event: Convened) -> PanelState:
        return state.evolve(task=event.task, seats=event.seats, later=event.later)

    @applies(Spoke)
    def has_spoken(self, state: PanelState, event: Spoke) -> PanelState:
        return state.evolve(back={**state.back, event.by: event.result})

    @applies(ConflictFound)
    def found(self, state: PanelState, event: ConflictFound) -> PanelState:
        return state.evolve(conflict=event.conflict, to=event.to)

    @applies(Agreed)
    def agreed(self, state: PanelState, event: Agreed) -> PanelState:
        return state

    @applies(ConflictResolved)
    def resolved(self, state: PanelState, event: ConflictResolved) -> PanelState:
        return state


def _reasons(silent: tuple[Silent, ...]) -> str:
    return "nobody has an answer: " + "; ".join(f"{one.who}: {one.reason}" for one in silent)
