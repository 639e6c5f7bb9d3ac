"""Row 8: one writer who waits for each of its turns, with a flush of 2 ms.

The latency of a durable turn: one message, one commit, one acknowledgement, then the next. Beside it: SQLite alone, which commits
each of the same rows by itself. What comes on top of the flush is what the product costs; the head, the journal's sidecar, is
flushed as well (and delayed as well), so it shows whether that happens beside the commit or after it.

    python benchmarks/durable_one_writer.py
"""

from collections.abc import AsyncIterator
from time import perf_counter

from _bank import ACCOUNTS, Balance, Deposit
from _flush import DELAY, flushes
from _measure import Line, Options, main, race
from _raw import RawRows

import understudy as us

WHAT, AGAINST = "one writer, each turn acknowledged", "raw SQLite, one commit for each of the same rows"


async def measure(options: Options) -> AsyncIterator[Line]:
    """With a fixed delay in each flush: without one it would be the disk that is measured."""
    turns = options.size(100, 10)
    with options.workspace() as folder, flushes() as flush:
        async with us.System(ACCOUNTS, journal=folder / "ours.db") as system:

            async def ours() -> float:
                start = perf_counter()
                for _ in range(turns):
                    await system.tell("accounts/ada", Deposit(1))
                return perf_counter() - start

            await ours()
            raw = RawRows(folder / "raw.db", like=folder / "ours.db")

            async def peer() -> float:
                return raw.write(turns, batch=1)

            flush.delay = DELAY
            commits, files = flush.commits, flush.files
            times = await race(ours, peer, options.rounds)
            rounds = options.rounds + 1
            assert flush.commits - commits >= 2 * turns * rounds, "not every turn had a commit of its own"
            assert flush.files - files >= turns * rounds, "the head was not flushed with every commit"
            yield times.rate(8, WHAT, AGAINST, turns, must=0.70, aim=0.90, options=options, variant="2 ms")
            flush.delay = 0.0
            assert await system.ask("accounts/ada", Balance()) == turns * (rounds + 1), "a turn is missing"
            raw.close()


if __name__ == "__main__":
    main(measure)
