"""Bringing actors back into memory: what is read of them, over the connection that is given. Shared by owner and readers.

Several actors are read in one call, a long history in several. What is wrong with one actor's rows is told, not raised:
the others come in.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from ...protocols.envelope import Context
from ...protocols.ids import Address
from ...protocols.journal import FOUND_ROWS, ActorLine, Found, Page, Row, Want
from . import snapshots
from .driver import Connection

_STREAM = """SELECT id, life, incarnation, seq, context, at, turns,
    (SELECT gid FROM rows WHERE stream = s.id ORDER BY seq DESC LIMIT 1) FROM streams s WHERE address = ?"""

_ROWS = """SELECT gid, seq, incarnation, kind, cause, at, CAST(payload AS BLOB), digest IS NOT NULL
    FROM rows WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?"""

# One value for many rows: SQLite hands over Python's lock once a row, and the thread that folds what came before has it.
# At most 500 rows of a megabyte: SQLite has no text of a gigabyte.
PAGE = 500
_PAGE = """SELECT count(*), count(payload), count(digest), min(seq), max(seq), min(incarnation), max(incarnation), max(at), max(gid),
    min(kind) = 'turn' AND max(kind) = 'turn', group_concat(gid), group_concat(kind), CAST(group_concat(payload, char(10)) AS BLOB)
    FROM (SELECT * FROM rows WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?)"""

_context = msgspec.json.Decoder(Context)


def find(connection: Connection, wants: tuple[Want, ...]) -> tuple[Found, ...]:
    """As ``JournalCore.find``."""
    return tuple(_found(connection, want) for want in wants)


def _found(connection: Connection, want: Want) -> Found:
    stream = connection.execute(_STREAM, (want.address,)).fetchone()
    if stream is None or stream[7] is None:
        return Found(want.address)
    line, damaged = _line(want.address, stream)
    erased = False
    kept = snapshots.read(connection, want.address) if want.schema and not want.after else None
    if kept is not None and kept.schema != want.schema:
        kept = None
    after = kept.seq if kept is not None else want.after
    if want.paged and line is not None and not damaged:
        page = _page(connection, stream[0], after)
        if page is not None:
            return Found(want.address, (), page.last != stream[7], line, stream[7], snapshot=kept, page=page)
    lines = [] if damaged else connection.execute(_ROWS, (stream[0], after, FOUND_ROWS + 1)).fetchall()
    whole = lines[:FOUND_ROWS]
    for n, line_ in enumerate(whole):
        if line_[6] is None:
            erased, damaged = bool(line_[7]), "" if line_[7] else f"row {line_[0]} has no payload"
            whole = whole[:n]
            break
    rows = [
        Row(gid, want.address, seq, incarnation, kind, cause or "", at, Raw(payload))
        for gid, seq, incarnation, kind, cause, at, payload, _ in whole
    ]
    more = len(lines) > FOUND_ROWS and not erased and not damaged
    return Found(want.address, tuple(rows), more, line, stream[7], erased, damaged, kept)


def _page(connection: Connection, stream: int, after: int) -> Page | None:
    """The next rows in one value; None where there are none, or where one of them has to be looked at by itself."""
    found = connection.execute(_PAGE, (stream, after, min(PAGE, FOUND_ROWS))).fetchone()
    if not found or not found[0]:
        return None
    count, payloads, digests, first, last, incarnation, incarnations, at, gid, turns, gids, kinds, text = found
    if payloads != count or digests or (first, last) != (after + 1, after + count):  # erased, damaged, missing
        return None
    if text.count(b"\n") != count - 1 or kinds.count(",") != count - 1:  # written by another program, or damaged
        return None
    if incarnation != incarnations or not isinstance(incarnation, int) or not isinstance(at, float):
        return None
    return Page(first, count, incarnation, at, gid, gids, "" if turns else kinds, text)


def _line(address: Address, stream: tuple[Any, ...]) -> tuple[ActorLine | None, str]:
    _, life, incarnation, seq, context, at, turns, _ = stream
    if life is None:
        return None, ""
    try:
        return ActorLine(address, life, incarnation, seq, _context.decode(context), at, turns), ""
    except msgspec.MsgspecError as error:
        return ActorLine(address, life, incarnation, seq, Context(), at, turns), f"its context cannot be read: {error}"
