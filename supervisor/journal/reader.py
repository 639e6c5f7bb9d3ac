"""Reading a journal without owning it: for the command line, while another process writes or when none does.

Read-only; each call is one consistent picture. While there is a write-ahead log (an owner's, or one that a crash left)
SQLite reads through it. Without one the file is read as it stands (immutable), so that nothing is created beside it; if
somebody begins to write in the middle of that, the call is made again through the log.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

from ...protocols.books import Entry
from ...protocols.effects import Effect
from ...protocols.errors import JournalDamaged, JournalError, JournalReadOnly
from ...protocols.ids import Address
from ...protocols.journal import ActorLine, Found, Key, Mail, Row, Timer, Want
from . import finding, head, preflight, tables
from .connect import uri
from .driver import Connection, Driver, choose, translate
from .files import refuse_no_file

T = TypeVar("T")


class JournalReader:
    """An open journal that this process does not own. Made by ``read_only``; use and close it in one thread."""

    def __init__(self, path: Path, driver: Driver) -> None:
        self.path = path
        self._driver = driver
        self._connection: Connection | None = None
        self._still: tuple[int, int, int] | None = None
        """The stamp of a file that is read as it stands; None while it is read through its log."""
        self._connect()

    def rows(self, after: int = 0, limit: int = 1_000) -> tuple[Row, ...]:
        """Rows with gid > after, in order."""
        return self.read(lambda connection: tables.rows(connection, after, limit))

    def stream(self, address: Address, after: int = 0) -> tuple[Row, ...]:
        """The rows of one actor with seq > after, in order."""
        return self.read(lambda connection: tables.stream(connection, address, after))

    def find(self, wants: tuple[Want, ...]) -> tuple[Found, ...]:
        """What is needed to bring actors into memory, as ``JournalCore.find``."""
        return self.read(lambda connection: finding.find(connection, wants))

    def keys(self, pairs: tuple[tuple[Address, str], ...]) -> tuple[Key, ...]:
        """Those of these (address, key) pairs that were used, as ``JournalCore.keys``."""
        return self.read(lambda connection: tables.keys(connection, pairs))

    def actors(self, prefix: str = "") -> tuple[ActorLine, ...]:
        """Lines of actors at ``prefix`` or below it, by address."""
        return self.read(lambda connection: tables.actors(connection, prefix))

    def mail(self) -> tuple[Mail, ...]:
        """Mail that is open."""
        return self.read(tables.mail)

    def effects(self) -> tuple[Effect, ...]:
        """Effects that are open, with what people are asked."""
        return self.read(tables.effects)

    def timers(self) -> tuple[Timer, ...]:
        """Timers that are open."""
        return self.read(tables.timers)

    def books(self) -> tuple[Entry, ...]:
        """The gate's books."""
        return self.read(tables.books)

    def meta(self) -> dict[str, str]:
        """``seed``, ``epoch``, ``clean``, ``chain``."""
        return self.read(tables.meta)

    def lost(self) -> str:
        """What is missing at the end, by the head; empty where nothing is. A reader does not stop for it: who reads says it."""
        record = head.read(head.head_path(self.path))
        return self.read(lambda connection: preflight.lost(connection, self.path, record))

    def query(self, sql: str, *values: str | float) -> list[tuple[Any, ...]]:
        """Any question to the tables and views of ``schema``. A column's type is SQLite's own, hence Any."""
        return self.read(lambda connection: connection.execute(sql, values).fetchall())

    def read(self, ask: Callable[[Connection], T]) -> T:
        """Ask something; it may be asked twice.

        Raises:
            JournalDamaged, JournalError: it cannot be read.
        """
        if self._connection is None:
            raise JournalError(f"{self.path} is closed", hint="open it first")
        expected: tuple[type[Exception], ...] = (*self._driver.errors, JournalDamaged)
        try:
            result = ask(self._connection)
        except expected as error:
            if not self._moved():
                if isinstance(error, JournalDamaged):
                    raise
                raise translate(self._driver, error, f"read {self.path}") from error
        else:
            if not self._moved():
                return result
        self.close()
        self._connect()
        return self.read(ask)

    def close(self) -> None:
        """Let go of it. Twice does nothing."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def __enter__(self) -> JournalReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self) -> None:
        now = _stamp(self.path)
        if now[0] < 0:
            self._connect_as("immutable", now)
            return
        try:
            self._connect_as("ro", None)
        except JournalError:
            # What a full disk left: a log with nothing in it, and no room for the memory that goes with it.
            if now[0]:
                raise
            self._connect_as("immutable", now)

    def _connect_as(self, mode: Literal["ro", "immutable"], still: tuple[int, int, int] | None) -> None:
        self._still = still
        try:
            connection = self._driver.connect(uri(self.path, mode))
            try:
                if preflight.is_journal(connection, self.path):
                    self._connection = connection
                    return
            finally:
                if self._connection is not connection:
                    connection.close()
        except self._driver.errors as error:
            raise translate(self._driver, error, f"read {self.path}") from error
        raise JournalDamaged(f"{self.path} is empty", hint="name another file")

    def _moved(self) -> bool:
        return self._still is not None and _stamp(self.path) != self._still


def _stamp(db: Path) -> tuple[int, int, int]:
    """Size of the log (-1: there is none), size and time of the file."""
    try:
        log = db.with_name(db.name + "-wal").stat().st_size
    except FileNotFoundError:
        log = -1
    found = db.stat()
    return log, found.st_size, found.st_mtime_ns


def read_only(path: str | os.PathLike[str], *, driver: Driver | None = None) -> JournalReader:
    """Open a journal for reading.

    Raises:
        JournalDamaged: it is not a journal.
        JournalNewer: a newer version wrote it.
        JournalError: there is none, or it cannot be read.
    """
    db, driver = Path(os.path.realpath(path)), driver or choose()
    try:
        there = db.exists()
    except OSError as error:
        raise JournalReadOnly(
            f"{db} cannot be reached: {error.strerror}", hint="its folder must be readable by this user"
        ) from error
    if not there:
        raise JournalError(f"there is no journal {db}", hint="a run with a journal makes one")
    refuse_no_file(db)
    return JournalReader(db, driver)
