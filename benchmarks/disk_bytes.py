"""Row 13: what a turn takes on the disk, beside the bytes of its row's body.

The body is the payload, the turn's record as JSON. What comes on top: the row's other columns, its hash, the index, half-filled pages, the
line of each actor, the head. Taken from the closed journal (its log is folded in), all files that belong to it, less what a
journal takes in which nothing has happened.

    python benchmarks/disk_bytes.py
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from _bank import ACCOUNTS, Deposit
from _measure import Line, Options, main

import understudy as us
from understudy.supervisor.journal.reader import read_only


def size(journal: Path) -> int:
    """Bytes of all files of a journal that nobody owns."""
    return sum(path.stat().st_size for path in journal.parent.glob(journal.name + "*"))


async def measure(options: Options) -> AsyncIterator[Line]:
    """A hundred accounts, told of deposits from outside."""
    writers, each = options.size(100, 5), options.size(200, 20)
    with options.workspace() as folder:
        async with us.System(ACCOUNTS, journal=folder / "empty.db"):
            pass
        async with us.System(ACCOUNTS, journal=folder / "ours.db") as system:

            async def write(writer: int) -> None:
                for _ in range(each):
                    await system.tell(f"accounts/{writer}", Deposit(1))

            await asyncio.gather(*(write(writer) for writer in range(writers)))
        turns = writers * each
        disk = (size(folder / "ours.db") - size(folder / "empty.db")) / turns
        with read_only(folder / "ours.db") as reader:
            ((rows, body),) = reader.query(
                "SELECT COUNT(*), AVG(LENGTH(CAST(payload AS BLOB))) FROM rows WHERE kind = 'turn'"
            )
        assert rows == turns, "not every message was a turn of its own"
        ratio = disk / body
        yield Line(
            13, "disk bytes of a turn", "bytes of its row's body", disk, body, " B", ratio, ratio, ratio, 1, 1.7, 1.4,
            less=True, judged=not options.quick,
        )  # fmt: skip


if __name__ == "__main__":
    main(measure)
