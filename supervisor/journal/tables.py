"""Reading the file's tables back into the contract's types. Shared by the owner and by readers; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar, cast

import msgspec
from msgspec import Raw

from ...protocols.books import Entry
from ...protocols.effects import Effect
from ...protocols.envelope import Context
from ...protocols.errors import JournalDamaged
from ...protocols.ids import Address
from ...protocols.journal import ActorLine, Key, Mail, Row, RowKind, Timer
from ...protocols.lifecycle import Life
from .connect import pragma
from .driver import Connection

T = TypeVar("T")

_mail = msgspec.json.Decoder(Mail)
_effect = msgspec.json.Decoder(Effect)
_timer = msgspec.json.Decoder(Timer)
_book = msgspec.json.Decoder(Entry)
_context = msgspec.json.Decoder(Context)

# As BLOB: the payload's bytes are wanted, not a str of them.
ROW = (
    "SELECT r.gid, s.address, r.seq, r.incarnation, r.kind, r.cause, r.at, CAST(r.payload AS BLOB), r.digest IS NOT NULL"
    " FROM rows r JOIN streams s ON s.id = r.stream"
)


ERASED = b'{"erased":true}'
"""What is given in the place of a payload that was erased."""


class Tail(msgspec.Struct, frozen=True):
    """The last row: gid (0 for none), journal time, hash (of the seed for none)."""

    gid: int
    at: float
    hash: bytes


def rows(connection: Connection, after: int, limit: int) -> tuple[Row, ...]:
    """Rows with gid > after, in order."""
    return tuple(
        row(line)
        for line in connection.execute(f"{ROW} WHERE r.gid > ? ORDER BY r.gid LIMIT ?", (after, max(limit, 0)))
    )


def stream(connection: Connection, address: Address, after: int) -> tuple[Row, ...]:
    """The rows of one actor with seq > after, in order."""
    found = connection.execute("SELECT id FROM streams WHERE address = ?", (address,)).fetchone()
    if found is None:
        return ()
    cursor = connection.execute(f"{ROW} WHERE r.stream = ? AND r.seq > ? ORDER BY r.seq", (found[0], after))
    read = tuple(row(line) for line in cursor)
    if read and read[-1].seq != max(after, 0) + len(read):  # a damaged index loses rows without a word
        raise JournalDamaged(f"rows of {address!r} are missing between {max(after, 0)} and {read[-1].seq}")
    return read


def actors(connection: Connection, prefix: str) -> tuple[ActorLine, ...]:
    """Lines of actors at ``prefix`` or below it, by address."""
    sql = "SELECT address, life, incarnation, seq, context, at, turns FROM streams WHERE life IS NOT NULL"
    values: tuple[str, ...] = ()
    if prefix:
        sql += " AND (address = ? OR address > ? AND address < ?)"
        values = (prefix, prefix + "/", prefix + "0")  # '0' is what follows '/'
    return tuple(
        ActorLine(
            address=Address(address),
            life=cast("Life", life),
            incarnation=incarnation,
            seq=seq,
            context=_decode(_context, context, f"context of {address!r}"),
            at=at,
            turns=turns,
        )
        for address, life, incarnation, seq, context, at, turns in connection.execute(sql + " ORDER BY address", values)
    )


def mail(connection: Connection) -> tuple[Mail, ...]:
    """Open mail, in the order in which it was made."""
    return _entries(connection, "inbox", _mail)


def effects(connection: Connection) -> tuple[Effect, ...]:
    """Open effects, in the order in which they were made."""
    return _entries(connection, "effects", _effect)


def timers(connection: Connection) -> tuple[Timer, ...]:
    """Open timers, in the order in which they were made."""
    return _entries(connection, "timers", _timer)


def books(connection: Connection) -> tuple[Entry, ...]:
    """The gate's books, in the order in which their entries were first written; a file of an older format has none."""
    if int(pragma(connection, "user_version")) < 3:
        return ()
    return _entries(connection, "books", _book)


def book_gids(connection: Connection) -> Iterator[tuple[str, int]]:
    """Each key of the gate's books, and the row that wrote it last; 0 where the entry cannot be read."""
    for key, entry in connection.execute("SELECT id, entry FROM books").fetchall():
        try:
            yield key, _book.decode(entry).gid
        except (msgspec.MsgspecError, RecursionError, TypeError, UnicodeDecodeError):
            yield key, 0


def is_erased(connection: Connection, gid: int) -> bool:
    """Whether retention has erased the text of a row."""
    found = connection.execute("SELECT digest IS NOT NULL FROM rows WHERE gid = ?", (gid,)).fetchone()
    return found is not None and bool(found[0])


_KEYS = """SELECT s.address, k.key, k.digest, k.gid, k.answered
    FROM json_each(?) p JOIN streams s ON s.address = json_extract(p.value, '$[0]')
    JOIN keys k ON k.stream = s.id AND k.key = json_extract(p.value, '$[1]') ORDER BY p.key"""


def keys(connection: Connection, pairs: tuple[tuple[Address, str], ...]) -> tuple[Key, ...]:
    """Those of these (address, key) pairs that were used, in their order."""
    if not pairs:
        return ()
    found = connection.execute(_KEYS, (msgspec.json.encode(pairs).decode(),))
    return tuple(Key(Address(to), key, digest, gid, answered or 0) for to, key, digest, gid, answered in found)


def meta(connection: Connection) -> dict[str, str]:
    """What the journal says of itself."""
    return dict(cast("list[tuple[str, str]]", connection.execute("SELECT key, value FROM meta").fetchall()))


def tail(connection: Connection, start: bytes) -> Tail:
    """The last row; ``start`` is the hash before the first."""
    found = connection.execute("SELECT gid, at, hash FROM rows ORDER BY gid DESC LIMIT 1").fetchone()
    if found is None:
        return Tail(0, 0.0, start)
    gid, at, link = found
    if not (isinstance(gid, int) and isinstance(at, float) and isinstance(link, bytes)):
        raise JournalDamaged(f"row {gid}, the last one, is not what a row is")
    return Tail(gid, at, link)


def row(line: tuple[Any, ...]) -> Row:
    gid, address, seq, incarnation, kind, cause, at, payload, erased = line
    if erased:
        payload = ERASED
    elif payload is None:
        raise JournalDamaged(f"row {gid} of {address!r} has no payload")
    return Row(gid, Address(address), seq, incarnation, cast("RowKind", kind), cause or "", at, Raw(payload))


def _entries(connection: Connection, table: str, decoder: msgspec.json.Decoder[T]) -> tuple[T, ...]:
    cursor = connection.execute(f"SELECT entry, id FROM {table} ORDER BY n")
    return tuple(_decode(decoder, entry, f"{table} entry {item!r}") for entry, item in cursor)


def _decode(decoder: msgspec.json.Decoder[T], text: str, what: str) -> T:
    try:
        return decoder.decode(text)
    except (
        msgspec.MsgspecError,
        RecursionError,
        TypeError,
        UnicodeDecodeError,
    ) as error:  # a damaged column may be anything
        raise JournalDamaged(f"{what} cannot be read: {error}") from error
