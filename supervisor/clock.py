"""The clock of one life of the process: wall time at its start, then monotonic time.

A jump of the wall clock meanwhile moves no deadline; the journal itself never goes back.
"""

from __future__ import annotations

import time


class Clock:
    """Seconds since the epoch, as this life counts them."""

    def __init__(self) -> None:
        self._wall = time.time()
        self._since = time.monotonic()

    def now(self) -> float:
        """Now."""
        return self._wall + time.monotonic() - self._since
