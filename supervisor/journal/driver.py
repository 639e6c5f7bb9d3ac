"""The one module that knows which SQLite we talk to: it chooses the driver and translates its errors.

``pysqlite3`` brings a current SQLite in its wheel; where it has none, the standard library's is used. From 3.7.0 to
3.51.2 SQLite has the WAL-reset bug: a checkpoint of one connection that races a write of another can lose committed
rows. With such a version checkpoints are run by the writer alone, between its commits, and the warning says so.

A ``Driver`` is a value: tests hand over another one (a recording VFS, a connection that fails).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import import_module
from typing import Any, Protocol, cast

from msgspec import Struct

from ...protocols.errors import JournalDamaged, JournalError, JournalFull, JournalReadOnly

Value = str | bytes | bytearray | int | float | None

_CLEAN_SINCE = (3, 51, 3)

_IOERR_CORRUPTFS = 10 | (33 << 8)


class Cursor(Protocol):
    """What we use of a cursor. A column's type is SQLite's own, decided row by row, so rows are tuples of Any."""

    def fetchone(self) -> tuple[Any, ...] | None: ...
    def fetchall(self) -> list[tuple[Any, ...]]: ...
    def __iter__(self) -> Iterator[tuple[Any, ...]]: ...


class Connection(Protocol):
    """What we use of a connection, always in autocommit mode: transactions are written out."""

    def execute(self, sql: str, parameters: Sequence[Value] = ..., /) -> Cursor: ...
    def close(self) -> None: ...


class Driver(Struct, frozen=True):
    """A way to SQLite.

    Attributes:
        name: for people.
        version: of SQLite itself.
        connect: opens a ``file:`` URI.
        errors: what its calls raise.
        code: SQLite's extended result code of such an error, 0 where there is none.
    """

    name: str
    version: tuple[int, ...]
    connect: Callable[[str], Connection]
    errors: tuple[type[Exception], ...]
    code: Callable[[Exception], int]

    @property
    def careful(self) -> bool:
        """Whether checkpoints have to be kept apart from everything else."""
        return (3, 7, 0) <= self.version < _CLEAN_SINCE

    @property
    def warning(self) -> str:
        """What a person should know of this SQLite; mostly empty."""
        if not self.careful:
            return ""
        return (
            f"SQLite {'.'.join(map(str, self.version))} ({self.name}) has the WAL-reset bug of 3.7.0 to 3.51.2; "
            "checkpoints are serialised to stay clear of it. Do not write to the journal with other programs, and "
            "install pysqlite3 where it has a wheel."
        )


@cache
def choose() -> Driver:
    """``pysqlite3`` if it is installed, else the standard library's."""
    try:
        return _of_module("pysqlite3.dbapi2", "pysqlite3")
    except ImportError:
        return standard_library()


def standard_library() -> Driver:
    """Python's own. Never on a file that this process has open through another one: that breaks both one's locks."""
    return _of_module("sqlite3.dbapi2", "the standard library's sqlite3")


def translate(driver: Driver, error: Exception, doing: str) -> JournalError:
    """A driver's error as one of ours, to be raised ``from`` it. ``doing`` completes "could not …"."""
    code = driver.code(error)
    message = f"could not {doing}: {error}"
    if code == _IOERR_CORRUPTFS:
        return JournalDamaged(message, hint="the file system says that its own data is damaged")
    match code & 0xFF:  # the primary codes of https://www.sqlite.org/rescode.html
        case 10 | 13:  # IOERR, FULL
            return JournalFull(message, hint="make room on the device; nothing was acknowledged that is not there")
        case 3 | 8 | 14 | 23:  # PERM, READONLY, CANTOPEN, AUTH
            return JournalReadOnly(message, hint="the file and its folder must be writable by this user")
        case 11 | 26:  # CORRUPT, NOTADB
            return JournalDamaged(message, hint="the file was left as it is; restore a backup beside it")
        case 1 if "no such column" in message or "no such table" in message:  # ERROR; our statements fit what we made
            return JournalDamaged(message, hint="its tables are not those that were made; restore a backup beside it")
        case 5 | 6:  # BUSY, LOCKED
            return JournalError(message, hint="another program keeps the file locked; let it finish")
        case 0 if (
            isinstance(error, UnicodeDecodeError) or "decode to UTF-8" in message
        ):  # the driver's own, about a text
            return JournalDamaged(message, hint="the file was left as it is; restore a backup beside it")
        case _:
            return JournalError(message)


def _of_module(module: str, name: str) -> Driver:
    dbapi = import_module(module)

    def connect(uri: str) -> Connection:
        return cast("Connection", dbapi.connect(uri, uri=True, isolation_level=None, timeout=5.0, cached_statements=64))

    return Driver(name, tuple(dbapi.sqlite_version_info), connect, (dbapi.Error, UnicodeDecodeError), _code)


def _code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", None) or 0
