"""What is remembered of one resource: who has it, who waits, what is being decided. Events, and the state that they make."""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from ...actors.actor import Actor, applies
from ...protocols.codec import encode
from ...protocols.conflicts import Claim, Conflict, ConflictFound, ConflictResolved
from ...protocols.failures import Failure
from ...protocols.ids import Address
from ...protocols.leases import MAX_WAITING, Lease
from ...protocols.messages import Event, State

HOLDER = "its holder: "
"""How the reason of a lease begins that ended with its holder."""
OVER = f"{HOLDER}finished"
"""A holder that ends by itself has not lost anything that it could still believe to have."""


class Claimant(Struct, frozen=True, omit_defaults=True):
    """Somebody who wants the resource, or has it.

    Attributes:
        number: its place in the order of all who ever came.
        holder, who: address or name; the name that resolvers know.
        seconds: for how long.
        asked: it acquired it itself, and the gate did not for one of its calls.
        actor: it is an actor of this system: its end ends its claim.
        tell: it wants to be told when its lease is lost.
        need: from 0 to 1; None for not said.
        at: journal time at which it came.
        later: its open request; empty where nobody waits for an answer.
        until: journal time at which it waits no more; None where it only waits for what is being decided.
        alarm: id of the reminder for that.
    """

    number: int
    holder: str
    who: str
    seconds: float
    asked: bool = True
    actor: bool = False
    tell: bool = False
    need: float | None = None
    at: float = 0.0
    later: str = ""
    until: float | None = None
    alarm: str = ""

    def claim(self) -> Claim:
        """Its side of a conflict."""
        name = Raw(encode(self.holder))
        run = Address(self.holder) if self.actor else Address("")
        return Claim(self.who, name, self.need, run, name, at=self.at, outside=not self.actor)


class Dispute(Struct, frozen=True, omit_defaults=True):
    """What a judge or a person is deciding: between whom, by number, and where."""

    conflict: Conflict
    numbers: tuple[int, ...]
    to: Address


class Named(Event, wire="lease.named"):
    """The resource's name, once: the address holds it only as far as an address can."""

    resource: str


class LeaseGranted(Event, wire="lease.granted"):
    """It was given to somebody, under the next token. ``alarm``: id of the reminder for its end."""

    lease: Lease
    claimant: Claimant
    alarm: str


class LeaseExtended(Event, wire="lease.extended"):
    """Its holder keeps it longer. ``claimant``: how it has it from now on, where it acquired anew what it had."""

    token: int
    until: float
    claimant: Claimant | None = None


class LeaseEnded(Event, wire="lease.ended"):
    """It is over: ``released``, ``expired``, ``taken``, or how its holder ended."""

    token: int
    reason: str
    failure: Failure | None = None


class Queued(Event, wire="lease.queued"):
    """Somebody waits for it."""

    claimant: Claimant


class Left(Event, wire="lease.left"):
    """Somebody waits no more."""

    number: int
    reason: str


class DisputeBegan(Event, wire="lease.dispute_began"):
    """Somebody has to decide who gets it."""

    dispute: Dispute


class DisputeEnded(Event, wire="lease.dispute_ended"):
    """It is decided, or of no account any more."""

    to: Address


class LeaseState(State):
    """One resource.

    Attributes:
        resource: its name.
        last: the last token that was given; it only grows.
        lease, owner, alarm: who has it, and the reminder for its end.
        waiting: who waits, in the order in which they came.
        dispute: what is being decided.
        forfeited: who had acquired it and lost it, and has not acquired it anew; the newest 100.
        count: how many ever came; disputes: how many there were.
    """

    resource: str = ""
    last: int = 0
    lease: Lease | None = None
    owner: Claimant | None = None
    alarm: str = ""
    waiting: tuple[Claimant, ...] = ()
    dispute: Dispute | None = None
    forfeited: tuple[str, ...] = ()
    count: int = 0
    disputes: int = 0

    def find(self, number: int) -> Claimant | None:
        """Who waits under this number."""
        return next((one for one in self.waiting if one.number == number), None)

    def has(self, holder: str, *, actor: bool) -> bool:
        """Whether this one has it. A caller outside that says an actor's address is not that actor."""
        return self.owner is not None and (self.owner.holder, self.owner.actor) == (holder, actor)


class LeaseBook(Actor):
    """What each event makes of the state."""

    State = LeaseState
    inner = True
    sticky = False

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
        if state.owner is not None and state.owner.asked and event.reason not in ("released", OVER):
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
