"""The write-ahead log is bounded, also under a reader that never lets go."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.author import Author
from tests.supervisor.journal.process import heard, running
from understudy.protocols.errors import JournalFull
from understudy.supervisor.journal import log_size
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.sqlite import SqliteJournal
from understudy.supervisor.journal.verify import verify

STUCK = """
from understudy.supervisor.journal.driver import choose
connection = choose().connect(f"file:{path}?mode=ro")
connection.execute("BEGIN")
connection.execute("SELECT COUNT(*) FROM rows").fetchall()
say("reads")
sys.stdin.readline()
connection.execute("ROLLBACK")
say("let go")
sys.stdin.readline()
"""

LIMIT = 8_000_000


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that is long at eight megabytes."""
    monkeypatch.setattr(log_size, "MAX_LOG", LIMIT)
    monkeypatch.setattr(log_size, "LOOK", 200_000)


def length(path: Path) -> int:
    return path.with_name(path.name + "-wal").stat().st_size


def test_a_reader_that_never_lets_go_is_named_and_the_log_stays_bounded(tmp_path: Path) -> None:
    path, author = tmp_path / "desk.db", Author()
    journal = SqliteJournal(path)
    journal.open()
    journal.append(author.batch(10))
    with running(STUCK, path) as reader:
        assert reader.stdin is not None
        assert heard(reader) == "reads"
        acknowledged, batch = 10, author.batch(500)
        said = ""
        while not said:
            try:
                journal.append(batch)
            except JournalFull as error:
                said = str(error)
            else:
                acknowledged, batch = batch.rows[-1].gid, author.batch(500)
        if Path("/proc/locks").exists():
            assert f"process {reader.pid} reads" in said
        refused_at = length(path)
        assert LIMIT <= refused_at < LIMIT + 1_000_000
        for _ in range(3):
            with pytest.raises(JournalFull):
                journal.append(batch)
        assert length(path) == refused_at
        assert journal.tail() == acknowledged == len(journal.rows(limit=1_000_000))
        reader.stdin.write("\n")
        reader.stdin.flush()
        assert heard(reader) == "let go"
        for _ in range(100):
            journal.append(batch)
            acknowledged, batch = batch.rows[-1].gid, author.batch(500)
        assert length(path) <= refused_at
    journal.close()
    with read_only(path) as looking:
        assert verify(looking).rows == acknowledged


def test_without_the_bound_it_would_grow_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_size, "MAX_LOG", 10**12)
    path, author = tmp_path / "desk.db", Author()
    journal = SqliteJournal(path)
    journal.open()
    journal.append(author.batch(10))
    with running(STUCK, path) as reader:
        assert heard(reader) == "reads"
        for _ in range(200):
            journal.append(author.batch(500))
        assert length(path) > LIMIT + 1_000_000
    journal.close()


def test_nobody_who_reads_and_lets_go_makes_it_grow(tmp_path: Path) -> None:
    path, author = tmp_path / "desk.db", Author()
    journal = SqliteJournal(path)
    journal.open()
    longest = 0
    for _ in range(100):
        journal.append(author.batch(500))
        with read_only(path) as reader:
            reader.rows(limit=1)
        longest = max(longest, length(path))
    assert longest < LIMIT
    journal.close()
