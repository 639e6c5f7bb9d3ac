"""How long the proofs are: as long as CI has time for, or as long as a night (``make soak``).

``UNDERSTUDY_SOAK`` is a factor: 1 is all of it, 0.01 a hundredth, 3 three nights; unset or 0 is CI. Cases are
numbered, so a longer one begins with the shorter one's; only what hypothesis draws is new each time. What will be run is said at
the start, and every minute how far it is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from math import ceil

from msgspec import Struct


class Proof(Struct, frozen=True):
    """Something that can be done any number of times.

    Attributes:
        what: it is that is counted.
        ci: how many times in CI.
        soak: how many times where there is a night for it.
        each: seconds that one takes, on two processors of 2025; measured.
    """

    what: str
    ci: int
    soak: int
    each: float


PROOFS = {
    "images": Proof("images of lost power", 5_000, 100_000, 0.007),
    "bits": Proof("flipped bits", 1_500, 100_000, 0.002),
    "storms": Proof("storms of 50 kills", 1, 60, 30.0),
    "lives": Proof("lives of a writer, killed", 15, 1_500, 0.2),
    "seeds": Proof("seeds of the bank", 300, 100_000, 0.07),
    "trees": Proof("small trees of supervisors", 40, 4_000, 1.0),
    "forests": Proof("trees of a thousand actors", 1, 200, 12.0),
    "fleets": Proof("seeds of the fleet", 80, 10_000, 0.01),
    "histories": Proof("histories of a crew", 60, 5_000, 0.005),
    "sequences": Proof("sequences of what is done to a journal", 40, 2_000, 0.5),
    "told": Proof("sequences with backups and upgrades", 40, 2_000, 0.5),
}


REST = 300.0
"""Seconds that the tests take beside them which are as long as in CI: planted bugs, faults, and whatever is done once."""


def _factor(text: str) -> float:
    try:
        factor = float(text or 0)
    except ValueError:
        factor = -1.0
    if not 0 <= factor < 1_000:
        raise SystemExit(f"UNDERSTUDY_SOAK={text!r} is no factor; 1 is a whole soak, 0.1 a tenth of it")
    return factor


FACTOR = _factor(os.environ.get("UNDERSTUDY_SOAK", ""))


def count(name: str, factor: float = FACTOR) -> int:
    """How many times it is done: never less often than in CI."""
    proof = PROOFS[name]
    return max(proof.ci, ceil(proof.soak * factor))


def plan(factor: float) -> list[str]:
    """What a soak by this factor runs, for whoever started it."""
    lines: list[str] = []
    whole = REST
    for name, proof in PROOFS.items():
        seconds = count(name, factor) * proof.each
        whole += seconds
        lines.append(f"  {count(name, factor):>9,} {proof.what}, about {_long(seconds)}")
    first = f"a soak by the factor {factor:g}, about {_long(whole)} in all, {_long(REST)} of it for what is as long as in CI:"
    return [first, *lines]


def say(text: str) -> None:
    """To the terminal; pytest's own words for it stand in ``conftest``."""
    print(text, flush=True)


class Progress:
    """Says every so many seconds how many are done, of how many, and when the rest will be; nothing in CI."""

    def __init__(
        self,
        name: str,
        of: int,
        *,
        every: float = 60.0,
        tell: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what, self._of, self._every, self._clock = PROOFS[name].what, of, every, clock
        self._tell = tell
        self._done = 0
        self._began: float | None = None
        self._last = 0.0

    def step(self, done: int = 1) -> None:
        """So many more are done."""
        if self._tell is None and not FACTOR:
            return
        now = self._clock()
        if self._began is None:
            self._began = self._last = now
        self._done += done
        if now - self._last >= self._every:
            self._last = now
            left = (now - self._began) / self._done * (self._of - self._done)
            (self._tell or say)(f"{self._done:,} of {self._of:,} {self._what}, about {_long(left)} left")


def _long(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 100
        else f"{seconds / 60:.0f} min"
        if seconds < 6_000
        else f"{seconds / 3600:.1f} h"
    )
