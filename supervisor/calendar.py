"""The calendar: when a cron expression comes due, by cronsim. A pure computation over dates; no clock is read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from typing import Any

from ..protocols.errors import MissingExtra
from ..protocols.hooks import Calendar
from ..protocols.journal import Timer


class CronCalendar:
    """``hooks.Calendar`` by cronsim, which reads expressions as Debian's cron does, daylight saving included."""

    def next(self, cron: str, tz: str, after: float) -> float:
        for due in _ticks(cron, tz, after):
            return due
        raise ValueError(f"cron={cron!r} never comes")

    def newest(self, cron: str, tz: str, first: float, until: float, most: int) -> float:
        found = first
        for _, due in zip(range(most), _ticks(cron, tz, math.floor(until) + 1.0, reverse=True), strict=False):
            if due <= first:
                return first
            found = due
        return found


class Recorded:
    """The calendar of a replay: what a row set is what came due, whatever this machine knows of time zones today.

    Args:
        timers: those of the row that is decided again.
        otherwise: asked for anything else.
    """

    def __init__(self, timers: tuple[Timer, ...], otherwise: Calendar) -> None:
        self._timers, self._otherwise = timers, otherwise

    def next(self, cron: str, tz: str, after: float) -> float:
        for timer in self._timers:
            schedule = timer.schedule
            if schedule is not None and (schedule.cron, schedule.tz) == (cron, tz) and timer.at > after:
                return timer.at
        return self._otherwise.next(cron, tz, after)

    def newest(self, cron: str, tz: str, first: float, until: float, most: int) -> float:
        known = any(timer.at == first for timer in self._timers)
        return first if known else self._otherwise.newest(cron, tz, first, until, most)


def _ticks(cron: str, tz: str, start: float, *, reverse: bool = False) -> Iterator[float]:
    """Due times after (``reverse``: before) a time."""
    try:
        from cronsim import CronSim, CronSimError
    except ImportError as error:
        raise MissingExtra("remind(cron=…) needs cronsim", hint="pip install 'understudy[cron]'") from error
    try:
        begin = datetime.fromtimestamp(start, _zone(tz))
        found: Any = CronSim(cron, begin, reverse)
    except CronSimError as error:
        raise ValueError(
            f"cron={cron!r} is no cron expression: {error}; five fields are expected: minute, hour, day of the month, month, "
            "day of the week"
        ) from error
    except (OverflowError, OSError) as error:
        raise ValueError(f"cron={cron!r}: {start} is no date") from error
    for date in found:
        due: float = date.timestamp()
        # Where clocks are put back a local time comes twice, and what comes after the second may be the first: not time's order.
        if (due < start) if reverse else (due > start):
            yield due


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:
        raise ValueError(
            f"tz={name!r} is no time zone that this machine knows, such as 'Europe/Oslo' (a machine without a time zone "
            "database needs the package tzdata)"
        ) from error
