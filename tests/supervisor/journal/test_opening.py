"""What may be opened, what is refused, and that what is refused stays as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.author import Author
from tests.supervisor.journal.process import AS_NOBODY, public_folder, run
from understudy.protocols.errors import JournalDamaged, JournalError, JournalNewer
from understudy.protocols.journal import FORMAT
from understudy.supervisor.journal.driver import choose
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.schema import APPLICATION_ID
from understudy.supervisor.journal.sqlite import SqliteJournal

NEWER = """
from understudy.supervisor.journal.driver import choose
journal = SqliteJournal(path); journal.open(); journal.append(Author().batch()); journal.close()
connection = choose().connect(f"file:{path}")
connection.execute("PRAGMA user_version = 99")
"""


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file, but for the lock: its bytes and the time of its last change."""
    files = (file for file in folder.iterdir() if not file.name.endswith("-lock"))
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in files}


def made(path: Path) -> None:
    """A journal of one row, closed."""
    journal = SqliteJournal(path)
    journal.open()
    journal.append(Author().batch())
    journal.close()


def test_a_journal_is_a_sqlite_file_that_says_so(tmp_path: Path) -> None:
    made(tmp_path / "desk.db")
    with read_only(tmp_path / "desk.db") as reader:
        assert reader.query("PRAGMA application_id") == [(APPLICATION_ID,)]
        assert reader.query("PRAGMA user_version") == [(FORMAT,)]
        assert reader.query("PRAGMA integrity_check") == [("ok",)]


def test_pragmas_are_what_the_connection_says_of_itself(tmp_path: Path) -> None:
    for durability, level in (("power_loss", "2"), ("process_crash", "1")):
        journal = SqliteJournal(tmp_path / "desk.db", durability=durability)  # type: ignore[arg-type]
        journal.open()
        assert journal.pragmas()["synchronous"] == level
        assert journal.pragmas()["journal_mode"] == "wal"
        journal.close()


@pytest.mark.parametrize("end", ["connection.close()", "os._exit(0)"], ids=["in the file", "in its log"])
def test_a_newer_format_is_refused_and_untouched(tmp_path: Path, end: str) -> None:
    path = tmp_path / "desk.db"
    run(NEWER + end, path)
    before = snapshot(tmp_path)
    with pytest.raises(JournalNewer, match="format 99"):
        SqliteJournal(path).open()
    after = snapshot(tmp_path)
    before.pop("desk.db-shm", None)  # SQLite's own map of the log: locks, no data
    after.pop("desk.db-shm", None)
    assert after == before
    assert (tmp_path / "desk.db-lock").exists()
    with pytest.raises(JournalNewer):
        read_only(path)


def test_a_file_that_is_no_database_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_text('{"call": 1}\n' * 1_000)
    before = snapshot(tmp_path)
    with pytest.raises(JournalDamaged, match="not a database"):
        SqliteJournal(path).open()
    with pytest.raises(JournalDamaged):
        read_only(path)
    assert snapshot(tmp_path) == before


def test_another_programs_database_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "photos.db"
    connection = choose().connect(f"file:{path}")
    connection.execute("CREATE TABLE photos (name TEXT)")
    connection.close()
    before = snapshot(tmp_path)
    with pytest.raises(JournalDamaged, match="not a journal"):
        SqliteJournal(path).open()
    with pytest.raises(JournalDamaged):
        read_only(path)
    assert snapshot(tmp_path) == before


def test_an_empty_file_becomes_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    path.touch()
    made(path)
    with read_only(path) as reader:
        assert len(reader.rows()) == 1


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no folder"):
        SqliteJournal(tmp_path / "nowhere" / "desk.db").open()
    with pytest.raises(JournalError, match="no journal"):
        read_only(tmp_path / "desk.db")


def test_a_creation_that_was_cut_off_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    connection = choose().connect(f"file:{path}")
    connection.execute("PRAGMA journal_mode = wal").fetchall()
    connection.close()
    assert path.stat().st_size > 0
    made(path)


OPENS = """
try:
    SqliteJournal(path).open()
except JournalReadOnly as error:
    say("read-only")
"""


def test_a_read_only_file_is_refused(tmp_path: Path) -> None:
    with public_folder() as folder:
        path = folder / "desk.db"
        run(AS_NOBODY + "journal = SqliteJournal(path); journal.open(); journal.append(Author().batch())", path)
        path.chmod(0o444)
        assert run(AS_NOBODY + OPENS, path) == ["read-only"]


def test_a_folder_that_cannot_be_written_is_refused_and_can_be_read(tmp_path: Path) -> None:
    with public_folder() as folder:
        path = folder / "desk.db"
        assert run(AS_NOBODY + "os.chmod(os.path.dirname(path), 0o555)" + OPENS, path) == ["read-only"]
        folder.chmod(0o755)
        run(
            AS_NOBODY
            + "journal = SqliteJournal(path); journal.open(); journal.append(Author().batch()); journal.close()",
            path,
        )
        folder.chmod(0o555)
        (folder / "desk.db-lock").chmod(0o444)
        reads = "with read_only(path) as reader: say(len(reader.rows()))"
        assert run(AS_NOBODY + OPENS, path) == ["read-only"]
        assert run(AS_NOBODY + reads, path) == ["1"]
        folder.chmod(0o755)
