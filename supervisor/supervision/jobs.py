"""What a supervisor is in the middle of: orders to its children, one unit after the other, each when the one before it has answered.

    Job(stop=(units…), start=(units…)) -> Shutdown to each child of a unit, wait for all of them, next unit; then Start, likewise
                                       -> at the end: whoever waits for it is told

A job is state: after a crash the answers that are still to come, or the reminders of those that never come, bring it on.
"""

from __future__ import annotations

import msgspec

from ...actors.outcome import Later
from ...actors.turn import Turn
from ...protocols.children import ChildSpec
from ...protocols.failures import Failure
from ...protocols.ids import Address
from ...protocols.lifecycle import ChildStarted, ChildStopped, Shutdown, Start, Stop
from ...protocols.messages import Message
from .roster import Doing, Down, Ended, Forgotten, Job, Kid, Starting, Stopping, SupervisorState, Went
from .strategy import Steps, Unit, steps, units
from .virtual import Virtual

LATE = 5.0
"""Seconds beyond a child's own time to end after which its supervisor waits no more for word of it."""

RUNS = ("starting", "running", "stopping")
"""Statuses of children of whom something runs."""


ENDS = ("shutdown", "end", "exit")
"""Goals after which a supervisor does nothing more."""

BEHIND = 1.0
"""Seconds that an alarm may be late itself: one that is later says nothing of the child, for the process was down, or blocked."""


class Overdue(Message, wire="supervisor.overdue"):
    """An order was not answered in time.

    Attributes:
        due, after: when it rings, and how long that was after the order.
        hard: the order left no time.
    """

    child: Address
    attempt: int
    due: float
    after: float
    hard: bool = False


class Jobs(Virtual):
    """Gives orders and waits for the answers.

    Attributes:
        specs: children of the definition, in the order in which they are started.
    """

    specs: tuple[ChildSpec, ...]

    def begin(self, turn: Turn[SupervisorState], job: Job, *, up: bool | None = None) -> None:
        """Do this, instead of what was being done. (Units that it no longer waits for are none of its own: see who begins what.)"""
        before = turn.state.job
        if before is not None and before.later:
            turn.refuse(Later[None](before.later), Failure("abandon", "stopped", f"{turn.me} is to end", where=turn.me))
        paused = turn.now - before.since if before is not None and before.since else 0.0
        turn.emit(Doing(job, paused=paused, up=up))
        self.advance(turn)

    def also_start(self, turn: Turn[SupervisorState], children: Unit, cause: Failure | None) -> None:
        """Start these, after whatever is being done."""
        job = turn.state.job
        if job is None:
            self.begin(turn, Job("restart", start=(children,), cause=cause, child=children[0]))
        elif job.goal not in ENDS:
            turn.emit(Doing(msgspec.structs.replace(job, start=(*job.start, children))))

    def advance(self, turn: Turn[SupervisorState]) -> None:
        """Give the next orders, unless some are not answered yet; at the end, say so."""
        while (job := turn.state.job) is not None:
            kids = turn.state.kids
            if any(child in kids and kids[child].status in ("starting", "stopping") for child in job.now):
                return
            if job.stop:
                turn.emit(Went("stop"))
                for child in job.stop[0]:
                    self.order_stop(turn, child, job)
            elif job.since:
                turn.emit(Doing(msgspec.structs.replace(job, since=0.0, now=()), paused=turn.now - job.since))
            elif job.start:
                turn.emit(Went("start"))
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
        self.forget_alarm(turn, kid)
        alarm = self.alarm(turn, child, attempt, kid.spec.start) if kid.spec.kind != "supervisor" else ""
        turn.emit(Starting(child, attempt, alarm, turn.now))
        # A supervisor knows who runs below it, and which orders are answered: it never begins with nothing.
        state = "keep" if kid.spec.kind == "supervisor" else kid.spec.on_restart or self.policy.on_restart
        turn.order(child, Start(attempt, state, job.cause))

    def order_stop(self, turn: Turn[SupervisorState], child: Address, job: Job, *, hard: bool = False) -> None:
        """Order a child to end. ``hard``: at once. A supervisor whose time is over is ordered so again, before it is left alone."""
        kid = turn.state.kids.get(child)
        if kid is None or kid.status not in RUNS:
            return
        self.forget_alarm(turn, kid)
        hard = hard or job.hard or kid.spec.shutdown == 0
        attempt, within = turn.state.orders + 1, 0.0 if hard else kid.spec.shutdown
        asks_again = kid.spec.kind == "supervisor" and not hard
        alarm = ""
        if within is not None:
            alarm = self.alarm(turn, child, attempt, within + (0.0 if asks_again else LATE), hard=hard)
        turn.emit(Stopping(child, attempt, alarm, turn.now))
        turn.order(child, Shutdown(attempt, within, goes(job, kid), job.cause))

    def end(self, turn: Turn[SupervisorState], kid: Kid, why: Failure) -> None:
        """End a child of whom nothing runs: whoever waits for it is told. A supervisor ends its tree."""
        over = Shutdown(0, None, final=True, cause=why) if kid.spec.kind == "supervisor" else Stop(why)
        self.forget_alarm(turn, kid)
        turn.order(kid.spec.id, over)

    def forget(self, turn: Turn[SupervisorState], kid: Kid) -> None:
        """A child is not known any more; one of the definition is not listed again, either."""
        turn.emit(Forgotten(kid.spec.id, gone=any(spec.id == kid.spec.id for spec in self.specs)))

    def alarm(
        self, turn: Turn[SupervisorState], child: Address, attempt: int, after: float, *, hard: bool = False
    ) -> str:
        """Be reminded of an order that may not be answered."""
        return turn.remind(Overdue(child, attempt, turn.now + after, after, hard), after=after)

    def is_down(self, turn: Turn[SupervisorState], kid: Kid, how: str, left: tuple[str, ...] = ()) -> None:
        """A child that was to end has ended."""
        self.forget_alarm(turn, kid)
        turn.emit(Down(kid.spec.id, how, turn.now, left))
        job = turn.state.job
        if job is not None and goes(job, kid):
            if how in ("failed", "leaked"):  # it did not end by itself
                self.end(turn, kid, job.cause or self.was_stopped(kid))
            turn.emit(Ended(kid.spec.id, "stopped", turn.now))
            if kid.spec.restart == "temporary" or kid.spec.pool:
                self.forget(turn, kid)
        self.came(turn, kid.spec.id)

    def was_stopped(self, kid: Kid) -> Failure:
        """What whoever waits for a child is told that was stopped in order."""
        return Failure("abandon", "stopped", f"{kid.spec.id} was stopped", where=kid.spec.id, cause=kid.failure)

    def _end_the_rest(self, turn: Turn[SupervisorState], job: Job) -> None:
        """This supervisor ends for good: nobody decides about those of its children of whom nothing runs."""
        for kid in list(turn.state.kids.values()):
            if kid.status != "ended":
                self.end(turn, kid, job.cause or self.was_stopped(kid))
                turn.emit(Ended(kid.spec.id, "stopped", turn.now))
                if kid.spec.restart == "temporary" or kid.spec.pool:
                    self.forget(turn, kid)

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
        elif job.goal in ENDS:
            up = False
            if job.final:
                self._end_the_rest(turn, job)
                self.end_the_waiting(turn)
        turn.emit(Doing(up=up))
        if job.goal == "shutdown":
            turn.life = "stopped" if job.final else "restarting"
            turn.note("down", True)
            turn.ended_by = job.cause if job.final else None
            turn.order(self.above, ChildStopped(turn.me, job.attempt, "shutdown"))
        elif job.goal == "end":
            turn.attempt = job.attempt
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

    def steps(self, state: SupervisorState, kid: Kid, after: Unit = ()) -> Steps:
        """What the failure of a child comes to by the strategy. ``after``: a unit that is to come last."""
        alone = kid.spec.pool or self.top
        order = (*self.order(state), after) if after else self.order(state)
        return steps("one_for_one" if alone else self.policy.strategy, order, kid.spec.id)

    def held_by(self, state: SupervisorState, spec: ChildSpec) -> Address | None:
        """Whose restart a child has to wait for, since it is started with it; None for nobody's. A new child comes last."""
        if spec.pool:
            return None
        new = () if spec.id in state.kids else (spec.id,)
        waiting = (k for k in state.kids.values() if k.status == "waiting" and k.spec.id != spec.id and not k.spec.pool)
        return next((k.spec.id for k in waiting if any(spec.id in u for u in self.steps(state, k, new).start)), None)

    def held_up_by(self, state: SupervisorState, kid: Kid) -> tuple[Unit, ...]:
        """Who was stopped with a child, and waits for its restart."""
        if kid.status != "waiting":
            return ()
        kids = state.kids
        held = (tuple(c for c in unit if kids[c].status == "down") for unit in self.steps(state, kid).start)
        return tuple(unit for unit in held if unit)

    def running(self, state: SupervisorState) -> tuple[Unit, ...]:
        """Those of whom something runs, last first."""
        kept = (tuple(c for c in unit if state.kids[c].status in RUNS) for unit in reversed(self.order(state)))
        return tuple(unit for unit in kept if unit)

    def forget_alarm(self, turn: Turn[SupervisorState], kid: Kid) -> None:
        """Its order is answered."""
        if kid.alarm:
            turn.forget(kid.alarm)


def goes(job: Job, kid: Kid) -> bool:
    """Whether a child that is stopped in this job does not come back: a temporary one never does, unless its supervisor begins anew."""
    return job.final or (kid.spec.restart == "temporary" and (kid.live or job.goal != "start"))
