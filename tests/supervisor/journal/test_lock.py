"""One process owns a journal, and everybody else is told which."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.contracts.author import Author
from tests.supervisor.journal.process import heard, run, running
from understudy.protocols.errors import JournalHeld
from understudy.supervisor.journal.sqlite import SqliteJournal

HOLDS = "journal = SqliteJournal(path); journal.open(); say(os.getpid()); sys.stdin.readline()"


def test_a_journal_held_by_another_process_names_it(tmp_path: Path) -> None:
    path, link = tmp_path / "desk.db", tmp_path / "link.db"
    link.symlink_to(path)
    with running(HOLDS, path) as owner:
        pid = int(heard(owner))
        for name in (path, link):
            with pytest.raises(JournalHeld, match=str(pid)) as caught:
                SqliteJournal(name).open()
            assert caught.value.pid == pid == owner.pid


def test_a_journal_held_through_a_symlink_is_held(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    path, link = tmp_path / "desk.db", tmp_path / "elsewhere" / "link.db"
    link.symlink_to(path)
    journal = SqliteJournal(link)
    journal.open()
    with pytest.raises(JournalHeld) as caught:
        SqliteJournal(path).open()
    assert caught.value.pid == os.getpid()
    journal.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["desk.db", "desk.db-head", "desk.db-lock", "elsewhere"]


def test_a_dead_owner_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    with running(HOLDS, path) as owner:
        heard(owner)
        owner.kill()
        owner.wait()
    assert str(owner.pid) in (tmp_path / "desk.db-lock").read_text()
    journal = SqliteJournal(path)
    journal.open()
    journal.close()


def test_an_owner_that_let_go_is_not_named(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "desk.db")
    journal.open()
    assert str(os.getpid()) in (tmp_path / "desk.db-lock").read_text()
    journal.close()
    assert (tmp_path / "desk.db-lock").read_text() == ""


def test_a_forked_child_does_not_hold_the_journal_of_its_dead_parent(tmp_path: Path) -> None:
    forks = """
journal = SqliteJournal(path); journal.open(); journal.append(Author().batch())
if os.fork():
    os._exit(0)
os.close(1); os.close(2)
sys.stdin.readline()
os._exit(0)
"""
    path = tmp_path / "desk.db"
    with running(forks, path) as parent:  # its child lives for as long as stdin is open
        assert heard(parent) == ""
        assert parent.wait() == 0
        journal = SqliteJournal(path)
        assert journal.open().last == 1
        journal.append(Author(1, {Author().row().stream: 1}).batch())
        journal.close()


def test_the_second_open_leaves_the_first_ones_lock_alone(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    journal = SqliteJournal(path)
    journal.open()
    for _ in range(2):
        with pytest.raises(JournalHeld):
            SqliteJournal(path).open()
    held = "try: SqliteJournal(path).open()\nexcept JournalHeld as error: say(error.pid)"
    assert run(held, path) == [str(os.getpid())]
    journal.append(Author().batch())
    journal.close()
