"""``us.builtin.sql``: one file, one statement, reading unless it may write."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import understudy as us
from tests.tools.test_process import perform, value
from understudy.tools.builtin.databases import run_statement


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as made:
        made.executescript(
            "create table item(id integer primary key, name text, price real, photo blob);"
            "insert into item values (1, 'tea', 3.5, x'00ff'), (2, 'cup', 9.0, null);"
        )
    return path


def ask(base: Path, statement: str, *parameters: Any, write: bool = False, seconds: float = 5.0) -> Any:
    return run_statement(statement, list(parameters), str(base), write, seconds)


def names(base: Path) -> list[str]:
    with closing(sqlite3.connect(base)) as opened:
        return [name for (name,) in opened.execute("select name from item order by id")]


async def test_a_question_is_answered_in_a_process_of_its_own(base: Path) -> None:
    rows = await value(us.builtin.sql(base), statement="select * from item where price < ?", parameters=[5])
    assert rows == {
        "columns": ["id", "name", "price", "photo"],
        "rows": [[1, "tea", 3.5, "<blob of 2 bytes>"]],
        "more": False,
        "changed": 0,
    }


@pytest.mark.parametrize(
    "statement",
    [
        "delete from item", "insert into item(name) values ('x')", "update item set name = 'x'", "drop table item",
        "create table t(a)", "create temp table t(a)", "attach '/etc/passwd' as p", "attach ':memory:' as m",
        "vacuum", "vacuum into '/tmp/x.db'",
        "pragma query_only=off", "pragma writable_schema=on", "pragma journal_mode=delete", "begin", "savepoint s",
        "select load_extension('x')", "select 1; delete from item", "with x as (select 1) delete from item", "analyze",
        "create trigger t after insert on item begin select 1; end", "create view v as select 1",
        "select count(*) from item where id in (delete from item)",
        "select writefile('x', 'y')", "select edit('x')", "pragma temp_store_directory='/tmp'", "detach main", "nonsense",
    ],
)  # fmt: skip
def test_reading_changes_nothing(base: Path, statement: str) -> None:
    before = base.read_bytes()
    with pytest.raises(us.ChangeArguments):
        ask(base, statement)
    assert base.read_bytes() == before
    assert names(base) == ["tea", "cup"]


@pytest.mark.parametrize(
    "statement",
    [
        "attach ':memory:' as m", "vacuum into '/tmp/x.db'", "pragma writable_schema=on", "select load_extension('x')", "commit",
        "create trigger t after insert on item begin select 1; end", "create view v as select 1", "rollback",
        "insert into sqlite_schema values ('table', 'x', 'x', 0, '')", "create virtual table v using fts5(a)",
        "insert into item(name) values ('x'); delete from item",
    ],
)  # fmt: skip
def test_writing_does_not_mean_everything(base: Path, statement: str) -> None:
    with pytest.raises(us.ChangeArguments):
        ask(base, statement, write=True)
    assert names(base) == ["tea", "cup"]


def test_writing_is_done_as_a_whole_or_not_at_all(base: Path) -> None:
    assert ask(base, "insert into item(name) values (?), (?)", "pot", "jug", write=True).changed == 2
    assert names(base) == ["tea", "cup", "pot", "jug"]
    with pytest.raises(us.ChangeArguments, match="UNIQUE"):
        ask(base, "insert into item(id, name) values (7, 'new'), (1, 'old')", write=True)
    assert names(base) == ["tea", "cup", "pot", "jug"]
    assert ask(base, "update item set price = 1 returning id", write=True).rows == [[1], [2], [3], [4]]
    assert ask(base, "create table t(a)", write=True).rows == []
    assert ask(base, "pragma table_info(item)").rows[0][1] == "id"


@pytest.mark.parametrize("write", [False, True])
def test_what_takes_too_long_is_interrupted(base: Path, write: bool) -> None:
    forever = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n"
    with pytest.raises(us.ChangeArguments, match=r"longer than 0\.2 s"):
        ask(base, forever, write=write, seconds=0.2)


@pytest.mark.parametrize(
    "statement",
    [
        "select zeroblob(500000000)",
        "select printf('%.*c', 900000, 'x') || printf('%.*c', 900000, 'y')",
        "select randomblob(2000000)",
    ],
)
def test_a_value_that_is_too_large_is_not_made(base: Path, statement: str) -> None:
    with pytest.raises(us.ChangeArguments):
        ask(base, statement)


def test_rows_and_characters_are_bounded(base: Path) -> None:
    many = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000) select i from n"
    rows = ask(base, many)
    assert (len(rows.rows), rows.more) == (1_000, True)
    wide = ask(base, f"select printf('%.*c', 90000, 'x') from ({many})")
    assert (len(wide.rows), wide.more) == (2, True)


def test_odd_values_come_as_text(base: Path) -> None:
    assert ask(base, "select 9e999, -9e999, null, cast(x'ff41' as text)").rows == [["inf", "-inf", None, "\ufffdA"]]


async def test_the_statement_the_agent_writes_cannot_name_another_file(base: Path, tmp_path: Path) -> None:
    attempt = await perform(us.builtin.sql(base), statement="select 1", path=str(tmp_path / "other.db"))
    assert attempt.failure is not None
    assert attempt.failure.code == "bad_arguments"


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    for write in (False, True):
        with pytest.raises(us.RetryLater, match="No such file"):
            ask(tmp_path / "none.db", "select 1", write=write)
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_in_use_is_asked_again_later(base: Path) -> None:
    with closing(sqlite3.connect(base, isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises(us.RetryLater, match="in use"):
            ask(base, "delete from item", write=True, seconds=0.2)
    assert names(base) == ["tea", "cup"]


@pytest.mark.parametrize("path", [":memory:", "", "file:x.db?mode=rwc", "postgres://host/db", "a\0b"])
def test_what_is_no_file_cannot_be_given(path: str) -> None:
    with pytest.raises(us.DefinitionError):
        us.builtin.sql(path)


def test_its_names_and_effect_classes(base: Path) -> None:
    query, change = us.builtin.sql(f"sqlite:///{base}"), us.builtin.sql(base, write=True)
    assert [(tool.spec.name, tool.spec.effect) for tool in (query, change)] == [
        ("sql_query", "read"),
        ("sql_change", "once"),
    ]
    assert query("select count(*) from item").rows == [[2]]
