"""The async face: one thread, whole appends whoever is cancelled, and a process that ends."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import anyio
import pytest

from tests.contracts.author import ADA, Author, line
from tests.contracts.journal import same
from tests.supervisor.journal.process import heard, running
from understudy.protocols.errors import JournalError, JournalHeld
from understudy.protocols.ids import Address
from understudy.protocols.journal import ActorLine, Batch, Opened, Row
from understudy.supervisor.journal.memory import MemoryJournal
from understudy.supervisor.journal.sqlite import SqliteJournal
from understudy.supervisor.journal.writer import AsyncJournal


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_the_same_calls_awaited(tmp_path: Path, kind: str) -> None:
    journal = (
        AsyncJournal.in_memory() if kind == "memory" else AsyncJournal(lambda: SqliteJournal(tmp_path / "desk.db"))
    )
    with pytest.raises(JournalError, match="closed"):
        await journal.tail()
    assert (await journal.open()).last == 0
    with pytest.raises(JournalError, match="already"):
        await journal.open()
    author = Author()
    batch = Batch(author.rows(3), actors=(line(ADA, 3),))
    await journal.append(batch)
    assert await journal.tail() == 3
    assert same(await journal.rows(1, 1), batch.rows[1:2])
    assert same(await journal.stream(ADA, 2), batch.rows[2:])
    assert await journal.actors("desk") == (line(ADA, 3),)
    with pytest.raises(JournalError, match="does not follow"):
        await journal.append(batch)
    await journal.close()
    await journal.close()
    assert (await journal.open()).last == 3
    await journal.close()


async def test_an_open_that_fails_leaves_no_thread(tmp_path: Path) -> None:
    owner = SqliteJournal(tmp_path / "desk.db")
    owner.open()
    before = threading.active_count()
    with pytest.raises(JournalHeld):
        await AsyncJournal(lambda: SqliteJournal(tmp_path / "desk.db")).open()
    for thread in set(threading.enumerate()) - {threading.current_thread()}:
        if thread.name != "understudy-head":
            thread.join(1.0)
    assert threading.active_count() <= before
    owner.close()


class Slow(MemoryJournal):
    """Writes when it is let, and notes which threads it is called in."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go, self.threads = threading.Event(), threading.Event(), set[int]()

    def open(self) -> Opened:
        self.threads.add(threading.get_ident())
        return super().open()

    def append(self, batch: Batch) -> None:
        self.threads.add(threading.get_ident())
        self.begun.set()
        assert self.go.wait(10)
        super().append(batch)

    def tail(self) -> int:
        self.threads.add(threading.get_ident())
        return super().tail()

    def stream(self, address: Address, after: int = 0) -> tuple[Row, ...]:
        self.threads.add(threading.get_ident())
        return super().stream(address, after)

    def rows(self, after: int = 0, limit: int = 1_000) -> tuple[Row, ...]:
        self.threads.add(threading.get_ident())
        return super().rows(after, limit)

    def actors(self, prefix: str = "") -> tuple[ActorLine, ...]:
        self.threads.add(threading.get_ident())
        return super().actors(prefix)

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        super().close()


async def test_a_core_is_made_and_used_in_one_thread_that_is_not_the_loops() -> None:
    made: list[Slow] = []

    def make() -> Slow:
        made.append(Slow())
        made[0].threads.add(threading.get_ident())
        return made[0]

    journal = AsyncJournal(make)
    await journal.open()
    made[0].go.set()
    await journal.append(Author().batch())
    await journal.tail()
    await journal.rows()
    await journal.stream(ADA)
    await journal.actors()
    await journal.close()
    assert len(made[0].threads) == 1
    assert threading.get_ident() not in made[0].threads


async def test_an_append_in_a_cancelled_scope_is_wholly_in(anyio_backend: str) -> None:
    core = Slow()
    journal = AsyncJournal(lambda: core)
    await journal.open()
    async with anyio.create_task_group() as group:

        async def append() -> None:
            await journal.append(Author().batch())

        group.start_soon(append)
        await anyio.to_thread.run_sync(core.begun.wait)
        group.cancel_scope.cancel()
        asyncio.get_running_loop().call_soon(core.go.set)
    assert group.cancel_scope.cancel_called
    assert await journal.tail() == 1
    await journal.close()


async def test_an_append_of_a_cancelled_task_is_wholly_in_and_the_cancellation_goes_on() -> None:
    core = Slow()
    journal = AsyncJournal(lambda: core)
    await journal.open()
    task = asyncio.ensure_future(journal.append(Author().batch()))
    await anyio.to_thread.run_sync(core.begun.wait)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
    core.go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await journal.tail() == 1
    await journal.close()


async def test_an_open_that_was_cancelled_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    go = threading.Event()

    def make() -> SqliteJournal:
        assert go.wait(10)
        return SqliteJournal(path)

    task = asyncio.ensure_future(AsyncJournal(make).open())
    await asyncio.sleep(0)
    task.cancel()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    journal = AsyncJournal(lambda: SqliteJournal(path))
    await journal.open()
    await journal.close()


LEAVES = """
import anyio
from understudy.supervisor.journal.writer import AsyncJournal
kept = []
async def main():
    journal = AsyncJournal(lambda: SqliteJournal(path)); kept.append(journal)
    await journal.open()
    await journal.append(Author().batch())
    {close}
    say("leaving")
    {how}
anyio.run(main)
"""


@pytest.mark.parametrize("close", ["await journal.close()", "pass"], ids=["closed", "not closed"])
@pytest.mark.parametrize("how", ["pass", "raise SystemExit(0)", "raise RuntimeError"])
def test_the_process_ends_within_a_second(tmp_path: Path, close: str, how: str) -> None:
    path = tmp_path / "desk.db"
    with running(
        "import logging; sys.stderr = open(os.devnull, 'w')\n" + LEAVES.format(close=close, how=how), path
    ) as process:
        assert heard(process) == "leaving"
        began = time.monotonic()
        process.wait(10)
        assert time.monotonic() - began < 1.0
    journal = SqliteJournal(path)
    assert journal.open().last == 1
    journal.close()
