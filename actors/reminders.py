"""Reminders that come again, and ticks for which nobody was there.

    remind (a turn) -> Timer -> its time comes: a turn takes it, and the same row sets the next one
                              -> nobody was there in time, and ``missed="skip"``: an ``expired`` row, which sets the next one
                              -> the process died since: an ``attempt`` row makes it mail with a mark, and a turn takes that

Each tick is mail of its own with an id of its own; the *series* is the id that ``turn.remind`` gave and ``turn.forget`` takes.
"""

from __future__ import annotations

import msgspec

from ..protocols.hooks import Calendar
from ..protocols.journal import Schedule, Timer
from ..protocols.tasks import Overdue
from .cell import Cell
from .mailbox import Item
from .registry import Mount

PUNCTUAL = 5.0
"""Seconds that a tick may be late and still count as one that somebody was there for."""

MADE_UP = 100
"""Ticks that are made up for at most, the newest ones, with ``missed="all"``."""

AGAIN = 60.0
"""Seconds until a series is tried again whose next time cannot be told, because a library is gone, say."""


def is_missed(timer: Timer, now: float) -> bool:
    """Whether this tick is to be left out: nobody was there in time."""
    return timer.schedule is not None and timer.schedule.missed == "skip" and now - timer.at > PUNCTUAL


def missed_since(cell: Cell, item: Item, now: float) -> bool:
    """The same of one that became mail when the process died of it, or beside it."""
    schedule = cell.memory.timers.get(item.envelope.id)
    return schedule is not None and schedule.missed == "skip" and now - schedule.due > PUNCTUAL


def may_be_marked(mount: Mount, timer: Timer) -> bool:
    """Whether a reminder that had rung when the process died is marked before it is delivered again: one that the machinery sets for
    itself is never put aside, so it needs no mark."""
    envelope = timer.envelope
    return envelope.lane == "work" and envelope.wire != Overdue.__wire__ and not mount.vital


def series_of(cell: Cell, item: Item) -> Schedule | None:
    """Of which series this mail is a tick; None for other mail, and where the series is forgotten."""
    schedule = cell.memory.timers.get(item.envelope.id)
    return schedule if schedule is not None and schedule.cron else None


def tick(series: Schedule, item: Item, id: str, now: float, calendar: Calendar) -> Timer:
    """The tick after this one. Raises as the calendar does."""
    return _tick(series, item, id, _next(series, now, calendar))


def tick_anyway(cell: Cell, item: Item, id: str, now: float, calendar: Calendar) -> tuple[Timer, ...]:
    """The tick after this one, if there is to be one, for a row that must be made: where the calendar fails, the series is
    tried again in a minute."""
    series = series_of(cell, item)
    if series is None:
        return ()
    try:
        return (tick(series, item, id, now, calendar),)
    except Exception:  # noqa: BLE001 - the failure is told by the turn that met it; here the series must not be lost
        return (_tick(series, item, id, now + AGAIN),)


def _next(schedule: Schedule, now: float, calendar: Calendar) -> float:
    cron, tz = schedule.cron, schedule.tz
    if schedule.missed != "all":
        return calendar.next(cron, tz, max(schedule.due, now))
    due = calendar.next(cron, tz, schedule.due)
    return calendar.newest(cron, tz, due, now, MADE_UP) if due <= now else due


def _tick(schedule: Schedule, item: Item, id: str, due: float) -> Timer:
    envelope = msgspec.structs.replace(item.envelope, id=id)
    return Timer(id, due, envelope, msgspec.structs.replace(schedule, due=due))
