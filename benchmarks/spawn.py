"""Row 4: spawning a supervised, addressable actor.

Ten thousand memory-only actors are spawned, one after the other. Each has an address of its own at which anybody can reach it, a
supervisor that decides if it fails, a state and a mailbox, and waits for mail. Beside it: as many bare ``asyncio.Task``s, each
run up to where it waits; they have none of that. For context, actors that are spawned by another one and handle
``us.Started``, so that each has a whole first turn behind it.

    python benchmarks/spawn.py
"""

import asyncio
from collections.abc import AsyncIterator
from time import perf_counter

from _measure import Line, Options, main, race

import understudy as us

WHAT, AGAINST = "spawn a supervised, addressable actor", "a bare asyncio.Task"


class Populate(us.Message):
    """Spawn so many."""

    count: int


class Beginnings(us.Request[int]):
    """How often did this one begin?"""


class Began(us.Event):
    """It is there."""


class Child(us.Actor):
    """One of many."""

    durable = False

    class State(us.State):
        """How often it began."""

        begun: int = 0

    @us.handles(Beginnings)
    def beginnings(self, turn: us.Turn[State], _: Beginnings) -> int:
        """For the check at the end."""
        return turn.state.begun

    @us.applies(Began)
    def began(self, state: State, _: Began) -> State:
        """Once."""
        return state.evolve(begun=state.begun + 1)


class Active(Child):
    """One that does something when it begins."""

    @us.handles(us.Started)
    def started(self, turn: us.Turn[Child.State], _: us.Started) -> None:
        """Its first turn."""
        turn.emit(Began())


class Parent(us.Actor):
    """Spawns those."""

    durable = False

    @us.handles(Populate)
    def populate(self, turn: us.Turn[us.State], msg: Populate) -> None:
        """All in one turn."""
        for child in range(msg.count):
            turn.spawn(Active, str(child))


MOUNTS = (us.Child("parent", Parent), us.Child("children/{key}", Child), us.Child("active/{key}", Active))


async def measure(options: Options) -> AsyncIterator[Line]:
    """A new system in each round, whose opening and closing do not count."""
    actors = options.size(10_000, 100)

    async def begun(system: us.System, where: str) -> list[int]:
        some = range(0, actors, actors // 10)
        return [await system.ask(f"{where}/{child}", Beginnings()) for child in some]

    async def spawned() -> float:
        async with us.System(*MOUNTS) as system:
            start = perf_counter()
            for child in range(actors):
                await system.spawn(Child, str(child))
            spent = perf_counter() - start
            assert set(await begun(system, "children")) == {0}
            return spent

    async def active() -> float:
        async with us.System(*MOUNTS) as system:
            start = perf_counter()
            await system.tell("parent", Populate(actors))
            await system.rest()
            spent = perf_counter() - start
            assert set(await begun(system, "active")) == {1}, "one has not begun"
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

    times = await race(spawned, peer, options.rounds)
    yield times.rate(4, WHAT, AGAINST, actors, must=2.0, aim=6.0, options=options)
    times = await race(active, peer, options.rounds)
    yield times.rate(
        4, WHAT, AGAINST, actors, must=None, aim=None, options=options, variant="with a first turn, for context"
    )


if __name__ == "__main__":
    main(measure)
