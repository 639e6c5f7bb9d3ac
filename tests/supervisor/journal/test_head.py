"""The head sees a tail that was lost, and nothing else stops an open."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.contracts.author import ADA, Author
from tests.supervisor.journal.process import run
from tests.supervisor.journal.test_opening import snapshot
from understudy.protocols.errors import JournalDamaged
from understudy.supervisor.journal.driver import choose
from understudy.supervisor.journal.head import OsHeadFile, head_path, read
from understudy.supervisor.journal.sqlite import SqliteJournal

DIES = """
journal = SqliteJournal(path); journal.open(); author = Author()
for _ in range(5):
    journal.append(author.batch())
os._exit(0)
"""


def made(path: Path, count: int = 5) -> None:
    """A closed journal of some commits."""
    journal, author = SqliteJournal(path), Author()
    journal.open()
    for _ in range(count):
        journal.append(author.batch())
    journal.close()


def change(path: Path, sql: str) -> None:
    """Change the file behind the journal's back."""
    connection = choose().connect(f"file:{path}")
    connection.execute(sql)
    connection.close()


def test_a_closed_journals_head_says_all_of_it_is_acknowledged(tmp_path: Path) -> None:
    made(tmp_path / "desk.db")
    record = read(head_path(tmp_path / "desk.db"))
    assert record is not None
    assert (record.acked.gid, record.intended.gid, record.strict) == (5, 5, True)


def test_after_a_crash_the_head_may_be_behind_and_that_is_normal(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    run(DIES, path)
    record = read(head_path(path))
    assert record is not None
    assert (record.acked.gid, record.intended.gid) == (4, 5)
    journal = SqliteJournal(path)
    opened = journal.open()
    assert (opened.last, opened.warnings) == (5, ())
    journal.append(Author(5, {ADA: 5}).batch())
    journal.close()


def test_a_lost_tail_stops_the_open_with_a_report_and_nothing_is_touched(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    made(path)
    change(path, "DELETE FROM rows WHERE gid > 3")
    before = snapshot(tmp_path)
    with pytest.raises(JournalDamaged, match="ends at row 3, but row 5 had been acknowledged: 2 rows are lost"):
        SqliteJournal(path).open()
    assert snapshot(tmp_path) == before


def test_a_lost_write_ahead_log_stops_the_open(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    run(DIES, path)
    (tmp_path / "desk.db-wal").unlink()
    with pytest.raises(JournalDamaged, match="acknowledged"):
        SqliteJournal(path).open()


def test_a_flipped_bit_in_the_write_ahead_log_stops_the_open(tmp_path: Path) -> None:
    path, log = tmp_path / "desk.db", tmp_path / "desk.db-wal"
    run(DIES, path)
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 1  # SQLite drops everything from there on and says nothing
    log.write_bytes(data)
    with pytest.raises(JournalDamaged, match="acknowledged"):
        SqliteJournal(path).open()


def test_a_lost_database_stops_the_open_while_its_head_is_there(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    made(path)
    path.unlink()
    with pytest.raises(JournalDamaged, match="5 rows are lost"):
        SqliteJournal(path).open()
    assert not path.exists()
    head_path(path).unlink()
    made(path)


def test_another_journal_in_its_place_stops_the_open(tmp_path: Path) -> None:
    path, other = tmp_path / "desk.db", tmp_path / "other.db"
    made(path)
    made(other)
    shutil.copyfile(other, path)
    with pytest.raises(JournalDamaged, match="another hash"):
        SqliteJournal(path).open()


def test_a_missing_head_is_warned_about_once(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    made(path)
    head_path(path).unlink()
    journal = SqliteJournal(path)
    (warning,) = journal.open().warnings
    assert "desk.db-head is missing" in warning
    journal.close()
    assert journal.open().warnings == ()
    journal.close()


@pytest.mark.parametrize("slot", [0, 1])
def test_a_torn_slot_leaves_the_other_one(tmp_path: Path, slot: int) -> None:
    path = tmp_path / "desk.db"
    made(path)
    head = head_path(path)
    data = bytearray(head.read_bytes())
    data[slot * 4096 + 20] ^= 0xFF
    head.write_bytes(data)
    record = read(head)
    assert record is not None
    assert record.acked.gid in {4, 5}
    journal = SqliteJournal(path)
    assert journal.open().warnings == ()
    journal.close()


def test_a_head_without_a_whole_slot_is_as_good_as_none(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    made(path)
    head_path(path).write_bytes(b"\0" * 9_000)
    journal = SqliteJournal(path)
    assert "unreadable" in journal.open().warnings[0]
    journal.close()


def test_loss_under_process_crash_durability_is_warned_about(tmp_path: Path) -> None:
    path, author = tmp_path / "desk.db", Author()
    journal = SqliteJournal(path, durability="process_crash")
    journal.open()
    journal.append(author.batch(5))
    journal.close()
    change(path, "DELETE FROM rows WHERE gid > 3")
    (warning,) = journal.open().warnings
    assert "ends at row 3" in warning
    journal.append(Author(3, {ADA: 3}).batch())
    journal.close()
    assert journal.open().warnings == ()
    journal.close()


def test_a_head_that_cannot_be_written_loses_no_row_and_is_reported(tmp_path: Path) -> None:
    class Breaks(OsHeadFile):
        left = 3

        def write(self, data: bytes, offset: int) -> None:
            self.left -= 1
            if self.left < 0:
                raise OSError(5, "Input/output error")
            super().write(data, offset)

    path, author = tmp_path / "desk.db", Author()
    journal = SqliteJournal(path, open_head=Breaks)
    journal.open()
    for _ in range(6):
        journal.append(author.batch())
    (warning,) = journal.warnings
    assert "cannot be written" in warning
    journal.close()
    assert SqliteJournal(path).open().last == 6
