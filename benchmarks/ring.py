"""Row 2: one token round a ring of a hundred memory-only actors.

Nothing runs beside anything else here, so it is the cost of one hop: take the message, run a full turn, send the next. Beside it: a ring
of a hundred tasks, each with an ``asyncio.Queue`` of its own.

    python benchmarks/ring.py
"""

import asyncio
from collections.abc import AsyncIterator
from time import perf_counter

from _measure import Line, Options, main, race

import understudy as us

ACTORS = 100


class Hop(us.Message):
    """A token: where it is, and how far it still has to go."""

    at: int
    left: int


class Count(us.Request[int]):
    """How many hops came by?"""


class Hopped(us.Event):
    """The token came by."""

    left: int


class Ring(us.Actor):
    """Passes the token on."""

    durable = False

    class State(us.State):
        """How many hops came by."""

        hops: int = 0

    @us.handles(Hop)
    def hop(self, turn: us.Turn[State], msg: Hop) -> None:
        """One event and one message a turn."""
        turn.emit(Hopped(msg.left))
        if msg.left:
            there = (msg.at + 1) % ACTORS
            turn.tell(f"ring/{there}", Hop(there, msg.left - 1))

    @us.handles(Count)
    def count(self, turn: us.Turn[State], _: Count) -> int:
        """For the check at the end."""
        return turn.state.hops

    @us.applies(Hopped)
    def hopped(self, state: State, _: Hopped) -> State:
        """One more."""
        return state.evolve(hops=state.hops + 1)


async def measure(options: Options) -> AsyncIterator[Line]:
    """From the message that starts the token to its last hop."""
    hops = options.size(20_000, 500)
    queues: list[asyncio.Queue[int]] = [asyncio.Queue() for _ in range(ACTORS)]
    over = asyncio.Event()

    async def member(at: int) -> None:
        mine, following = queues[at], queues[(at + 1) % ACTORS]
        while True:
            left = await mine.get()
            if left:
                await following.put(left - 1)
            else:
                over.set()

    async def peer() -> float:
        over.clear()
        start = perf_counter()
        await queues[0].put(hops - 1)
        await over.wait()
        return perf_counter() - start

    members = [asyncio.create_task(member(at)) for at in range(ACTORS)]
    async with us.System(us.Child("ring/{key}", Ring)) as system:

        async def ours() -> float:
            start = perf_counter()
            await system.tell("ring/0", Hop(0, hops - 1))
            await system.rest()
            return perf_counter() - start

        times = await race(ours, peer, options.rounds)
        yield times.rate(
            2, f"ring of {ACTORS} memory-only actors, one token", f"ring of {ACTORS} tasks with a queue each", hops,
            must=1.5, aim=2.2, options=options, unit=" hops/s",
        )  # fmt: skip
        counts = [await system.ask(f"ring/{actor}", Count()) for actor in range(ACTORS)]
        assert sum(counts) == hops * (options.rounds + 1), "a hop is missing"
    for task in members:
        task.cancel()


if __name__ == "__main__":
    main(measure)
