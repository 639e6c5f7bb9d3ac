"""How the cost grows from 1 to 1,000,000 idle actors.

At each size a fresh process wakes so many memory-only actors, which from then on have nothing to do, and then tells a
hundred of them something, over and over: what an idle actor weighs, and what a turn costs in their midst. (1,000,000 with
``--full``.)

    python benchmarks/growth_actors.py
"""

import asyncio
from collections.abc import AsyncIterator
from time import process_time

from _grow import Point, main
from _measure import Options
from _process import elsewhere, resident
from idle_bytes import Idle, Wake

import understudy as us

BUSY = 100
"""Actors that are told something in the end, spread over all of them."""

SIZES = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)


async def cost(actors: int, turns: int, rounds: int) -> dict[str, float | None]:
    """Of one size, in this process."""
    async with us.System(us.Child("idle/{key}", Idle)) as system:
        await system.tell("idle/0", Wake())
        before = resident()
        start = process_time()
        for first in range(1, actors, 1_000):
            some = range(first, min(first + 1_000, actors))
            await asyncio.gather(*(system.tell(f"idle/{actor}", Wake()) for actor in some))
        await system.rest()
        woken = process_time() - start
        weight = resident() - before
        busy = [f"idle/{actor}" for actor in range(0, actors, max(1, actors // BUSY))][:BUSY]
        times: list[float] = []
        for _ in range(rounds + 1):
            start = process_time()
            for turn in range(turns):
                await system.tell(busy[turn % len(busy)], Wake())
            await system.rest()
            times.append((process_time() - start) / turns)
    few = actors < 1_000  # an allocator's pages are too large to see so few
    return {
        "bytes an actor": None if few else weight / actors,
        "cpu us to wake one": None if few else woken / actors * 1e6,
        "cpu us a turn": min(times[1:]) * 1e6,
    }


async def measure(options: Options) -> AsyncIterator[Point]:
    """Each size in a process of its own."""
    for size in SIZES:
        if size <= options.size(100_000, 1, full=1_000_000):
            yield Point(size, elsewhere(cost, size, options.size(10_000, 50), options.rounds))


if __name__ == "__main__":
    main(measure, "actors")
