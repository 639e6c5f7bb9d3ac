"""Every journal passes the contract."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.contracts.author import Author
from tests.contracts.journal import JournalContract, Medium
from understudy.protocols.errors import JournalError, JournalFull
from understudy.protocols.journal import Batch, JournalCore, Opened
from understudy.supervisor.journal.driver import standard_library
from understudy.supervisor.journal.memory import MemoryJournal
from understudy.supervisor.journal.sqlite import SqliteJournal


def die(core: JournalCore) -> None:
    """What the operating system does at a process's death: its descriptors, and with them its lock, are gone."""
    assert isinstance(core, SqliteJournal)
    fd, core._lock._fd = core._lock._fd, -1
    os.close(fd)
    assert core._connection is not None
    dead.append(core._connection)  # neither closed nor collected, which would close it


dead: list[object] = []


class TestMemoryJournal(JournalContract):
    survives = False

    @pytest.fixture
    def medium(self) -> Medium:
        journal = MemoryJournal()
        return lambda: journal

    def test_a_fault_before_the_write_leaves_nothing(self) -> None:
        journal = MemoryJournal(fail_before=lambda batch: JournalFull("no space"))
        journal.open()
        with pytest.raises(JournalFull):
            journal.append(Author().batch())
        assert journal.tail() == 0

    def test_a_fault_after_the_write_leaves_it_written(self) -> None:
        journal = MemoryJournal(fail_after=lambda batch: JournalError("nobody knows"))
        journal.open()
        with pytest.raises(JournalError):
            journal.append(Author().batch())
        assert journal.tail() == 1

    def test_its_seed_can_be_given(self) -> None:
        assert MemoryJournal(seed="s").open().seed == "s"


class TestSqliteJournal(JournalContract):
    die = staticmethod(die)

    @pytest.fixture
    def medium(self, tmp_path: Path) -> Medium:
        return lambda: SqliteJournal(tmp_path / "desk.db")


class TestSqliteJournalThatSurvivesProcessesOnly(JournalContract):
    die = staticmethod(die)

    @pytest.fixture
    def medium(self, tmp_path: Path) -> Medium:
        return lambda: SqliteJournal(tmp_path / "desk.db", durability="process_crash")


class TestSqliteJournalOnTheStandardLibrary(JournalContract):
    """What runs where pysqlite3 has no wheel."""

    die = staticmethod(die)

    @pytest.fixture
    def medium(self, tmp_path: Path) -> Medium:
        return lambda: SqliteJournal(tmp_path / "desk.db", driver=standard_library())


class Lazy(MemoryJournal):
    """Control: what is appended comes to the medium only when it is closed."""

    def __init__(self, store: dict[str, object]) -> None:
        super().__init__(seed="a" * 32)
        self._store = store

    def open(self) -> Opened:
        vars(self).update(self._store)
        return super().open()

    def close(self) -> None:
        super().close()
        self._store.update((name, value) for name, value in vars(self).items() if name != "_store")


class Hasty(MemoryJournal):
    """Control: mail is open before it is known whether its batch is taken."""

    def append(self, batch: Batch) -> None:
        self._mail.update((m.envelope.id, m) for m in batch.mail)
        super().append(batch)


class Forgetful(MemoryJournal):
    """Control: rows lose a field."""

    def append(self, batch: Batch) -> None:
        super().append(batch)
        for n in range(len(self._rows) - len(batch.rows), len(self._rows)):
            row = self._rows[n] = msgspec.structs.replace(self._rows[n], incarnation=0)
            self._streams[row.stream][row.seq - 1] = row


def lazy() -> Medium:
    store: dict[str, object] = {}
    return lambda: Lazy(store)


def over(made: Callable[[], MemoryJournal]) -> Medium:
    journal = made()
    return lambda: journal


def test_the_contract_finds_a_journal_that_writes_when_it_is_closed() -> None:
    with pytest.raises(AssertionError):
        JournalContract().test_what_was_appended_is_there_after_a_death_without_a_close(lazy())


@pytest.mark.parametrize("ends", ["closed", "told again"])
def test_the_contract_finds_a_journal_that_keeps_mail_of_a_refused_batch(ends: str) -> None:
    medium = over(Hasty)
    (core := medium()).open()
    with pytest.raises(AssertionError):
        JournalContract().test_a_batch_that_is_refused_leaves_what_is_open_as_it_was(core, medium, ends)


def test_the_contract_finds_a_journal_that_loses_a_field_of_a_row() -> None:
    medium = over(Forgetful)
    (core := medium()).open()
    with pytest.raises(AssertionError):
        JournalContract().test_every_field_of_a_row_is_read_as_it_was_written(core, medium)
