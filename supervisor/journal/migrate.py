"""From an older file format to this one, by the owner, while it opens the file.

1 -> 2    the tables ``keys`` and ``snapshots``; ``keys`` is filled from the rows, ``STEP`` rows a transaction. How far it came stands
          in ``meta`` (``migrating``) and the file stays one of format 1, which the version that wrote it still reads and
          writes, until the last transaction says that it is 2. So a kill leaves all of a step or nothing, the next owner
          goes on, and rows that an old version wrote in between are found as well.
2 -> 3    the table ``books``, which is empty: rows of format 2 change no entry.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from ...actors.keys import Keys
from ...protocols.errors import JournalDamaged
from ...protocols.ids import Address
from ...protocols.journal import Row
from ..log import log
from . import schema, tables
from .batch import record_of
from .connect import pragma, transaction
from .driver import Connection
from .plan import write_keys

Progress = Callable[[int, int], None]
"""Told how many rows of how many are done."""

STEP = 10_000
"""Rows read in one transaction: about a third of a second."""

# Only what may hold a key or a reply is decoded: most rows do not. What is no JSON is left to whoever reads that actor.
_ROWS = f"""{tables.ROW} WHERE r.gid > ? AND r.gid <= ? AND CASE WHEN json_valid(r.payload) THEN
    json_extract(r.payload, '$.message.key') <> '' OR json_extract(r.payload, '$.replies') IS NOT NULL OR r.kind = 'expired' END
    ORDER BY r.gid"""


def migrate(connection: Connection, progress: Progress) -> None:
    """Bring the file to this format. Raises the driver's errors; what was done stays done."""
    if pragma(connection, "user_version") == "1":
        _to_2(connection, progress)
    if pragma(connection, "user_version") == "2":
        with transaction(connection):
            for statement in schema.SINCE_3:
                connection.execute(statement)
            connection.execute("PRAGMA user_version = 3")


def say(path: Path, every: float = 2.0, clock: Callable[[], float] = time.monotonic) -> Progress:
    """Progress to the log, every so many seconds; nothing where it is done sooner."""
    last = clock()

    def told(done: int, of: int) -> None:
        nonlocal last
        if clock() - last >= every:
            last = clock()
            log().warning("the journal is brought to the new format", journal=str(path), rows=done, of=of)

    return told


def _to_2(connection: Connection, progress: Progress) -> None:
    found = connection.execute("SELECT COALESCE(MAX(gid), 0) FROM rows").fetchone()
    last: int = found[0] if found else 0
    done = int(tables.meta(connection).get("migrating", "-1"))
    if done < 0:
        with transaction(connection):
            for statement in schema.SINCE_2:
                connection.execute(statement)
            _came_to(connection, 0)
        done = 0
    progress(done, last)
    while done < last:
        upto = min(done + STEP, last)
        with transaction(connection):
            _fill(connection, done, upto)
            _came_to(connection, upto)
        done = upto
        progress(done, last)
    with transaction(connection):
        connection.execute("DELETE FROM meta WHERE key = 'migrating'")
        connection.execute("PRAGMA user_version = 2")


def _fill(connection: Connection, after: int, upto: int) -> None:
    fold = Keys()
    for line in connection.execute(_ROWS, (after, upto)):
        row: Row = tables.row(line)
        with contextlib.suppress(JournalDamaged):  # its actor will be put aside as unreadable, its rows untouched
            fold.take(row, record_of(row))
    freed, keys, answers = fold.cut()
    ids = _ids(connection, {*(address for address, _ in freed), *(key.address for key in (*keys, *answers))})
    write_keys(
        connection,
        [(ids[address], key) for address, key in freed],
        [(ids[key.address], key.key, key.digest, key.gid, key.answered or None) for key in keys],
        [(ids[key.address], key.key, key.answered) for key in answers],
    )


def _ids(connection: Connection, addresses: set[Address]) -> dict[Address, int]:
    ids: dict[Address, int] = {}
    for address in addresses:
        found = connection.execute("SELECT id FROM streams WHERE address = ?", (address,)).fetchone()
        assert found is not None, "a row's stream is there"
        ids[address] = found[0]
    return ids


def _came_to(connection: Connection, gid: int) -> None:
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('migrating', ?)", (str(gid),))
