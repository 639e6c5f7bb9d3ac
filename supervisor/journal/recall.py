"""Looking keys up: what was said with them, and the recorded answer, read from its row."""

from __future__ import annotations

from typing import Protocol

from ...protocols.ids import Address
from ...protocols.journal import Key, Known, Record, Row
from .batch import record_of

Pair = tuple[Address, str]
"""An address and a key."""


class Recalls(Protocol):
    """What can be asked: a core, or a reader."""

    def keys(self, pairs: tuple[Pair, ...], /) -> tuple[Key, ...]: ...
    def rows(self, after: int = 0, limit: int = 1_000) -> tuple[Row, ...]: ...


def recall(journal: Recalls, pairs: tuple[Pair, ...]) -> tuple[Known | None, ...]:
    """What is known of each of these keys, in their order; None of one that is free."""
    known = {(key.address, key.key): _known(journal, key) for key in journal.keys(pairs)}
    return tuple(known.get(pair) for pair in pairs)


def _known(journal: Recalls, key: Key) -> Known:
    if not key.answered:
        took = _record(journal, key.gid)
        return Known(key.digest, took.message is None or took.message.reply_to is not None)
    record = _record(journal, key.answered)
    token = f"{key.address}#{key.key}"
    reply = next((reply for reply in record.replies if reply.to.token == token), None)
    return Known(key.digest, True, reply, erased=reply is None)


def _record(journal: Recalls, gid: int) -> Record:
    (row,) = journal.rows(gid - 1, 1)
    return record_of(row)
