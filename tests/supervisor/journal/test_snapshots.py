"""A snapshot counts only while the row it was taken at is the row that stands in the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.author import ADA, BOB, Author
from understudy.protocols.journal import Snapshot
from understudy.supervisor.journal.driver import choose
from understudy.supervisor.journal.sqlite import SqliteJournal


@pytest.mark.parametrize(
    ("sql", "counts"),
    [
        ("UPDATE snapshots SET state = state", True),
        ("UPDATE snapshots SET hash = zeroblob(16)", False),
        ("UPDATE snapshots SET gid = 1", False),
        ("UPDATE snapshots SET seq = 1", False),
        ("UPDATE snapshots SET stream = (SELECT id FROM streams WHERE address = 'desk/bob')", False),
        ("UPDATE rows SET hash = zeroblob(16) WHERE gid = 2", False),
        ("DELETE FROM rows WHERE gid = 2", False),
    ],
)
def test_one_of_another_row_is_ignored(tmp_path: Path, sql: str, counts: bool) -> None:
    journal, author = SqliteJournal(tmp_path / "desk.db"), Author()
    journal.open()
    journal.append(author.batch(3))
    journal.append(author.batch(1, BOB))
    taken = Snapshot(ADA, 2, 2, "s1", '{"n":2}')
    journal.put_snapshots((taken,))
    journal.close()
    connection = choose().connect(f"file:{tmp_path / 'desk.db'}")
    connection.execute(sql)
    connection.close()
    journal.open()
    assert journal.snapshot(ADA) == (taken if counts else None)
    assert journal.snapshot(BOB) is None
    journal.close()
