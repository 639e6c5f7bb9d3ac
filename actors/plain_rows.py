"""Rows as most of them are, read back fast: mail was consumed, events, messages, answers, and nothing else.

Recovery is a fold over every row of an actor, and decoding a whole record costs more than all the rest of it. Here only what a
fold looks at is decoded; a row that holds anything else is left to ``Cell.fold``, which means the same, at three times the cost.
"""

from __future__ import annotations

from typing import cast

import msgspec
from msgspec import Raw

from ..protocols.codec import NULL, decode
from ..protocols.envelope import OUTCOME, Reply
from ..protocols.journal import Page, Record, Row, RowKind, StoredEvent
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


_plain = msgspec.json.Decoder(_Plain)
_read, _read_lines = _plain.decode, _plain.decode_lines

FEW = 8
"""Rows that are taken one by one where they cannot be read together."""


class Unreadable(Exception):
    """A row of a page raised: which. What it raised is the cause."""

    def __init__(self, seq: int, gid: int) -> None:
        super().__init__(seq, gid)
        self.seq, self.gid = seq, gid


def remember_page(cell: Cell, page: Page) -> None:
    """Take many rows in: the same as ``remember`` for each, one after the other.

    Raises:
        Unreadable: one of them raised; those before it are taken in.
    """
    walk = _Walk(cell, page)
    try:
        if page.kinds or not walk.together(page.payloads, page.count):
            walk.apart(page.payloads.split(b"\n"))
    except Exception as error:
        raise Unreadable(page.first + walk.done, walk.gid(walk.done)) from error
    memory = cell.memory
    memory.seq, memory.incarnation = page.first + page.count - 1, page.incarnation
    cell.at, cell.gid = page.at, page.last


class _Walk:
    """Through a page. ``done``: rows taken in so far."""

    def __init__(self, cell: Cell, page: Page) -> None:
        self._cell, self._page = cell, page
        self.done: int = 0
        self._gids: list[str] = []
        self._kinds: list[str] = []

    def gid(self, n: int) -> int:
        self._gids = self._gids or self._page.gids.split(",")
        return int(self._gids[n])

    def together(self, data: bytes, count: int) -> bool:
        """Take rows in at once. False, and nothing is changed, where one of them is not plain."""
        cell = self._cell
        if not _stands(cell):
            return False
        try:
            plains = _read_lines(data)
        except (msgspec.MsgspecError, RecursionError):
            return False
        if len(plains) != count or any(plain.sends and _keeps_more(plain) for plain in plains):
            return False
        begun, at = self.done, self.done
        try:
            for at, plain in enumerate(plains, begun):  # noqa: B007 - which of them raised is told
                if plain.events and cell.mount is not None:
                    cell.apply(plain.events)
        finally:
            self.done = at
        for plain in plains:
            for reply in plain.replies:
                cell.memory.answered(reply)
        cell.weight += len(data)
        cell.memory.turns += count
        self.done = begun + count
        return True

    def apart(self, lines: list[bytes]) -> None:
        """Take rows in by halves, of which one may be plain, and a few one by one."""
        if len(lines) <= FEW or self._page.kinds:
            for line in lines:
                remember(self._cell, self._row(line))
                self.done += 1
            return
        middle = len(lines) // 2
        for half in (lines[:middle], lines[middle:]):
            if not self.together(b"\n".join(half), len(half)):
                self.apart(half)

    def _row(self, line: bytes) -> Row:
        page, n = self._page, self.done
        if page.kinds and not self._kinds:
            self._kinds = page.kinds.split(",")
        kind = cast("RowKind", self._kinds[n] if self._kinds else "turn")
        seq = page.first + n
        return Row(self.gid(n), self._cell.address, seq, page.incarnation, kind, "", page.at, Raw(line))


def _stands(cell: Cell) -> bool:
    """Whether a row of a turn changes no more of its actor than a plain one says."""
    memory = cell.memory
    failures = memory.postal is not None and memory.postal.failures
    return memory.life == "running" and not memory.timers and not failures


def remember(cell: Cell, row: Row) -> None:
    """Take a stored row in: the same as ``cell.fold(row, read_record(row))``. Raises as it does."""
    memory = cell.memory
    if row.kind == "turn" and _stands(cell):
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
