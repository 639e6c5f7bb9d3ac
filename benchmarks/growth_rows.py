"""How the cost grows from 1,000 to 5,000,000 rows in the journal.

One journal of a hundred accounts grows from size to size by turns inside the node. At each size: what the rows since the
last one cost to make and append, how long a system takes from opening the journal to its first answer, what it costs to
read, decode and apply everything (all accounts asked, no snapshots), what verifying costs, and what a row takes on the disk.
(5,000,000 with ``--full``; that takes minutes and 2 GB.)

    python benchmarks/growth_rows.py
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from time import perf_counter

from _bank import BANK, Balance, Fill, forget_snapshots
from _grow import Point, main
from _measure import Options

import understudy as us
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.verify import verify

ACCOUNTS = 100

SIZES = (1_000, 10_000, 100_000, 1_000_000, 5_000_000)


async def grow(journal: Path, rows: int) -> float:
    """Add so many rows; seconds."""
    async with us.System(*BANK, journal=journal) as system:
        start = perf_counter()
        await system.tell("patron", Fill(ACCOUNTS, rows // ACCOUNTS))
        await system.rest()
        return perf_counter() - start


async def answer(journal: Path, accounts: int) -> float:
    """Seconds from opening to the answer of so many accounts."""
    start = perf_counter()
    async with us.System(*BANK, journal=journal) as system:
        asks = (system.ask(f"accounts/{account}", Balance(), timeout=None) for account in range(accounts))
        assert all(await asyncio.gather(*asks))
        return perf_counter() - start


def walk(journal: Path) -> float:
    """Seconds to verify it."""
    start = perf_counter()
    with read_only(journal) as reader:
        assert not verify(reader).bad
    return perf_counter() - start


async def measure(options: Options) -> AsyncIterator[Point]:
    """One file, larger and larger."""
    with options.workspace() as folder:
        journal = folder / "ours.db"
        before = 0
        for size in SIZES:
            if size > options.size(1_000_000, 1_000, full=5_000_000):
                break
            made = await grow(journal, size - before)
            opened = [await answer(journal, 1) for _ in range(options.rounds)]
            recovered: list[float] = []
            for _ in range(options.rounds if size <= 100_000 else 1):
                forget_snapshots(journal)
                recovered.append(await answer(journal, ACCOUNTS))
            yield Point(size, {
                "us to append a row": made / (size - before) * 1e6,
                "ms to the first answer": min(opened) * 1e3,
                "us to recover an event": min(recovered) / size * 1e6,
                "us to verify a row": walk(journal) / size * 1e6,
                "bytes a row": journal.stat().st_size / size,
            })  # fmt: skip
            before = size


if __name__ == "__main__":
    main(measure, "rows")
