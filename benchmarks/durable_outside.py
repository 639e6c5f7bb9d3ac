"""Row 6: durable turns acknowledged in a second, with 1,000 writers outside.

Each writer tells its own account of a deposit, waits until it is durable, and tells it the next. The system has its
defaults: a file, ``power_loss``, every check. Beside it: SQLite alone, which stores the same rows in batches of 1,000, as
many as there are writers, so as much as ours can ever put into one commit. For context, the same with writers who ask, under
a timeout, and wait for an answer that follows from the new state.

    python benchmarks/durable_outside.py
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from time import perf_counter

from _bank import ACCOUNTS, Balance, Deposit, Withdraw
from _flush import DELAY, flushes
from _measure import Line, Options, main, race
from _raw import BATCH, RawRows

import understudy as us

WHAT, AGAINST = "durable turns acknowledged, 1,000 writers outside", "raw SQLite, batches of 1,000, the same rows"


async def measure(options: Options) -> AsyncIterator[Line]:
    """As the disk is, and with a fixed delay in each flush."""
    writers, each = options.size(1_000, 20), options.size(10, 2)
    with options.workspace() as folder, flushes() as flush:
        async with us.System(ACCOUNTS, journal=folder / "ours.db") as system:

            async def write(writer: int) -> None:
                for _ in range(each):
                    await system.tell(f"accounts/{writer}", Deposit(1))

            async def ask(writer: int) -> None:
                for _ in range(each):
                    await system.ask(f"accounts/{writer}", Withdraw(0))

            async def all_of(write: Callable[[int], Awaitable[None]]) -> float:
                start = perf_counter()
                await asyncio.gather(*(write(writer) for writer in range(writers)))
                return perf_counter() - start

            tell_all, ask_all = partial(all_of, write), partial(all_of, ask)
            await tell_all()  # the accounts exist, as do rows to copy
            raw = RawRows(folder / "raw.db", like=folder / "ours.db")

            async def peer() -> float:
                return raw.write(writers * each, BATCH)

            for variant, delay, must, aim in (("as the disk is", 0.0, 0.15, 0.30), ("2 ms", DELAY, 0.25, 0.45)):
                flush.delay = delay
                commits = flush.commits
                times = await race(tell_all, peer, options.rounds)
                assert flush.commits > commits, "the delay stands beside the path"
                yield times.rate(6, WHAT, AGAINST, writers * each, must=must, aim=aim, options=options, variant=variant)
            flush.delay = 0.0
            times = await race(ask_all, peer, options.rounds)
            yield times.rate(
                6, WHAT, AGAINST, writers * each, must=None, aim=None, options=options, variant="asked, for context"
            )
            told = each * (1 + 2 * (options.rounds + 1))
            assert await system.ask("accounts/0", Balance()) == told, "a turn is missing"
            raw.close()


if __name__ == "__main__":
    main(measure)
