"""Row 3: an ask from outside, with a timeout.

Typed by its request, under a deadline, failing at once where it can; the answer is awaited. Beside it: what one would
write by hand, a task that takes (question, future) from an ``asyncio.Queue``, and callers who await their future under
``asyncio.timeout``. Nothing is kept on either side: the actor is ``durable = False``. Once with one caller, who asks and
waits, and once with a hundred at a time. For context, the same with a durable actor over a journal in memory.

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
    """Adds up, in memory only."""

    durable = False

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


class DurableAdder(Adder):
    """The same, with a row for each of its turns."""

    durable = True


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
    asks = options.size(5_000, 100)
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
    async with us.System(us.Child("adder", Adder), us.Child("durable", DurableAdder)) as system:

        async def ask_actor(to: str) -> int:
            return await system.ask(to, Add(1), timeout=TIMEOUT)

        for to, must, aim in (("adder", 0.85, 1.1), ("durable", None, None)):
            for callers in (1, 100):
                times = await race(
                    partial(together, callers, asks, partial(ask_actor, to)),
                    partial(together, callers, asks, ask_queue),
                    options.rounds,
                )
                who = f"{callers} caller{'s' if callers > 1 else ''}" + ("" if must else ", durable, for context")
                yield times.rate(
                    3, "ask from outside, with a timeout", "Queue and Future, each under asyncio.timeout", asks,
                    must=must, aim=aim, options=options, variant=who,
                )  # fmt: skip
    server.cancel()


if __name__ == "__main__":
    main(measure)
