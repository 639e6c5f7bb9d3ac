"""Virtual children: runs, and actors at templates. They begin with their first mail, so there is nothing to start, stop or wait for:
each that fails has a restart window of its own, and one that gives up does so alone.

    ChildFailed -> within its intensity: Restart, after a backoff
                -> beyond it: Escalated to the supervisor above, which decides or passes it on; at the root a person is asked
    Verdict     -> Restart, and count anew; or Stop
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ...actors.actor import PERSON, handles, settles
from ...actors.outcome import Outcome
from ...actors.turn import Turn
from ...protocols import decisions
from ...protocols.approvals import Answer, Question
from ...protocols.children import SLOW, ChildSpec, Policy, RestartPolicy
from ...protocols.effects import Effect
from ...protocols.failures import Failure
from ...protocols.ids import OUTSIDE, Address, fits
from ...protocols.lifecycle import Cease, ChildFailed, Restart, Resume, Stop
from ...protocols.mail import Suspended, Terminated
from ...protocols.messages import Message
from .backoff import delay, streak
from .deciders import Decider, Decision, decide
from .intensity import count
from .roster import Decided, GaveUp, Governed, Resolved, Restarting, Roster, SupervisorState

TAKES: tuple[decisions.Decision, ...] = ("retry", "change", "skip", "stop")
"""What a question about a child takes that was given up, and of which it is known on what it failed."""

GO_ON = frozenset({"retry", "change", "skip", "approve"})
"""The child is started again. What becomes of the message on which it failed is written with the answer (``verdicts``)."""


class Escalated(Message, wire="supervisor.escalated"):
    """To the supervisor above: what is to be done about a child that was given up?

    Attributes:
        child: which.
        origin: whose child it is: who is told the verdict.
        failure: why it was given up, with the causes from the first failure up.
        text: the same as a person may be asked it.
        item: the message on which it failed, where it can be tried again, changed or dropped.
    """

    child: Address
    origin: Address
    failure: Failure
    text: str
    item: str = ""


class Verdict(Message, wire="supervisor.verdict"):
    """To the supervisor of a child that was given up: what a supervisor above, or a person, has decided."""

    child: Address
    answer: Answer


class Withdrawn(Message, wire="supervisor.withdrawn"):
    """To the supervisor above: it need not decide about a child any more."""

    child: Address


class _RestartNow(Message, wire="supervisor.restart_now"):
    child: Address
    failure: Failure


class Virtual(Roster):
    """Decides about children that nobody starts, and about whatever is given up.

    Args:
        policy: how it decides.
        decider: what is done about which failure; None for a restart.
        above: the supervisor above; empty for the root, where people decide.
        pools: specs whose ``id`` is a template, and how many there may be of each.
    """

    supervises = True
    sticky = False

    def __init__(
        self,
        policy: Policy,
        decider: Decider | None = None,
        *,
        above: Address = OUTSIDE,
        pools: Sequence[tuple[ChildSpec, int | None]] = (),
    ) -> None:
        self.policy, self.decider, self.above, self.pools = policy, decider, above, tuple(pools)
        slow = policy.slow or SLOW
        self._horizon = max(policy.intensity.within, policy.backoff.reset, 2 * slow.within / (slow.max_restarts + 1))
        """A child that has been quiet for so long is in no loop that any limit would end."""

    @property
    def top(self) -> bool:
        """Whether no supervisor is above it."""
        return not self.above

    def virtual_failed(self, turn: Turn[SupervisorState], msg: ChildFailed) -> None:
        """A run, or an actor at a template, has failed."""
        if msg.failure.code == "unreadable":  # a restart would read the same rows
            if msg.child not in turn.state.given_up:
                self.give_up(turn, msg, msg.failure.message)
            return
        self.govern(turn)
        decision = decide(self.decider, msg.failure, turn.me)
        failure = troubled(msg.failure, decision)
        if decision.directive != "restart":
            turn.emit(Decided(msg.child, decision.directive, decision.rule, failure, msg.item))
        if decision.directive == "resume":
            turn.order(msg.child, Resume())
        elif decision.directive == "stop":
            turn.order(msg.child, Stop(stopped(turn.me, msg.child, failure)))
        elif decision.directive == "escalate":
            why = f"{msg.child} failed, and {turn.me} leaves the decision to others: {failure.message}"
            self.give_up(turn, msg, why, "escalated")
        else:
            self._restart_alone(turn, msg, failure)

    def too_dear(self, msg: ChildFailed) -> str | None:
        """Why a child has cost too much to be restarted without a word; None while it has not."""
        if self.policy.cost is None or msg.cost <= self.policy.cost:
            return None
        return f"{msg.child} has spent ${msg.cost:.2f}, more than ${self.policy.cost:.2f}, last: {msg.failure.message}"

    def govern(self, turn: Turn[SupervisorState]) -> None:
        """Say by which policy it decides, where nobody knows yet."""
        if turn.state.policy != self.policy:
            turn.emit(Governed(self.policy))

    def _restart_alone(self, turn: Turn[SupervisorState], msg: ChildFailed, failure: Failure) -> None:
        policy, before = self.policy, turn.state.restarts.get(msg.child, ())
        spec, _ = self.prototype(msg.child)
        intensity = (spec.budget if spec is not None else None) or policy.intensity
        backoff = (spec.backoff if spec is not None else None) or policy.backoff
        recent, within = count(before, turn.now, intensity)
        slow, slowly = (recent, True) if policy.slow is None else count(before, turn.now, policy.slow)
        limit = intensity if not within else policy.slow
        if not (within and slowly) and limit is not None:
            spent = f"{msg.child} failed more than {limit.max_restarts} times in {limit.within:g} s"
            self.give_up(turn, msg, f"{spent}, last: {failure.message}")
            return
        if (dear := self.too_dear(msg)) is not None:
            self.give_up(turn, msg, dear)
            return
        failures = streak(turn.state.streaks.get(msg.child), turn.now, backoff)
        wait = delay(backoff, failures, turn.random)
        known = slow if len(slow) > len(recent) else recent
        turn.emit(
            Restarting(
                msg.child,
                known,
                wait,
                failure,
                msg.item,
                failures,
                self._quiet(turn.state, turn.now, msg.child),
                at=turn.now,
            )
        )
        if wait > 0:
            turn.remind(_RestartNow(msg.child, failure), after=wait)
        else:
            turn.order(msg.child, Restart(self.begins_with(msg.child), failure))

    @handles(_RestartNow)
    def restart_now(self, turn: Turn[SupervisorState], msg: _RestartNow) -> None:
        if msg.child in turn.state.kids:  # it was started by name meanwhile
            return
        turn.order(msg.child, Restart(self.begins_with(msg.child), msg.failure))

    def prototype(self, child: Address) -> tuple[ChildSpec | None, int | None]:
        """What the definition says of actors at the template that an address fits, and how many there may be."""
        for spec, most in self.pools:
            if fits(spec.id, child):
                return spec, most
        return None, None

    def begins_with(self, child: Address) -> RestartPolicy:
        """What a virtual child has after a restart."""
        spec, _ = self.prototype(child)
        return (spec.on_restart if spec is not None else None) or self.policy.on_restart

    # -- giving up ----------------------------------------------------------------------------------------------

    def give_up(self, turn: Turn[SupervisorState], msg: ChildFailed, why: str, code: str = "budget_exhausted") -> None:
        """A child failed once too often: the one above decides about it, and about it alone."""
        failure = Failure("abandon", code, why, where=turn.me, cause=msg.failure)
        turn.emit(GaveUp(msg.child, failure))
        what = f"{why}. The message it failed on ({msg.item}) is parked." if msg.item else f"{why}."
        text = f"{what} Start it again, or stop it?"
        word = Escalated(msg.child, turn.me, failure, text, "" if msg.failure.code == "unreadable" else msg.item)
        if self.top:
            self._ask_person(turn, word)
        else:
            turn.tell(self.above, word)

    @handles(Escalated)
    def escalated(self, turn: Turn[SupervisorState], msg: Escalated) -> None:
        """A supervisor below gave up on a child of its own. The first decider on the way up that knows what to do decides."""
        decision = decide(self.decider, msg.failure.cause or msg.failure, turn.me, "escalate")
        turn.emit(Decided(msg.child, decision.directive, decision.rule, troubled(msg.failure, decision)))
        if decision.directive != "escalate":
            approves = decision.directive in ("restart", "resume")
            reason = f"{turn.me} says so for {decision.rule}"
            answer = Answer("", "approve" if approves else "reject", by=turn.me, reason=reason)
            turn.tell(msg.origin, Verdict(msg.child, answer))
        elif self.top:
            self._ask_person(turn, msg)
        else:
            turn.tell(self.above, msg)

    def _ask_person(self, turn: Turn[SupervisorState], msg: Escalated) -> None:
        known = "What it did before is in its rows; a failed turn left nothing. Not known: whether it fails again."
        question = Question(
            "escalation", msg.text, failure=msg.failure, takes=TAKES if msg.item else ("retry", "stop"), unsure=known,
            about=msg.child, message=msg.item,
        )  # fmt: skip
        tag = msg.child if msg.origin == turn.me else f"{msg.origin} {msg.child}"
        asked = turn.escalate(question, topic="child", tag=tag)
        if (
            msg.failure.cause is None or msg.failure.cause.code != "unreadable"
        ):  # which takes no orders, and has told its watchers
            turn.order(msg.child, Suspended(msg.failure, asked.id))
            turn.watch(msg.child)

    @handles(Terminated)
    def over(self, turn: Turn[SupervisorState], msg: Terminated) -> None:
        """A child about which a person is asked was stopped by others, such as a team that gave its work to another one."""
        if msg.reason not in ("stopped", "finished"):
            return
        answer = Answer("", "stop", by=turn.me, reason=f"it has ended meanwhile ({msg.reason})")
        for origin in self._take_back(turn, msg.address):
            if origin:
                turn.tell(origin, Verdict(msg.address, answer))
            elif msg.address in turn.state.given_up:
                self._resolve(turn, msg.address, answer)

    @settles(PERSON)
    def decided(self, turn: Turn[SupervisorState], outcome: Outcome[Answer]) -> None:
        """A person has decided; silence is a no."""
        answer = (
            outcome.value
            if outcome.failure is None
            else Answer("", "reject", by="the deadline", reason=outcome.failure.message)
        )
        origin, _, child = str(outcome.tag if outcome.tag is not None else turn.me).rpartition(" ")
        if child != turn.me:
            turn.unwatch(child)
        if origin:
            turn.tell(origin, Verdict(Address(child), answer))
        elif child in turn.state.given_up or child == turn.me:  # and nobody has decided before
            self._resolve(turn, Address(child), answer)

    @handles(Verdict)
    def verdict(self, turn: Turn[SupervisorState], msg: Verdict) -> None:
        if msg.child in turn.state.given_up:  # and nobody has decided before
            self._resolve(turn, msg.child, msg.answer)

    def withdraw(self, turn: Turn[SupervisorState], child: Address) -> None:
        """It was decided about a child by name: nobody is to be asked about it any more."""
        if self.top:
            turn.unwatch(child)
            self._take_back(turn, child)
        else:
            turn.tell(self.above, Withdrawn(child))

    def _take_back(self, turn: Turn[SupervisorState], child: Address) -> tuple[Address, ...]:
        """Take back what people are asked about a child and have not answered. Gives whose child it was, by question; empty where it is
        its own."""
        moot = [e for e in turn.pending() if e.state == "asking" and e.answer is None and _about(e) == child]
        turn.changes = (*turn.changes, *(msgspec.structs.replace(e, state="withdrawn", due=None) for e in moot))
        return tuple(_origin(e) for e in moot)

    @handles(Withdrawn)
    def withdrawn(self, turn: Turn[SupervisorState], msg: Withdrawn) -> None:
        """A supervisor below has decided about a child that it had given up."""
        self.withdraw(turn, msg.child)

    def _resolve(self, turn: Turn[SupervisorState], child: Address, answer: Answer) -> None:
        known = turn.state.given_up.get(child) or Failure("abandon", "failed", f"{child} failed")
        turn.emit(Resolved(child, answer))
        if child == turn.me:
            return
        if answer.decision in GO_ON:
            self.go_on(turn, child, known)
        else:
            reason = f"{answer.by} stopped it: {answer.reason}" if answer.reason else f"{answer.by} stopped it"
            self.give_in(turn, child, Failure("abandon", "stopped", reason, where=child, cause=known))

    def go_on(self, turn: Turn[SupervisorState], child: Address, cause: Failure) -> None:
        """A child that was given up is started again."""
        turn.order(child, Restart(self.begins_with(child), cause))

    def give_in(self, turn: Turn[SupervisorState], child: Address, why: Failure) -> None:
        """A child that was given up is stopped."""
        turn.order(child, Stop(why))

    def end_the_waiting(self, turn: Turn[SupervisorState]) -> None:
        """Virtual children that wait for a restart, or for somebody's decision, end with their supervisor for good."""
        state = turn.state
        for child in sorted({*state.streaks, *state.given_up} - set(state.kids)):
            over = Failure("abandon", "stopped", f"{turn.me}, which kept it going, has ended", where=child)
            if child in state.given_up:
                turn.order(child, Stop(over))
            else:  # its wait may be over, and the word of that not taken yet: only the child knows whether it has been restarted
                turn.order(child, Cease(over))

    def _quiet(self, state: SupervisorState, now: float, but: Address) -> tuple[Address, ...]:
        """Children whose last failure is of no account any more."""
        old = now - self._horizon
        return tuple(child for child, last in state.streaks.items() if last.until < old and child != but)


def _about(effect: Effect) -> str:
    return effect.question.about if effect.question is not None else ""


def _origin(effect: Effect) -> Address:
    """Whose child a question is about; empty for a child of who asks."""
    tag: object = msgspec.json.decode(effect.tag)
    return Address(str(tag).rpartition(" ")[0])


def troubled(failure: Failure, decision: Decision) -> Failure:
    """A failure, with what went wrong while it was decided about."""
    if decision.trouble is None:
        return failure
    return Failure(
        decision.trouble.kind,
        decision.trouble.code,
        decision.trouble.message,
        where=decision.trouble.where,
        cause=failure,
    )


def stopped(by: Address, child: Address, cause: Failure) -> Failure:
    """What whoever waits for a child is told that its supervisor does not restart."""
    return Failure("abandon", "stopped", f"{by} does not restart {child}", where=child, cause=cause)
