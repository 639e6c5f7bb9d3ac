"""Row 3: an ask from outside, with a timeout.

Typed by its request, under a deadline, failing at once where it can; the answer is awaited. Beside it: what one would
write by hand, a task that takes (question, future) from an ``asyncio.Queue``, and callers who await their future under
``asyncio.timeout``. Nothing is kept on a disk on either side. Once with one caller, who asks and waits, and once with a
hundred at a time.

    python benchmarks/ask.py
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from time import perf_counter

from _measure import Line, Options, main, race

import understudy as us

TIMEOUT = 5.0


class Add(us.Request[int]):
    """Add to what there is; how much is it now?"""

    amount: int


class Added(us.Event):
    """More."""

    amount: int


class Adder(us.Actor):
    """Adds up."""

    class State(us.State):
        """The sum so far."""

        total: int = 0

    @us.handles(Add)
    def add(self, turn: us.Turn[State], msg: Add) -> int:
        """A full turn: an event, a new state, an answer."""
        return turn.emit(Added(msg.amount)).total

    @us.applies(Added)
    def added(self, state: State, event: Added) -> State:
        """The sum."""
        return state.evolve(total=state.total + event.amount)


async def together(callers: int, asks: int, ask: Callable[[], Awaitable[int]]) -> float:
    """So many callers, who share so many asks."""

    async def caller() -> None:
        for _ in range(asks // callers):
            await ask()

    start = perf_counter()
    if callers == 1:
        await caller()
    else:
        await asyncio.gather(*(caller() for _ in range(callers)))
    return perf_counter() - start


async def measure(options: Options) -> AsyncIterator[Line]:
    """One caller, and a hundred at a time."""
    asks = options.size(5_000, 200)
    queue: asyncio.Queue[tuple[int, asyncio.Future[int]]] = asyncio.Queue()

    async def serve() -> None:
        total = 0
        while True:
            amount, future = await queue.get()
            total += amount
            if not future.done():
                future.set_result(total)

    async def ask_queue() -> int:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(TIMEOUT):
            await queue.put((1, future))
            return await future

    server = asyncio.create_task(serve())
    async with us.System(us.Child("adder", Adder)) as system:

        async def ask_actor() -> int:
            return await system.ask("adder", Add(1), timeout=TIMEOUT)

        for callers, variant in ((1, "one caller"), (100, "100 callers")):
            times = await race(
                partial(together, callers, asks, ask_actor),
                partial(together, callers, asks, ask_queue),
                options.rounds,
            )
            yield times.rate(
                3, "ask from outside, with a timeout", "Queue and Future, each under asyncio.timeout", asks,
                must=0.85, aim=1.1, options=options, variant=variant,
            )  # fmt: skip
    server.cancel()


if __name__ == "__main__":
    main(measure)
