"""``us.builtin.sql``: one SQLite file, read unless it may be written, one statement a call.

Each call runs in a process of its own: two copies of SQLite in one process would break each other's locks (the journal has one of its
own), and what hangs in C can be killed there. Inside, SQLite's own authorizer says what a statement may do.
"""

from __future__ import annotations

import math
import os
import sqlite3
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from msgspec import Meta, Struct

from ...protocols.errors import ChangeArguments, DefinitionError, RetryLater
from ..declaring import SyncTool, tool

Cell = str | int | float | None

ROWS = 1_000
"""Rows that one call gives."""

BYTES = 200_000
"""Characters of all cells that one call gives."""

LONGEST_VALUE = 1_000_000
"""Bytes of one value inside of SQLite: what makes larger ones (``zeroblob``, ``printf``) fails."""

HEAP = 256 * 1024 * 1024
"""Bytes of memory that SQLite may take; sorting is done in memory."""

ASKED = frozenset(
    ["table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list"]
)
"""Pragmas that only look at the schema."""

BANNED = frozenset(["load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"])

READING = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
CHANGING = READING | {
    sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE,
    sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_CREATE_INDEX, sqlite3.SQLITE_DROP_TABLE, sqlite3.SQLITE_DROP_INDEX,
    sqlite3.SQLITE_ALTER_TABLE, sqlite3.SQLITE_REINDEX,
}  # fmt: skip
"""No triggers and views: they would run in whatever program opens the file next."""

Statement = Annotated[
    str,
    Meta(
        description="One SQL statement (SQLite), with ? for each value. The schema is in sqlite_schema.",
        min_length=1,
        max_length=50_000,
    ),
]
Parameters = Annotated[
    list[Cell],
    Meta(
        description="Values for the ?, in order. If missing: none. Never write values into the statement itself.",
        max_length=1_000,
    ),
]


class Rows(Struct, frozen=True):
    """What a statement came to.

    Attributes:
        columns: names; empty for a statement that gives no rows.
        rows: 1,000, or 200,000 characters, at most; a blob is told of by its size.
        more: there are more rows: ask for fewer, with LIMIT and OFFSET.
        changed: rows inserted, changed or deleted.
    """

    columns: list[str]
    rows: list[list[Cell]]
    more: bool
    changed: int = 0


def sql(
    path: str | os.PathLike[str],
    *,
    write: bool = False,
    seconds: float = 5.0,
    name: str = "",
    private: bool = True,
    trusted: bool = False,
) -> SyncTool[..., Rows]:
    """A tool for one SQLite file: ``sql_query``, which only reads, or ``sql_change``, which may change it.

    ``sql_query`` opens the file read-only. ``sql_change`` does its one statement in a transaction, is ``once`` (after a crash in the
    middle a person is asked), and creates no file. Neither attaches other files, loads extensions, sets pragmas, or makes triggers and
    views. Both may be given side by side.

    Args:
        path: the file, or ``sqlite:///`` and its path.
        write: give ``sql_change``.
        seconds: that a statement may take; then it is interrupted.
        name: another name for the tool.
        private: what stands there is nobody else's business.
        trusted: nobody but those who are trusted writes there. Not where agents or strangers do.

    Raises:
        DefinitionError: it is no file (``:memory:``, a ``file:`` address, another kind of database), or ``seconds`` is no time.
    """
    given = os.fspath(path)
    file = given.removeprefix("sqlite:///")
    if not file or "://" in file or file.startswith(("file:", ":")) or "\0" in file:
        raise DefinitionError(f"sql({given!r})", hint="the path of a SQLite file, or sqlite:///PATH")
    if not 0 < seconds <= 600:
        raise DefinitionError(f"sql(seconds={seconds})", hint="seconds, above 0, 600 at most")
    place = str(Path(file).absolute())

    def query(statement: Statement, parameters: Parameters = []) -> Rows:  # noqa: B006 - never changed
        """Ask a SQLite database. Reading only."""
        return run_statement(statement, parameters, place, write=False, seconds=seconds)

    def change(statement: Statement, parameters: Parameters = []) -> Rows:  # noqa: B006 - never changed
        """Change a SQLite database: one statement, done as a whole or not at all. It may read, too."""
        return run_statement(statement, parameters, place, write=True, seconds=seconds)

    timeout = seconds + 30.0
    if write:
        made = tool(
            effect="once",
            name=name or "sql_change",
            timeout=timeout,
            kind=("write", "destroy"),
            sinks=["statement"],
            payload=["statement", "parameters"],
            private=private,
            trusted=trusted,
        )(change)
    else:
        made = tool(
            effect="read",
            name=name or "sql_query",
            timeout=timeout,
            kind="read",
            private=private,
            trusted=trusted,
        )(query)
    made.isolation, made.apart = "process", (__name__, run_statement.__name__)
    made.fixed = {"path": place, "write": write, "seconds": seconds}
    return made


def run_statement(statement: str, parameters: list[Cell], path: str, write: bool, seconds: float) -> Rows:
    """Run it here and now."""
    until = time.monotonic() + seconds
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise ChangeArguments(f"{Path(path).name} is no regular file")
    except OSError as error:
        raise RetryLater(f"the database {Path(path).name}: {os.strerror(error.errno or 0)}") from error
    mode = "rw" if write else "ro"
    try:
        base = sqlite3.connect(f"file:{quote(path)}?mode={mode}", uri=True, timeout=seconds, isolation_level=None)
    except sqlite3.Error as error:
        raise RetryLater(f"the database {Path(path).name} could not be opened: {error}") from error
    try:
        _bound(base, write=write)
        base.set_progress_handler(lambda: time.monotonic() > until, 10_000)
        base.set_authorizer(_authorizer(write=write))
        return _run(base, statement, parameters, write=write)
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            raise ChangeArguments(f"it took longer than {seconds:g} s", hint="ask for less, or use an index") from error
        if "locked" in str(error) or "busy" in str(error):
            raise RetryLater(f"the database is in use: {error}") from error
        raise ChangeArguments(str(error), hint="see sqlite_schema for what is there") from error
    except (sqlite3.Error, sqlite3.Warning, OverflowError, MemoryError) as error:
        raise ChangeArguments(str(error) or type(error).__name__) from error
    finally:
        base.close()


def _bound(base: sqlite3.Connection, *, write: bool) -> None:
    base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
    base.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    base.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1_000)
    base.text_factory = _text
    for pragma in ("trusted_schema=OFF", "temp_store=MEMORY", f"hard_heap_limit={HEAP}", "cell_size_check=ON"):
        base.execute(f"PRAGMA {pragma}")
    if not write:
        base.execute("PRAGMA query_only=ON")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _authorizer(*, write: bool) -> Callable[[int, str | None, str | None, str | None, str | None], int]:
    allowed = CHANGING if write else READING

    def authorize(action: int, one: str | None, two: str | None, _base: str | None, _inner: str | None) -> int:
        if action == sqlite3.SQLITE_FUNCTION:
            return sqlite3.SQLITE_DENY if (two or "").lower() in BANNED else sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_PRAGMA:
            looks = (one or "").lower() in ASKED
            return sqlite3.SQLITE_OK if looks else sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK if action in allowed else sqlite3.SQLITE_DENY

    return authorize


def _run(base: sqlite3.Connection, statement: str, parameters: list[Cell], *, write: bool) -> Rows:
    if write:
        _unchecked(base, "BEGIN IMMEDIATE", write=write)
    try:
        cursor = base.execute(statement, parameters)
        columns = [column[0] for column in cursor.description or ()]
        rows, more = _taken(cursor)
        changed = max(0, cursor.rowcount) if write else 0
        if write:
            _unchecked(base, "COMMIT", write=write)
    except BaseException:
        if base.in_transaction:
            base.set_progress_handler(None, 0)
            _unchecked(base, "ROLLBACK", write=write)
        raise
    return Rows(columns, rows, more, changed)


def _unchecked(base: sqlite3.Connection, statement: str, *, write: bool) -> None:
    """A statement of our own: the authorizer refuses them in the agent's."""
    base.set_authorizer(None)
    try:
        base.execute(statement)
    finally:
        base.set_authorizer(_authorizer(write=write))


def _taken(cursor: sqlite3.Cursor) -> tuple[list[list[Cell]], bool]:
    rows, size = list[list[Cell]](), 0
    for found in cursor:
        row = [_cell(value) for value in found]
        size += sum(len(cell) if isinstance(cell, str) else 10 for cell in row)
        if len(rows) >= ROWS or size > BYTES:
            cursor.close()  # with RETURNING, too, all is done before the first row comes
            return rows, True
        rows.append(row)
    return rows, False


def _cell(value: object) -> Cell:
    if isinstance(value, bytes):
        return f"<blob of {len(value):,} bytes>"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, (str, int, float)) or value is None:
        return value
    return str(value)
