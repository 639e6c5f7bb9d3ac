"""Retention: the texts of runs that are long over are erased, their rows stay.

What goes: cause and payload of the rows of a run that has finished or was stopped, all of it, some time ago; its snapshots. What
stays: the row, its hash and the digest of what was erased, so that the chain holds; the line of each actor; keys, for ever, so
that nobody's message is handled twice. A row that sent something to an actor whose rows are kept stays whole: mail is taken by
reference, and that actor's history needs it.

Open runs are never touched, nor is the stream of the journal itself, nor actors that serve many runs. A run is erased in one
transaction: a kill leaves all of it or nothing.

    erasable (which runs) -> prepare (what of one of them: reads and counts) -> erase (writes: a few microseconds a row)

``retain`` does it while nobody owns the journal; ``supervisor.retaining`` while a system does.
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

_AT_ONCE = 500
"""Rows in one statement: each has two variables, and every SQLite takes a thousand or more."""

_BREATH = 50
"""Rows between two breaths, about two milliseconds of work."""


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

    def and_also(self, erasure: Erasure) -> Retained:
        """With one more run."""
        return Retained(
            self.before,
            self.runs + 1,
            self.rows + len(erasure.rows),
            self.bytes + erasure.bytes,
            self.kept + erasure.kept,
        )


class Old(Struct):
    """A run, and where it stood when it was looked at.

    Attributes:
        name: its address.
        streams: of its actors, each with the number of its last row.
        addresses: of its actors, in the same order.
        last: journal time of its last row.
        over: whether all of its actors have ended.
    """

    name: Address
    streams: dict[int, int] = {}
    addresses: list[Address] = []
    last: float = 0.0
    over: bool = True


class Erasure(Struct):
    """What is to be erased of one run.

    Attributes:
        old: the run.
        rows: gid of each row, and what stays of its text.
        bytes: of their texts.
        kept: rows that stay whole.
    """

    old: Old
    rows: list[tuple[int, bytes]] = []
    bytes: int = 0
    kept: int = 0


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
    tell, patience = progress or silent, seconds(days)
    with read_only(path):
        pass  # it is a journal; to open it as its owner would make one of an empty file
    journal = SqliteJournal(path)
    opened = journal.open()
    try:
        now = max(opened.at, clock())
        before = now - patience
        found = journal.maintain(lambda connection: erasable(connection, before))
        done = Retained(before, 0, 0, 0, 0)
        if found:
            _write(journal, opened, now, {"epoch": str(opened.epoch + 1), "pid": str(os.getpid()), "for": "retention"})
            near = neighbours(found)
            for n, old in enumerate(found):
                tell("runs", n, len(found))
                erasure = journal.maintain(partial(prepare, old=old, near=near))
                if journal.maintain(partial(erase, erasure=erasure)):
                    done = done.and_also(erasure)
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


def seconds(days: float) -> float:
    """So many days. Raises UnderstudyError where that is no time."""
    if not (isinstance(days, (int, float)) and not isinstance(days, bool) and math.isfinite(days) and days >= 0.0):
        raise UnderstudyError(f"days={days!r} is no time: give a number of days, 0 or more")
    return days * 86_400


def erasable(connection: Connection, before: float) -> list[Old]:
    """Runs that are over, older than this journal time, and of which something is left to erase; the oldest first."""
    runs: dict[Address, Old] = {}
    sql = """SELECT s.id, s.address, s.run, s.life, s.at, s.seq FROM streams s WHERE s.life IS NOT NULL AND s.run <> ''
        AND (s.address = s.run OR substr(s.address, 1, length(s.run) + 1) = s.run || '/')"""
    for stream, address, name, life, at, seq in connection.execute(sql):
        old = runs.get(name)
        if old is None:
            old = runs[name] = Old(Address(name))
        old.streams[stream] = seq
        old.addresses.append(Address(address))
        old.last = max(old.last, at)
        old.over = old.over and life in _OVER
    moving = set(_busy(connection))
    found = [
        old
        for old in runs.values()
        if old.over and old.last < before and not moving & {old.name, *old.addresses} and _left(connection, old)
    ]
    return sorted(found, key=lambda old: old.last)


def neighbours(runs: list[Old]) -> set[Address]:
    """All actors of these runs: what they sent each other, nobody needs when all of them are erased."""
    return {address for old in runs for address in old.addresses}


def _busy(connection: Connection) -> Iterator[str]:
    """Actors and runs of which anything is open."""
    things: tuple[tuple[Mail | Effect | Timer, ...], ...] = (
        tables.mail(connection), tables.effects(connection), tables.timers(connection),
    )  # fmt: skip
    for thing in (thing for group in things for thing in group):
        if isinstance(thing, Effect):
            yield from (thing.stream, thing.context.run)
        else:
            yield from (thing.envelope.to, thing.envelope.sender, thing.envelope.context.run)


def _left(connection: Connection, old: Old) -> bool:
    return any(
        connection.execute("SELECT 1 FROM rows WHERE stream = ? AND digest IS NULL LIMIT 1", (stream,)).fetchone()
        for stream in old.streams
    )


def prepare(
    connection: Connection, old: Old, near: set[Address], breathe: Callable[[], None] = lambda: None
) -> Erasure:
    """Find out what is to be erased of a run. ``near``: actors whose rows go too. ``breathe``: called every few rows, for whoever shares
    the processor."""
    erasure = Erasure(old)
    for address in old.addresses:
        for n, row in enumerate(tables.stream(connection, address, 0)):
            if n % _BREATH == 0:
                breathe()
            record = record_of(row)
            if record.erased:
                continue
            if any(_needed(connection, sent.to, near) for sent in record.sends):
                erasure.kept += 1
                continue
            erasure.rows.append((row.gid, chain.content(row.cause, bytes(row.payload))))
            erasure.bytes += len(row.payload)
    return erasure


def erase(connection: Connection, erasure: Erasure) -> bool:
    """Erase it, in one transaction. False where there was nothing to erase, or the run has gone on since it was looked at."""
    old = erasure.old
    if not erasure.rows:
        return False
    with transaction(connection):
        if any(_last(connection, stream) != seq for stream, seq in old.streams.items()):
            return False
        for n in range(0, len(erasure.rows), _AT_ONCE):
            some = erasure.rows[n : n + _AT_ONCE]
            # One statement for many rows: each one hands the interpreter over, and somebody else may be slow to give it back.
            values = ", ".join(["(?, ?)"] * len(some))
            connection.execute(
                f"WITH gone (gid, digest) AS (VALUES {values}) UPDATE rows SET cause = NULL, payload = NULL,"
                " digest = gone.digest FROM gone WHERE rows.gid = gone.gid",
                tuple(value for one in some for value in one),
            )
        for stream in old.streams:
            connection.execute("DELETE FROM snapshots WHERE stream = ?", (stream,))
    return True


def _last(connection: Connection, stream: int) -> int:
    found = connection.execute("SELECT seq FROM streams WHERE id = ?", (stream,)).fetchone()
    return int(found[0]) if found is not None else 0


def _needed(connection: Connection, address: Address, near: set[Address]) -> bool:
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
