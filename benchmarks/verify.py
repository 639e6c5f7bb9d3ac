"""Row 15: verifying a journal's chain of hashes.

Every row of a journal of 200,000 (``--full``: 1,000,000) is read, its content hashed, its link recomputed and compared. Beside it: a
raw scan of the same table, every column of every row fetched and thrown away.

    python benchmarks/verify.py
"""

from collections.abc import AsyncIterator
from time import perf_counter

from _bank import fill
from _measure import Line, Options, main, race

from understudy.supervisor.journal.connect import uri
from understudy.supervisor.journal.driver import choose
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.verify import verify

ACCOUNTS = 100


async def measure(options: Options) -> AsyncIterator[Line]:
    """What `understudy journal verify` does, and the scan."""
    deposits = options.size(2_000, 10, full=10_000)
    with options.workspace() as folder:
        journal = folder / "ours.db"
        await fill(journal, ACCOUNTS, deposits)
        rows = ACCOUNTS * deposits

        async def ours() -> float:
            with read_only(journal) as reader:
                start = perf_counter()
                found = verify(reader)
                spent = perf_counter() - start
            assert not found.bad, found.why
            assert found.rows > rows, "rows are missing"
            return spent

        async def peer() -> float:
            file = choose().connect(uri(journal, "ro"))
            start = perf_counter()
            seen = sum(1 for _ in file.execute("SELECT * FROM rows ORDER BY gid"))
            spent = perf_counter() - start
            file.close()
            assert seen > rows
            return spent

        times = await race(ours, peer, options.rounds)
        yield times.rate(
            15, f"verify the chain of {rows:,} rows", "raw scan of the same rows", rows,
            must=0.4, aim=0.6, options=options, unit=" rows/s",
        )  # fmt: skip


if __name__ == "__main__":
    main(measure)
