"""The chain finds what SQLite's own check does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.author import ADA, BOB, Author
from tests.supervisor.journal.test_head import change
from understudy.protocols.journal import Batch, Record
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.sqlite import SqliteJournal
from understudy.supervisor.journal.verify import Verified, verify


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed journal of 100 rows in two streams; the message of row n is ``number n!``."""
    journal, author = SqliteJournal(tmp_path / "desk.db"), Author()
    journal.open()
    rows = [author.row((ADA, BOB)[n % 2], Record(note={"text": f"number {n}!"}), cause=f"{n}.0") for n in range(1, 101)]
    journal.append(Batch(tuple(rows[:60])))
    journal.append(Batch(tuple(rows[60:])))
    journal.close()
    return tmp_path / "desk.db"


def verified(path: Path) -> Verified:
    """What verify says of a file."""
    with read_only(path) as reader:
        return verify(reader)


def test_a_whole_journal_is_whole(path: Path) -> None:
    assert verified(path) == Verified(100)


def test_a_flipped_byte_in_the_file_is_found_and_its_row_named(path: Path) -> None:
    data = path.read_bytes()
    assert data.count(b"number 57!") == 1
    path.write_bytes(data.replace(b"number 57!", b"number 58!"))
    with read_only(path) as reader:
        assert reader.query("PRAGMA integrity_check") == [("ok",)]
    found = verified(path)
    assert (found.rows, found.bad) == (56, 57)
    assert "hash" in found.why


@pytest.mark.parametrize(
    ("sql", "bad"),
    [
        ("UPDATE rows SET cause = 'x' WHERE gid = 20", 20),
        ("UPDATE rows SET at = at + 0.001 WHERE gid = 20", 20),
        ("UPDATE rows SET kind = 'failed' WHERE gid = 20", 20),
        ("UPDATE rows SET incarnation = 1 WHERE gid = 20", 20),
        ("UPDATE rows SET stream = (SELECT id FROM streams WHERE address = 'desk/bob'), seq = 900 WHERE gid = 20", 20),
        ("UPDATE rows SET hash = zeroblob(16) WHERE gid = 20", 20),
        ("UPDATE rows SET payload = NULL WHERE gid = 20", 20),
        ("DELETE FROM rows WHERE gid = 20", 20),
        ("DELETE FROM rows WHERE gid <= 20", 1),
        ("UPDATE streams SET address = 'desk/eve' WHERE address = 'desk/bob'", 1),
        ("UPDATE meta SET value = 'x' WHERE key = 'seed'", 1),
    ],
)
def test_every_change_of_a_row_is_found_and_the_first_bad_row_named(path: Path, sql: str, bad: int) -> None:
    change(path, sql)
    found = verified(path)
    assert (found.rows, found.bad) == (bad - 1, bad)


def test_a_row_whose_text_was_erased_keeps_the_chain_by_its_digest(path: Path) -> None:
    from understudy.supervisor.journal.chain import content

    with read_only(path) as reader:
        row = reader.rows(after=29, limit=1)[0]
    digest = content(row.cause, bytes(row.payload)).hex()
    change(path, f"UPDATE rows SET cause = NULL, payload = NULL, digest = x'{digest}' WHERE gid = 30")
    assert verified(path) == Verified(100)


def test_an_empty_journal_is_whole(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "desk.db")
    journal.open()
    assert verified(tmp_path / "desk.db") == Verified(0)
    journal.close()
