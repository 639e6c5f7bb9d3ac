"""Rows as lines of JSON, for other programs. One object a row:

    {"gid": 7, "stream": "desk/ada", "seq": 2, "incarnation": 0, "kind": "turn", "cause": "3.0", "at": 1795263618.1,
     "payload": {...}, "hash": "<32 hex>"}

``payload`` is the record as it stands in the file, byte for byte. A row whose text was erased has ``"erased": true`` and
``digest`` (32 hex) in its place, and no ``cause``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
from msgspec import Struct

from ...protocols.ids import Address
from ...protocols.journal import Row
from . import tables
from .driver import Connection, Value
from .reader import JournalReader

PAGE = 1_000
"""Rows read at once."""

_encode = msgspec.json.Encoder().encode


def export(
    reader: JournalReader, below: Address | None = None, progress: Callable[[int, int], None] | None = None
) -> Iterator[bytes]:
    """Lines without their ends, in order, up to the row that is the last one now.

    Args:
        reader: the journal; its owner may go on meanwhile.
        below: only rows of the actors at or below this address.
        progress: told how many rows of how many were looked at.

    Raises:
        JournalDamaged, JournalError: it cannot be read.
    """
    last = reader.query("SELECT COALESCE(MAX(gid), 0) FROM rows")[0][0]
    after = 0
    while after < last:
        page = reader.read(_page_after(after, last, below))
        for link in page:
            yield _line(link)
        after = page[-1].row.gid if len(page) == PAGE else last
        if progress is not None:
            progress(after, last)


_LINK = tables.ROW.replace(" FROM", ", r.hash, r.digest FROM", 1) + " WHERE r.gid > ? AND r.gid <= ?"


class _Link(Struct, frozen=True):
    """A row with its link of the chain. ``digest`` is set where cause and payload were erased."""

    row: Row
    hash: bytes
    digest: bytes | None


def _page_after(after: int, last: int, below: Address | None) -> Callable[[Connection], list[_Link]]:
    sql, values = _LINK, list[Value]([after, last])
    if below is not None:
        sql += " AND (s.address = ? OR s.address > ? AND s.address < ?)"
        values += [below, below + "/", below + "0"]  # '0' is what follows '/'
    sql += f" ORDER BY r.gid LIMIT {PAGE}"
    return lambda connection: [
        _Link(tables.row(line[:9]), line[9], line[10]) for line in connection.execute(sql, values)
    ]


def _line(link: _Link) -> bytes:
    row = link.row
    fields: dict[str, object] = {
        "gid": row.gid, "stream": row.stream, "seq": row.seq, "incarnation": row.incarnation, "kind": row.kind,
    }  # fmt: skip
    if link.digest is None:
        fields |= {"cause": row.cause, "at": row.at, "payload": row.payload}
    else:
        fields |= {"at": row.at, "erased": True, "digest": link.digest.hex()}
    return _encode({**fields, "hash": link.hash.hex()})
