"""What supervisors decided, one line each: who, why, and what. A fold over their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct, ValidationError

from ...protocols.errors import Unreadable
from ...protocols.failures import Failure
from ...protocols.ids import Address
from ...protocols.journal import Row, StoredEvent
from ...protocols.messages import Event
from ..journal.batch import record_of
from .roster import Decided, Down, Ended, Exhausted, GaveUp, Resolved, Restarting, Roster
from .virtual import GO_ON

_READ = Roster.behaviour

_DIRECTIVES = {
    "resume": "leaves the message aside and lets {0} go on",
    "stop": "stops {0}",
    "escalate": "leaves {0} to the one above",
    "restart": "has {0} started again",
}


class DecisionLine(Struct, frozen=True):
    """One decision.

    Attributes:
        at: journal time.
        by: the supervisor.
        about: the child; the supervisor itself where it gave up.
        text: what was decided and why, one line.
        gid: the row that says so.
    """

    at: float
    by: Address
    about: Address
    text: str
    gid: int


def decisions(rows: Iterable[Row]) -> tuple[DecisionLine, ...]:
    """The decisions in rows of supervisors, in order; what this code cannot read is left out."""
    found: list[DecisionLine] = []
    for row in sorted(rows, key=lambda row: row.gid):
        for stored in record_of(row).events:
            if (event := _read(stored)) is not None and (said := _told(event)) is not None:
                about = Address(getattr(event, "child", row.stream))
                found.append(DecisionLine(row.at, row.stream, about, said, row.gid))
    return tuple(found)


def line_of(stored: StoredEvent) -> str | None:
    """What one event of a supervisor says, in words; empty for what is no decision, None for an event of somebody else."""
    event = _read(stored)
    return None if event is None else _told(event) or ""


def _read(stored: StoredEvent) -> Event | None:
    if stored.wire not in _READ.appliers:
        return None
    try:
        return _READ.read(stored)
    except (Unreadable, ValidationError):
        return None


def _told(event: Event) -> str | None:
    tell = _LINES.get(type(event))
    return tell(event) if tell is not None else None


def _restarting(event: Restarting) -> str:
    others = f", with {', '.join(event.others)}" if event.others else ""
    wait = f" in {event.delay:.2g} s" if event.delay else ""
    return f"restarts {event.child}{others}{wait} (failure {event.streak} in a row): {_why(event.failure)}"


def _decided(event: Decided) -> str:
    rule = f" (its rule for {event.rule})" if event.rule else ""
    return f"{_DIRECTIVES[event.directive].format(event.child)}{rule}: {_why(event.failure)}"


def _gave_up(event: GaveUp) -> str:
    return f"gives up on {event.child} and asks: {_why(event.failure)}"


def _resolved(event: Resolved) -> str:
    what = "is started again" if event.answer.decision in GO_ON else "is stopped"
    why = f": {event.answer.reason}" if event.answer.reason else ""
    return f"hears from {event.answer.by or 'somebody'} that {event.child} {what}{why}"


def _exhausted(event: Exhausted) -> str:
    return f"gives up, and its children are stopped: {_why(event.failure)}"


def _down(event: Down) -> str | None:
    if event.how == "killed":
        return f"stopped {event.child}, and cut off {', '.join(event.left)}"
    if event.how == "leaked":
        return f"waits no more for {event.child}, which did not end in time"
    return None


def _ended(event: Ended) -> str | None:
    if event.why == "ignored":
        return f"does not run {event.child}, which says that there is nothing to do"
    if event.why == "normal":
        return f"does not restart {event.child}, which ended itself"
    return (
        f"does not restart {event.child}: {_why(event.failure)}"
        if event.failure is not None
        else f"stopped {event.child}"
    )


def _why(failure: Failure) -> str:
    return "; because ".join(f"{link.code}: {link.message}" for link in failure.chain())


_LINES: dict[type[Event], Callable[..., str | None]] = {
    Restarting: _restarting, Decided: _decided, GaveUp: _gave_up, Resolved: _resolved, Exhausted: _exhausted,
    Down: _down, Ended: _ended,
}  # fmt: skip
