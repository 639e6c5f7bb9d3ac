"""Fold a run and decide it again, turn by turn, from the file alone: no model, no tool, no network is asked.

For each row that a turn made: the same mail, the same state, the same clock and randomness go through the very functions
that the kernel runs (``actors.aside``, ``actors.execute``), and what comes out must be the recorded row to the byte. The
first row that does not is named, with what was recorded and what the code says now. The definitions are those of the life
in which the row was written (``lives``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from ...actors.aside import put_aside
from ...actors.cell import Cell
from ...actors.draft import Draft
from ...actors.execute import execute
from ...actors.family import known_to
from ...actors.mailbox import Item
from ...protocols.codec import decode
from ...protocols.envelope import OUTCOME, Envelope, OutcomeBody
from ...protocols.errors import UnderstudyError
from ...protocols.failures import of_exception
from ...protocols.ids import Address
from ...protocols.journal import MAX_STATE, Record, Row
from ...protocols.watch import BLOCKED
from ..calendar import CronCalendar, Recorded
from ..journal.batch import record_of
from ..journal.reader import JournalReader, read_only
from ..journal.reading import must_fit, reading, row_name
from .lives import Definitions, Lives

_SAID = re.compile(rb',"said":"[0-9a-f]{32}"')

_UNLABELLED = b',{"check":"provenance","verdict":"allow"}'


class Difference(Struct, frozen=True):
    """The first row that comes out different.

    Attributes:
        gid, stream, seq: which row.
        field: the part of its record that differs.
        recorded, now: what stands in the journal, and what this code decides; JSON.
    """

    gid: int
    stream: str
    seq: int
    field: str
    recorded: str
    now: str


class ReplayReport(Struct, frozen=True):
    """What replay found.

    Attributes:
        run: its address.
        actors, turns: how much was decided again.
        difference: the first one; None for equal.
    """

    run: str
    actors: int
    turns: int
    difference: Difference | None = None


class Erased(UnderstudyError):
    """What should be decided again has been erased."""


def replay(path: str | os.PathLike[str], run: str, target: str = "") -> ReplayReport:
    """Decide a run again.

    Args:
        path: the journal; it is only read, also while another process owns it.
        run: its address, such as ``desk/call-17``.
        target: ``module:name`` of the definitions; what the journal names for each life, by default.

    Raises:
        TargetError: no target is recorded, or it cannot be imported; keeps the cause.
        LookupError: the journal holds no such run.
        Erased: retention took its texts.
        JournalError: as ``read_only``.
    """
    journal = read_only(Path(path))
    try:
        rows = tuple(_all_rows(journal))
        seed = journal.meta().get("seed", "")
        of_run = [row for row in rows if row.stream == run or row.stream.startswith(run + "/")]
        for stream in {row.stream for row in of_run}:
            must_fit(journal, stream, [row for row in of_run if row.stream == stream])
    finally:
        journal.close()
    records = {row.gid: record_of(row) for row in rows}
    mail = _mail(records)
    if not of_run:
        raise LookupError(f"the journal holds no run {run!r}")
    erased = sum(records[row.gid].erased for row in of_run)
    if erased:
        raise Erased(
            f"{erased} of the {len(of_run)} rows of {run!r} were erased by retention: there is nothing left to decide again",
            hint="an archive that was made before ('understudy journal retain --archive FILE') replays",
        )
    with reading("what the journal says of the processes that wrote it"):
        lives = Lives(rows, records, target)
    cells, turns = dict[Address, tuple[Cell, Definitions]](), 0
    for at, row in enumerate(of_run):
        definitions, record = lives.of(row), records[row.gid]
        cell, read_with = cells.get(row.stream, (None, None))
        if cell is None or read_with is not definitions:  # another life: as then, all is read again
            cell = _loaded(row.stream, definitions, of_run[:at], records)
            cells[row.stream] = cell, definitions
        if row.kind in ("turn", "failed"):
            turns += 1
            with reading(row_name(row)):
                found = _again(cell, row, record, mail, definitions, seed)
            if found is not None:
                return ReplayReport(run, len(cells), turns, found)
        _fold(cell, row, record)
    return ReplayReport(run, len(cells), turns)


def _loaded(stream: Address, definitions: Definitions, before: list[Row], records: dict[int, Record]) -> Cell:
    """An actor as a life finds it."""
    cell = Cell(stream, definitions.tree.directory.find(stream))
    for row in before:
        if row.stream == stream:
            _fold(cell, row, records[row.gid])
    return cell


def _fold(cell: Cell, row: Row, record: Record) -> None:
    if cell.broken is not None:
        return
    try:
        cell.fold(row, record)
    except Exception as error:  # noqa: BLE001 - the actor's own code: what comes next differs, and says why
        cell.broken = of_exception(error, where=cell.address, code="unreadable")


def _again(
    cell: Cell, row: Row, record: Record, mail: dict[str, Envelope], definitions: Definitions, seed: str
) -> Difference | None:
    durable = record.message is None
    envelope = mail.get(record.took) if durable else record.message
    if cell.mount is None or envelope is None:
        what = "definition" if cell.mount is None else "mail"
        return Difference(row.gid, row.stream, row.seq, what, record.took or row.stream, "not found")
    if record.failure is not None and record.failure.code == BLOCKED:
        return None  # it did not end by itself, and would not now: that it was broken off is a fact, no decision
    settles = ""
    if envelope.wire == OUTCOME and not durable:
        of = decode(envelope.body, OutcomeBody).of
        settles = of if of in cell.memory.effects else ""
    # A state is weighed anew only where a turn failed, which may have been why: the row says what came of it.
    cell.weight = MAX_STATE if row.kind == "failed" else -(1 << 62)
    item = Item(envelope, durable=durable, marks=record.attempts, settles=settles)
    calendar = Recorded(record.timers, CronCalendar())
    draft = put_aside(cell, item, row.gid, row.at, calendar=calendar) or execute(
        cell, item, definitions.gate, row.gid, row.at, seed, calendar, books=known_to(record)
    )
    if not isinstance(draft, Draft):  # an answer that stands there already
        return Difference(row.gid, row.stream, row.seq, "kind", row.kind, "no row")
    if draft.payload == bytes(row.payload) and draft.kind == row.kind:
        return None
    recorded, now = bytes(row.payload), draft.payload
    if b'"said":' not in recorded:  # a row of a version that did not write this yet
        now = _SAID.sub(b"", now)
    if b'"check":"provenance"' not in recorded:  # nothing had labels yet, and nobody looked for them
        now = now.replace(_UNLABELLED, b"")
    if now == recorded and draft.kind == row.kind:
        return None
    before, after = _fields(recorded), _fields(now)
    for field in {**before, **after}:
        if before.get(field) != after.get(field):
            was, comes = (bytes(side.get(field, Raw(b"nothing"))).decode() for side in (before, after))
            return Difference(row.gid, row.stream, row.seq, field, was, comes)
    return Difference(row.gid, row.stream, row.seq, "kind", row.kind, draft.kind)


def _fields(payload: bytes) -> dict[str, Raw]:
    return msgspec.json.decode(payload, type=dict[str, Raw])


def _mail(records: dict[int, Record]) -> dict[str, Envelope]:
    """All mail by id, wherever it first became durable."""
    mail: dict[str, Envelope] = {}
    for record in records.values():
        mail.update((envelope.id, envelope) for envelope in record.sends)
        mail.update((timer.id, timer.envelope) for timer in record.timers)
        if record.message is not None:
            mail[record.message.id] = record.message
    return mail


def _all_rows(journal: JournalReader) -> Iterator[Row]:
    after = 0
    while page := journal.rows(after, 5_000):
        yield from page
        after = page[-1].gid
