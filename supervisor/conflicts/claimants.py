"""What is remembered of one resource: who has it, who waits, what is being decided. Events, and the state that they make."""

from __future__ import annotations

from msgspec import Raw, Struct

from ...protocols.codec import encode
from ...protocols.conflicts import Claim, Conflict
from ...protocols.failures import Failure
from ...protocols.ids import Address
from ...protocols.leases import Lease
from ...protocols.messages import Event, State


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
