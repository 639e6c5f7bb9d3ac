"""What a journal lies in: one file with one name. Everything else is refused before anything is touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.contracts.author import Author
from tests.supervisor.journal.process import run
from tests.supervisor.journal.test_head import DIES
from understudy.protocols.errors import JournalDamaged, JournalError, UnderstudyError
from understudy.supervisor.journal.backup import backup
from understudy.supervisor.journal.driver import choose
from understudy.supervisor.journal.files import COMPANIONS, BadTarget, refuse_target, remove_stale
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.retention import retain
from understudy.supervisor.journal.sqlite import SqliteJournal


def made(path: Path, rows: int = 1) -> Path:
    """A journal that was closed."""
    journal = SqliteJournal(path)
    journal.open()
    author = Author()
    for _ in range(rows):
        journal.append(author.batch())
    journal.close()
    return path


def files(folder: Path) -> dict[str, bytes]:
    """What is there."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_file_with_a_second_name_has_no_owner_under_either(tmp_path: Path) -> None:
    one, two = made(tmp_path / "one.db"), tmp_path / "two.db"
    two.hardlink_to(one)
    before = files(tmp_path)
    for name in (one, two):
        with pytest.raises(JournalError, match=r"2 names \(hard links\)"):
            SqliteJournal(name).open()
        with pytest.raises(JournalError, match=r"2 names \(hard links\)"):
            retain(name)
    assert files(tmp_path) == before
    two.unlink()
    SqliteJournal(one).open()


@pytest.mark.parametrize("kind", ["a named pipe", "a folder", "a device"])
def test_what_is_no_file_is_neither_opened_nor_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "desk.db"
    match kind:
        case "a named pipe":
            os.mkfifo(path)
        case "a folder":
            path.mkdir()
        case _:
            path.symlink_to("/dev/null")
    refusal = f"is {kind}, and a journal is a file"
    with pytest.raises(JournalError, match=refusal):
        SqliteJournal(path).open()
    with pytest.raises(JournalError, match=refusal):
        read_only(path)
    with pytest.raises(JournalError, match=refusal):
        retain(path)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("suffix", ["", *COMPANIONS])
@pytest.mark.parametrize("there", [True, False])
def test_a_journal_and_what_belongs_to_it_is_no_target_under_any_name(tmp_path: Path, suffix: str, there: bool) -> None:
    path = tmp_path / "desk.db"
    mine = path.with_name(path.name + suffix)
    (tmp_path / "soft").symlink_to(mine)
    names = [mine, tmp_path / "soft"]
    if there:
        mine.write_text("mine")
        (tmp_path / "hard").hardlink_to(mine)
        names.append(tmp_path / "hard")
    for name in names:
        for journal in (True, False):
            with pytest.raises(BadTarget):
                refuse_target(name, path, journal=journal)
    refuse_target(tmp_path / "other.db", path, journal=True)


@pytest.mark.parametrize("database", ["a page", "nothing", "absent"])
def test_no_journal_is_begun_over_a_log_that_held_one(tmp_path: Path, database: str) -> None:
    path, log = tmp_path / "desk.db", tmp_path / "desk.db-wal"
    run(DIES, path)
    (tmp_path / "desk.db-head").unlink()
    if database == "a page":
        data = bytearray(log.read_bytes())
        data[24] ^= 1  # the checksum of its header: SQLite takes it for no log at all
        log.write_bytes(data)
    elif database == "nothing":
        os.truncate(path, 0)
    else:
        path.unlink()
    (tmp_path / "desk.db-lock").unlink()
    (tmp_path / "desk.db-shm").unlink(missing_ok=True)
    before = files(tmp_path)
    with pytest.raises(JournalDamaged, match=r"desk\.db-wal"):
        SqliteJournal(path).open()
    assert {name: data for name, data in files(tmp_path).items() if not name.endswith("-shm")} == before


def test_a_creation_that_was_killed_within_its_first_commit_is_begun_again(tmp_path: Path) -> None:
    path, log = tmp_path / "desk.db", tmp_path / "desk.db-wal"
    run("os_kill = __import__('os')._exit; journal = SqliteJournal(path); journal.open(); os_kill(0)", path)
    (tmp_path / "desk.db-head").unlink()
    log.write_bytes(log.read_bytes()[:-100])
    SqliteJournal(path).open()


def test_a_journal_that_lacks_what_was_acknowledged_says_so_to_readers_and_gives_no_backup(tmp_path: Path) -> None:
    path = made(tmp_path / "desk.db", 3)
    with read_only(path) as reader:
        assert reader.lost() == ""
    connection = choose().connect(f"file:{path}")
    connection.execute("DELETE FROM rows WHERE gid = 3")
    connection.close()
    with read_only(path) as reader:
        assert "ends at row 2, but row 3 had been acknowledged: 1 rows are lost" in reader.lost()
    with pytest.raises(JournalDamaged, match="1 rows are lost; a copy would hide that"):
        backup(path, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


def test_retention_makes_no_journal_and_wants_a_number_of_days(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    path.touch()
    with pytest.raises(JournalDamaged, match="is empty"):
        retain(path)
    assert files(tmp_path) == {"desk.db": b""}
    real = made(tmp_path / "real.db")
    for days in (float("nan"), float("inf"), -1.0):
        with pytest.raises(UnderstudyError, match="is no time"):
            retain(real, days=days)


def test_what_a_killed_backup_left_is_removed_by_the_next_and_a_living_ones_is_not(tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    (dead,) = map(int, run("say(__import__('os').getpid())", tmp_path / "other.db"))
    stale = [tmp_path / f"copy.db.{dead}.partial{suffix}" for suffix in ("", "-journal")]
    others = [
        tmp_path / f"copy.db.{os.getppid()}.partial",
        tmp_path / f"copy.db.{dead}.partial.txt",
        tmp_path / f"b.{dead}.partial",
    ]
    for path in (*stale, *others):
        path.touch()
    remove_stale(copy)
    assert not any(path.exists() for path in stale)
    assert all(path.exists() for path in others)


def test_an_empty_log_without_its_shared_memory_is_no_obstacle_to_readers(tmp_path: Path) -> None:
    path = made(tmp_path / "desk.db", 2)
    (tmp_path / "desk.db-wal").touch()
    (tmp_path / "desk.db-shm").mkdir()  # nobody can open or make it, as on a full disk
    with read_only(path) as reader:
        assert len(reader.rows()) == 2
