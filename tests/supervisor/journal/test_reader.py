"""Reading a journal that somebody else owns, or nobody."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.contracts.author import ADA, Author, effect, line, mail, timer
from tests.contracts.journal import same
from tests.supervisor.journal.process import heard, run, running
from understudy.protocols.errors import JournalError
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.sqlite import SqliteJournal


def test_everything_can_be_read_while_it_is_owned_and_after(tmp_path: Path) -> None:
    path, batch = tmp_path / "desk.db", Author().batch(3)
    journal = SqliteJournal(path)
    journal.open()
    journal.append(
        msgspec.structs.replace(
            batch, mail=(mail("1.0"),), effects=(effect("1.1"),), timers=(timer("1.2"),), actors=(line(ADA, 3),)
        )
    )
    for owned in (True, False):
        with read_only(path) as reader:
            assert same(reader.rows(), batch.rows)
            assert same(reader.stream(ADA, 1), batch.rows[1:])
            assert reader.actors("desk") == (line(ADA, 3),)
            assert [m.envelope.id for m in reader.mail()] == ["1.0"]
            assert [e.id for e in reader.effects()] == ["1.1"]
            assert [t.id for t in reader.timers()] == ["1.2"]
            assert reader.meta()["epoch"] == "0"
        if owned:
            journal.close()


def test_a_reader_sees_what_another_process_commits(tmp_path: Path) -> None:
    owner = """
journal = SqliteJournal(path); journal.open(); author = Author(); say("open")
for _ in sys.stdin:
    journal.append(author.batch()); say("appended")
"""
    path = tmp_path / "desk.db"
    with running(owner, path) as process:
        assert process.stdin is not None
        assert heard(process) == "open"
        with read_only(path) as reader:
            for count in (1, 2, 3):
                process.stdin.write("go\n")
                process.stdin.flush()
                assert heard(process) == "appended"
                assert len(reader.rows()) == count


def test_reading_a_closed_journal_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    run("journal = SqliteJournal(path); journal.open(); journal.append(Author().batch()); journal.close()", path)
    before = {file.name for file in tmp_path.iterdir()}
    with read_only(path) as reader:
        assert len(reader.rows()) == 1
        assert {file.name for file in tmp_path.iterdir()} == before
    assert {file.name for file in tmp_path.iterdir()} == before


def test_what_a_crash_left_in_the_log_is_read(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    run("journal = SqliteJournal(path); journal.open(); journal.append(Author().batch(7)); os._exit(0)", path)
    with read_only(path) as reader:
        assert len(reader.rows()) == 7


def test_a_reader_of_a_closed_journal_notices_that_somebody_began_to_write(tmp_path: Path) -> None:
    path, author = tmp_path / "desk.db", Author()
    journal = SqliteJournal(path)
    journal.open()
    journal.append(author.batch())
    journal.close()
    with read_only(path) as reader:
        assert len(reader.rows()) == 1
        journal.open()
        journal.append(author.batch())
        assert len(reader.rows()) == 2
        journal.append(author.batch())
        assert len(reader.rows()) == 3
        journal.close()
        assert len(reader.rows()) == 3


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    journal = SqliteJournal(path)
    journal.open()
    with read_only(path) as reader, pytest.raises(JournalError):
        reader.query("UPDATE meta SET value = 'x'")
    journal.close()
    with read_only(path) as reader, pytest.raises(JournalError):
        reader.query("UPDATE meta SET value = 'x'")


def test_a_closed_reader_says_so(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    journal = SqliteJournal(path)
    journal.open()
    journal.close()
    reader = read_only(path)
    reader.close()
    reader.close()
    with pytest.raises(JournalError, match="closed"):
        reader.rows()
