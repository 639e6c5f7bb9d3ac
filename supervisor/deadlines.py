"""Time limits of many waits, with one timer of the loop.

Each ask from outside has a limit, nearly always the same one, and nearly none is reached. A timer each costs 4 us with a thousand
asks under way (the loop's heap compares in Python); here a wait stands behind those with the same limit, and is taken away again.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict

from .waiter import Waiter


class Deadlines:
    """Waiters that expire unless they are dropped before. Used inside one running loop."""

    def __init__(self) -> None:
        self._waits: dict[float, OrderedDict[Waiter, float]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, seconds: float, waiter: Waiter) -> None:
        """Let it expire in so many seconds. Raises ValueError for no number of seconds."""
        loop = asyncio.get_running_loop()
        waits = self._waits.get(seconds)
        if waits is None:
            if math.isnan(seconds):
                raise ValueError(f"timeout={seconds!r} is no time: give seconds, or None to wait for ever")
            waits = self._waits[seconds] = OrderedDict()
        due = waits[waiter] = loop.time() + seconds
        if self._timer is None or due < self._timer.when():
            self._arm(loop, due)

    def drop(self, seconds: float, waiter: Waiter) -> None:
        """It is over, one way or the other."""
        waits = self._waits.get(seconds)
        if waits is not None:
            waits.pop(waiter, None)
            if not waits:
                del self._waits[seconds]

    def hold(self, seconds: float) -> None:
        """The last seconds do not count: everybody has as many more."""
        for waits in self._waits.values():
            for waiter in waits:
                waits[waiter] += seconds

    def close(self) -> None:
        """Nothing expires any more."""
        self._waits.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(due, self._ring, loop)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        for seconds, waits in list(self._waits.items()):
            while waits and next(iter(waits.values())) <= now:
                waiter = next(iter(waits))
                self.drop(seconds, waiter)
                waiter.expire()
        if self._waits:
            self._arm(loop, min(next(iter(waits.values())) for waits in self._waits.values()))
