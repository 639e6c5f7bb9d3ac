"""The gate's books in the file: compared with the rows, kept when the rows' texts are erased, added to files of older formats."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from tests.contracts.author import Author
from understudy.protocols.journal import Batch, Record
from understudy.supervisor.journal import chain
from understudy.supervisor.journal.audit import audit
from understudy.supervisor.journal.driver import choose
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.sqlite import SqliteJournal
from understudy.supervisor.kit.author import entry, line

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two rows: the first writes three entries, the second changes one and strikes one out."""
    author = Author()
    bare = tuple(msgspec.structs.replace(entry(key), gid=0) for key in ("rate/a", "rate/b", "grant/1"))
    first = author.row(record=Record(books=bare), kind="attempt")
    struck = msgspec.structs.replace(entry("rate/b"), value=msgspec.Raw(b"null"), gid=0)
    second = author.row(
        record=Record(books=(entry("rate/a", 2, 0), struck)),
        kind="attempt",
    )
    journal = SqliteJournal(tmp_path / "desk.db")
    journal.open()
    journal.append(
        Batch(
            (first, second),
            actors=(line(first.stream, 2, at=second.at, turns=0),),
            books=(entry("rate/a", 2, 2), entry("grant/1", 1, 1)),
        )
    )
    journal.close()
    return tmp_path / "desk.db"


def change(path: Path, sql: str) -> None:
    connection = choose().connect(f"file:{path}")
    connection.execute(sql)
    connection.close()


def found(path: Path) -> set[tuple[str, str]]:
    with read_only(path) as reader:
        return {(f.table, f.item) for f in audit(reader).findings if f.table == "books"}


def test_books_that_are_as_the_rows_say_are_whole(path: Path) -> None:
    assert found(path) == set()
    with read_only(path) as reader:
        assert [(e.key, e.gid) for e in reader.books()] == [("rate/a", 2), ("grant/1", 1)]


@pytest.mark.parametrize(
    ("sql", "key"),
    [
        ("UPDATE books SET entry = replace(entry, ':2,', ':3,') WHERE id = 'rate/a'", "rate/a"),
        ("DELETE FROM books WHERE id = 'grant/1'", "grant/1"),
        ("INSERT INTO books (id, entry) SELECT 'rate/b', entry FROM books WHERE id = 'rate/a'", "rate/b"),
        ("UPDATE books SET entry = '{' WHERE id = 'rate/a'", "rate/a"),
    ],
)
def test_an_entry_that_is_not_as_the_rows_say_is_named(path: Path, sql: str, key: str) -> None:
    change(path, sql)
    assert ("books", key) in found(path)


def test_an_entry_outlives_the_text_of_its_row_and_is_not_taken_for_damage(path: Path) -> None:
    with read_only(path) as reader:
        last = reader.rows(1, 1)[0]
    connection = choose().connect(f"file:{path}")
    digest = chain.content(last.cause, bytes(last.payload))
    connection.execute("UPDATE rows SET cause = NULL, payload = NULL, digest = ? WHERE gid = 2", (digest,))
    connection.close()
    assert found(path) == set()
    with read_only(path) as reader:
        assert ("rate/a", 2) in {(e.key, e.gid) for e in reader.books()}


def test_a_file_of_format_2_has_empty_books_for_readers_and_gets_the_table_from_its_next_owner(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    shutil.copyfile(GOLDEN / "format-2.journal", path)
    with read_only(path) as reader:
        assert reader.books() == ()
    journal = SqliteJournal(path)
    assert journal.open().books == ()
    journal.close()
    with read_only(path) as reader:
        assert reader.query("PRAGMA user_version") == [(3,)]
        assert audit(reader).findings == ()
