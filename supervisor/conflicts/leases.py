"""Who has a resource: one actor for each, at ``<team>/shared/lease/<resource>``. Its turns are the order of all claims.

    free -> LeaseAcquire -> held (next token) -> released | expired | its holder ended | taken -> who waits next -> held (next token)
    held -> LeaseAcquire of somebody else: competing claims -> the declared resolvers -> the holder keeps it; or it is taken from it

A lease has a token that is higher than every one before it, in a state that is kept for ever. At most one is in force: it is one field
of one actor. Expiry is a durable reminder, and is looked at before every turn as well. A holder that is an actor is watched: where it
finishes, is stopped or given up its lease ends. Here are its requests and what comes by itself; who gets it of several: ``competing``; what
is remembered: ``claimants``.
"""

from __future__ import annotations

import math

import msgspec

from ...actors.actor import handles, settles
from ...actors.outcome import Later, Outcome
from ...actors.turn import Turn
from ...protocols.conflicts import Decided, Resolve
from ...protocols.errors import Rejected
from ...protocols.ids import OUTSIDE
from ...protocols.leases import (
    MAX_RESOURCE,
    MAX_SECONDS,
    Lease,
    LeaseAcquire,
    LeaseEnter,
    LeaseLook,
    LeaseRelease,
    LeaseRenew,
    LeaseStand,
    lease_of,
)
from ...protocols.lifecycle import Restarted
from ...protocols.mail import Terminated
from ...protocols.tasks import Cancel
from .claimants import HOLDER, Claimant, DisputeEnded, LeaseState, Named
from .competing import Competing, Expire, GiveUp, held, lost
from .known import Known


class LeaseActor(Competing):
    """One resource of a team."""

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
        if owner is not None and turn.state.has(holder, actor=turn.sender != OUTSIDE):
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
            alarm = self._remind(turn, GiveUp(mine.number), turn.now + wait)
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
        if state.lease is not None and state.has(msg.holder, actor=True):
            enough = state.lease.until - turn.now >= msg.seconds
            turn.reply(later, state.lease if enough else self._extend(turn, msg.seconds))
        elif not msg.claim or msg.holder in state.forfeited:
            turn.refuse(later, lost(state, msg.holder))
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
        if lease is None or lease.token != msg.token or not turn.state.has(holder, actor=turn.sender != OUTSIDE):
            turn.refuse(later, lost(turn.state, holder))
        else:
            turn.reply(later, self._extend(turn, seconds))
        return later

    @handles(LeaseRelease)
    def release(self, turn: Turn[LeaseState], msg: LeaseRelease) -> bool:
        self._begin(turn, msg.resource)
        holder, lease = _holder(turn, msg.holder, self.known), turn.state.lease
        if (
            lease is None
            or not turn.state.has(holder, actor=turn.sender != OUTSIDE)
            or msg.token not in (0, lease.token)
        ):
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

    @handles(Expire)
    def expire(self, turn: Turn[LeaseState], msg: Expire) -> None:
        self._expired(turn)
        lease = turn.state.lease
        if lease is not None and lease.token == msg.token:  # it was renewed
            self._remind(turn, msg, lease.until)

    @handles(GiveUp)
    def give_up(self, turn: Turn[LeaseState], msg: GiveUp) -> None:
        self._expired(turn)
        mine = turn.state.find(msg.number)
        if mine is not None:
            self._leave(turn, mine, "waited long enough", held(turn.state, turn.now))
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
            self._end(turn, f"{HOLDER}{msg.reason}", msg.failure)
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


def _holder(turn: Turn[LeaseState], named: str, known: Known) -> str:
    """Who asks. An actor is itself; a caller outside says who it is."""
    if turn.sender != OUTSIDE:
        if named not in ("", turn.sender):
            raise Rejected(f"{turn.sender} cannot have a lease for {named!r}", hint="leave holder away")
        return turn.sender
    if not named or len(named) > MAX_RESOURCE:
        raise Rejected("it is not said who asks", hint=f"give holder=, a name of at most {MAX_RESOURCE} characters")
    return known.outsider(named)


def _seconds(field: str, given: float, *, least: float) -> float:
    if not math.isfinite(given) or not least <= given <= MAX_SECONDS:
        raise Rejected(f"{field}={given} is no time", hint=f"seconds, {least:g} to {MAX_SECONDS:,.0f}")
    return given
