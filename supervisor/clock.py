"""The clock of one life of the process: where the journal ended, or the wall clock, whichever is later; then monotonic time.

A jump of the wall clock meanwhile moves no deadline, and a journal that ends in the future (its last owner's clock was ahead,
or this one's was set back) goes on from there. So journal time never goes back and never stands still. What the wall clock did is
not lost: ``jumped`` tells, and the shell makes it a row.
"""

from __future__ import annotations

import time
from collections.abc import Callable

CATCHES_UP = 0.05
"""Part of each second by which time that was held back goes faster afterwards, until it is where it would have been."""

JUMP = 1.0
"""Seconds by which the wall clock must have gone away from this count before anybody is told."""


class Clock:
    """Seconds since the epoch, as this life counts them.

    Args:
        wall, monotonic: the clocks of the machine, in seconds; for tests.
    """

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._start = wall() - monotonic()
        self._told = 0.0
        """By how much the wall clock was known to be ahead of this count."""
        self._held = self._at = 0.0
        """By how much this count was held back, and when, on the monotonic clock."""

    def now(self) -> float:
        """Now."""
        monotonic = self._monotonic()
        if self._held:
            return self._start + monotonic - self._behind(monotonic)
        return self._start + monotonic

    def hold(self, seconds: float) -> None:
        """The last seconds do not count: nobody could do anything in them. Time goes on from there, a little faster until it has
        caught up."""
        monotonic = self._monotonic()
        self._held, self._at = self._behind(monotonic) + seconds, monotonic

    def _behind(self, monotonic: float) -> float:
        left = self._held - CATCHES_UP * (monotonic - self._at) if self._held else 0.0
        if left <= 0.0:
            self._held = left = 0.0
        return left

    def follow(self, at: float) -> None:
        """The journal ends at this time: go on from there, if that is later than now."""
        self._start += max(0.0, at - self.now())

    def jumped(self) -> float:
        """By how many seconds the wall clock has gone ahead (or, below zero, back) since this was asked last; 0.0 if by less than
        ``JUMP``."""
        ahead = self._wall() - self._start - self._monotonic()  # what is held back is no jump
        jump = ahead - self._told
        if abs(jump) < JUMP:
            return 0.0
        self._told = ahead
        return jump
