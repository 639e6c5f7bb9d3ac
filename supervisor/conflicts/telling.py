"""What became of conflicts, entries and leases, as sentences: lines of a run's story. Each says who, why, and what was decided."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct

from ...protocols.conflicts import Agreed, Conflict, ConflictFound, ConflictResolved, names
from ...protocols.journal import StoredEvent
from ...protocols.upcasting import lift
from ..team.panel import Convened, Spoke
from .board import EntryDropped, EntryWritten
from .claimants import LeaseEnded, LeaseExtended, LeaseGranted, Left, Queued

Told = tuple[str, Literal["plain", "good", "bad", "person", "quiet"]]


def line(stored: StoredEvent) -> Told:
    """What an event says."""
    form, say = LINES[stored.wire]
    told: Told = say(lift(stored.data, form, stored.version))
    return told


def _found(event: ConflictFound) -> Told:
    passed = "".join(f"; {one.resolver} does not decide: {one.reason}" for one in event.passed)
    return f"{_what(event.conflict)}{passed}; {event.to} sees to it", "bad"


def _resolved(event: ConflictResolved) -> Told:
    conflict, decided = event.conflict, event.decided
    if decided.winner is not None:
        stands = f"{names(conflict)[decided.winner]} stands"
    else:
        stands = (
            f"{_cut(bytes(decided.value).decode())} stands in their place" if decided.made else "none of them stands"
        )
    passed = "".join(f" ({one.resolver} did not decide: {one.reason})" for one in decided.passed)
    return f"{_what(conflict)}: {stands}, decided by {decided.by}: {decided.reason}{passed}", "plain"


def _agreed(event: Agreed) -> Told:
    silent = "".join(f"; {one.who} has no answer: {one.reason}" for one in event.silent)
    return f"{' and '.join(claim.who for claim in event.claims)} agree{silent}", "good"


def _convened(event: Convened) -> Told:
    return f"asks {', '.join(seat.name for seat in event.seats)} side by side", "plain"


def _spoke(event: Spoke) -> Told:
    reason = f": {event.result.reason}" if event.result.reason else ""
    return f"{event.by} is back, {event.result.status}{reason}", "good" if event.result.status == "done" else "bad"


def _written(event: EntryWritten) -> Told:
    entry = event.entry
    return f"{entry.key!r} is now {_cut(bytes(entry.value).decode())}, version {entry.version}, by {entry.by}", "plain"


def _dropped(event: EntryDropped) -> Told:
    return f"{event.key!r} is dropped by {event.by}, version {event.version}", "plain"


def _granted(event: LeaseGranted) -> Told:
    lease = event.lease
    return (
        f"{lease.resource} goes to {lease.holder} under token {lease.token}, for {lease.until - lease.since:g} s",
        "plain",
    )


def _extended(event: LeaseExtended) -> Told:
    return f"token {event.token} counts longer", "quiet"


def _ended(event: LeaseEnded) -> Told:
    return f"token {event.token} counts no more: {event.reason}", "plain" if event.reason == "released" else "bad"


def _queued(event: Queued) -> Told:
    return f"{event.claimant.holder} wants it, too", "quiet"


def _left(event: Left) -> Told:
    return f"claim {event.number} is over: {event.reason}", "quiet"


def _what(conflict: Conflict) -> str:
    said = ", ".join(
        f"{name} says {_cut(bytes(claim.value).decode())}"
        for name, claim in zip(names(conflict), conflict.claims, strict=True)
    )
    silent = "".join(f", {one.who} says nothing ({one.reason})" for one in conflict.silent)
    return f"conflict of {conflict.kind} about {_cut(conflict.subject)}: {said}{silent}"


def _cut(text: str, most: int = 80) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 3] + "..."


LINES: dict[str, tuple[type[Any], Callable[[Any], Told]]] = {}
"""By wire name: the event's class, and what takes it."""


def _add(form: type[Struct], say: Callable[[Any], Told]) -> None:
    LINES[vars(form)["__wire__"]] = (form, say)


_add(ConflictFound, _found)
_add(ConflictResolved, _resolved)
_add(Agreed, _agreed)
_add(Convened, _convened)
_add(Spoke, _spoke)
_add(EntryWritten, _written)
_add(EntryDropped, _dropped)
_add(LeaseGranted, _granted)
_add(LeaseExtended, _extended)
_add(LeaseEnded, _ended)
_add(Queued, _queued)
_add(Left, _left)
SILENT = frozenset(
    {
        "conflict.opened",
        "conflict.tied",
        "conflict.turned",
        "conflict.given",
        "conflict.judged",
        "board.disputed",
        "board.undisputed",
    }
    | {"lease.named", "lease.dispute_began", "lease.dispute_ended"}
)
"""Events that say nothing besides the ones above."""
