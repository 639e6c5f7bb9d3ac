"""The journal as the shell sees it: the same calls, awaited.

A SQLite core lives in the one thread of an aiosqlite connection: it is made, opened, used and closed there, and each
call is one hop (a public aiosqlite call costs 42 us for each statement). A core in memory is called in place.

``append`` is shielded: once begun it is awaited to its end, whoever is cancelled; then the cancellation goes on. Who
sees ``CancelledError`` does not know whether the batch is in and asks ``tail``; every other outcome is definite.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine
from threading import Thread
from typing import Any, ParamSpec, Protocol, TypeVar, cast, runtime_checkable

import aiosqlite
import anyio

from ...protocols.errors import JournalError
from ...protocols.ids import Address
from ...protocols.journal import ActorLine, Batch, Found, JournalCore, Key, Known, Opened, Row, Snapshot, Want
from .driver import Connection
from .memory import MemoryJournal
from .recall import Recalls, recall

P = ParamSpec("P")
T = TypeVar("T")


class AsyncJournal:
    """The async face of a core. ``make`` is called in the thread in which the core will live.

    With ``read``, actors are found over a connection of its own in a thread of its own, beside the writer's work.

    Not closing it is no harm to the process's exit: the thread is a daemon, and every acknowledged row is durable.
    """

    def __init__(
        self,
        make: Callable[[], JournalCore],
        *,
        inline: bool = False,
        read: Callable[[], Finder] | None = None,
    ) -> None:
        self._make = make
        self.inline = inline
        self._read = read
        self._reader: _Reader | None = None
        self._core: JournalCore | None = None
        self._thread: aiosqlite.Connection | None = None

    @classmethod
    def in_memory(cls, core: MemoryJournal | None = None) -> AsyncJournal:
        """Over a core in memory, without a thread."""
        journal = core or MemoryJournal()
        return cls(lambda: journal, inline=True)

    async def open(self) -> Opened:
        """As ``JournalCore.open``."""
        if self._core is not None:
            raise JournalError("the journal is open already", hint="close it first")
        if self.inline:
            core = self._make()
            opened = core.open()
            self._core = core
            return opened
        made: list[tuple[JournalCore, Opened]] = []

        def start() -> JournalCore:
            core = self._make()
            made.append((core, core.open()))
            return core

        # aiosqlite calls its connector in its thread, later `close` on what that returned, and needs nothing else of
        # it: so the core itself is the connection.
        thread = aiosqlite.Connection(cast("Callable[[], sqlite3.Connection]", start), 64)
        _as_daemon(thread)
        try:
            await _to_the_end(_started(thread))
        except BaseException:
            await _undone(thread)
            raise
        self._thread, (self._core, opened) = thread, made[0]
        return opened

    async def append(self, batch: Batch) -> None:
        """As ``JournalCore.append``; not cancelled once begun."""
        core = self._must_be_open()
        if self._thread is None:
            core.append(batch)
        else:
            await _to_the_end(self._hop(core.append, batch))

    async def reload(self) -> Opened:
        """As ``JournalCore.reload``."""
        return await self._hop(self._must_be_open().reload)

    async def tail(self) -> int:
        """As ``JournalCore.tail``."""
        return await self._hop(self._must_be_open().tail)

    async def stream(self, address: Address, after: int = 0) -> tuple[Row, ...]:
        """As ``JournalCore.stream``."""
        return await self._hop(self._must_be_open().stream, address, after)

    async def find(self, wants: tuple[Want, ...]) -> tuple[Found, ...]:
        """As ``JournalCore.find``; a failure leaves nothing open, so the next call begins anew."""
        core = self._must_be_open()
        if self._read is None:
            return await self._hop(core.find, wants)
        if self._reader is None:
            self._reader = _Reader(self._read)
        return await self._reader.ask(lambda reader: reader.find(wants))

    async def rows(self, after: int = 0, limit: int = 1_000) -> tuple[Row, ...]:
        """As ``JournalCore.rows``."""
        return await self._hop(self._must_be_open().rows, after, limit)

    async def actors(self, prefix: str = "") -> tuple[ActorLine, ...]:
        """As ``JournalCore.actors``."""
        return await self._hop(self._must_be_open().actors, prefix)

    async def keys(self, pairs: tuple[tuple[Address, str], ...]) -> tuple[Key, ...]:
        """As ``JournalCore.keys``."""
        return await self._hop(self._must_be_open().keys, pairs)

    async def recall(self, pairs: tuple[tuple[Address, str], ...]) -> tuple[Known | None, ...]:
        """What is known of each of these (address, key) pairs; None of one that is free. A failure leaves nothing open."""
        core = self._must_be_open()
        if self._read is None:
            return await self._hop(recall, core, pairs)
        if self._reader is None:
            self._reader = _Reader(self._read)
        return await self._reader.ask(lambda reader: recall(reader, pairs))

    async def snapshot(self, address: Address) -> Snapshot | None:
        """As ``JournalCore.snapshot``."""
        return await self._hop(self._must_be_open().snapshot, address)

    async def put_snapshots(self, snapshots: tuple[Snapshot, ...]) -> None:
        """As ``JournalCore.put_snapshots``; not cancelled once begun."""
        core = self._must_be_open()
        await _to_the_end(self._hop(core.put_snapshots, snapshots))

    async def maintain(self, work: Callable[[Connection], T]) -> T:
        """As ``SqliteJournal.maintain``; not cancelled once begun. Raises JournalError where this journal is no file."""
        core = self._must_be_open()
        if not isinstance(core, Maintained):
            raise JournalError("this journal is no file", hint="there is nothing to look after")
        return await _to_the_end(self._hop(core.maintain, work))

    async def close(self) -> None:
        """As ``JournalCore.close``; not cancelled once begun."""
        core, self._core = self._core, None
        thread, self._thread = self._thread, None
        reader, self._reader = self._reader, None
        if reader is not None:
            await _to_the_end(reader.close())
        if thread is not None:
            await _to_the_end(thread.close())
        elif core is not None:
            core.close()

    def _must_be_open(self) -> JournalCore:
        if self._core is None:
            raise JournalError("the journal is closed", hint="open it first")
        return self._core

    async def _hop(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._thread is None:
            return call(*args, **kwargs)
        return await _in_thread(self._thread, call, *args, **kwargs)


@runtime_checkable
class Maintained(Protocol):
    """A core that is a file: a ``SqliteJournal``."""

    def maintain(self, work: Callable[[Connection], T], /) -> T: ...


class Finder(Recalls, Protocol):
    """What reads actors and keys: a ``JournalReader``."""

    def find(self, wants: tuple[Want, ...], /) -> tuple[Found, ...]: ...
    def close(self) -> None: ...


class _Reader:
    """A connection that only reads, in a thread of its own; opened at its first use, and again after a failure."""

    def __init__(self, make: Callable[[], Finder]) -> None:
        self._make = make
        self._thread: aiosqlite.Connection | None = None
        self._finder: Finder | None = None
        self._opening: anyio.Event | None = None

    async def ask(self, question: Callable[[Finder], T]) -> T:
        while self._opening is not None:  # somebody else opens it
            await self._opening.wait()
        if self._thread is None:
            self._opening = anyio.Event()
            try:
                await self._open()
            finally:
                self._opening.set()
                self._opening = None
        thread, finder = self._thread, self._finder
        assert thread is not None
        assert finder is not None
        try:
            return await _in_thread(thread, question, finder)
        except JournalError:
            if self._thread is thread:
                await _to_the_end(self.close())
            raise

    async def _open(self) -> None:
        thread = aiosqlite.Connection(cast("Callable[[], sqlite3.Connection]", self._start), 64)
        _as_daemon(thread)
        try:
            await _to_the_end(_started(thread))
        except BaseException:
            await _undone(thread)
            raise
        self._thread = thread

    async def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            await thread.close()

    def _start(self) -> Finder:
        self._finder = self._make()
        return self._finder


async def _in_thread(thread: aiosqlite.Connection, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    # Private, and the only way to run a whole batch in one hop; pyproject.toml bounds aiosqlite for it.
    execute = cast("Callable[..., Awaitable[T]]", thread._execute)  # pyright: ignore[reportUnknownMemberType]
    return await execute(call, *args, **kwargs)


async def _started(thread: aiosqlite.Connection) -> None:
    _ = await thread  # itself


async def _to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Await it to its end in spite of every cancellation, anyio's and asyncio's own; then let that go on."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # seen: the caller learns by `tail`
        raise cancelled
    return task.result()


async def _undone(connection: aiosqlite.Connection) -> None:
    """Let go of one that could not be opened. aiosqlite has told its thread to end and does not wait for it: what that says to a
    loop that is closed by then ends as a traceback on the terminal."""
    await _to_the_end(connection.close())
    _thread_of(connection).join(1.0)


def _as_daemon(connection: aiosqlite.Connection) -> None:
    # A connection that nobody closed must not keep the process from ending (aiosqlite#290).
    _thread_of(connection).daemon = True


def _thread_of(connection: aiosqlite.Connection) -> Thread:
    # Until 0.21 it is a thread.
    return connection if isinstance(connection, Thread) else connection._thread
