"""A batch on its way into the file: ``prepare`` encodes and chains it (pure), ``write`` runs its statements.

Values go in as a few statements with hundreds of rows each: with another Python thread busy, ``executemany`` hands the
GIL over once a row and falls from 581,000 to 360 rows a second. The statements come in a few sizes, the powers of two, so that
each is parsed once and then found in the driver's cache, and a batch needs few of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain

import msgspec
from msgspec import Struct

from ...protocols.errors import JournalError
from ...protocols.ids import Address
from ...protocols.journal import ActorLine, Batch, Key, Row
from .batch import SystemFacts, system_facts
from .chain import links
from .driver import Connection, Value
from .tables import Tail

Line = tuple[Value, ...]
"""One row of a statement."""

_COLUMNS = 9
"""Of the table ``rows``, in a turn's row."""

_SIZES = tuple(
    1 << n for n in reversed(range(12))
)  # 2,048 rows of 10 values are below the 32,766 variables that every SQLite allows

_ROW = "INSERT INTO rows (gid, stream, seq, incarnation, kind, cause, at, payload, hash) VALUES "
_STREAM = "INSERT INTO streams (id, address) VALUES "
_ACTOR = "INSERT INTO streams (id, address, life, incarnation, seq, run, context, began, at, turns) VALUES "
_ACTOR_AGAIN = """ ON CONFLICT (id) DO UPDATE SET life = excluded.life, incarnation = excluded.incarnation,
    seq = excluded.seq, run = excluded.run, context = excluded.context, began = COALESCE(began, excluded.began),
    at = excluded.at, turns = excluded.turns"""
_ENTRY = "INSERT INTO {} (id, entry) VALUES "
_ENTRY_AGAIN = " ON CONFLICT (id) DO UPDATE SET entry = excluded.entry"
_KEY = "INSERT INTO keys (stream, key, digest, gid, answered) VALUES "
_KEY_AGAIN = " ON CONFLICT (stream, key) DO NOTHING"
_FREE = "DELETE FROM keys WHERE (stream, key) IN (VALUES "
_ANSWERED = "UPDATE keys SET answered = new.column3 FROM (VALUES "
_ANSWERED_WHERE = ") AS new WHERE keys.stream = new.column1 AND keys.key = new.column2"
_CLOSE = "DELETE FROM {} WHERE id IN (SELECT value FROM json_each(?))"

_encode = msgspec.json.Encoder().encode


class Stream(Struct, frozen=True):
    """An interned address: its id, the seq of its last row, whether it is new to the file."""

    id: int
    seq: int
    new: bool


class WorkingSet(Struct, frozen=True):
    """What changes in one working set."""

    table: str
    opened: list[Line]
    closed: str


class Plan(Struct, frozen=True):
    """A batch made ready. ``rows``: their values, one row after the other. ``tail``: the last row once it is written. ``size``: about how
    many bytes that are."""

    streams: list[Line]
    rows: list[Value]
    actors: list[Line]
    sets: tuple[WorkingSet, ...]
    facts: SystemFacts
    tail: Tail
    size: int
    keys_freed: Sequence[Line] = ()
    keys: Sequence[Line] = ()
    answers: Sequence[Line] = ()


def prepare(batch: Batch, tail: Tail, streams: Mapping[Address, Stream]) -> Plan:
    """Encode and chain a batch that follows ``tail``.

    Raises:
        JournalError: something in it cannot be stored, such as a lone surrogate in an address.
    """
    try:
        rows, last, size = _chain(batch.rows, tail, streams)
        return Plan(
            streams=[(stream.id, address) for address, stream in streams.items() if stream.new],
            rows=rows,
            actors=[_actor(line, streams[line.address].id) for line in batch.actors],
            sets=(
                _set("inbox", ((m.envelope.id, m) for m in batch.mail), batch.mail_closed),
                _set("effects", ((e.id, e) for e in batch.effects), batch.effects_closed),
                _set("timers", ((t.id, t) for t in batch.timers), batch.timers_closed),
                _set("books", ((entry.key, entry) for entry in batch.books), batch.books_closed),
            ),
            facts=system_facts(batch.rows),
            tail=last,
            size=size,
            keys_freed=[(streams[address].id, key) for address, key in batch.keys_freed],
            keys=[_key(key, streams) for key in batch.keys],
            answers=[(streams[key.address].id, key.key, key.answered) for key in batch.answers],
        )
    except (ValueError, msgspec.MsgspecError) as error:
        raise JournalError(f"the batch of row {batch.rows[0].gid} cannot be stored: {error}") from error


def write(connection: Connection, plan: Plan, *, clean_before: bool) -> None:
    """Run a plan's statements, inside the caller's transaction."""
    _insert(connection, _STREAM, plan.streams)
    _insert_values(connection, _ROW, plan.rows, _COLUMNS)
    write_keys(connection, plan.keys_freed, plan.keys, plan.answers)
    _insert(connection, _ACTOR, plan.actors, _ACTOR_AGAIN)
    for change in plan.sets:
        _insert(connection, _ENTRY.format(change.table), change.opened, _ENTRY_AGAIN)
        if change.closed:
            connection.execute(_CLOSE.format(change.table), (change.closed,))
    if plan.facts.epoch is not None:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (str(plan.facts.epoch),))
    if plan.facts.clean != clean_before:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'clean'", (str(int(plan.facts.clean)),))


def write_keys(connection: Connection, freed: Sequence[Line], keys: Sequence[Line], answers: Sequence[Line]) -> None:
    """Keys (stream, key) that are free again, those (stream, key, digest, gid, answered) that are new, and answers (stream,
    key, gid) to those that are known."""
    _insert(connection, _FREE, freed, ")")
    _insert(connection, _KEY, keys, _KEY_AGAIN)
    _insert(connection, _ANSWERED, answers, _ANSWERED_WHERE)


def _key(key: Key, streams: Mapping[Address, Stream]) -> Line:
    return (streams[key.address].id, key.key, key.digest, key.gid, key.answered or None)


def _chain(rows: Sequence[Row], tail: Tail, streams: Mapping[Address, Stream]) -> tuple[list[Value], Tail, int]:
    values: list[Value] = []
    size = 200 * len(rows)
    hashes = links(tail.hash, rows)
    for row, hash_ in zip(rows, hashes, strict=True):
        payload = row.payload
        # A bytearray: for each `bytes` the driver looks for an adapter, which takes 1.0 us; binding all the rest of a row takes 0.25.
        values += (
            row.gid, streams[row.stream].id, row.seq, row.incarnation, row.kind, row.cause, row.at, str(payload, "utf-8"),
            bytearray(hash_),
        )  # fmt: skip
        size += len(payload)
    return values, Tail(rows[-1].gid, rows[-1].at, hashes[-1]), size


def _set(table: str, entries: Iterable[tuple[str, Struct]], closed: tuple[str, ...]) -> WorkingSet:
    gone = frozenset(closed)
    opened: list[Line] = [(id_, _encode(entry).decode()) for id_, entry in entries if id_ not in gone]
    return WorkingSet(table, opened, _encode(closed).decode() if closed else "")


def _actor(line: ActorLine, stream: int) -> Line:
    context = _encode(line.context).decode()
    place = (line.life, line.incarnation, line.seq, line.context.run, context)
    return (stream, line.address, *place, line.at, line.at, line.turns)


def _insert(connection: Connection, head: str, lines: Sequence[Line], tail: str = "") -> None:
    if lines:
        _insert_values(connection, head, list(chain.from_iterable(lines)), len(lines[0]), tail)


def _insert_values(connection: Connection, head: str, values: list[Value], width: int, tail: str = "") -> None:
    done = 0
    for size in _SIZES:
        count = size * width
        while len(values) - done >= count:
            connection.execute(_statement(head, width, size, tail), values[done : done + count])
            done += count


@lru_cache(maxsize=256)  # one of 2,048 rows is 60 kB of text, which the driver looks up by its hash
def _statement(head: str, width: int, size: int, tail: str) -> str:
    marks = "(" + ", ".join("?" * width) + ")"
    return head + ", ".join([marks] * size) + tail
