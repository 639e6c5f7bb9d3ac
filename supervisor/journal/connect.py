"""A connection that does what it was told: pragmas are read back and writing is tried before it is used."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from ...protocols.errors import JournalError, JournalReadOnly
from .driver import Connection, Driver, translate

Durability = Literal["power_loss", "process_crash"]
"""What an acknowledged row survives. ``process_crash`` does not flush: a loss of power may take the last seconds."""

_SYNCHRONOUS: dict[Durability, str] = {"power_loss": "2", "process_crash": "1"}
_WAL_LIMIT = 64_000_000


def uri(db: Path, mode: Literal["rwc", "ro", "immutable"]) -> str:
    """A SQLite URI; ``immutable`` is read-only and promises that nobody writes. Raises JournalError where it has none."""
    try:
        path = quote(str(db))
    except UnicodeEncodeError as error:
        name = str(db).encode(errors="backslashreplace").decode()
        raise JournalError(f"the file name {name} is not UTF-8", hint="rename the file or its folder") from error
    flags = "mode=ro&immutable=1" if mode == "immutable" else f"mode={mode}"
    return f"file:{path}?{flags}"


def connect(driver: Driver, db: Path, durability: Durability) -> Connection:
    """The owner's connection.

    Raises:
        JournalReadOnly: it cannot write, or not as durably as it should.
        JournalFull, JournalDamaged, JournalError: as the driver says.
    """
    strict = durability == "power_loss"
    wanted = {
        "journal_mode": "wal",
        "synchronous": _SYNCHRONOUS[durability],
        "wal_autocheckpoint": "0" if driver.careful else "1000",
        "journal_size_limit": str(_WAL_LIMIT),
        "fullfsync": str(int(strict)),  # macOS: without it a flush ends in the drive's cache
        "checkpoint_fullfsync": str(int(strict)),
        "mmap_size": "0",  # through a map, an I/O error is a SIGBUS
        "trusted_schema": "0",
        "cell_size_check": "1",
    }
    connection: Connection | None = None
    try:
        connection = driver.connect(uri(db, "rwc"))
        for name, value in wanted.items():
            connection.execute(f"PRAGMA {name} = {value}").fetchall()
        # A file that it may not write SQLite opens read-only, and says nothing until somebody changes a page.
        version = pragma(connection, "user_version")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("ROLLBACK")
        found = {name: pragma(connection, name) for name in wanted}
    except driver.errors as error:
        if connection is not None:
            connection.close()
        raise translate(driver, error, f"open {db}") from error
    needed = ("journal_mode", "synchronous", "wal_autocheckpoint")
    if any(found[name] != wanted[name] for name in needed):
        connection.close()
        raise JournalReadOnly(
            f"{db} cannot be written as durability {durability!r} needs: { ({name: found[name] for name in needed}) }",
            hint="a local file system with shared memory is needed, not a network one",
        )
    return connection


def pragma(connection: Connection, name: str) -> str:
    """What a pragma is now."""
    found = connection.execute(f"PRAGMA {name}").fetchone()
    return str(found[0]) if found else ""


@contextlib.contextmanager
def transaction(connection: Connection) -> Generator[None]:
    """All of it or nothing. IMMEDIATE: one that begins as a reader does not wait for its turn to write."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # Some errors have rolled back already, and on a dying disk this fails too: the next append reopens anyway.
        with contextlib.suppress(Exception):
            connection.execute("ROLLBACK")
        raise
