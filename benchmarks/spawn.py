"""Row 4: bringing a supervised, addressable actor to life.

A memory-only actor tells 10,000 others, none of which was there before, that they exist. Each of them has an address of its own at
which anybody can reach it, a supervisor that decides if it fails, a state and a mailbox, and has had its first turn when the time is
taken. Beside it: 10,000 bare ``asyncio.Task``s, each run up to its first wait; they have none of that.

    python benchmarks/spawn.py
"""

import asyncio
from collections.abc import AsyncIterator
from time import perf_counter

from _measure import Line, Options, main, race

import understudy as us


class Begin(us.Message):
    """Be there."""


class Populate(us.Message):
    """Tell so many that they are."""

    count: int


class Population(us.Request[int]):
    """How often did this one begin?"""


class Began(us.Event):
    """It is there."""


class Child(us.Actor):
    """One of many."""

    durable = False

    class State(us.State):
        """How often it began."""

        begun: int = 0

    @us.handles(Begin)
    def begin(self, turn: us.Turn[State], _: Begin) -> None:
        """Its first turn."""
        turn.emit(Began())

    @us.handles(Population)
    def population(self, turn: us.Turn[State], _: Population) -> int:
        """For the check at the end."""
        return turn.state.begun

    @us.applies(Began)
    def began(self, state: State, _: Began) -> State:
        """Once."""
        return state.evolve(begun=state.begun + 1)


class Parent(us.Actor):
    """Brings them to life."""

    durable = False

    @us.handles(Populate)
    def populate(self, turn: us.Turn[us.State], msg: Populate) -> None:
        """A first message is all that it takes: who owns the address says what comes to life there."""
        for child in range(msg.count):
            turn.tell(f"children/{child}", Begin())


async def measure(options: Options) -> AsyncIterator[Line]:
    """Until the last one has begun; a new system in each round, whose opening and closing do not count."""
    actors = options.size(10_000, 100)

    async def ours() -> float:
        async with us.System(us.Child("parent", Parent), us.Child("children/{key}", Child)) as system:
            start = perf_counter()
            await system.tell("parent", Populate(actors))
            await system.rest()
            spent = perf_counter() - start
            for child in range(0, actors, actors // 10):
                assert await system.ask(f"children/{child}", Population()) == 1, "one is missing"
            return spent

    async def peer() -> float:
        there, over, begun = asyncio.Event(), asyncio.Event(), 0

        async def live() -> None:
            nonlocal begun
            begun += 1
            if begun == actors:
                there.set()
            await over.wait()

        start = perf_counter()
        tasks = [asyncio.create_task(live()) for _ in range(actors)]
        await there.wait()
        spent = perf_counter() - start
        over.set()
        await asyncio.gather(*tasks)
        return spent

    times = await race(ours, peer, options.rounds)
    yield times.rate(
        4, "a supervised, addressable actor comes to life", "a bare asyncio.Task", actors,
        must=2.0, aim=6.0, options=options,
    )  # fmt: skip


if __name__ == "__main__":
    main(measure)
