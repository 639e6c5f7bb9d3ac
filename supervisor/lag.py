"""Time for which the loop was blocked, so that nobody else is blamed for it.

While the loop is blocked no answer can be taken in, no tool's outcome and no person's word. So that time does not count: time
limits that are under way get as much longer (``listen``), and journal time stands still for as long (``Clock.hold``). What is
measured is exact for turns, and for everything else up to a quarter of a second (``Watchdog`` asks the loop whether it is
there). A loop that is blocked nearly always must not make every limit endless: of each stretch of time a twentieth counts whatever
happens.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

BLOCKED_FROM = 0.25
"""Seconds without the loop that are worth speaking of."""

AT_MOST = 0.95
"""Part of any stretch of time that may be taken out of the count."""


class Lag:
    """What is lost of one loop's time. Used inside of the loop.

    Attributes:
        total: seconds lost in this life.
    """

    def __init__(self) -> None:
        self.total = 0.0
        self._until = self._counted = perf_counter()
        self._listeners: list[Callable[[float], None]] = []

    def listen(self, listener: Callable[[float], None]) -> None:
        """Tell somebody of the seconds that do not count, as soon as the loop is there again."""
        self._listeners.append(listener)

    def lost(self, began: float, ended: float) -> None:
        """The loop was blocked from then to then, on ``perf_counter``. What was told before is not counted twice."""
        seconds = ended - max(began, self._until)
        if seconds < BLOCKED_FROM:
            return
        seconds = min(seconds, AT_MOST * (ended - self._counted))
        self._until = self._counted = ended
        self.total += seconds
        for listener in self._listeners:
            listener(seconds)
