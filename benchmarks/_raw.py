"""The limit that durable rows stand beside: SQLite alone, storing the same rows.

The raw file has the table ``rows`` as the journal declares it, with its index; it is opened by the function that opens
journals, so driver, pragmas and durability are the product's own. What is written are copies of rows that the product wrote
for the same work just before, made ready outside the measured time: no encoding, no hash, no working sets, no sidecar.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, cast

from understudy.supervisor.journal.connect import connect, uri
from understudy.supervisor.journal.driver import choose

BATCH = 1_000
"""Rows that the raw peer commits together."""


class RawRows:
    """A file with copies of a journal's rows.

    Args:
        path: of the new file.
        like: the journal whose newest turns are copied, at most ``BATCH`` of them, over and over.
    """

    def __init__(self, path: Path, like: Path) -> None:
        journal = choose().connect(uri(like, "ro"))
        self._columns = [name for _, name, *_ in journal.execute("PRAGMA table_info(rows)")]
        (declared,) = journal.execute("SELECT sql FROM sqlite_master WHERE name = 'rows'").fetchall()
        self._like = journal.execute(
            f"SELECT * FROM rows WHERE kind = 'turn' ORDER BY gid DESC LIMIT {BATCH}"
        ).fetchall()
        journal.close()
        self.body = sum(len(row[self._columns.index("payload")].encode()) for row in self._like) / len(self._like)
        """Bytes of a row's payload, on average."""
        self._connection = connect(choose(), path, "power_loss")
        self._connection.execute(declared[0])
        self._insert = f"INSERT INTO rows VALUES ({', '.join('?' * len(self._columns))})"
        self._gid = 0

    def write(self, count: int, batch: int = BATCH) -> float:
        """Write so many rows, so many in each commit. Returns the seconds it took."""
        batches = [self._rows(min(batch, count - first)) for first in range(0, count, batch)]
        many = cast("Any", self._connection).executemany  # the product does not use it; both drivers have it
        start = perf_counter()
        for rows in batches:
            self._connection.execute("BEGIN IMMEDIATE")
            many(self._insert, rows)
            self._connection.execute("COMMIT")
        return perf_counter() - start

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _rows(self, count: int) -> Sequence[tuple[Any, ...]]:
        gid, seq = self._columns.index("gid"), self._columns.index("seq")
        rows: list[tuple[Any, ...]] = []
        for _ in range(count):
            row = list(self._like[self._gid % len(self._like)])
            self._gid += 1
            row[gid] = row[seq] = self._gid
            rows.append(tuple(row))
        return rows
