"""Whatever is done to a journal in whatever order, it holds what a list and three dicts would hold.

Both back-ends go through the same steps, side by side with the model (``journals``): appends good and wrong, the same one again, a failure
of which nobody knows whether it wrote, callers that are cancelled, snapshots, a death of the process (its files as they are at that moment,
taken by another process), closing and opening. Where batches hold what their rows say (``told``), also backups under load, and files and
events of older versions. CI runs a fixed set of sequences; ``make soak`` many more, drawn anew.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests import soak
from tests.properties import tally
from tests.properties.journals import Journals
from tests.properties.told import Told
from understudy.protocols.journal import Batch, Snapshot
from understudy.supervisor.journal import backup as backups
from understudy.supervisor.journal import migrate, writer
from understudy.supervisor.journal.audit import Progress
from understudy.supervisor.journal.driver import Connection, Driver
from understudy.supervisor.journal.memory import MemoryJournal
from understudy.supervisor.journal.reader import JournalReader
from understudy.supervisor.journal.sqlite import SqliteJournal

FIXED = settings(
    stateful_step_count=60 if soak.FACTOR else 20,
    derandomize=not soak.FACTOR,
    print_blob=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
Journals.TestCase.settings = settings(FIXED, max_examples=soak.count("sequences"))
Told.TestCase.settings = settings(FIXED, max_examples=soak.count("told"))
Journals.progress = soak.Progress("sequences", soak.count("sequences"))
Told.progress = soak.Progress("told", soak.count("told"))
TestJournals = Journals.TestCase
TestTold = Told.TestCase


def _forgets_a_closing(patch: pytest.MonkeyPatch) -> None:
    def write(self: MemoryJournal, batch: Batch) -> None:
        plain(self, msgspec.structs.replace(batch, timers_closed=batch.timers_closed[:1]))

    plain = MemoryJournal._write
    patch.setattr(MemoryJournal, "_write", write)


def _keeps_an_older_snapshot(patch: pytest.MonkeyPatch) -> None:
    def put(self: SqliteJournal, snapshots: tuple[Snapshot, ...]) -> None:
        plain(self, tuple(s for s in snapshots if self.snapshot(s.address) is None))

    plain = SqliteJournal.put_snapshots
    patch.setattr(SqliteJournal, "put_snapshots", put)


def _answers_from_memory_what_only_the_medium_knows(patch: pytest.MonkeyPatch) -> None:
    """A cancelled append is said to be out, and it is in."""

    def tail(self: SqliteJournal) -> int:
        return self._tail.gid

    patch.setattr(SqliteJournal, "tail", tail)


def _lets_go_of_an_append_under_way(patch: pytest.MonkeyPatch) -> None:
    async def plain(work: Coroutine[Any, Any, Any]) -> Any:
        return await work

    patch.setattr(writer, "_to_the_end", plain)


def _copies_an_older_picture(patch: pytest.MonkeyPatch) -> None:
    """A backup that misses the tail, and is whole in itself."""

    def copy(driver: Driver, reader: JournalReader, partial: Path, tell: Progress) -> None:
        first = reader.path.with_name("first")
        if not first.exists():
            plain(driver, reader, first, tell)
        shutil.copyfile(first, partial)

    plain = backups._copy
    patch.setattr(backups, "_copy", copy)


def _copies_pages_of_several_pictures(patch: pytest.MonkeyPatch) -> None:
    """Without its transaction, a copy takes up what is appended meanwhile."""

    class Loose:
        def __init__(self, connection: Connection) -> None:
            self._connection = connection

        def execute(self, sql: str, *more: Any) -> Any:
            return None if sql in ("BEGIN", "ROLLBACK") else self._connection.execute(sql, *more)

        def backup(self, target: Connection, **more: Any) -> None:
            self._connection.backup(target, **more)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]

    class Reader:
        def __init__(self, reader: JournalReader) -> None:
            self.path, self._reader = reader.path, reader

        def read(self, question: Callable[[Any], Any]) -> Any:
            return self._reader.read(lambda connection: question(Loose(connection)))

    def copy(driver: Driver, reader: JournalReader, partial: Path, tell: Progress) -> None:
        plain(driver, cast("JournalReader", Reader(reader)), partial, tell)

    plain = backups._copy
    patch.setattr(backups, "_copy", copy)


def _migrates_all_but_the_last_row_of_a_step(patch: pytest.MonkeyPatch) -> None:
    def fill(connection: Connection, after: int, upto: int) -> None:
        plain(connection, after, upto - 1)

    plain = migrate._fill
    patch.setattr(migrate, "_fill", fill)


def _goes_on_behind_where_it_was_cut_off(patch: pytest.MonkeyPatch) -> None:
    """Nobody who is not interrupted would notice."""

    def came_to(connection: Connection, gid: int) -> None:
        plain(connection, gid + 1)

    plain = migrate._came_to
    patch.setattr(migrate, "_came_to", came_to)


def _leaves_out_an_upcaster(patch: pytest.MonkeyPatch) -> None:
    def renamed(data: dict[str, Any]) -> dict[str, Any]:
        return {"cents": data["euros"]}

    for kind in (tally.Paid2, tally.Received):
        patch.setitem(kind.__upcasters__, 1, renamed)


Plant = Callable[[pytest.MonkeyPatch], None]

BUGS: dict[Plant, tuple[type[Journals], str | None]] = {
    _forgets_a_closing: (Journals, None),
    _keeps_an_older_snapshot: (Journals, None),
    _answers_from_memory_what_only_the_medium_knows: (Journals, "told something else"),
    _lets_go_of_an_append_under_way: (Journals, "still under way"),
    _copies_an_older_picture: (Told, "no exact prefix"),
    _copies_pages_of_several_pictures: (Told, "no exact prefix"),
    _migrates_all_but_the_last_row_of_a_step: (Told, "tables are not what"),
    _goes_on_behind_where_it_was_cut_off: (Told, "tables are not what"),
    _leaves_out_an_upcaster: (Told, "the state of"),
}
"""Mistakes that somebody could make, which machine finds each, and how."""


@pytest.mark.parametrize("bug", BUGS, ids=[bug.__name__.strip("_") for bug in BUGS])
def test_a_journal_that_is_wrong_is_found(bug: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    bug(monkeypatch)
    machine, how = BUGS[bug]
    monkeypatch.setattr(machine, "progress", None)
    sought = settings(
        FIXED,
        max_examples=300,
        stateful_step_count=20,
        derandomize=True,
        phases=[Phase.generate],
        print_blob=False,
        report_multiple_bugs=False,
    )
    with pytest.raises(AssertionError, match=how):
        run_state_machine_as_test(machine, settings=sought)
