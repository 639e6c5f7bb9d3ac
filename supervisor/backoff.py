"""Backoff: how long a child waits before it is restarted. A pure function."""

from __future__ import annotations

from ..protocols.children import Backoff
from ..protocols.hooks import Rng


def delay(backoff: Backoff, restart: int, rng: Rng) -> float:
    """Seconds before restart number ``restart`` (1 for the first, which is not delayed), with full jitter."""
    if restart <= 1:
        return 0.0
    return rng.random() * min(backoff.cap, backoff.base * 2.0 ** (restart - 2))
