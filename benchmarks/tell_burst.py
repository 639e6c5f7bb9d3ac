"""Row 1: a burst of messages from one sender to a memory-only actor, each a full turn.

A sender outside tells an actor 10,000 things, one after the other, and asks it at the end how many came. The actor is
``durable = False``; the turn is a whole one all the same: typed message, handler, event, new state. Beside it: an
``asyncio.Queue`` into which one task puts as many numbers and out of which another takes them.

    python benchmarks/tell_burst.py
"""

import asyncio
from collections.abc import AsyncIterator
from time import perf_counter

from _measure import Line, Options, main, race

import understudy as us


class Note(us.Message):
    """One thing."""

    number: int


class Count(us.Request[int]):
    """How many came?"""


class Noted(us.Event):
    """One more."""

    number: int


class Sink(us.Actor):
    """Takes notes."""

    durable = False

    class State(us.State):
        """How many came."""

        notes: int = 0

    @us.handles(Note)
    def note(self, turn: us.Turn[State], msg: Note) -> None:
        """A full turn: an event and a new state."""
        turn.emit(Noted(msg.number))

    @us.handles(Count)
    def count(self, turn: us.Turn[State], _: Count) -> int:
        """Comes after the burst."""
        return turn.state.notes

    @us.applies(Noted)
    def noted(self, state: State, _: Noted) -> State:
        """One more."""
        return state.evolve(notes=state.notes + 1)


async def measure(options: Options) -> AsyncIterator[Line]:
    """Until the last one is handled."""
    notes = options.size(10_000, 200)
    queue: asyncio.Queue[int | asyncio.Future[int]] = asyncio.Queue()

    async def take() -> None:
        count = 0
        while True:
            thing = await queue.get()
            if isinstance(thing, int):
                count += 1
            else:
                thing.set_result(count)

    async def peer() -> float:
        last: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        start = perf_counter()
        for number in range(notes):
            await queue.put(number)
        await queue.put(last)
        await last
        return perf_counter() - start

    taker = asyncio.create_task(take())
    told = 0
    async with us.System(us.Child("sink", Sink)) as system:

        async def ours() -> float:
            nonlocal told
            told += notes
            start = perf_counter()
            for number in range(notes):
                await system.tell("sink", Note(number))
            count = await system.ask("sink", Count())
            spent = perf_counter() - start
            assert count == told, "a note is missing"
            return spent

        times = await race(ours, peer, options.rounds)
        yield times.rate(
            1, "tell burst to a memory-only actor", "asyncio.Queue, put and get", notes,
            must=0.30, aim=0.50, options=options,
        )  # fmt: skip
    taker.cancel()


if __name__ == "__main__":
    main(measure)
