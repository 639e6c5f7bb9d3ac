"""What a supervisor is in the middle of: orders to its children, one unit after the other, each when the one before it has answered.

    Job(stop=(units…), start=(units…)) -> Shutdown to each child of a unit, wait for all of them, next unit; then Start, likewise
                                       -> at the end: whoever waits for it is told

A job is state: after a crash the answers that are still to come, or the reminders of those that never come, bring it on.
"""

from __future__ import annotations

import msgspec

from ..actors.outcome import Later
from ..actors.turn import Turn
from ..protocols.failures import Failure
from ..protocols.ids import Address
from ..protocols.lifecycle import ChildStarted, ChildStopped, Shutdown, Start
from ..protocols.messages import Message
from .roster import Doing, Down, Ended, Forgotten, Job, Kid, Starting, Stopping, SupervisorState
from .strategy import Unit, units
from .virtual import Virtual

LATE = 5.0
"""Seconds beyond a child's own time to end after which its supervisor waits no more for word of it."""

RUNS = ("starting", "running", "stopping")
"""Statuses of children of whom something runs."""


class Overdue(Message, wire="supervisor.overdue"):
    """An order was not answered in time."""

    child: Address
    attempt: int


class Jobs(Virtual):
    """Gives orders and waits for the answers."""

    def begin(self, turn: Turn[SupervisorState], job: Job, *, up: bool | None = None) -> None:
        """Do this, instead of what was being done. (Units that it no longer waits for are none of its own: see who begins what.)"""
        before = turn.state.job
        if before is not None and before.later:
            turn.refuse(Later[None](before.later), Failure("abandon", "stopped", f"{turn.me} is to end", where=turn.me))
        paused = turn.now - before.since if before is not None and before.since else 0.0
        turn.emit(Doing(job, paused=paused, up=up))
        self.advance(turn)

    def also_start(self, turn: Turn[SupervisorState], child: Address, cause: Failure | None) -> None:
        """Start one child, after whatever is being done."""
        job = turn.state.job
        if job is None:
            self.begin(turn, Job("restart", start=((child,),), cause=cause, child=child))
        elif job.goal not in ("shutdown", "end", "exit"):
            turn.emit(Doing(msgspec.structs.replace(job, start=(*job.start, (child,)))))

    def advance(self, turn: Turn[SupervisorState]) -> None:
        """Give the next orders, unless some are not answered yet; at the end, say so."""
        while (job := turn.state.job) is not None:
            kids = turn.state.kids
            if any(child in kids and kids[child].status in ("starting", "stopping") for child in job.now):
                return
            if job.stop:
                turn.emit(Doing(msgspec.structs.replace(job, stop=job.stop[1:], now=job.stop[0])))
                for child in job.stop[0]:
                    self._order_stop(turn, child, job)
            elif job.since:
                turn.emit(Doing(msgspec.structs.replace(job, since=0.0, now=()), paused=turn.now - job.since))
            elif job.start:
                turn.emit(Doing(msgspec.structs.replace(job, start=job.start[1:], now=job.start[0])))
                for child in job.start[0]:
                    self._order_start(turn, child, job)
            else:
                self._finish(turn, job)

    def drop_job(self, turn: Turn[SupervisorState]) -> None:
        """It came to nothing: what came in meanwhile is looked at."""
        turn.emit(Doing())
        turn.unstash()

    def _order_start(self, turn: Turn[SupervisorState], child: Address, job: Job) -> None:
        kid = turn.state.kids.get(child)
        if kid is None or kid.status in RUNS or kid.status == "given_up":
            return
        attempt = turn.state.orders + 1
        alarm = turn.remind(Overdue(child, attempt), after=kid.spec.start) if kid.spec.kind != "supervisor" else ""
        turn.emit(Starting(child, attempt, alarm, turn.now))
        turn.order(child, Start(attempt, kid.spec.on_restart or self.policy.on_restart, job.cause))

    def _order_stop(self, turn: Turn[SupervisorState], child: Address, job: Job) -> None:
        kid = turn.state.kids.get(child)
        if kid is None or kid.status not in RUNS:
            return
        self.forget_alarm(turn, kid)
        attempt, within = turn.state.orders + 1, kid.spec.shutdown
        alarm = turn.remind(Overdue(child, attempt), after=within + LATE) if within is not None else ""
        turn.emit(Stopping(child, attempt, alarm, turn.now))
        turn.order(child, Shutdown(attempt, within, goes(job, kid), job.cause))

    def is_down(self, turn: Turn[SupervisorState], kid: Kid, how: str, left: tuple[str, ...] = ()) -> None:
        """A child that was to end has ended."""
        self.forget_alarm(turn, kid)
        turn.emit(Down(kid.spec.id, how, turn.now, left))
        job = turn.state.job
        if job is not None and goes(job, kid):
            turn.emit(Ended(kid.spec.id, "stopped", turn.now))
            if kid.spec.restart == "temporary":
                turn.emit(Forgotten(kid.spec.id, gone=True))
        self.came(turn, kid.spec.id)

    def came(self, turn: Turn[SupervisorState], child: Address) -> None:
        """A child has answered."""
        job = turn.state.job
        if job is not None and child in job.now:
            self.advance(turn)

    def _finish(self, turn: Turn[SupervisorState], job: Job) -> None:
        up: bool | None = None
        if job.goal == "start":
            up = True
            if job.attempt:
                turn.note("led", True)
                turn.tell(self.above, ChildStarted(turn.me, job.incarnation, job.attempt))
        elif job.goal in ("shutdown", "end", "exit"):
            up = False
        turn.emit(Doing(up=up))
        if job.goal == "shutdown":
            turn.life = "stopped" if job.final else "restarting"
            turn.note("down", True)
            turn.ended_by = job.cause if job.final else None
            turn.tell(self.above, ChildStopped(turn.me, job.attempt, "shutdown"))
        elif job.goal == "end":
            turn.stop(job.cause or Failure("abandon", "budget_exhausted", f"{turn.me} gave up", where=turn.me))
        elif job.goal == "exit":
            turn.stop()
        if job.later:
            self.answered(turn, job)
        turn.unstash()

    def answered(self, turn: Turn[SupervisorState], job: Job) -> None:
        """Tell whoever asked for this job by name."""
        raise NotImplementedError

    def order(self, state: SupervisorState) -> tuple[Unit, ...]:
        """All children in start order; the members of a pool are one unit."""
        return units([(kid.spec.id, kid.spec.pool) for kid in state.kids.values()])

    def running(self, state: SupervisorState) -> tuple[Unit, ...]:
        """Those of whom something runs, last first."""
        kept = (tuple(c for c in unit if state.kids[c].status in RUNS) for unit in reversed(self.order(state)))
        return tuple(unit for unit in kept if unit)

    def forget_alarm(self, turn: Turn[SupervisorState], kid: Kid) -> None:
        """Its order is answered."""
        if kid.alarm:
            turn.forget(kid.alarm)


def goes(job: Job, kid: Kid) -> bool:
    """Whether a child that is stopped in this job does not come back: a temporary one never does."""
    return job.final or kid.spec.restart == "temporary"
