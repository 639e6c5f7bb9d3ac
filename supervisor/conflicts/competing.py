"""Who gets a resource, as the declared resolvers decide: steps of the actor that gives its leases (``leases``).

nobody has it, nobody waits -> granted
somebody has it             -> holder against claimant -> the holder keeps it, the claimant waits or is refused; or it is taken
it is free, several wait    -> all who wait against each other
a judge or a person decides -> meanwhile the holder keeps it; who comes meanwhile is weighed after that; where less than two are
                               left who want it, nothing is to be decided any more
"""

from __future__ import annotations

import msgspec

from ...actors.outcome import Later
from ...actors.turn import Turn
from ...protocols.conflicts import Conflict, ConflictFound, ConflictResolved, Decided, Resolve
from ...protocols.failures import Failure
from ...protocols.ids import Address, segment
from ...protocols.leases import MAX_WAITING, Lease, LeaseLost
from ...protocols.messages import Message
from ...protocols.tasks import Cancel
from .claimants import (
    Claimant,
    Dispute,
    DisputeBegan,
    DisputeEnded,
    LeaseBook,
    LeaseEnded,
    LeaseExtended,
    LeaseGranted,
    LeaseState,
    Left,
    Queued,
)
from .deciding import Open, settle
from .known import Known
from .policy import Conflicts


class Expire(Message, wire="lease.expire"):
    """The lease under this token may be over."""

    token: int


class GiveUp(Message, wire="lease.give_up"):
    """This one has waited long enough."""

    number: int


class Competing(LeaseBook):
    """Weighs claims, grants and ends leases."""

    def __init__(self, policy: Conflicts, known: Known) -> None:
        self.policy, self.known = policy, known

    def _expired(self, turn: Turn[LeaseState]) -> None:
        lease = turn.state.lease
        if lease is not None and lease.until <= turn.now:
            self._end(turn, "expired")
            self._next(turn)

    def _compete(self, turn: Turn[LeaseState], mine: Claimant) -> None:
        """Somebody wants it. ``mine`` is answered, or waits."""
        state = turn.state
        if len(state.waiting) >= MAX_WAITING:
            full = Failure(
                "retry_later", "lease_queue_full", f"{MAX_WAITING} wait for {turn.state.resource}", after=5.0
            )
            self._refuse(turn, mine, full)
            return
        if state.lease is None and not state.waiting:
            self._grant(turn, mine)
            return
        turn.emit(Queued(mine))
        if mine.actor:
            turn.watch(mine.holder)
        if state.dispute is not None or state.owner is None:
            if mine.until is None:
                self._leave(turn, mine, "it does not wait", undecided(state.resource))
            return
        self._decide(turn, rivals(state.resource, state.owner, mine), (state.owner.number, mine.number))

    def _decide(self, turn: Turn[LeaseState], conflict: Conflict, numbers: tuple[int, ...]) -> None:
        over = settle(self.policy.steps("claims"), conflict, turn.now)
        if isinstance(over, Open) and not all(one.asked for one in turn.state.waiting if one.number in numbers):
            why = "a call that begins waits for no judge and no person, so the holder keeps it"
            over = Decided("the gate", why, winner=0, passed=over.passed, at=turn.now)
        if isinstance(over, Decided):
            self._follow(turn, conflict, numbers, over)
            return
        shared = turn.me.rsplit("/lease/", 1)[0]
        to = Address(f"{shared}/conflict/{segment(f'lease-{turn.state.resource}-{turn.state.disputes + 1}')}")
        turn.emit(ConflictFound(conflict, to, over.passed))
        turn.emit(DisputeBegan(Dispute(conflict, numbers, to)))
        turn.ask(to, Resolve(conflict, over.at, over.passed), tag=to)

    def _follow(self, turn: Turn[LeaseState], conflict: Conflict, numbers: tuple[int, ...], decided: Decided) -> None:
        """It is decided: whoever won has it, whoever lost and does not wait is told."""
        state = turn.emit(ConflictResolved(conflict, decided))
        won = numbers[decided.winner] if decided.winner is not None else None
        winner = state.find(won) if won is not None else None
        if winner is not None:
            if state.lease is not None:
                self._end(turn, "taken")
            self._grant(turn, winner)
        for number in numbers:
            loser = turn.state.find(number)
            if loser is None:
                continue
            if won is None:
                why = Failure("abandon", "lease_refused", f"{decided.by}: {decided.reason}", where=turn.me)
                self._leave(turn, loser, "it was refused", why)
            elif loser.until is None:
                self._leave(turn, loser, "it does not wait", held(turn.state, turn.now))
        self._next(turn)

    def _next(self, turn: Turn[LeaseState]) -> None:
        """Nobody has it: whoever waits may."""
        state = turn.state
        if state.lease is not None or state.dispute is not None or not state.waiting:
            return
        if len({(one.holder, one.actor) for one in state.waiting}) == 1:
            self._grant(turn, state.waiting[0])
            return
        conflict = Conflict("claims", turn.state.resource, tuple(one.claim() for one in state.waiting))
        self._decide(turn, conflict, tuple(one.number for one in state.waiting))

    def _moot(self, turn: Turn[LeaseState]) -> None:
        """Nothing is to be decided any more where less than two are left."""
        state = turn.state
        dispute = state.dispute
        if dispute is None:
            return
        owner = () if state.owner is None else (state.owner,)
        there = {one.number for one in (*owner, *state.waiting)}
        if len(there.intersection(dispute.numbers)) < 2:
            turn.tell(dispute.to, Cancel("less than two are left who want it"))
            turn.emit(DisputeEnded(dispute.to))
            self._next(turn)
            self._newcomers(turn, dispute)

    def _newcomers(self, turn: Turn[LeaseState], over: Dispute) -> None:
        """Who came while something was being decided has not been weighed against who has it now: that is done, in order."""
        for one in turn.state.waiting:
            state = turn.state
            if state.owner is None or state.dispute is not None:
                return
            if one.number > max(over.numbers) and state.find(one.number) is not None:
                self._decide(turn, rivals(state.resource, state.owner, one), (state.owner.number, one.number))

    def _grant(self, turn: Turn[LeaseState], mine: Claimant) -> None:
        lease = Lease(
            turn.state.resource, mine.holder, turn.state.last + 1, turn.now + mine.seconds, mine.who, turn.now
        )
        if mine.alarm:
            turn.forget(mine.alarm)
        alarm = self._remind(turn, Expire(lease.token), lease.until)
        turn.emit(LeaseGranted(lease, msgspec.structs.replace(mine, later="", until=None, alarm=""), alarm))
        if mine.actor:
            turn.watch(mine.holder)
        if mine.later:
            turn.reply(Later[Lease](mine.later), lease)
        for again in [one for one in turn.state.waiting if (one.holder, one.actor) == (mine.holder, mine.actor)]:
            self._leave(turn, again, "it has it", None)
            if again.later:
                turn.reply(Later[Lease](again.later), lease)

    def _extend(self, turn: Turn[LeaseState], seconds: float, claimant: Claimant | None = None) -> Lease:
        lease = turn.state.lease
        assert lease is not None
        changed = claimant if claimant != turn.state.owner else None
        state = turn.emit(LeaseExtended(lease.token, max(lease.until, turn.now + seconds), changed))
        assert state.lease is not None
        return state.lease

    def _end(self, turn: Turn[LeaseState], reason: str, failure: Failure | None = None) -> None:
        lease, owner, alarm = turn.state.lease, turn.state.owner, turn.state.alarm
        assert lease is not None
        assert owner is not None
        turn.emit(LeaseEnded(lease.token, reason, failure))
        turn.forget(alarm)
        if owner.actor and failure is None and not any(one.holder == owner.holder for one in turn.state.waiting):
            turn.unwatch(owner.holder)
        if owner.tell and owner.actor and reason in ("expired", "taken"):
            turn.tell(owner.holder, LeaseLost(lease.resource, lease.token, reason))
        if reason != "taken":
            self._moot(turn)

    def _leave(self, turn: Turn[LeaseState], mine: Claimant, reason: str, failure: Failure | None) -> None:
        turn.emit(Left(mine.number, reason))
        if mine.alarm:
            turn.forget(mine.alarm)
        if failure is not None:
            self._refuse(turn, mine, failure)
        owner = turn.state.owner
        others = (*turn.state.waiting, *((owner,) if owner is not None else ()))
        if mine.actor and not any(one.holder == mine.holder for one in others):
            turn.unwatch(mine.holder)

    def _refuse(self, turn: Turn[LeaseState], mine: Claimant, failure: Failure) -> None:
        if mine.alarm:
            turn.forget(mine.alarm)
        if (
            not mine.asked and failure.code == "lease_held"
        ):  # a call does not wait: whoever made it may take another one
            failure = msgspec.structs.replace(failure, kind="change_arguments", after=None)
        if mine.later:
            turn.refuse(Later[Lease](mine.later), failure)

    def _remind(self, turn: Turn[LeaseState], what: Message, at: float) -> str:
        """A reminder of this actor's own: that a lease will expire keeps nobody's run from being over."""
        whose = turn.context
        turn.context = msgspec.structs.replace(whose, run=turn.me)
        try:
            return turn.remind(what, at=at)
        finally:
            turn.context = whose


def rivals(resource: str, owner: Claimant, mine: Claimant) -> Conflict:
    """Who has it against who wants it."""
    return Conflict("claims", resource, (owner.claim(), mine.claim()))


def held(state: LeaseState, now: float) -> Failure:
    """By whom it is held, and for how long."""
    lease = state.lease
    if lease is None:
        return undecided(state.resource)
    left = max(0.0, lease.until - now)
    why = f"{lease.resource} is held by {lease.who or lease.holder} ({lease.holder}), for {left:.0f} s more at most"
    return Failure("retry_later", "lease_held", why, "take another one, or wait for it", after=left)


def undecided(resource: str) -> Failure:
    """Somebody else is deciding about it."""
    why = f"it is being decided who gets {resource}"
    return Failure("retry_later", "lease_disputed", why, "take another one, or ask again later", after=5.0)


def lost(state: LeaseState, holder: str) -> Failure:
    """Who asks has it no more."""
    has = f", {state.lease.holder} has it" if state.lease is not None else ""
    why = f"{holder} has no lease of {state.resource or 'it'} any more, or never had one{has}"
    return Failure("abandon", "lease_lost", why, "acquire it again before you work on it")
