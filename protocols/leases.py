"""Leases: who may work on a resource (or a task) now, for how long, and by which fencing token.

    LeaseAcquire -> Lease(token 1) -> LeaseRenew * -> LeaseRelease | it expires | its holder ends | it is taken (by the declared policy)
                                                                       -> the next one: Lease(token 2)

A token is never given twice and never goes back, for as long as the journal lives: a resource that remembers the highest one it has
seen can refuse a holder that has lost its lease and does not know it yet (Kleppmann, How to do distributed locking, 2016).
"""

from __future__ import annotations

import unicodedata

from msgspec import Struct

from .ids import Address, segment
from .messages import Message, Request

MAX_SECONDS = 30 * 86_400.0
"""Longest time of one lease; renew it to keep it longer."""
MAX_WAITING = 100
"""Who may wait for one resource."""
MAX_RESOURCE = 200
"""Characters of a resource's name."""


def lease_of(team: str, resource: str) -> Address:
    """Where a team gives the leases of one resource. However its name is composed in Unicode (NFC, NFD), it is one."""
    return Address(f"{team}/shared/lease/{segment(unicodedata.normalize('NFC', resource))}")


class Lease(Struct, frozen=True, omit_defaults=True):
    """A lease as it was given.

    Attributes:
        resource: of what.
        holder: address of the actor that has it, or the name of a caller outside.
        token: the fencing token; every later lease of the resource has a higher one.
        until: journal time at which it expires.
        who: the holder by the name that resolvers know.
        since: journal time at which it was given.
    """

    resource: str
    holder: str
    token: int
    until: float
    who: str = ""
    since: float = 0.0


class LeaseStand(Struct, frozen=True, omit_defaults=True):
    """How it stands with a resource.

    Attributes:
        lease: who has it; None for nobody.
        last: the last token that was given.
        waiting: who waits for it, in the order in which they came.
        disputed: a judge or a person is deciding who gets it.
    """

    lease: Lease | None = None
    last: int = 0
    waiting: tuple[str, ...] = ()
    disputed: bool = False


class LeaseAcquire(Request[Lease], wire="us.lease_acquire"):
    """Ask for a resource. Who has it already keeps its token, and its time is extended; ``need`` and ``tell`` are then as said last.

    Refused with ``lease_held`` (by whom, and until when), ``lease_refused`` (somebody decided so), ``lease_queue_full``.

    Attributes:
        resource: its name, 1 to 200 characters; it says at which address the request belongs (``lease_of``).
        seconds: for how long.
        wait: seconds to wait for it where somebody else has it.
        need: from 0 to 1, how much it is needed, for ``us.weighted``; None for not said.
        tell: tell me (``us.LeaseLost``) when it is over and I did not give it back.
        holder: who asks, for a caller that is no actor: a name that nobody in the team has.
    """

    resource: str
    seconds: float = 60.0
    wait: float = 0.0
    need: float | None = None
    tell: bool = False
    holder: str = ""


class LeaseRenew(Request[Lease], wire="us.lease_renew"):
    """Have it for ``seconds`` more from now. Refused with ``lease_lost`` where the token is not the present one."""

    resource: str
    token: int
    seconds: float = 60.0
    holder: str = ""


class LeaseRelease(Request[bool], wire="us.lease_release"):
    """Give it back. False where it was over already; that is no error.

    ``token`` 0: whichever the holder has.
    """

    resource: str
    token: int = 0
    holder: str = ""


class LeaseLook(Request[LeaseStand], wire="us.lease_look"):
    """Who has it, and who waits."""

    resource: str


class LeaseEnter(Request[Lease], wire="us.lease_enter"):
    """A tool call is about to begin that works on the resource: may it? Asked by the gate at the start of every attempt.

    Attributes:
        holder: the actor that intended the call.
        call: id of the call in the journal.
        seconds: with ``claim``, for how long it is taken; a holder has at least so long from now.
        claim: take it where nobody has it.
    """

    resource: str
    holder: Address
    call: str
    seconds: float = 60.0
    claim: bool = False


class LeaseLost(Message, wire="us.lease_lost"):
    """Told to a holder that asked for it (``tell=True``): the lease is over, and not because it gave it back.

    ``reason``: ``expired``, or ``taken`` (by whom it was decided stands in the resource's rows).
    """

    resource: str
    token: int
    reason: str
