"""What another actor framework makes of rows 1 and 3, for context: pykka, the best known one for Python.

Its actors are threads with a queue. The same burst and the same ask as in ``tell_burst`` and ``ask``, beside the same hand-written
queues. It is measured where it is installed, and left out where it is not:

    .venv/bin/pip install -r benchmarks/requirements.txt
    python benchmarks/peers.py
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from functools import partial
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from time import perf_counter
from typing import Any

from _measure import Line, Options, main, race

TIMEOUT = 5.0


Questions = asyncio.Queue[tuple[int, "asyncio.Future[int] | None"]]


async def serve(queue: Questions) -> None:
    """The hand-written actor."""
    total = 0
    while True:
        amount, future = await queue.get()
        total += amount
        if future is not None:
            future.set_result(total)


async def ask_at(queue: Questions, amount: int) -> int:
    """The hand-written ask."""
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with asyncio.timeout(TIMEOUT):
        await queue.put((amount, future))
        return await future


async def measure(options: Options) -> AsyncIterator[Line]:
    """A burst, then asks of one caller."""
    if find_spec("pykka") is None:
        print("pykka is not installed and is left out: pip install -r benchmarks/requirements.txt", file=sys.stderr)
        return
    pykka: Any = import_module("pykka")
    notes, asks = options.size(10_000, 100), options.size(2_000, 50)

    class Sink(pykka.ThreadingActor):  # type: ignore[misc]  # it is Any: nobody has to install it
        """Takes notes."""

        use_daemon_thread = True

        def __init__(self) -> None:
            super().__init__()  # pyright: ignore[reportUnknownMemberType]
            self.count = 0

        def on_receive(self, message: int) -> int:
            """Adds up."""
            self.count += message
            return self.count

    sink: Any = Sink.start()

    async def burst() -> float:
        start = perf_counter()
        for _ in range(notes):
            sink.tell(1)
        sink.ask(0)
        return perf_counter() - start

    async def ask() -> float:
        start = perf_counter()
        for _ in range(asks):
            sink.ask(1, timeout=TIMEOUT)
        return perf_counter() - start

    queue: Questions = asyncio.Queue()
    ask_queue = partial(ask_at, queue)

    async def burst_queue() -> float:
        start = perf_counter()
        for _ in range(notes):
            await queue.put((1, None))
        await ask_queue(0)
        return perf_counter() - start

    async def asks_queue() -> float:
        start = perf_counter()
        for _ in range(asks):
            await ask_queue(1)
        return perf_counter() - start

    server = asyncio.create_task(serve(queue))
    who = f"pykka {version('pykka')}, for context"
    times = await race(burst, burst_queue, options.rounds)
    yield times.rate(
        1, "tell burst", "asyncio.Queue, put and get", notes, must=None, aim=None, options=options, variant=who
    )
    times = await race(ask, asks_queue, options.rounds)
    yield times.rate(
        3, "ask, with a timeout", "Queue and Future, each under asyncio.timeout", asks,
        must=None, aim=None, options=options, variant=who,
    )  # fmt: skip
    sink.stop()
    server.cancel()


if __name__ == "__main__":
    main(measure)
