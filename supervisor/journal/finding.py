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
from ...protocols.journal import FOUND_ROWS, ActorLine, Found, Row, Want
from . import snapshots
from .driver import Connection

_STREAM = """SELECT id, life, incarnation, seq, context, at, turns,
    (SELECT gid FROM rows WHERE stream = s.id ORDER BY seq DESC LIMIT 1) FROM streams s WHERE address = ?"""

_ROWS = """SELECT gid, seq, incarnation, kind, cause, at, CAST(payload AS BLOB), digest IS NOT NULL
    FROM rows WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?"""

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


def _line(address: Address, stream: tuple[Any, ...]) -> tuple[ActorLine | None, str]:
    _, life, incarnation, seq, context, at, turns, _ = stream
    if life is None:
        return None, ""
    try:
        return ActorLine(address, life, incarnation, seq, _context.decode(context), at, turns), ""
    except msgspec.MsgspecError as error:
        return ActorLine(address, life, incarnation, seq, Context(), at, turns), f"its context cannot be read: {error}"
