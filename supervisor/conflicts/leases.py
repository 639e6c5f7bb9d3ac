"""Who has a resource: one actor for each, at ``<team>/shared/lease/<resource>``. Its turns are the order of all claims.

    free -> LeaseAcquire -> held (next token) -> released | expired | its holder ended | taken -> who waits next -> held (next token)
    held -> LeaseAcquire of somebody else: competing claims -> the declared resolvers -> the holder keeps it; or it is taken from it

A lease has a token that is higher than every one before it, in a state that is kept for ever. At most one is in force: it is one field
of one actor. Expiry is a durable reminder, and is looked at before every turn as well. A holder that is an actor is watched: where it
finishes, is stopped or given up its lease ends.
"""

from __future__ import annotations

import math

import msgspec

from ...actors.actor import Actor, applies, handles, settles
from ...actors.outcome import Later, Outcome
from ...actors.turn import Turn
from ...protocols.conflicts import Conflict, ConflictFound, ConflictResolved, Decided, Resolve
from ...protocols.errors import Rejected
from ...protocols.failures import Failure
from ...protocols.ids import OUTSIDE, Address, segment
from ...protocols.leases import (
    MAX_RESOURCE,
    MAX_SECONDS,
    MAX_WAITING,
    Lease,
    LeaseAcquire,
    LeaseEnter,
    LeaseLook,
    LeaseLost,
    LeaseRelease,
    LeaseRenew,
    LeaseStand,
    lease_of,
)
from ...protocols.lifecycle import Restarted
from ...protocols.mail import Terminated
from ...protocols.messages import Message
from ...protocols.tasks import Cancel
from .claimants import (
    Claimant,
    Dispute,
    DisputeBegan,
    DisputeEnded,
    LeaseEnded,
    LeaseExtended,
    LeaseGranted,
    LeaseState,
    Left,
    Named,
    Queued,
)
from .deciding import Open, settle
from .known import Known
from .policy import Conflicts

_HOLDER = "its holder: "
_OVER = f"{_HOLDER}finished"
"""A holder that ends by itself has not lost anything that it could still believe to have."""


class _Expire(Message, wire="lease.expire"):
    token: int


class _GiveUp(Message, wire="lease.give_up"):
    number: int


class LeaseActor(Actor):
    """One resource of a team."""

    State = LeaseState
    inner = True

    def __init__(self, policy: Conflicts, known: Known) -> None:
        self.policy, self.known = policy, known

    # -- requests -----------------------------------------------------------------------------------------------

    @handles(LeaseAcquire)
    def acquire(self, turn: Turn[LeaseState], msg: LeaseAcquire) -> Later[Lease]:
        self._begin(turn, msg.resource)
        holder = _holder(turn, msg.holder, self.known)
        seconds = _seconds("seconds", msg.seconds, least=0.001)
        wait = _seconds("wait", msg.wait, least=0.0)
        if msg.need is not None and not 0.0 <= msg.need <= 1.0:
            raise Rejected(f"need={msg.need} is not between 0 and 1")
        later = turn.later(msg)
        owner = turn.state.owner
        if owner is not None and _has(turn.state, holder, turn.sender != OUTSIDE):
            anew = msgspec.structs.replace(owner, asked=True, tell=msg.tell, need=msg.need)
            turn.reply(later, self._extend(turn, seconds, anew))
            return later
        known = self.known.name(turn.sender) if turn.sender else holder
        mine = Claimant(
            turn.state.count + 1,
            holder,
            known,
            seconds,
            True,
            turn.sender != OUTSIDE,
            msg.tell,
            msg.need,
            turn.now,
            later.id,
        )
        if wait:
            alarm = self._remind(turn, _GiveUp(mine.number), turn.now + wait)
            mine = msgspec.structs.replace(mine, until=turn.now + wait, alarm=alarm)
        self._compete(turn, mine)
        return later

    @handles(LeaseEnter)
    def enter(self, turn: Turn[LeaseState], msg: LeaseEnter) -> Later[Lease]:
        self._begin(turn, msg.resource)
        if turn.sender != OUTSIDE:
            raise Rejected("only the gate asks whether a call may begin", hint="ask with us.LeaseAcquire")
        later = turn.later(msg)
        state = turn.state
        if state.lease is not None and _has(state, msg.holder, actor=True):
            enough = state.lease.until - turn.now >= msg.seconds
            turn.reply(later, state.lease if enough else self._extend(turn, msg.seconds))
        elif not msg.claim or msg.holder in state.forfeited:
            turn.refuse(later, _lost(state, msg.holder))
        else:
            name = self.known.name(msg.holder)
            self._compete(
                turn, Claimant(state.count + 1, msg.holder, name, msg.seconds, False, True, at=turn.now, later=later.id)
            )
        return later

    @handles(LeaseRenew)
    def renew(self, turn: Turn[LeaseState], msg: LeaseRenew) -> Later[Lease]:
        self._begin(turn, msg.resource)
        holder, later = _holder(turn, msg.holder, self.known), turn.later(msg)
        lease, seconds = turn.state.lease, _seconds("seconds", msg.seconds, least=0.001)
        if lease is None or lease.token != msg.token or not _has(turn.state, holder, turn.sender != OUTSIDE):
            turn.refuse(later, _lost(turn.state, holder))
        else:
            turn.reply(later, self._extend(turn, seconds))
        return later

    @handles(LeaseRelease)
    def release(self, turn: Turn[LeaseState], msg: LeaseRelease) -> bool:
        self._begin(turn, msg.resource)
        holder, lease = _holder(turn, msg.holder, self.known), turn.state.lease
        if lease is None or not _has(turn.state, holder, turn.sender != OUTSIDE) or msg.token not in (0, lease.token):
            return False
        self._end(turn, "released")
        self._next(turn)
        return True

    @handles(LeaseLook)
    def look(self, turn: Turn[LeaseState], msg: LeaseLook) -> LeaseStand:
        self._begin(turn, msg.resource)
        state = turn.state
        return LeaseStand(state.lease, state.last, tuple(w.holder for w in state.waiting), state.dispute is not None)

    # -- what comes by itself -----------------------------------------------------------------------------------

    @handles(_Expire)
    def expire(self, turn: Turn[LeaseState], msg: _Expire) -> None:
        self._expired(turn)
        lease = turn.state.lease
        if lease is not None and lease.token == msg.token:  # it was renewed
            self._remind(turn, msg, lease.until)

    @handles(_GiveUp)
    def give_up(self, turn: Turn[LeaseState], msg: _GiveUp) -> None:
        self._expired(turn)
        mine = turn.state.find(msg.number)
        if mine is not None:
            self._leave(turn, mine, "waited long enough", _held(turn.state, turn.now))
            self._moot(turn)

    @handles(Terminated)
    def ended(self, turn: Turn[LeaseState], msg: Terminated) -> None:
        """A holder or claimant ended: so does its lease or claim. Of memory-only actors no end is told: theirs expire."""
        self._expired(turn)
        if msg.reason == "memory_only":
            return
        for one in turn.state.waiting:
            if one.actor and one.holder == msg.address:
                self._leave(turn, one, f"it {msg.reason}", None)
        if turn.state.owner is not None and turn.state.owner.actor and turn.state.owner.holder == msg.address:
            self._end(turn, f"{_HOLDER}{msg.reason}", msg.failure)
        self._moot(turn)
        self._next(turn)

    @handles(Cancel)
    def cancel(self, turn: Turn[LeaseState], msg: Cancel) -> None:
        """Somebody waits no more."""
        for one in turn.state.waiting:
            if msg.request and one.later == msg.request:
                self._leave(turn, one, msg.reason or "it waits no more", None)
        self._moot(turn)

    @handles(Restarted)
    def again(self, turn: Turn[LeaseState], msg: Restarted) -> None:
        """A step failed: watches and questions ended with it, and are begun anew."""
        state = turn.state
        for one in (*((state.owner,) if state.owner is not None else ()), *state.waiting):
            if one.actor:
                turn.watch(one.holder)
        if state.dispute is not None:
            turn.tell(state.dispute.to, Cancel("the lease was restarted"))
            turn.emit(DisputeEnded(state.dispute.to))
            self._decide(turn, state.dispute.conflict, state.dispute.numbers)

    @settles(Resolve)
    def ruled(self, turn: Turn[LeaseState], outcome: Outcome[Decided]) -> None:
        self._expired(turn)
        dispute = turn.state.dispute
        if dispute is None or dispute.to != outcome.tag:
            return  # of no account any more
        turn.emit(DisputeEnded(dispute.to))
        gone = outcome.failure
        decided = outcome.value if gone is None else Decided("nobody", gone.message, at=turn.now)
        self._follow(turn, dispute.conflict, dispute.numbers, decided)
        self._newcomers(turn, dispute)

    # -- its steps ----------------------------------------------------------------------------------------------

    def _begin(self, turn: Turn[LeaseState], resource: str) -> None:
        if not resource or len(resource) > MAX_RESOURCE:
            raise Rejected(f"the resource's name has {len(resource)} characters", hint=f"1 to {MAX_RESOURCE}")
        if turn.me.rsplit("/", 1)[1] != lease_of("", resource).rsplit("/", 1)[1]:
            raise Rejected(f"{resource!r} is not given here", hint="us.lease_of(team, resource) says where it is")
        if not turn.state.resource:
            turn.emit(Named(resource))
        self._expired(turn)

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
                self._leave(turn, mine, "it does not wait", _undecided(state.resource))
            return
        self._decide(turn, _rivals(state.resource, state.owner, mine), (state.owner.number, mine.number))

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
                self._leave(turn, loser, "it does not wait", _held(turn.state, turn.now))
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
                self._decide(turn, _rivals(state.resource, state.owner, one), (state.owner.number, one.number))

    def _grant(self, turn: Turn[LeaseState], mine: Claimant) -> None:
        lease = Lease(
            turn.state.resource, mine.holder, turn.state.last + 1, turn.now + mine.seconds, mine.who, turn.now
        )
        if mine.alarm:
            turn.forget(mine.alarm)
        alarm = self._remind(turn, _Expire(lease.token), lease.until)
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

    # -- what is remembered -------------------------------------------------------------------------------------

    @applies(Named)
    def named(self, state: LeaseState, event: Named) -> LeaseState:
        return state.evolve(resource=event.resource)

    @applies(LeaseGranted)
    def granted(self, state: LeaseState, event: LeaseGranted) -> LeaseState:
        return state.evolve(
            last=event.lease.token,
            lease=event.lease,
            owner=event.claimant,
            alarm=event.alarm,
            waiting=tuple(one for one in state.waiting if one.number != event.claimant.number),
            forfeited=tuple(one for one in state.forfeited if one != event.lease.holder),
            count=max(state.count, event.claimant.number),
        )

    @applies(LeaseExtended)
    def extended(self, state: LeaseState, event: LeaseExtended) -> LeaseState:
        assert state.lease is not None
        lease = msgspec.structs.replace(state.lease, until=event.until)
        return state.evolve(lease=lease, owner=event.claimant or state.owner)

    @applies(LeaseEnded)
    def is_over(self, state: LeaseState, event: LeaseEnded) -> LeaseState:
        forfeited = state.forfeited
        if state.owner is not None and state.owner.asked and event.reason not in ("released", _OVER):
            forfeited = (*forfeited, state.owner.holder)[-MAX_WAITING:]
        return state.evolve(lease=None, owner=None, alarm="", forfeited=forfeited)

    @applies(Queued)
    def queued(self, state: LeaseState, event: Queued) -> LeaseState:
        return state.evolve(waiting=(*state.waiting, event.claimant), count=event.claimant.number)

    @applies(Left)
    def left(self, state: LeaseState, event: Left) -> LeaseState:
        return state.evolve(waiting=tuple(one for one in state.waiting if one.number != event.number))

    @applies(DisputeBegan)
    def began(self, state: LeaseState, event: DisputeBegan) -> LeaseState:
        return state.evolve(dispute=event.dispute, disputes=state.disputes + 1)

    @applies(DisputeEnded)
    def settled(self, state: LeaseState, event: DisputeEnded) -> LeaseState:
        return state.evolve(dispute=None)

    @applies(ConflictFound)
    def found(self, state: LeaseState, event: ConflictFound) -> LeaseState:
        return state

    @applies(ConflictResolved)
    def resolved(self, state: LeaseState, event: ConflictResolved) -> LeaseState:
        return state


def _holder(turn: Turn[LeaseState], named: str, known: Known) -> str:
    """Who asks. An actor is itself; a caller outside says who it is."""
    if turn.sender != OUTSIDE:
        if named not in ("", turn.sender):
            raise Rejected(f"{turn.sender} cannot have a lease for {named!r}", hint="leave holder away")
        return turn.sender
    if not named or len(named) > MAX_RESOURCE:
        raise Rejected("it is not said who asks", hint=f"give holder=, a name of at most {MAX_RESOURCE} characters")
    return known.outsider(named)


def _has(state: LeaseState, holder: str, actor: bool) -> bool:
    """Whether this one has it. A caller outside that says an actor's address is not that actor."""
    owner = state.owner
    return owner is not None and (owner.holder, owner.actor) == (holder, actor)


def _rivals(resource: str, owner: Claimant, mine: Claimant) -> Conflict:
    return Conflict("claims", resource, (owner.claim(), mine.claim()))


def _seconds(field: str, given: float, *, least: float) -> float:
    if not math.isfinite(given) or not least <= given <= MAX_SECONDS:
        raise Rejected(f"{field}={given} is no time", hint=f"seconds, {least:g} to {MAX_SECONDS:,.0f}")
    return given


def _held(state: LeaseState, now: float) -> Failure:
    lease = state.lease
    if lease is None:
        return _undecided(state.resource)
    left = max(0.0, lease.until - now)
    why = f"{lease.resource} is held by {lease.who or lease.holder} ({lease.holder}), for {left:.0f} s more at most"
    return Failure("retry_later", "lease_held", why, "take another one, or wait for it", after=left)


def _undecided(resource: str) -> Failure:
    why = f"it is being decided who gets {resource}"
    return Failure("retry_later", "lease_disputed", why, "take another one, or ask again later", after=5.0)


def _lost(state: LeaseState, holder: str) -> Failure:
    has = f", {state.lease.holder} has it" if state.lease is not None else ""
    why = f"{holder} has no lease of {state.resource or 'it'} any more, or never had one{has}"
    return Failure("abandon", "lease_lost", why, "acquire it again before you work on it")
