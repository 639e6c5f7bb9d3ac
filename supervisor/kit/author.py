"""Writes rows that follow each other, for tests of journals."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from ...protocols.books import Entry
from ...protocols.codec import encode
from ...protocols.effects import Effect, EffectState
from ...protocols.envelope import Context, Envelope
from ...protocols.ids import SYSTEM, Address
from ...protocols.journal import ActorLine, Batch, Mail, Record, Row, RowKind, Timer
from ...protocols.lifecycle import Life

ADA, BOB = Address("desk/ada"), Address("desk/bob")


class Author:
    """Knows the tail and hands out what comes next. ``last``: where to go on."""

    def __init__(self, last: int = 0, seqs: dict[Address, int] | None = None) -> None:
        self.last = last
        self.seqs = dict(seqs or {})

    def row(
        self, stream: Address = ADA, record: Record | None = None, *, kind: RowKind = "turn", cause: str = ""
    ) -> Row:
        """The next row."""
        self.last += 1
        self.seqs[stream] = seq = self.seqs.get(stream, 0) + 1
        payload = Raw(encode(record or Record()))
        return Row(self.last, stream, seq, 0, kind, cause, 1_000.0 + self.last, payload)

    def rows(self, count: int, stream: Address = ADA) -> tuple[Row, ...]:
        """The next rows of one stream."""
        return tuple(self.row(stream, cause=f"{self.last}.0") for _ in range(count))

    def batch(self, count: int = 1, stream: Address = ADA) -> Batch:
        """A batch of the next rows."""
        return Batch(self.rows(count, stream))

    def system(self, **note: str) -> Row:
        """The next row of the journal itself."""
        return self.row(SYSTEM, Record(note=note), kind="system")


def envelope(item: str, to: Address = ADA, **more: object) -> Envelope:
    """A message."""
    return msgspec.structs.replace(Envelope(item, to, "test.hello", Raw(b'{"name":"Ada"}')), **more)


def mail(item: str, to: Address = ADA, marks: int = 0) -> Mail:
    """Open mail."""
    return Mail(envelope(item, to), 1, marks)


def effect(item: str, state: EffectState = "intended", stream: Address = ADA, **more: object) -> Effect:
    """An effect."""
    made = Effect(item, stream, "call", "pay", Raw(b'{"usd":70}'), "paid", effect="once", state=state)
    return msgspec.structs.replace(made, **more)


def timer(item: str, at: float = 2_000.0, to: Address = ADA) -> Timer:
    """A timer."""
    return Timer(item, at, envelope(item, to))


def entry(key: str, value: object = 1, gid: int = 1) -> Entry:
    """An entry of the gate's books."""
    return Entry(key, Raw(encode(value)), gid)


def line(address: Address, seq: int, *, life: Life = "running", at: float = 1_001.0, turns: int = 1) -> ActorLine:
    """Where an actor stands."""
    return ActorLine(address, life, 0, seq, Context(run=address, user="ada"), at, turns)
