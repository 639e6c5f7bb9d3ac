"""Is the journal what was written? Walks the whole chain and names the first row that is not.

Finds a changed, missing or added row, a hole in the numbers, and by the head a lost end: except for the last group, which the
head of a journal that was not closed may not know yet. What SQLite cannot read any more counts as bad from the row on
at which it could not. (``PRAGMA integrity_check`` in turn does not see a changed payload.)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from msgspec import Struct

from ...protocols.errors import JournalDamaged
from ...protocols.ids import Address
from . import head, tables
from .chain import content, genesis, link
from .driver import Connection
from .reader import JournalReader


class Verified(Struct, frozen=True):
    """What was found.

    Attributes:
        rows: how many rows are whole, from the first on.
        bad: gid of the first that is not; 0 for none.
        why: what is wrong with it.
    """

    rows: int
    bad: int = 0
    why: str = ""


def verify(reader: JournalReader) -> Verified:
    """Walk the chain to its end or to the first bad row. Reads everything: about a second for 300,000 rows.

    Raises:
        JournalError: it cannot be read, for another reason than what stands in it.
    """
    walk = _Walk(head.read(head.head_path(reader.path)))  # before the rows: they may only have grown since
    try:
        return reader.read(walk)
    except JournalDamaged as error:
        damage = str(error)
    try:
        bad = reader.read(walk.next)  # the driver reads one row ahead: the one that it did not give may be whole
    except JournalDamaged:
        bad = None
    return bad or Verified(walk.last, walk.last + 1, damage)


class _Walk:
    """From the first row on. ``last``: the last one that is whole."""

    def __init__(self, record: head.Record | None) -> None:
        self._record = record
        self._start(b"")

    def __call__(self, connection: Connection) -> Verified:
        self._start(genesis(tables.meta(connection).get("seed", "")))
        return self._rows(tables.links(connection)) or self._end(connection)

    def next(self, connection: Connection) -> Verified | None:
        """Only the row after the last that is whole; None if it is, too."""
        return self._rows(tables.links(connection, self.last, 1))

    def _start(self, before: bytes) -> None:
        self.last, self._at, self._previous = 0, 0.0, before
        self._seqs: dict[Address, int] = {}

    def _rows(self, links: Iterator[tables.Link]) -> Verified | None:
        try:
            return self._follow(links)
        except (TypeError, ValueError, AttributeError, struct.error) as error:  # a column of a kind that no row has
            return self._bad(self.last + 1, f"it is not what a row is: {error}")

    def _follow(self, links: Iterator[tables.Link]) -> Verified | None:
        seqs = self._seqs
        for found in links:
            row = found.row
            if row.gid != self.last + 1:
                return self._bad(
                    self.last + 1, f"row {self.last + 1} is missing: row {row.gid} follows row {self.last}"
                )
            stands = seqs.get(row.stream, 0)
            if row.seq != stands + 1:
                return self._bad(row.gid, f"it is number {row.seq} of {row.stream!r}, which stands at {stands}")
            if row.at < self._at:
                return self._bad(row.gid, "it is older than the row before it")
            if found.digest is not None and found.kept:
                return self._bad(row.gid, "it is said to be erased, but its text is there")
            digest = found.digest if found.digest is not None else content(row.cause, bytes(row.payload))
            linked = link(self._previous, row, digest)
            if linked != found.hash:
                return self._bad(row.gid, "its hash does not fit what stands in it")
            self.last, self._at, self._previous, seqs[row.stream] = row.gid, row.at, linked, row.seq
        return None

    def _end(self, connection: Connection) -> Verified:
        acked = self._record.acked if self._record is not None and self._record.strict else head.Mark(0, b"")
        if acked.gid > self.last:
            return self._bad(self.last + 1, f"it is missing: row {acked.gid} had been acknowledged")
        found = connection.execute("SELECT hash FROM rows WHERE gid = ?", (acked.gid,)).fetchone()
        if found is not None and found[0] != acked.hash:
            return Verified(
                acked.gid - 1, acked.gid, "it is not the row that was acknowledged: the head has another hash"
            )
        # The chain takes texts as bytes; as a blob the same bytes would mean something else to SQLite's JSON functions.
        sql = "SELECT gid FROM rows WHERE typeof(payload) = 'blob' OR typeof(cause) = 'blob' ORDER BY gid LIMIT 1"
        blob = connection.execute(sql).fetchone()
        if blob is not None:
            return Verified(blob[0] - 1, blob[0], "it holds bytes where a row holds text")
        return Verified(self.last)

    def _bad(self, gid: int, why: str) -> Verified:
        return Verified(self.last, gid, why)
