"""Many seeds, side by side: each process takes every so-manieth one, and what they saw is added up."""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed

from msgspec import Struct

from tests.simulation.run_bank import NotLive, run
from tests.soak import Progress

SEEDS_AT_A_TIME = 100
"""So many in a part, where there are thousands: whoever waits wants to hear of them."""


class Saw(Struct):
    """What some seeds came to.

    Attributes:
        seeds: how many.
        hits: how often each fault hit, by (fault, what was going on).
        steps, rows, beats: how many of each: steps, rows, ticks of reminders that come again.
        failed: the first seed that failed, and how; None for none.
        live: whether that seed failed because something never ended, rather than because something was wrong.
    """

    seeds: int = 0
    hits: Counter[tuple[str, str]] = Counter()  # msgspec copies it
    steps: int = 0
    rows: int = 0
    beats: int = 0
    failed: tuple[int, str] | None = None
    live: bool = False

    def add(self, other: Saw) -> None:
        self.seeds += other.seeds
        self.hits.update(other.hits)
        self.steps += other.steps
        self.rows += other.rows
        self.beats += other.beats
        if other.failed is not None and (self.failed is None or other.failed[0] < self.failed[0]):
            self.failed, self.live = other.failed, other.live


def some(seeds: range) -> Saw:
    """Run these seeds here; stops at the first that fails."""
    saw = Saw(hits=Counter())
    for seed in seeds:
        try:
            made = run(seed)
        except Exception as error:  # noqa: BLE001 - told by whoever asked
            saw.failed, saw.live = (
                (seed, f"{error}\n{''.join(traceback.format_exception(error)[-6:])}"),
                isinstance(error, NotLive),
            )
            return saw
        saw.seeds += 1
        saw.hits.update(made.node.hits)
        saw.steps += made.node.steps.total()
        saw.rows += len(made.seen.rows)
        saw.beats += sum(len(pulse.ticks) for pulse in made.seen.pulses.values())
    return saw


def many(first: int, count: int, progress: Progress) -> Saw:
    """Run so many seeds, in as many processes as there are processors (two at most: others work here, too). Stops soon after one that
    fails."""
    workers = min(2, os.cpu_count() or 1)
    if count < 20 or workers == 1:
        return some(range(first, first + count))
    saw = Saw(hits=Counter())
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        steps = max(workers * 4, count // SEEDS_AT_A_TIME)
        parts = [pool.submit(some, range(first + at, first + count, steps)) for at in range(steps)]
        for part in as_completed(parts):
            if part.cancelled():
                continue
            saw.add(part.result())
            progress.step(part.result().seeds)
            if saw.failed is not None:
                for other in parts:
                    other.cancel()
    return saw
