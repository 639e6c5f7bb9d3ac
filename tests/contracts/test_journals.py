"""Every journal passes the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.author import Author
from tests.contracts.journal import JournalContract, Medium
from understudy.protocols.errors import JournalError, JournalFull
from understudy.supervisor.journal.driver import standard_library
from understudy.supervisor.journal.memory import MemoryJournal
from understudy.supervisor.journal.sqlite import SqliteJournal


class TestMemoryJournal(JournalContract):
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
    @pytest.fixture
    def medium(self, tmp_path: Path) -> Medium:
        return lambda: SqliteJournal(tmp_path / "desk.db")


class TestSqliteJournalThatSurvivesProcessesOnly(JournalContract):
    @pytest.fixture
    def medium(self, tmp_path: Path) -> Medium:
        return lambda: SqliteJournal(tmp_path / "desk.db", durability="process_crash")


class TestSqliteJournalOnTheStandardLibrary(JournalContract):
    """What runs where pysqlite3 has no wheel."""

    @pytest.fixture
    def medium(self, tmp_path: Path) -> Medium:
        return lambda: SqliteJournal(tmp_path / "desk.db", driver=standard_library())
