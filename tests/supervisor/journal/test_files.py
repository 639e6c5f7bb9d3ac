"""What a journal lies in: one file with one name. Everything else is refused before anything is touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.contracts.author import Author
from understudy.protocols.errors import JournalError
from understudy.supervisor.journal.files import COMPANIONS, BadTarget, refuse_target
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
