"""An I/O error or a full disk at every single call that the journal makes to its files.

Each is refused with a typed error; reading goes on; nothing is acknowledged that is not there, nothing is written twice;
and when the disk is mended the same object goes on. A workload is run once to count its calls, and then once for each.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import apsw
import pytest
from msgspec import Struct

from tests.crash.disk import Call, Disk, put
from tests.crash.images import NAME, Work, check, memory, work
from understudy.protocols.errors import JournalError, JournalFull
from understudy.protocols.journal import Batch
from understudy.supervisor.journal.sqlite import SqliteJournal

Kind = Literal["an error", "errors from then on", "no space from then on"]

CODES: dict[Call, int] = {
    "open": apsw.SQLITE_CANTOPEN,
    "read": apsw.SQLITE_IOERR_READ,
    "write": apsw.SQLITE_IOERR_WRITE,
    "truncate": apsw.SQLITE_IOERR_TRUNCATE,
    "sync": apsw.SQLITE_IOERR_FSYNC,
    "delete": apsw.SQLITE_IOERR_DELETE,
    "access": apsw.SQLITE_IOERR_ACCESS,
    "size": apsw.SQLITE_IOERR_FSTAT,
    "lock": apsw.SQLITE_IOERR_LOCK,
}
CHANGES = {"write", "truncate", "sync", "delete"}
BATCHES = 10


class Fails:
    """A plan: the call with this number fails, and for a lasting kind every change after it."""

    def __init__(self, number: int, kind: Kind) -> None:
        self.number, self.kind = number, kind
        self.calls: list[tuple[Call, str]] = []
        self.hit = ""
        self.mended = False

    def __call__(self, call: Call, name: str) -> None:
        self.calls.append((call, name))
        at = len(self.calls) - 1
        due = at == self.number or (at > self.number and self.kind != "an error" and call in CHANGES)
        if not due or self.mended or (self.kind == "no space from then on" and call not in ("write", "sync")):
            return
        self.hit = self.hit or f"{call} of {name or 'the folder'}"
        full = self.kind == "no space from then on"
        raise apsw.exception_for(apsw.SQLITE_FULL if full and call == "write" else CODES[call])


class Told(Struct):
    """What a life of the journal said. ``refused``: by the name of the error, with where it was."""

    acknowledged: int = 0
    refused: list[tuple[str, str]] = []


def live(place: Path, work: Work, plan: Fails) -> Told:
    """Open, append, stop, open, append, close; the disk is mended after the first refusal was looked at."""
    told = Told()
    put(place, {})
    with Disk(place, plan=plan) as disk:
        journal = SqliteJournal(place / NAME, driver=disk.driver, open_head=disk.open_head)
        half = BATCHES // 2
        for batches in (work.batches[:half], work.batches[half:BATCHES]):
            open_in_spite(journal, plan, told)
            for batch in batches:
                append_in_spite(journal, batch, plan, told)
            journal.close()
    return told


def open_in_spite(journal: SqliteJournal, plan: Fails, told: Told) -> None:
    try:
        journal.open()
    except JournalError as error:
        told.refused.append(("open", type(error).__name__))
        plan.mended = True
        with pytest.raises(JournalError, match="closed"):
            journal.tail()
        assert journal.open().last == told.acknowledged


def append_in_spite(journal: SqliteJournal, batch: Batch, plan: Fails, told: Told) -> None:
    last = batch.rows[-1].gid
    try:
        journal.append(batch)
    except JournalError as error:
        told.refused.append(("append", type(error).__name__))
        typed = isinstance(error, JournalFull) or plan.hit.startswith(("open", "delete"))
        assert typed, plan.hit
        tail = journal.tail()  # reads go on, on the disk as it is
        assert tail in (told.acknowledged, last)
        assert [row.gid for row in journal.rows(limit=last + 1)] == list(range(1, tail + 1))
        if plan.kind != "an error" and tail != last:
            again(journal, batch, told, tail)
        plan.mended = True
        tail = journal.tail()
        if tail == last:  # it went in and said that it did not: to bring it again is refused
            with pytest.raises(JournalError, match="does not follow"):
                journal.append(batch)
        else:
            journal.append(batch)
    assert journal.tail() == last
    told.acknowledged = last


def again(journal: SqliteJournal, batch: Batch, told: Told, tail: int) -> None:
    """While the disk is still broken: refused once more, and still readable."""
    try:
        journal.append(batch)
    except JournalError as error:
        told.refused.append(("again", type(error).__name__))
        assert [row.gid for row in journal.rows(limit=tail + 1)][: told.acknowledged] == list(
            range(1, told.acknowledged + 1)
        )


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """Where the disks are."""
    with tempfile.TemporaryDirectory(dir=memory()) as name:
        yield Path(name) / "disk"


@pytest.mark.parametrize("kind", ["an error", "errors from then on", "no space from then on"])
def test_at_every_call_a_failing_disk_is_refused_read_and_gone_on_with(place: Path, kind: Kind) -> None:
    undisturbed = Fails(-2, "an error")
    assert live(place, work(0), undisturbed).refused == []
    calls = undisturbed.calls
    assert {call for call, _ in calls} == CODES.keys()
    seen: Counter[tuple[str, str]] = Counter()
    for number in range(len(calls)):
        plan = Fails(number, kind)
        try:
            told = live(place, work(0), plan)
            check(place, work(0), told.acknowledged, going_on=True)
        except BaseException as error:
            error.add_note(f"{kind} at call {number} of {len(calls)}: {plan.hit}")
            raise
        assert told.acknowledged == work(0).folds[BATCHES].last
        seen.update(told.refused)
    print(len(calls), "calls;", dict(seen))
    assert seen["append", "JournalFull"] > 20
    assert seen["open", "JournalFull"] > 20
    assert (seen["again", "JournalFull"] > 10) == (kind != "an error")


def test_a_journal_that_acknowledges_in_spite_of_an_error_is_caught(place: Path) -> None:
    """The control: the same sweep over a journal that takes every error for a success."""

    class Careless(SqliteJournal):
        def append(self, batch: Batch) -> None:
            try:
                super().append(batch)
            except JournalFull:
                self._tail = type(self._tail)(batch.rows[-1].gid, batch.rows[-1].at, b"?" * 16)

    plan = Fails(0, "an error")
    put(place, {})
    caught = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "SqliteJournal", Careless)
        undisturbed = Fails(-2, "an error")
        live(place, work(0), undisturbed)
        writes = [n for n, (call, name) in enumerate(undisturbed.calls) if (call, name) == ("sync", f"{NAME}-wal")]
        for number in writes:
            plan = Fails(number, "an error")
            try:
                check(place, work(0), live(place, work(0), plan).acknowledged, going_on=False)
            except AssertionError:
                caught += 1
    assert caught > len(writes) // 2
