"""One task of a worker: the function is an effect, its task comes from a durable inbox, its result is journaled.

    Task -> intent of one call -> gate -> outcome -> Result, finished

The actor adds nothing to what the ledger says about the call: what is tried again, what is in doubt and whom to ask follows from
its effect class. ``us.Worker`` is the definition.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from ..protocols.codec import encode
from ..protocols.failures import Failure
from ..protocols.lifecycle import Restarted
from ..protocols.messages import Event, State
from ..protocols.tasks import Cancel, Overdue, Result, Task, overdue
from ..protocols.tool import ToolRef
from .abilities import unable
from .actor import ANY_TOOL, Actor, applies, handles, settles
from .drawing import remind
from .outcome import Later, Outcome
from .turn import Turn


class Accepted(Event, wire="worker.accepted"):
    """A task was taken; ``later`` is the request that waits for its result."""

    later: str


class Ended(Event, wire="worker.ended"):
    """The task is answered."""

    result: Result


class WorkerState(State):
    """Who waits for the result: id of the request, empty before and after."""

    later: str = ""


class WorkerActor(Actor):
    """One task of a worker.

    Args:
        work: the function, as a tool of one parameter.
        whole: whether that parameter takes the ``Task`` itself, or only its objective.
        can: what it can do: a task that needs something else is refused.
    """

    State = WorkerState

    def __init__(self, work: ToolRef[..., Any], *, whole: bool, can: tuple[str, ...] = ()) -> None:
        self._work = work
        self._whole = whole
        self._can = can

    @handles(Task)
    def accept(self, turn: Turn[WorkerState], task: Task) -> Later[Result]:
        later = turn.later(task)
        if task.needs and (why := unable(turn.me, self._can, task)) is not None:
            turn.refuse(later, why)
            turn.stop()
            return later
        turn.emit(Accepted(later.id))
        if task.deadline is not None:
            turn.remind(Overdue(), at=task.deadline)
        remind(turn)
        (parameter,) = self._work.order
        what = task if self._whole else task.objective
        turn.call_named(self._work.spec.name, Raw(encode({parameter: what})))
        return later

    @settles(ANY_TOOL)
    def came_back(self, turn: Turn[WorkerState], outcome: Outcome[object]) -> None:
        if outcome.failure is None:
            self._end(turn, Result("done", Raw(encode(outcome.value)), by=turn.me))
        else:
            self._fail(turn, outcome.failure)

    @handles(Restarted)
    def again(self, turn: Turn[WorkerState], msg: Restarted) -> None:
        """An outcome that could not be taken in is lost: the function is never called again unasked."""
        if turn.state.later and not turn.pending():
            self._fail(
                turn,
                Failure("abandon", "outcome_lost", "its outcome could not be taken in", where=turn.me, cause=msg.cause),
            )

    @handles(Cancel)
    def cancel(self, turn: Turn[WorkerState], msg: Cancel) -> None:
        self._fail(turn, Failure("abandon", "cancelled", msg.reason or "the run was cancelled", where=turn.me))

    @handles(Overdue)
    def too_late(self, turn: Turn[WorkerState], msg: Overdue) -> None:
        self._fail(turn, overdue(turn.me, limit=msg.limit))

    def _fail(self, turn: Turn[WorkerState], failure: Failure) -> None:
        self._end(turn, Result("failed", reason=failure.message, by=turn.me, failure=failure))

    def _end(self, turn: Turn[WorkerState], result: Result) -> None:
        later = Later[Result](turn.state.later)
        turn.emit(Ended(result))
        turn.reply(later, result)
        turn.stop()

    @applies(Accepted)
    def accepted(self, state: WorkerState, event: Accepted) -> WorkerState:
        return state.evolve(later=event.later)

    @applies(Ended)
    def ended(self, state: WorkerState, event: Ended) -> WorkerState:
        return state.evolve(later="")
