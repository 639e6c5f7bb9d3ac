"""Is everything in the file what its rows say? ``verify`` walks the chain; this goes on to what is folded from the rows.

Beside a running owner too, in this order:

1. the chain and the head (``verify``): a changed, missing or added row; gid and seq without gaps; no time that goes back; a lost end.
2. SQLite's own ``integrity_check``: the pages and the indexes.
3. the schema: each table, index and view is what this version makes, or an earlier one made.
4. the fold: open mail, effects and timers, one line an actor, keys and the journal's own facts are folded from the rows anew,
   by the code that runs live, and compared with the tables, in one consistent picture.

A file whose migration is not finished is still one of the older format: what stands in its new tables is not compared yet.

A row whose text was erased keeps its place in the chain; what it had opened or closed cannot be folded, so of its actor only
what the skeleton says is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from ...actors.cell import Cell
from ...actors.working_sets import WorkingSets
from ...protocols.books import Entry
from ...protocols.effects import Effect
from ...protocols.errors import JournalDamaged
from ...protocols.ids import Address
from ...protocols.journal import FORMAT, ActorLine, Key, Mail, Opened, Record, Row, Timer
from . import head, schema, tables
from .batch import record_of
from .connect import pragma
from .driver import Connection
from .reader import JournalReader
from .verify import verify

T = TypeVar("T", Mail, Effect, Timer, Entry)

Progress = Callable[[str, int, int], None]
"""Told what is being done, and how many rows of how many are."""


def silent(*_: object) -> None:
    """Progress that nobody is told."""


_STEP = 10_000
_MANY = 20


class Finding(Struct, frozen=True):
    """Something that is not as the rows say.

    Attributes:
        table: where.
        item: which line of it: a gid, an id, an address, a key.
        why: what is wrong with it.
    """

    table: str
    item: str
    why: str


class Audit(Struct, frozen=True):
    """What was found.

    Attributes:
        rows: how many rows are whole, from the first on.
        bad: gid of the first that is not; 0 for none.
        erased: how many of them have no text any more.
        actors, open, keys: lines of actors, open items and keys that were compared.
        findings: what is wrong, the first 20.
        warnings: what a person should know and is no damage.
    """

    rows: int
    bad: int = 0
    erased: int = 0
    actors: int = 0
    open: int = 0
    keys: int = 0
    findings: tuple[Finding, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def audit(reader: JournalReader, progress: Progress | None = None) -> Audit:
    """Look at everything: about 15 s for a million rows.

    Raises:
        JournalError: it cannot be read, for another reason than what stands in it.
    """
    tell = progress or silent
    acknowledged = head.read(head.head_path(reader.path))
    of = reader.query("SELECT COALESCE(MAX(gid), 0) FROM rows")[0][0]
    tell("chain", 0, of)
    chain = verify(reader, lambda done: tell("chain", done, of))
    if chain.bad:
        return Audit(chain.rows, chain.bad, findings=(Finding("rows", str(chain.bad), chain.why),))
    try:
        found = reader.read(lambda connection: _in_one_picture(connection, tell))
    except JournalDamaged as error:  # a page that the chain does not stand on
        return Audit(chain.rows, findings=(Finding("pages", "", str(error)),))
    return msgspec.structs.replace(found, warnings=found.warnings + _warnings(acknowledged, chain.rows))


def _in_one_picture(connection: Connection, tell: Progress) -> Audit:
    connection.execute("BEGIN")
    try:
        return _audit(connection, tell)
    finally:
        connection.execute("ROLLBACK")


def _audit(connection: Connection, tell: Progress) -> Audit:
    found = connection.execute("SELECT COALESCE(MAX(gid), 0) FROM rows").fetchone()
    last: int = found[0] if found else 0
    tell("pages", 0, last)
    pages = connection.execute(f"PRAGMA integrity_check({_MANY})").fetchall()
    findings = [Finding("pages", "", str(text)) for (text,) in pages if text != "ok"]
    if findings:  # what stands on broken pages is not asked any further
        return Audit(last, findings=tuple(findings))
    version = int(pragma(connection, "user_version"))
    findings += [Finding("schema", name, why) for name, why in schema.differences(connection, version)]
    fold = _Fold()
    try:
        for row in _rows(connection):
            fold.take(row)
            if row.gid % _STEP == 0:
                tell("fold", row.gid, last)
    except JournalDamaged as error:
        bad = fold.last + 1
        return Audit(fold.last, bad, fold.erased_rows, findings=(Finding("rows", str(bad), str(error)),))
    findings += fold.compare(connection, version)
    tell("fold", last, last)
    return Audit(
        last,
        erased=fold.erased_rows,
        actors=len(fold.cells),
        open=len(fold.sets.mail) + len(fold.sets.effects) + len(fold.sets.timers),
        keys=fold.keys_there or len(fold.keys),
        findings=tuple(findings[:_MANY]),
        warnings=_unfinished(version),
    )


def _rows(connection: Connection) -> Iterator[Row]:
    after = 0
    while page := tables.rows(connection, after, _STEP):
        yield from page
        after = page[-1].gid


class _Fold:
    """Everything that the rows say, row by row."""

    def __init__(self) -> None:
        self.sets = WorkingSets(Opened(0, 0.0, 0, True, "", (), (), ()))
        self.cells: dict[Address, Cell] = {}
        self.began: dict[Address, float] = {}
        self.keys: dict[tuple[Address, str], Key] = {}
        self.erased: dict[Address, int] = {}
        """Actors with rows whose text is gone, and the gid of the last such row."""
        self.erased_rows = 0
        self.erased_last = 0
        self.last = 0
        self.epoch = 0
        self.keys_there = 0
        self.clean = True

    def take(self, row: Row) -> None:
        """Fold a row in. Raises JournalDamaged where it is no record."""
        record = record_of(row)
        cell = self.cells.get(row.stream)
        if cell is None:
            cell = self.cells[row.stream] = Cell(row.stream, None)
            self.began[row.stream] = row.at
        if record.erased:
            self.erased[row.stream] = row.gid
            self.erased_rows += 1
            self.erased_last = row.gid
        cell.fold(row, record)
        self.sets.take(row, record, None)
        self._system(row, record)
        if self.sets.waiting_rows >= 1_000:
            self._cut()
        self.last = row.gid

    def compare(self, connection: Connection, version: int) -> list[Finding]:
        """Where the tables of a file of this format say something else."""
        self._cut()
        sets = self.sets
        found = [
            *_open(connection, "inbox", Mail, sets.mail, lambda mail: self._is_gone(mail.envelope.to, mail.gid)),
            *_open(connection, "effects", Effect, sets.effects, lambda effect: self._is_gone(effect.stream)),
            *_open(connection, "timers", Timer, sets.timers, lambda timer: self._is_gone(timer.envelope.to)),
        ]
        found += self._lines(connection)
        if version >= 3:
            found += self._books(connection)
        if version >= 2:
            found += self._keys(connection)
        meta = tables.meta(connection)
        for name, value in (("epoch", str(self.epoch)), ("clean", str(int(self.clean)))):
            if meta.get(name) != value:
                found.append(Finding("meta", name, f"it is {meta.get(name)!r}, the rows say {value!r}"))
        return found

    def _cut(self) -> None:
        batch = self.sets.cut()
        if batch is None:
            return
        for pair in batch.keys_freed:
            self.keys.pop(pair, None)
        for key in batch.keys:
            self.keys.setdefault((key.address, key.key), key)
        for answer in batch.answers:
            known = self.keys.get((answer.address, answer.key))
            if known is not None:
                self.keys[known.address, known.key] = msgspec.structs.replace(known, answered=answer.answered)

    def _system(self, row: Row, record: Record) -> None:
        self.clean = row.kind == "system" and "stopped" in record.note
        if row.kind == "system" and "epoch" in record.note:
            self.epoch = int(record.note["epoch"])

    def _is_gone(self, address: Address, gid: int = 0) -> bool:
        """Whether a row that cannot be read any more may have closed what was open for this actor."""
        return self.erased.get(address, 0) > gid

    def _books(self, connection: Connection) -> Iterator[Finding]:
        """As ``_open``, but an entry outlives the text of the row that wrote it."""
        unknown = {key for key, gid in tables.book_gids(connection) if tables.is_erased(connection, gid)}
        folded = {key: entry for key, entry in self.sets.books.items() if key not in unknown}
        for finding in _open(connection, "books", Entry, folded, lambda entry: self.erased_last > entry.gid):
            if finding.item not in unknown:
                yield finding

    def _lines(self, connection: Connection) -> Iterator[Finding]:
        sql = "SELECT address, life, incarnation, seq, context, at, turns, run, began FROM streams"
        seen: set[Address] = set()
        for address, life, incarnation, seq, context, at, turns, run, began in connection.execute(sql):
            seen.add(address)
            cell = self.cells.get(address)
            if cell is None:
                yield Finding("streams", address, "no row is of this actor")
                continue
            line = cell.line()
            said: list[tuple[str, Any, Any]] = [
                ("incarnation", incarnation, line.incarnation), ("seq", seq, line.seq), ("at", at, line.at),
                ("turns", turns, line.turns),
            ]  # fmt: skip
            if address not in self.erased:
                said += [
                    ("life", life, line.life),
                    ("run", run, line.context.run),
                    ("context", *_contexts(context, line)),
                ]
            for name, stands, folded in said:
                if stands != folded:
                    yield Finding("streams", address, f"{name} is {stands!r}, the rows say {folded!r}")
            if began is None or not self.began[address] <= began <= line.at:
                yield Finding("streams", address, f"began is {began!r}, its rows are from {self.began[address]!r} on")
        for address in self.cells.keys() - seen:
            yield Finding("streams", address, "there are rows of this actor, but no line")

    def _keys(self, connection: Connection) -> Iterator[Finding]:
        expected = dict(self.keys)
        sql = "SELECT s.address, k.key, k.digest, k.gid, k.answered FROM keys k LEFT JOIN streams s ON s.id = k.stream"
        for address, key, digest, gid, answered in connection.execute(sql):
            self.keys_there += 1
            folded = expected.pop((address, key), None)
            if address in self.erased:
                continue  # the row that took it in may be gone; the key is kept
            if folded is None:
                yield Finding("keys", f"{address}#{key}", "no row took it in")
            elif (digest, gid, answered or 0) != (folded.digest, folded.gid, folded.answered):
                stands = f"{digest}, row {gid}, answered in {answered}"
                rows = f"{folded.digest}, row {folded.gid}, answered in {folded.answered or None}"
                yield Finding("keys", f"{address}#{key}", f"it is {stands}; the rows say {rows}")
        for folded in expected.values():
            if folded.address not in self.erased:
                yield Finding(
                    "keys", f"{folded.address}#{folded.key}", f"row {folded.gid} took it in, and it is not there"
                )


def _contexts(stored: str | None, line: ActorLine) -> tuple[str, str]:
    """Both in one form: what is at its default is left out."""
    folded = msgspec.json.encode(line.context).decode()
    try:
        return msgspec.json.encode(msgspec.json.decode(stored or "", type=type(line.context))).decode(), folded
    except msgspec.MsgspecError:
        return stored or "", folded


def _open(
    connection: Connection, table: str, form: type[T], folded: dict[str, T], gone: Callable[[T], bool]
) -> Iterator[Finding]:
    expected = dict(folded)
    for id, entry in connection.execute(f"SELECT id, entry FROM {table} ORDER BY n"):
        item = expected.pop(id, None)
        if item is None:
            yield Finding(table, id, "the rows say that it is not open")
            continue
        try:
            same = msgspec.json.encode(msgspec.json.decode(entry, type=form)) == msgspec.json.encode(item)
        except msgspec.MsgspecError as error:
            yield Finding(table, id, f"it cannot be read: {error}")
            continue
        if not same:
            yield Finding(table, id, "it is not as the rows say")
    for id, item in expected.items():
        if not gone(item):
            yield Finding(table, id, "the rows say that it is open, and it is not there")


def _unfinished(version: int) -> tuple[str, ...]:
    if version >= FORMAT:
        return ()
    return (
        f"it is of format {version}: its migration to format {FORMAT} has not begun or is not finished; the next run does it",
    )


def _warnings(acknowledged: head.Record | None, last: int) -> tuple[str, ...]:
    if acknowledged is None:
        return ("there is no head beside the file, so a lost end would go unseen",)
    if acknowledged.acked.gid > last and not acknowledged.strict:
        return (
            f"row {acknowledged.acked.gid} was acknowledged and is not there, as durability 'process_crash' allows",
        )
    return ()
