"""How the cost grows from 1,000 to 5,000,000 rows in the journal.

One journal of a hundred accounts grows from size to size by turns inside the node. At each size: what the rows since the
last one cost to make and append, how long it takes from opening the journal to the first answer (of an account with a short
history), what it costs to read, decode and apply everything (all accounts asked, no snapshots), what verifying costs, and
what a row takes on the disk.
(5,000,000 with ``--full``; that takes minutes and 2 GB.)

    python benchmarks/growth_rows.py
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from time import perf_counter, process_time

from _bank import BANK, Balance, Deposit, Fill, forget_snapshots
from _grow import Point, main
from _measure import Options

import understudy as us
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.verify import verify

ACCOUNTS = 100

SIZES = (1_000, 10_000, 100_000, 1_000_000, 5_000_000)


async def grow(journal: Path, rows: int) -> float:
    """Add so many rows; seconds of processor time."""
    async with us.System(*BANK, journal=journal) as system:
        start = process_time()
        await system.tell("patron", Fill(ACCOUNTS, rows // ACCOUNTS))
        await system.rest()
        spent = process_time() - start
        await system.tell("accounts/new", Deposit(1))
        return spent


async def recover(journal: Path) -> float:
    """Seconds of processor time until every account has answered."""
    forget_snapshots(journal)
    start = process_time()
    async with us.System(*BANK, journal=journal) as system:
        asks = (system.ask(f"accounts/{account}", Balance(), timeout=None) for account in range(ACCOUNTS))
        assert all(await asyncio.gather(*asks))
        return process_time() - start


async def answer(journal: Path) -> float:
    """Seconds from opening to the first answer."""
    start = perf_counter()
    async with us.System(*BANK, journal=journal) as system:
        assert await system.ask("accounts/new", Balance())
        return perf_counter() - start


def walk(journal: Path) -> float:
    """Seconds of processor time to verify it."""
    start = process_time()
    with read_only(journal) as reader:
        assert not verify(reader).bad
    return process_time() - start


async def measure(options: Options) -> AsyncIterator[Point]:
    """One file, larger and larger."""
    with options.workspace() as folder:
        journal = folder / "ours.db"
        before = 0
        for size in SIZES:
            if size > options.size(1_000_000, 1_000, full=5_000_000):
                break
            made = await grow(journal, size - before)
            opened = [await answer(journal) for _ in range(options.rounds)]
            recovered = [await recover(journal) for _ in range(options.rounds if size <= 100_000 else 1)]
            yield Point(size, {
                "cpu us to append a row": made / (size - before) * 1e6,
                "ms to the first answer": min(opened) * 1e3,
                "cpu us to recover an event": min(recovered) / size * 1e6,
                "cpu us to verify a row": walk(journal) / size * 1e6,
                "bytes a row": journal.stat().st_size / size,
            })  # fmt: skip
            before = size


if __name__ == "__main__":
    main(measure, "rows")
