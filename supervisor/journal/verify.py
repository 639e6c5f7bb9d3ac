"""Is the journal what was written? Walks the whole chain and names the first row that is not.

Finds a changed, missing or added row, a hole in the numbers, and by the head a lost end: except for the last group, which the
head of a journal that was not closed may not know yet. What SQLite cannot read any more counts as bad from the row on
at which it could not. (``PRAGMA integrity_check`` in turn does not see a changed payload.)
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from msgspec import Struct

from ...protocols.errors import JournalDamaged
from . import head, tables
from .chain import DIGEST, content_of, fixed, fresh, genesis
from .driver import Connection
from .reader import JournalReader

# As BLOB: the payload's bytes are wanted. What stands in the place of what was erased is only looked at where something was.
_ROWS = """SELECT gid, stream, seq, incarnation, kind, cause, at, CAST(payload AS BLOB), typeof(payload) = 'blob', hash, digest,
        CASE WHEN digest IS NULL THEN 0 ELSE payload IS NOT NULL OR cause IS NOT NULL END
    FROM rows WHERE gid > ? ORDER BY gid LIMIT ?"""

_STEP = 10_000
"""Rows between two words of progress."""

_KNOWN = 65_536
"""Streams whose names are kept at hand; a join costs more."""


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


def verify(reader: JournalReader, progress: Callable[[int], None] | None = None) -> Verified:
    """Walk the chain to its end or to the first bad row. Reads everything: about a second for 300,000 rows.

    ``progress`` is told, now and then, how many rows are whole.

    Raises:
        JournalError: it cannot be read, for another reason than what stands in it.
    """
    walk = _Walk(head.read(head.head_path(reader.path)), progress)  # before the rows: they may only have grown since
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

    def __init__(self, record: head.Record | None, progress: Callable[[int], None] | None) -> None:
        self._record, self._progress = record, progress
        self._start(b"")

    def __call__(self, connection: Connection) -> Verified:
        self._connection = connection
        self._start(genesis(tables.meta(connection).get("seed", "")))
        lines: Iterable[tuple[Any, ...]] = connection.execute(_ROWS, (0, -1))
        return self._rows(lines if self._progress is None else _told(lines, self._progress)) or self._end(connection)

    def next(self, connection: Connection) -> Verified | None:
        """Only the row after the last that is whole; None if it is, too."""
        self._connection = connection
        return self._rows(connection.execute(_ROWS, (self.last, 1)))

    def _start(self, before: bytes) -> None:
        self.last, self._at, self._previous = 0, 0.0, before
        self._seqs: dict[int, int] = {}
        self._places: dict[tuple[str, int], bytes] = {}

    def _rows(self, lines: Iterable[tuple[Any, ...]]) -> Verified | None:
        try:
            return self._follow(lines)
        except (TypeError, ValueError, AttributeError, struct.error) as error:  # a column of a kind that no row has
            return self._bad(self.last + 1, f"it is not what a row is: {error}")

    def _follow(self, lines: Iterable[tuple[Any, ...]]) -> Verified | None:
        # No object, no call and no attribute for a row: millions are walked, and its two hashes are most of what is left.
        seqs, places, last, before, previous = self._seqs, self._places, self.last, self._at, self._previous
        try:
            for gid, stream, seq, incarnation, kind, cause, at, payload, blob, found, erased, kept in lines:
                if gid != last + 1:
                    return Verified(last, last + 1, f"row {last + 1} is missing: row {gid} follows row {last}")
                stands = seqs.get(stream, 0)
                if seq != stands + 1:
                    return Verified(
                        last, gid, f"it is number {seq} of {self._name(stream)!r}, which stands at {stands}"
                    )
                if at < before:
                    return Verified(last, gid, "it is older than the row before it")
                if erased is None:
                    if payload is None:
                        return Verified(last, gid, f"row {gid} of {self._name(stream)!r} has no payload")
                    hasher = fresh()
                    hasher.update(content_of(cause.encode(), payload))
                    digest = hasher.digest()
                elif kept:
                    return Verified(last, gid, "it is said to be erased, but its text is there")
                elif len(digest := erased) != DIGEST:
                    return Verified(last, gid, f"the digest of what was erased has {len(digest)} bytes")
                hasher = fresh()
                place = places.get((kind, stream)) or self._place(kind, stream)
                hasher.update(fixed(previous, gid, seq, incarnation, at, digest) + place)
                linked = hasher.digest()
                if linked != found:
                    return Verified(last, gid, "its hash does not fit what stands in it")
                if blob:  # the chain takes texts as bytes; as a blob they would mean something else to SQLite's JSON functions
                    return Verified(last, gid, "it holds bytes where a row holds text")
                last, before, previous, seqs[stream] = gid, at, linked, seq
        finally:
            self.last, self._at, self._previous = last, before, previous
        return None

    def _place(self, kind: str, stream: int) -> bytes:
        """Kind and stream of a row as they are hashed."""
        if len(self._places) >= _KNOWN:
            self._places.clear()
        place = self._places[kind, stream] = f"{kind}\0{self._name(stream)}".encode()
        return place

    def _name(self, stream: int) -> str:
        found = self._connection.execute("SELECT address FROM streams WHERE id = ?", (stream,)).fetchone()
        return str(found[0]) if found else f"stream {stream}, which has no name"

    def _end(self, connection: Connection) -> Verified:
        acked = self._record.acked if self._record is not None and self._record.strict else head.Mark(0, b"")
        if acked.gid > self.last:
            return self._bad(self.last + 1, f"it is missing: row {acked.gid} had been acknowledged")
        found = connection.execute("SELECT hash FROM rows WHERE gid = ?", (acked.gid,)).fetchone()
        if found is not None and found[0] != acked.hash:
            return Verified(
                acked.gid - 1, acked.gid, "it is not the row that was acknowledged: the head has another hash"
            )
        return Verified(self.last)

    def _bad(self, gid: int, why: str) -> Verified:
        return Verified(self.last, gid, why)


def _told(lines: Iterable[tuple[Any, ...]], progress: Callable[[int], None]) -> Iterator[tuple[Any, ...]]:
    """Lines, with word of how many are done; a loop of its own, so that without it nothing is paid."""
    for n, line in enumerate(lines):
        if n and n % _STEP == 0:
            progress(n)
        yield line
