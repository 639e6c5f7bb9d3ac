"""An append whose caller is cancelled at a chosen moment, and what the caller can learn of it then."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Literal, get_args
from unittest.mock import patch

import anyio
from anyio.lowlevel import checkpoint
from msgspec import Struct

from understudy.protocols.errors import JournalError, JournalFull
from understudy.protocols.journal import Batch
from understudy.supervisor.journal import sqlite
from understudy.supervisor.journal.driver import Connection
from understudy.supervisor.journal.plan import Plan, write
from understudy.supervisor.journal.sqlite import SqliteJournal
from understudy.supervisor.journal.writer import AsyncJournal

When = Literal["not begun", "behind others", "before it writes", "in its transaction", "when it has committed"]
Fate = Literal["written", "refused", "unknown"]
"""What becomes of the append itself; ``unknown``: an error that comes after the rows."""
By = Literal["task", "scope"]
"""asyncio's own cancellation, or anyio's."""

WHEN: tuple[When, ...] = get_args(When)
FATES: tuple[Fate, ...] = get_args(Fate)
BY: tuple[By, ...] = get_args(By)

TURNS = 5
"""Turns of the loop in which a cancellation that is not shielded would have come through."""


class Learned(Struct, frozen=True):
    """What the caller knows.

    Attributes:
        begun: whether the append had begun when it was cancelled.
        early: its caller had control back while it was still under way.
        returned: it ended without an error.
        tail: what the journal says then.
    """

    begun: bool
    early: bool
    returned: bool
    tail: int


class _Stop:
    """Where the writer's thread waits until it is told to go on."""

    def __init__(self, when: When) -> None:
        self._when = when
        self._loop = asyncio.get_running_loop()
        self._go = threading.Event()
        self.reached = asyncio.Event()

    def at(self, place: When) -> None:
        """Called in the writer's thread."""
        if place == self._when:
            self._loop.call_soon_threadsafe(self.reached.set)
            assert self._go.wait(30), "nobody lets it go on"

    def go_on(self) -> None:
        """Called in the loop."""
        self._go.set()


class _Watched(SqliteJournal):
    """The production journal, which waits where it is told to, and whose append ends as it is told to."""

    def __init__(self, path: Path, stop: _Stop, fate: Fate) -> None:
        super().__init__(path)
        self._stop, self._fate = stop, fate

    def _commit(self, connection: Connection, plan: Plan) -> None:
        def watched(connection: Connection, plan: Plan, *, clean_before: bool) -> None:
            write(connection, plan, clean_before=clean_before)
            self._stop.at("in its transaction")
            if self._fate == "refused":
                raise JournalFull("a full disk")

        self._stop.at("before it writes")
        with patch.object(sqlite, "write", watched):
            super()._commit(connection, plan)
        self._stop.at("when it has committed")
        if self._fate == "unknown":
            self._suspect = True
            raise JournalFull("nobody knows")


def cancelled(path: Path, batch: Batch, when: When, fate: Fate, by: By, times: int) -> Learned:
    """Open the journal, append, cancel the caller so many times at that moment, ask for the tail, close."""
    return anyio.run(_cancelled, path, batch, when, fate, by, times)


async def _cancelled(path: Path, batch: Batch, when: When, fate: Fate, by: By, times: int) -> Learned:
    if (when, fate) == ("when it has committed", "refused"):
        when = "in its transaction"  # it never commits
    stop, scope, begun = _Stop(when), anyio.CancelScope(), False
    journal = AsyncJournal(lambda: _Watched(path, stop, fate))

    async def call() -> bool:
        nonlocal begun
        begun = True
        with scope:
            await journal.append(batch)
            return True
        return False

    await journal.open()
    try:
        others = asyncio.ensure_future(journal._hop(stop.at, "behind others"))
        task = asyncio.ensure_future(call())
        if when == "behind others":
            await stop.reached.wait()
            await _turns()
        elif when != "not begun":
            await stop.reached.wait()
        for _ in range(times):
            if by == "task":
                task.cancel()
            else:
                scope.cancel()
            if when != "not begun":
                await _turns()
        early = begun and task.done()
        stop.go_on()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        await others
        if isinstance(ended, BaseException) and not isinstance(ended, (asyncio.CancelledError, JournalError)):
            raise ended
        return Learned(begun, early, ended is True, await journal.tail())
    finally:
        stop.go_on()
        await journal.close()


async def _turns() -> None:
    for _ in range(TURNS):
        await checkpoint()
