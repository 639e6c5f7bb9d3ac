"""Retention: the texts of runs that are long over are erased, their rows stay.

What goes: cause and payload of the rows of a run that has finished or was stopped, all of it, some time ago; its snapshots. What
stays: the row, its hash and the digest of what was erased, so that the chain holds; the line of each actor; keys, for ever, so
that nobody's message is handled twice. A row that sent something to an actor whose rows are kept stays whole: mail is taken by
reference, and that actor's history needs it.

Open runs are never touched, nor is the stream of the journal itself, nor actors that serve many runs. A run is erased in one
transaction: a kill leaves all of it or nothing.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from functools import partial

import msgspec
from msgspec import Raw, Struct

from ...protocols.codec import encode
from ...protocols.effects import Effect
from ...protocols.envelope import Context
from ...protocols.errors import UnderstudyError
from ...protocols.ids import SYSTEM, Address
from ...protocols.journal import ActorLine, Batch, Mail, Opened, Record, Row, Timer
from . import chain, tables
from .audit import silent
from .batch import record_of
from .connect import transaction
from .driver import Connection
from .reader import read_only
from .sqlite import SqliteJournal

DAYS = 30.0
"""How long a run is kept after its last row, where nobody says otherwise."""

_OVER = frozenset({"finished", "stopped", "absent"})


class Retained(Struct, frozen=True):
    """What was done.

    Attributes:
        before: runs whose last row is older than this journal time were looked at.
        runs, rows: how many were erased.
        bytes: of their texts.
        kept: rows of these runs that stay whole, because others need what they sent.
    """

    before: float
    runs: int
    rows: int
    bytes: int
    kept: int


class _Run(Struct):
    streams: list[int] = []
    addresses: list[str] = []
    last: float = 0.0
    over: bool = True


def retain(
    path: str | os.PathLike[str],
    *,
    days: float = DAYS,
    compact: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
    clock: Callable[[], float] = time.time,
) -> Retained:
    """Erase what is older. Takes the journal over for as long as it lasts, and says so in rows of its own.

    Args:
        path: the journal.
        days: since the last row of a run.
        compact: rewrite the file without what was erased; needs as much room again.
        progress: told what is done.
        clock: wall time, for tests.

    Raises:
        JournalHeld: a process owns it.
        JournalError and its kinds: it cannot be read or written; runs that were erased are erased.
    """
    if not (math.isfinite(days) and days >= 0.0):
        raise UnderstudyError(f"days={days!r} is no time: give a number of days, 0 or more")
    tell = progress or silent
    with read_only(path):
        pass  # it is a journal; to open it as its owner would make one of an empty file
    journal = SqliteJournal(path)
    opened = journal.open()
    try:
        now = max(opened.at, clock())
        before = now - days * 86_400
        found = journal.maintain(lambda connection: _erasable(connection, opened, before))
        done = Retained(before, 0, 0, 0, 0)
        if found:
            _write(journal, opened, now, {"epoch": str(opened.epoch + 1), "pid": str(os.getpid()), "for": "retention"})
            near = {address for run in found.values() for address in run.addresses}
            for n, run in enumerate(found.values()):
                tell("runs", n, len(found))
                rows, size, kept = journal.maintain(partial(_erase, run=run, near=near))
                if rows:
                    done = Retained(before, done.runs + 1, done.rows + rows, done.bytes + size, done.kept + kept)
            tell("runs", len(found), len(found))
            said = {"retained": f"{done.runs} runs", "rows": str(done.rows), "before": f"{before:.3f}"}
            last = msgspec.structs.replace(opened, last=opened.last + 1, system_seq=opened.system_seq + 1)
            _write(journal, last, now, said | ({"stopped": "retention"} if opened.clean else {}))
        if compact:
            tell("compact", 0, 1)
            journal.maintain(_compact)
        return done
    finally:
        journal.close()


def _erasable(connection: Connection, opened: Opened, before: float) -> dict[str, _Run]:
    """Runs that are over, old, and of which something is left to erase."""
    runs: dict[str, _Run] = {}
    sql = """SELECT s.id, s.address, s.run, s.life, s.at FROM streams s WHERE s.life IS NOT NULL AND s.run <> ''
        AND (s.address = s.run OR substr(s.address, 1, length(s.run) + 1) = s.run || '/')"""
    for stream, address, name, life, at in connection.execute(sql):
        run = runs.setdefault(name, _Run())
        run.streams.append(stream)
        run.addresses.append(address)
        run.last = max(run.last, at)
        run.over = run.over and life in _OVER
    moving = set(_busy(opened))
    return {
        name: run
        for name, run in runs.items()
        if run.over and run.last < before and not moving & {name, *run.addresses} and _left(connection, run)
    }


def _busy(opened: Opened) -> Iterator[str]:
    """Actors and runs of which anything is open."""
    things: tuple[tuple[Mail | Effect | Timer, ...], ...] = (opened.mail, opened.effects, opened.timers)
    for thing in (thing for group in things for thing in group):
        if isinstance(thing, Effect):
            yield from (thing.stream, thing.context.run)
        else:
            yield from (thing.envelope.to, thing.envelope.sender, thing.envelope.context.run)


def _left(connection: Connection, run: _Run) -> bool:
    return any(
        connection.execute("SELECT 1 FROM rows WHERE stream = ? AND digest IS NULL LIMIT 1", (stream,)).fetchone()
        for stream in run.streams
    )


def _erase(connection: Connection, run: _Run, near: set[str]) -> tuple[int, int, int]:
    """Rows erased, bytes of their texts, rows kept. ``near``: actors whose rows go too."""
    rows = size = kept = 0
    with transaction(connection):
        for address in run.addresses:
            for row in tables.stream(connection, Address(address), 0):
                record = record_of(row)
                if record.erased:
                    continue
                if any(_needed(connection, sent.to, near) for sent in record.sends):
                    kept += 1
                    continue
                digest = chain.content(row.cause, bytes(row.payload))
                sql = "UPDATE rows SET cause = NULL, payload = NULL, digest = ? WHERE gid = ?"
                connection.execute(sql, (digest, row.gid))
                rows += 1
                size += len(row.payload)
        for stream in run.streams:
            connection.execute("DELETE FROM snapshots WHERE stream = ?", (stream,))
    return rows, size, kept


def _needed(connection: Connection, address: str, near: set[str]) -> bool:
    """Whether mail to this actor is taken by a row that is there whole."""
    if address in near:
        return False
    found = connection.execute(
        "SELECT 1 FROM rows r JOIN streams s ON s.id = r.stream WHERE s.address = ? AND r.digest IS NULL LIMIT 1",
        (address,),
    ).fetchone()
    return found is not None


def _compact(connection: Connection) -> None:
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _write(journal: SqliteJournal, opened: Opened, now: float, note: dict[str, str]) -> None:
    """The next row of the journal itself, after those that ``opened`` knows."""
    seq = opened.system_seq + 1
    row = Row(opened.last + 1, SYSTEM, seq, 0, "system", "", now, Raw(encode(Record(note=note))))
    journal.append(Batch((row,), actors=(ActorLine(SYSTEM, "running", 0, seq, Context(), now),)))
