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
from .chain import DIGEST, content, fixed, fresh, genesis, length
from .driver import Connection
from .reader import JournalReader

# As BLOB: the payload's bytes are wanted, or the digest in the place of what was erased. What is odd is one small number, so that
# a row as most are costs one look at it.
_ROWS = """SELECT gid, stream, seq, incarnation, kind, cause, at, CAST(CASE WHEN digest IS NULL THEN payload ELSE digest END AS BLOB), hash,
        CASE WHEN digest IS NULL THEN typeof(payload) <> 'text'
            WHEN payload IS NOT NULL OR cause IS NOT NULL THEN 3
            WHEN typeof(digest) <> 'blob' THEN 4 ELSE 2 END
    FROM rows WHERE gid > ? ORDER BY gid LIMIT ?"""
_NO_TEXT, _ERASED, _KEPT = 1, 2, 3

_STEP = 10_000
"""Rows between two words of progress."""

_LENGTHS = {n: length(n) for n in range(256)}
"""How a cause's length goes into its hash; nearly every one is a few bytes."""

_KNOWN = 65_536
"""Streams whose names are kept at hand, for each kind of row; a join costs more."""


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
        self._places: dict[str, dict[int, bytes]] = {}

    def _rows(self, lines: Iterable[tuple[Any, ...]]) -> Verified | None:
        try:
            return self._follow(lines)
        except (TypeError, ValueError, AttributeError, struct.error) as error:  # a column of a kind that no row has
            return self._bad(self.last + 1, f"it is not what a row is: {error}")

    def _follow(self, lines: Iterable[tuple[Any, ...]]) -> Verified | None:
        # No object, no call and no attribute for a row: millions are walked, and its two hashes are most of what is left.
        seqs, last, before, previous = self._seqs, self.last, self._at, self._previous
        kinds, lengths = "", _LENGTHS
        places: dict[int, bytes] = {}
        try:
            for gid, stream, seq, incarnation, kind, cause, at, text, found, odd in lines:
                if gid != last + 1:
                    return Verified(last, last + 1, f"row {last + 1} is missing: row {gid} follows row {last}")
                if seq != seqs.get(stream, 0) + 1:
                    why = f"it is number {seq} of {self._name(stream)!r}, which stands at {seqs.get(stream, 0)}"
                    return Verified(last, gid, why)
                if at < before:
                    return Verified(last, gid, "it is older than the row before it")
                if kind != kinds:
                    kinds, places = kind, self._places.setdefault(kind, {})
                if odd:
                    digest, why = self._odd(gid, stream, cause, text, odd)
                    if why:
                        return Verified(last, gid, why)
                else:
                    said = cause.encode()
                    hasher = fresh()
                    hasher.update((lengths.get(len(said)) or length(len(said))) + said + text)
                    digest = hasher.digest()
                place = places.get(stream) or self._place(places, kind, stream)
                hasher = fresh()
                hasher.update(fixed(previous, gid, seq, incarnation, at, digest) + place)
                linked = hasher.digest()
                if linked != found:
                    return Verified(last, gid, "its hash does not fit what stands in it")
                if odd == _NO_TEXT:  # the chain takes texts as bytes; SQLite's JSON functions read a blob otherwise
                    return Verified(last, gid, "it holds bytes where a row holds text")
                last, before, previous, seqs[stream] = gid, at, linked, seq
        finally:
            self.last, self._at, self._previous = last, before, previous
        return None

    def _odd(self, gid: int, stream: int, cause: str, text: bytes | None, odd: int) -> tuple[bytes, str]:
        """The digest of a row that is not as most are, and what is wrong with it as far as its hash need not be known."""
        if odd == _NO_TEXT and text is None:
            return b"", f"row {gid} of {self._name(stream)!r} has no payload"
        if odd == _NO_TEXT:
            return content(cause, text or b""), ""
        if odd == _KEPT:
            return b"", "it is said to be erased, but its text is there"
        if odd != _ERASED or text is None or len(text) != DIGEST:
            return b"", f"what stands for what was erased is no digest of {DIGEST} bytes"
        return text, ""

    def _place(self, places: dict[int, bytes], kind: str, stream: int) -> bytes:
        """Kind and stream of a row as they are hashed."""
        if len(places) >= _KNOWN:
            places.clear()
        place = places[stream] = f"{kind}\0{self._name(stream)}".encode()
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
