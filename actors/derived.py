"""Randomness that is the same in replay: a stream of numbers derived from a seed by counting and hashing.

Not for secrets. The kernel may import neither clock nor randomness, so what a turn draws must follow from its input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from ..protocols.codec import digest

T = TypeVar("T")


class Derived:
    """Numbers that follow from ``seed``."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._drawn = 0

    def random(self) -> float:
        """A number in [0, 1), with 53 random bits."""
        self._drawn += 1
        return (int(digest(self._seed, str(self._drawn)), 16) >> 75) / (1 << 53)

    def randint(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included."""
        if high < low:
            raise ValueError(f"no whole number from {low} to {high}")
        return low + int(self.random() * (high - low + 1))

    def choice(self, options: Sequence[T]) -> T:
        """One of the options. Raises IndexError for none."""
        if not options:
            raise IndexError("nothing to choose from")
        return options[int(self.random() * len(options))]
