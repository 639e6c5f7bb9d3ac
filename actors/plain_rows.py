"""Rows as most of them are, read back fast: mail was consumed, events, messages, answers, and nothing else.

Recovery is a fold over every row of an actor, and decoding a whole record costs more than all the rest of it. Here only what a
fold looks at is decoded; a row that holds anything else is left to ``Cell.fold``, which means the same, at three times the cost.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from ..protocols.codec import NULL, decode
from ..protocols.envelope import OUTCOME, Reply
from ..protocols.journal import Record, Row, StoredEvent
from .cell import Cell


class _Sent(msgspec.Struct, gc=False):
    """What it wants of a message that was sent."""

    wire: str
    reply_to: Raw = NULL


class _Plain(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A record with none but these fields."""

    took: str = ""
    message: Raw = NULL
    events: tuple[StoredEvent, ...] = ()
    sends: tuple[_Sent, ...] = ()
    replies: tuple[Reply, ...] = ()


_read = msgspec.json.Decoder(_Plain).decode


def remember(cell: Cell, row: Row) -> None:
    """Take a stored row in: the same as ``cell.fold(row, read_record(row))``. Raises as it does."""
    memory = cell.memory
    failures = memory.postal is not None and memory.postal.failures
    if row.kind == "turn" and memory.life == "running" and not memory.timers and not failures:
        try:
            plain = _read(row.payload)
        except msgspec.ValidationError:
            plain = None
        if plain is not None and not _keeps_more(plain):
            if plain.events:
                cell.weight += len(row.payload)
                if cell.mount is not None:
                    cell.apply(plain.events)
            memory.seq, memory.incarnation, cell.at, cell.gid = row.seq, row.incarnation, row.at, row.gid
            memory.turns += 1
            for reply in plain.replies:
                memory.answered(reply)
            return
    record: Record = decode(row.payload, Record)
    cell.fold(row, record)


def _keeps_more(plain: _Plain) -> bool:
    """Whether a fold remembers more of it: a request or an outcome that was sent."""
    return bool(plain.sends) and any(sent.wire == OUTCOME or sent.reply_to is not NULL for sent in plain.sends)
