"""A backup is an exact prefix of its journal, verified, and there as a whole or not at all."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest

from tests.contracts.author import ADA, Author, line
from tests.contracts.journal import same
from tests.supervisor.journal.process import heard, running
from understudy.protocols.envelope import Context
from understudy.protocols.errors import JournalDamaged, JournalError, JournalHeld
from understudy.protocols.journal import Batch, Row
from understudy.supervisor.journal.backup import BackedUp, backup
from understudy.supervisor.journal.driver import choose
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.sqlite import SqliteJournal


def lined(author: Author, count: int) -> Batch:
    """Rows as a kernel writes them, with where their actor stands."""
    rows = author.rows(count)
    last = rows[-1]
    stands = line(ADA, last.seq, at=last.at, turns=last.seq)
    return Batch(rows, actors=(msgspec.structs.replace(stands, context=Context()),))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed journal of 500 rows."""
    journal = SqliteJournal(tmp_path / "desk.db")
    journal.open()
    journal.append(lined(Author(), 500))
    journal.close()
    return tmp_path / "desk.db"


def rows_of(path: Path) -> tuple[Row, ...]:
    """All rows."""
    with read_only(path) as reader:
        return reader.rows(limit=1_000_000)


def files(folder: Path) -> set[str]:
    """Names in a folder."""
    return {file.name for file in folder.iterdir()}


def test_a_backup_holds_the_same_rows_and_can_be_run(path: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    copy = tmp_path / "kept" / "copy.db"
    before = files(tmp_path)
    made = backup(path, copy)
    assert (made.rows, made.bytes, made.audit.whole) == (500, copy.stat().st_size, True)
    assert files(tmp_path) == before
    assert files(tmp_path / "kept") == {"copy.db", "copy.db-head"}
    assert same(rows_of(copy), rows_of(path))
    journal = SqliteJournal(copy)
    opened = journal.open()
    assert (opened.last, opened.warnings) == (500, ())
    journal.append(lined(Author(500, {ADA: 500}), 1))
    journal.close()


def test_the_head_of_a_copy_sees_what_is_lost_at_its_end(path: Path, tmp_path: Path) -> None:
    backup(path, tmp_path / "copy.db")
    connection = choose().connect(f"file:{tmp_path / 'copy.db'}")
    connection.execute("DELETE FROM rows WHERE gid = 500")
    connection.close()
    with pytest.raises(JournalDamaged, match="500"):
        SqliteJournal(tmp_path / "copy.db").open()


def test_while_an_owner_writes_each_backup_is_an_exact_prefix(path: Path, tmp_path: Path) -> None:
    made = list[BackedUp]()
    failed = list[BaseException]()

    def copies() -> None:
        try:
            for n in range(5):
                made.append(backup(path, tmp_path / f"copy-{n}.db"))
        except BaseException as error:  # noqa: BLE001 - told to the test
            failed.append(error)

    journal, author = SqliteJournal(path), Author(500, {ADA: 500})
    journal.open()
    thread = threading.Thread(target=copies)
    thread.start()
    while thread.is_alive():
        journal.append(lined(author, 20))
    thread.join()
    journal.close()
    assert not failed
    whole = rows_of(path)
    assert len({copy.rows for copy in made}) > 1, "nothing was written meanwhile"
    for copy in made:
        assert copy.audit.whole
        assert same(rows_of(Path(copy.path)), whole[: copy.rows])


OWNS = """
journal = SqliteJournal(path); journal.open(); journal.append(Author().batch())
say("owns")
sys.stdin.readline()
"""


def test_what_another_process_owns_is_copied_but_not_replaced(path: Path, tmp_path: Path) -> None:
    with running(OWNS, tmp_path / "other.db") as process:
        assert heard(process) == "owns"
        with pytest.raises(JournalDamaged, match="streams"):  # whose rows have no line: it is no kernel that wrote them
            backup(tmp_path / "other.db", tmp_path / "copy.db")
        with pytest.raises(JournalHeld):
            backup(path, tmp_path / "other.db", force=True)
    assert len(rows_of(tmp_path / "other.db")) == 1
    assert not [name for name in files(tmp_path) if "partial" in name]


def test_nothing_is_replaced_unless_it_is_forced(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    backup(path, copy)
    journal = SqliteJournal(path)
    journal.open()
    journal.append(lined(Author(500, {ADA: 500}), 1))
    journal.close()
    with pytest.raises(JournalError, match="there already"):
        backup(path, copy)
    with pytest.raises(JournalError, match="the journal itself"):
        backup(path, path, force=True)
    with pytest.raises(JournalError, match="no folder"):
        backup(path, tmp_path / "nowhere" / "copy.db")
    assert backup(path, copy, force=True).rows == 501
    journal = SqliteJournal(copy)
    assert journal.open().warnings == ()
    journal.close()


def test_a_damaged_journal_gives_no_backup_and_leaves_the_last_one(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    backup(path, copy)
    good = copy.read_bytes()
    connection = choose().connect(f"file:{path}")
    connection.execute("UPDATE rows SET cause = 'x' WHERE gid = 7")
    connection.close()
    with pytest.raises(JournalDamaged, match="rows 7"):
        backup(path, copy, force=True)
    assert copy.read_bytes() == good
    assert files(tmp_path) <= {"desk.db", "desk.db-lock", "desk.db-head", "copy.db", "copy.db-head"}
