"""Backoff: how long a child waits before it is restarted. Pure functions that take the clock."""

from __future__ import annotations

from msgspec import Struct

from ...protocols.children import Backoff
from ...protocols.hooks import Rng

DOUBLINGS = 1_000
"""A longer streak doubles no further: a float holds no more, and every ``cap`` was reached long before."""


class Streak(Struct, frozen=True):
    """Failures of one child in a row.

    Attributes:
        length: how many.
        until: journal time of the restart after the last one, its wait included.
    """

    length: int
    until: float


def streak(before: Streak | None, now: float, backoff: Backoff) -> int:
    """The length of a child's streak with a failure now. A wait is no quiet time, so ``cap`` may be longer than ``reset``."""
    return before.length + 1 if before is not None and now - before.until <= backoff.reset else 1


def delay(backoff: Backoff, streak: int, rng: Rng) -> float:
    """Seconds before the restart after the last failure of a streak (1: the first, which does not wait), with full jitter."""
    if streak <= 1:
        return 0.0
    return rng.random() * min(backoff.cap, backoff.base * 2.0 ** min(streak - 2, DOUBLINGS))
