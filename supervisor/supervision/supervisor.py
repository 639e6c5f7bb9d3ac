"""The supervisor: who keeps others going. It starts them in order, is told of every failure below it, and decides.

    Attend | Start | Restarted -> its children are started, left to right, each when the one before it has answered
    ChildFailed, ChildExited   -> resume | restart (with others, after a backoff) | stop | escalate, as the decider and the rules say
      restarts within the intensity   -> the steps of the strategy: stops in reverse order, starts forwards
      beyond it                       -> the others are stopped in reverse order, and the supervisor itself ends: ``budget_exhausted``
    Shutdown                   -> its children are stopped in reverse order, then it has ended
    at the root                -> each child stands for itself, and what no supervisor decides, a person does

What it is in the middle of (``jobs``) is state, like everything else: a crash in the middle is a pause. Failures that come in
meanwhile are stashed. Virtual children (``virtual``) are not started or stopped, and wait for nobody. Every decision is an event.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ...actors.actor import handles
from ...actors.turn import Turn
from ...protocols.children import ChildSpec, Directive, Intensity, Policy
from ...protocols.failures import Failure
from ...protocols.ids import OUTSIDE, Address, fits
from ...protocols.lifecycle import (
    Attend,
    ChildExited,
    ChildFailed,
    ChildStarted,
    ChildStopped,
    Restarted,
    Resume,
    Shutdown,
    Start,
)
from ...protocols.mail import Overloaded, Suspended
from ...protocols.messages import Message
from .backoff import delay, streak
from .deciders import Decider, decide
from .intensity import count
from .jobs import BEHIND, ENDS, RUNS, Overdue
from .live import Live
from .roster import (
    Arranged,
    Decided,
    Doing,
    Down,
    Ended,
    Exhausted,
    Forgotten,
    Job,
    Kid,
    Listed,
    Respecified,
    Restarting,
    SupervisorState,
    Up,
    WaitedOn,
)
from .virtual import stopped, troubled


class _TryAgain(Message, wire="supervisor.try_again"):
    child: Address
    attempt: int


class SupervisorActor(Live):
    """Decides about its children. See the module for who says what.

    Args:
        specs: its children, in the order in which they are started.
        pools: what may be started by name: specs whose ``id`` is a template, and how many there may be of each.
    """

    def __init__(
        self,
        policy: Policy,
        specs: Sequence[ChildSpec] = (),
        *,
        decider: Decider | None = None,
        above: Address = OUTSIDE,
        pools: Sequence[tuple[ChildSpec, int | None]] = (),
    ) -> None:
        super().__init__(policy, decider, above=above, pools=pools)
        self.specs = tuple(specs)
        self.attends = self.top and bool(self.specs)

    # -- its own life -------------------------------------------------------------------------------------------

    @handles(Attend)
    def attend(self, turn: Turn[SupervisorState], msg: Attend) -> None:
        """A life of the process begins: what the definition says may be new."""
        self._list(turn)
        self._look_after_lost(turn)
        state, job = turn.state, turn.state.job
        if not state.up and job is None:
            if self.top:
                self.begin(turn, Job("start", start=self.order(state)))
            return
        for kid in state.kids.values():
            if kid.spec.kind == "supervisor" and kid.status in ("starting", "running"):
                turn.order(kid.spec.id, Attend())
        due = {child for unit in (job.start if job is not None else ()) for child in unit}
        for kid in state.kids.values():
            if kid.status == "waiting":
                due |= {child for unit in self.steps(state, kid).start for child in unit}
        for unit in self.order(state):
            new = tuple(child for child in unit if state.kids[child].status == "down" and child not in due)
            if new:
                self.also_start(turn, new, None)
        self.advance(turn)  # it goes on where it was, and those that the definition has dropped do not answer

    def _look_after_lost(self, turn: Turn[SupervisorState]) -> None:
        """Memory-only children went with the process."""
        for kid in list(turn.state.kids.values()):
            if not kid.spec.memory_only or kid.status not in RUNS:
                continue
            job = turn.state.job
            if kid.status == "starting" and job is not None and kid.spec.id in job.now:
                turn.emit(Doing(msgspec.structs.replace(job, start=((kid.spec.id,), *job.start))))
            self.forget_alarm(turn, kid)
            if kid.status == "stopping":
                self.is_down(turn, kid, "lost")
            else:
                turn.emit(Down(kid.spec.id, "lost", turn.now))

    @handles(Start)
    def start(self, turn: Turn[SupervisorState], msg: Start) -> None:
        """It is to begin; where it was in the middle of its end, when that is over."""
        self._list(turn, anew=True)
        stop = self.running(turn.state)
        since = turn.now if stop else 0.0
        self.begin(turn, Job("start", stop, self.order(turn.state), attempt=msg.attempt, since=since))

    @handles(Restarted)
    def again(self, turn: Turn[SupervisorState], msg: Restarted) -> None:
        """A new incarnation: whatever still runs is stopped first, then all are started."""
        self._list(turn, anew=True)
        state = turn.state
        for kid in state.kids.values():
            self.forget_alarm(turn, kid)
        job = Job(
            "start", self.running(state), self.order(state), cause=msg.cause, attempt=msg.attempt, since=turn.now,
            incarnation=msg.incarnation,
        )  # fmt: skip
        self.begin(turn, job, up=False)

    @handles(Shutdown)
    def shut_down(self, turn: Turn[SupervisorState], msg: Shutdown) -> None:
        """The one above wants it to end: at once, whatever it is in the middle of."""
        if msg.final and not turn.state.kids:
            self._list(turn)  # it never began, and who would have is over, too
        stop = self.running(turn.state)
        job = Job(
            "shutdown", stop, cause=msg.cause, attempt=msg.attempt, since=turn.now, final=msg.final,
            hard=msg.within == 0,
        )  # fmt: skip
        self.begin(turn, job)

    @handles(Suspended)
    def suspended(self, turn: Turn[SupervisorState], msg: Suspended) -> None:
        """It was given up, and a person is asked: whoever asks its children is told so at once."""
        for kid in turn.state.kids.values():
            if kid.status != "ended":
                turn.order(kid.spec.id, msg)

    # -- what children say --------------------------------------------------------------------------------------

    @handles(ChildStarted)
    def child_started(self, turn: Turn[SupervisorState], msg: ChildStarted) -> None:
        kid = turn.state.kids.get(msg.child)
        if kid is None or kid.status != "starting" or kid.attempt != msg.attempt:
            return
        self.forget_alarm(turn, kid)
        if msg.ignored:
            turn.emit(Ended(msg.child, "ignored", turn.now))
            if kid.spec.restart == "temporary" or kid.spec.pool:
                self.forget(turn, kid)
        else:
            turn.emit(Up(msg.child, msg.incarnation, turn.now))
        self.came(turn, msg.child)

    @handles(ChildStopped)
    def child_stopped(self, turn: Turn[SupervisorState], msg: ChildStopped) -> None:
        kid = turn.state.kids.get(msg.child)
        if kid is not None and kid.status == "stopping" and kid.attempt == msg.attempt:
            self.is_down(turn, kid, msg.how, msg.left)

    @handles(ChildFailed)
    def child_failed(self, turn: Turn[SupervisorState], msg: ChildFailed) -> None:
        kid, job = turn.state.kids.get(msg.child), turn.state.job
        if kid is None:
            if not self._names(msg.child):
                self.virtual_failed(turn, msg)
        elif kid.status == "stopping":
            if msg.attempt and msg.attempt == kid.attempt:  # it has ended, if not in order
                self.is_down(turn, kid, "failed")
            elif not msg.attempt and kid.spec.kind == "supervisor" and job is not None:  # it may have failed at this
                self.order_stop(turn, msg.child, job)
        elif kid.status == "starting":
            if msg.attempt == kid.attempt or (
                not msg.attempt and kid.spec.kind == "supervisor" and msg.incarnation > kid.incarnation
            ):
                self.forget_alarm(turn, kid)
                self._failed_to_start(turn, kid, msg.failure, msg.item)
        elif kid.status != "running" or msg.attempt or msg.incarnation < kid.incarnation:
            return  # word of a life that is over
        elif turn.state.job is not None:
            turn.stash()
        else:
            self._failed(turn, kid, msg)

    @handles(ChildExited)
    def child_exited(self, turn: Turn[SupervisorState], msg: ChildExited) -> None:
        kid = turn.state.kids.get(msg.child)
        if kid is None or msg.incarnation < kid.incarnation:
            return
        if kid.status == "stopping":
            self.is_down(turn, kid, "shutdown")
        elif kid.status == "starting" or (kid.status == "running" and turn.state.job is not None):
            turn.stash()
        elif kid.status == "running":
            self._exited(turn, kid)

    @handles(Overloaded)
    def overloaded(self, turn: Turn[SupervisorState], msg: Overloaded) -> None:
        """A child sends more than somebody takes. The row of this turn is the record; nothing is stopped for it."""

    @handles(Overdue)
    def overdue(self, turn: Turn[SupervisorState], msg: Overdue) -> None:
        """An order was not answered in time."""
        kid, job = turn.state.kids.get(msg.child), turn.state.job
        if kid is None or kid.attempt != msg.attempt or kid.status not in ("starting", "stopping"):
            return
        if turn.now - msg.due > BEHIND:
            alarm = self.alarm(turn, msg.child, msg.attempt, msg.after, hard=msg.hard)
            turn.emit(WaitedOn(msg.child, alarm))
        elif kid.status == "stopping":
            if kid.spec.kind == "supervisor" and not msg.hard and job is not None:
                self.order_stop(turn, msg.child, job, hard=True)
            else:
                self.is_down(turn, kid, "leaked")
        else:
            why = f"{msg.child} did not start within {kid.spec.start:g} s"
            failure = Failure("retry_later", "start_timeout", why, where=msg.child)
            turn.order(msg.child, Shutdown(0, 0.0, cause=failure))
            self._failed_to_start(turn, kid, failure, "")

    @handles(_TryAgain)
    def try_again(self, turn: Turn[SupervisorState], msg: _TryAgain) -> None:
        """The wait before a restart is over. (Until now whoever wanted to stop it could.)"""
        kid = turn.state.kids.get(msg.child)
        if kid is None or kid.status != "waiting" or kid.attempt != msg.attempt:
            return
        if turn.state.job is not None:
            turn.stash()
            return
        start = self.steps(turn.state, kid).start
        self.begin(turn, Job("restart", start=start, cause=kid.failure, child=msg.child))

    # -- decisions ----------------------------------------------------------------------------------------------

    def _failed(self, turn: Turn[SupervisorState], kid: Kid, msg: ChildFailed) -> None:
        """A child that ran has failed."""
        if msg.failure.code == "unreadable":  # a restart would read the same rows, and an order finds nobody
            self._too_often(turn, kid, msg.failure, msg.item, msg.failure.message)
            return
        usual: Directive = "stop" if kid.spec.restart == "temporary" else "restart"
        decision = decide(self.decider, msg.failure, turn.me, usual)
        if decision.directive == "resume" and kid.spec.kind == "supervisor":  # which has ended, and its tree with it
            decision = msgspec.structs.replace(decision, directive="restart")
        failure = troubled(msg.failure, decision)
        if decision.directive != "restart":
            turn.emit(Decided(msg.child, decision.directive, decision.rule, failure, msg.item))
        if decision.directive == "resume":
            turn.order(msg.child, Resume())
        elif decision.directive == "stop" or kid.spec.restart == "temporary":
            self.end(turn, kid, stopped(turn.me, msg.child, failure))
            turn.emit(Ended(msg.child, failure.code, turn.now, failure))
            self._after_end(turn, kid, by_itself=True)
        elif decision.directive == "escalate":
            why = f"{msg.child} failed, and {turn.me} leaves the decision to others: {failure.message}"
            self._give_up_all(turn, kid, Failure("abandon", "escalated", why, where=turn.me, cause=failure), msg.item)
        elif (dear := self.too_dear(msg)) is not None:
            self._too_often(turn, kid, failure, msg.item, dear)
        else:
            self._restart(turn, kid, failure, msg.item)

    def _exited(self, turn: Turn[SupervisorState], kid: Kid) -> None:
        """A child has ended itself, in order."""
        if kid.spec.restart == "permanent":
            over = Failure("retry_now", "exited", f"{kid.spec.id} ended itself, and is permanent", where=kid.spec.id)
            self._restart(turn, kid, over, "")
            return
        turn.emit(Ended(kid.spec.id, "normal", turn.now))
        self._after_end(turn, kid, by_itself=True)

    def _after_end(self, turn: Turn[SupervisorState], kid: Kid, *, by_itself: bool) -> None:
        """A child has ended and is not restarted: what that means for its supervisor."""
        if kid.spec.restart == "temporary" or kid.spec.pool:
            self.forget(turn, kid)
        if not by_itself or not kid.spec.significant or self.policy.auto_shutdown == "never":
            return
        others = (k for k in turn.state.kids.values() if k.spec.significant and k.spec.id != kid.spec.id)
        if self.policy.auto_shutdown == "all_significant" and any(k.status not in ("ended", "down") for k in others):
            return
        stop = self.running(turn.state)
        self.begin(turn, Job("exit", stop, child=kid.spec.id, since=turn.now, final=True))

    def _restart(
        self, turn: Turn[SupervisorState], kid: Kid, failure: Failure, item: str, *, again: bool = False
    ) -> None:
        """Restart a child, and others with it; or give up, if that is once too often. ``again``: it failed to restart."""
        wait = self._counted(turn, kid, failure, item, again=again)
        if wait is None:
            return
        do = self.steps(turn.state, kid)
        kids = turn.state.kids
        stop = tuple(unit for unit in (tuple(c for c in u if kids[c].status in RUNS) for u in do.stop) if unit)
        at_once = wait == 0.0 and not again
        if at_once or stop:
            start = do.start if at_once else ()
            self.begin(
                turn, Job("restart", stop, start, cause=failure, child=kid.spec.id, since=turn.now if stop else 0.0)
            )

    def _counted(
        self, turn: Turn[SupervisorState], kid: Kid, failure: Failure, item: str, *, again: bool = False
    ) -> float | None:
        """Count a restart before it is tried. Gives the wait before it, for which a reminder is set; None where that was too often.
        ``again``: it is tried again, which takes a reminder also without a wait: requests come between.
        """
        state, policy, child = turn.state, self.policy, kid.spec.id
        clock = turn.now - state.paused
        window, slow, alone = state.window, state.slow, kid.restarts
        counts = kid.spec.counts and not self.top
        budget = kid.spec.budget if counts else kid.spec.budget or policy.intensity
        over: tuple[str, Intensity] | None = None
        if budget is not None:
            alone, within = count(kid.restarts, clock, budget)
            over = over if within else (child, budget)
        if not counts and policy.slow is not None:
            longer, within = count(kid.restarts, clock, policy.slow)
            over = over if within or over is not None else (child, policy.slow)
            alone = longer if len(longer) > len(alone) else alone
        if counts:
            all_of = f"the children of {turn.me}"
            window, within = count(window, clock, policy.intensity)
            over = over if within else (all_of, policy.intensity)
            if policy.slow is not None:
                slow, within = count(slow, turn.now, policy.slow)
                over = over if within else (all_of, policy.slow)
        if over is not None:
            whose, limit = over
            last = "last" if whose == child else f"last {child}"
            why = (
                f"{whose} failed more than {limit.max_restarts} times in {limit.within:g} s, {last}: {failure.message}"
            )
            self._too_often(turn, kid, failure, item, why)
            return None
        backoff = kid.spec.backoff or policy.backoff
        failures = streak(kid.streak, turn.now, backoff)
        wait = delay(backoff, failures, turn.random)
        others = tuple(c for unit in self.steps(state, kid).start for c in unit if c != child)
        for other in others:
            if state.kids[other].status == "waiting":
                self.forget_alarm(turn, state.kids[other])
        alarm = turn.remind(_TryAgain(child, kid.attempt), after=wait) if wait > 0 or again else ""
        turn.emit(
            Restarting(
                child, window, wait, failure, item, failures, others=others, slow=slow, alone=alone, at=turn.now,
                known=True, alarm=alarm,
            )
        )  # fmt: skip
        return wait

    def _too_often(self, turn: Turn[SupervisorState], kid: Kid, failure: Failure, item: str, why: str) -> None:
        self._give_up_all(turn, kid, Failure("abandon", "budget_exhausted", why, where=turn.me, cause=failure), item)

    def _give_up_all(self, turn: Turn[SupervisorState], kid: Kid, failure: Failure, item: str) -> None:
        """The supervisor itself ends; the others are stopped first. A member of a pool, or a child of the root (which nobody is above),
        is given up alone."""
        if self.top or not kid.spec.counts:
            cause = failure.cause or failure
            word = ChildFailed(kid.spec.id, kid.incarnation, cause, item, turn.context.run)
            self.give_up(turn, word, failure.message, failure.code)
            return
        turn.emit(Down(kid.spec.id, "failed", turn.now))
        self._give_up_myself(turn, kid, failure)

    def _give_up_myself(self, turn: Turn[SupervisorState], kid: Kid, failure: Failure) -> None:
        before = turn.state.job
        answers = before.attempt if before is not None and before.goal == "start" else 0
        turn.emit(Exhausted(failure))
        stop = self.running(turn.state)
        job = Job("end", stop, cause=failure, child=kid.spec.id, attempt=answers, since=turn.now)
        self.begin(turn, job)

    def _failed_to_start(self, turn: Turn[SupervisorState], kid: Kid, failure: Failure, item: str) -> None:
        """A start or restart that was ordered did not come off."""
        job, child = turn.state.job, kid.spec.id
        goal = job.goal if job is not None else "restart"
        turn.emit(Down(child, "failed", turn.now))
        kid = turn.state.kids[child]
        if goal in ENDS:
            self.came(turn, child)
        elif goal == "add" and job is not None and job.child == child:
            self.not_added(turn, kid, failure)
        elif goal == "start" and not self.top and not kid.spec.pool:
            why = f"{turn.me} failed to start its child {child}: {failure.message}"
            over = Failure("abandon", "failed_to_start", why, where=turn.me, cause=failure)
            self._give_up_myself(turn, kid, over)
        elif self.top or job is None or kid.spec.pool or job.later:  # it stands for itself, and the others go on
            if kid.spec.restart == "temporary":
                self.end(turn, kid, stopped(turn.me, child, failure))
                turn.emit(Ended(child, failure.code, turn.now, failure))
                self._after_end(turn, kid, by_itself=True)
            else:
                self._counted(turn, kid, failure, item, again=True)
            self.advance(turn)
        else:
            self.drop_job(turn)
            self._restart(turn, kid, failure, item, again=True)
            with_it = {c for unit in self.steps(turn.state, kid).start for c in unit}
            for unit in job.start:
                rest = tuple(c for c in unit if c not in with_it)
                if rest:
                    self.also_start(turn, rest, failure)

    def go_on(self, turn: Turn[SupervisorState], child: Address, cause: Failure) -> None:
        if child in turn.state.kids:
            self.also_start(turn, (child,), cause)
        else:
            super().go_on(turn, child, cause)

    def give_in(self, turn: Turn[SupervisorState], child: Address, why: Failure) -> None:
        kid = turn.state.kids.get(child)
        if kid is None:
            super().give_in(turn, child, why)
            return
        self.end(turn, kid, why)
        turn.emit(Ended(child, "stopped", turn.now, why))
        self._after_end(turn, kid, by_itself=False)

    # -- who there is -------------------------------------------------------------------------------------------

    def _names(self, child: Address) -> bool:
        """Whether it is, or was, a child that this supervisor starts, and no virtual one."""
        led = any(spec.id == child for spec in self.specs)
        return led or any(spec.kind == "member" and fits(spec.id, child) for spec, _ in self.pools)

    def _list(self, turn: Turn[SupervisorState], *, anew: bool = False) -> None:
        """Children of the definition that are not known yet, and those that it describes in another way now. ``anew``: also those that
        were over for good in the incarnation before this one."""
        self.govern(turn)
        for spec in self.specs:
            kid = turn.state.kids.get(spec.id)
            if kid is None and spec.id in turn.state.gone and not anew:
                continue
            if kid is None:
                turn.emit(Listed(spec))
            elif kid.spec != spec and not kid.live:
                turn.emit(Respecified(spec))
        defined = {spec.id for spec in self.specs}
        for kid in list(turn.state.kids.values()):
            if not kid.live and kid.spec.id not in defined:
                self.forget_alarm(turn, kid)
                turn.emit(Forgotten(kid.spec.id))
        kids = turn.state.kids
        arranged = (*(s.id for s in self.specs if s.id in kids), *(child for child in kids if child not in defined))
        if arranged != tuple(kids):
            turn.emit(Arranged(arranged))
