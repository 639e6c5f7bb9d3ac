"""Row 5: what an idle actor weighs.

A fresh process starts a system, tells each of 100,000 actors something, waits until all of it is handled and asks the kernel of
the operating system how much it has grown (resident memory: with everything that an allocator adds). The target is for actors that
are memory-only; a line for durable ones over a file stands beside it, for context.

    python benchmarks/idle_bytes.py
"""

import asyncio
from collections.abc import AsyncIterator
from statistics import median

from _measure import Line, Options, main, spread
from _process import elsewhere, resident

import understudy as us

FIRST = 1_000
"""Actors that are there before the first look: caches, tables and the interpreter's own growth are theirs."""


class Wake(us.Message):
    """Be there."""


class Woken(us.Event):
    """It is there."""


class Idle(us.Actor):
    """Has been told something once. A small state of its own."""

    durable = False

    class State(us.State):
        """How often."""

        times: int = 0

    @us.handles(Wake)
    def wake(self, turn: us.Turn[State], _: Wake) -> None:
        """One turn."""
        turn.emit(Woken())

    @us.applies(Woken)
    def woken(self, state: State, _: Woken) -> State:
        """Once more."""
        return state.evolve(times=state.times + 1)


class DurableIdle(Idle):
    """The same, with a row for its turn."""

    durable = True


KINDS: dict[str, type[us.Actor]] = {"memory-only": Idle, "durable, for context": DurableIdle}


async def weigh(kind: str, actors: int, journal: str | None) -> float:
    """Bytes for each of so many actors of a kind, in this process."""
    async with us.System(us.Child("idle/{key}", KINDS[kind]), journal=journal) as system:

        async def wake(first: int, end: int) -> None:
            for start in range(first, end, 1_000):
                some = range(start, min(start + 1_000, end))
                await asyncio.gather(*(system.tell(f"idle/{actor}", Wake()) for actor in some))
            await system.rest()

        await wake(0, FIRST)
        before = resident()
        await wake(FIRST, FIRST + actors)
        return (resident() - before) / actors


async def measure(options: Options) -> AsyncIterator[Line]:
    """Memory-only, and for context durable."""
    actors = options.size(100_000, 1_000)
    kinds = (("memory-only", 600, 300), ("durable, for context", None, None))
    for kind, must, aim in kinds[: options.size(2, 1)]:
        found: list[float] = []
        for _ in range(options.rounds if must else 1):
            with options.workspace() as folder:
                found.append(elsewhere(weigh, kind, actors, None if must else str(folder / "ours.db")))
        yield Line(
            5, f"bytes of an idle actor, {actors:,} of them", "bytes", median(found), None, " B", median(found),
            *spread(found), len(found), must, aim, kind, less=True, judged=not options.quick,
        )  # fmt: skip


if __name__ == "__main__":
    main(measure)
