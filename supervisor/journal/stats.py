"""How large a journal is, and what makes it large. Reads every row; the rest is counted by SQLite."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

from .audit import silent
from .driver import Connection
from .reader import JournalReader

_STEP = 50_000
_BIGGEST = 10


class KindSize(Struct, frozen=True):
    """Rows of one kind, and the bytes of their payloads."""

    kind: str
    rows: int
    bytes: int


class StreamSize(Struct, frozen=True):
    """Rows of one actor, and the bytes of their payloads."""

    actor: str
    rows: int
    bytes: int


class Stats(Struct, frozen=True):
    """Facts of a journal; sizes in bytes, times in seconds since the epoch.

    Attributes:
        format, epoch, clean: of the file; how often it was taken over; whether its last owner stopped in order (or none did yet).
        file, free, log: size of the database file, of unused pages in it, of the write-ahead log beside it.
        rows, erased: how many, and how many of them have no text any more.
        payload: of all rows.
        row: bytes of the file for each row, its share of indexes and working sets included.
        actors, runs, unfinished: actors, runs, and runs whose own actor is not finished or stopped.
        mail, effects, timers, waiting: what is open; effects that wait for people.
        keys, snapshots: lines of these tables; 0 where the file has an older format.
        first, last: journal time of the first and the last row; 0 for none.
        kinds: by bytes, the largest first.
        biggest: the ten actors with most bytes.
    """

    format: int
    epoch: int
    clean: bool
    file: int
    free: int
    log: int
    rows: int
    erased: int
    payload: int
    row: float
    actors: int
    runs: int
    unfinished: int
    mail: int
    effects: int
    timers: int
    waiting: int
    keys: int
    snapshots: int
    first: float
    last: float
    kinds: tuple[KindSize, ...]
    biggest: tuple[StreamSize, ...]


def stats(reader: JournalReader, progress: Callable[[int, int], None] | None = None) -> Stats:
    """Count. ``progress`` is told how many rows of how many were counted."""
    tell = progress or silent
    return reader.read(lambda connection: _stats(connection, reader.path, tell))


def _stats(connection: Connection, path: Path, tell: Callable[[int, int], None]) -> Stats:
    connection.execute("BEGIN")
    try:
        rows = _one(connection, "SELECT COALESCE(MAX(gid), 0) FROM rows")
        by_kind, by_stream = Counter[str](), Counter[int]()
        kind_bytes, stream_bytes = Counter[str](), Counter[int]()
        erased = 0
        for after in range(0, rows, _STEP):
            for kind, stream, n, size, gone in connection.execute(_SIZES, (after, after + _STEP)):
                by_kind[kind] += n
                by_stream[stream] += n
                kind_bytes[kind] += size
                stream_bytes[stream] += size
                erased += gone
            tell(min(after + _STEP, rows), rows)
        page = _one(connection, "PRAGMA page_size")
        file = _one(connection, "PRAGMA page_count") * page
        meta: dict[str, str] = dict(connection.execute("SELECT key, value FROM meta").fetchall())
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        names = {id: _address(connection, id) for id, _ in stream_bytes.most_common(_BIGGEST)}
        log = path.with_name(path.name + "-wal")
        return Stats(
            format=_one(connection, "PRAGMA user_version"),
            epoch=int(meta.get("epoch", "0")),
            clean=meta.get("clean") == "1",
            file=file,
            free=_one(connection, "PRAGMA freelist_count") * page,
            log=log.stat().st_size if log.exists() else 0,
            rows=rows,
            erased=erased,
            payload=kind_bytes.total(),
            row=round(file / rows, 1) if rows else 0.0,
            actors=_one(connection, "SELECT COUNT(*) FROM streams WHERE life IS NOT NULL AND run <> ''"),
            runs=_one(connection, "SELECT COUNT(DISTINCT run) FROM streams WHERE life IS NOT NULL AND run <> ''"),
            unfinished=_one(
                connection,
                "SELECT COUNT(*) FROM streams WHERE address = run AND life NOT IN ('finished', 'stopped', 'absent')",
            ),
            mail=_one(connection, "SELECT COUNT(*) FROM inbox"),
            effects=_one(connection, "SELECT COUNT(*) FROM effects"),
            timers=_one(connection, "SELECT COUNT(*) FROM timers"),
            waiting=_one(connection, "SELECT COUNT(*) FROM approvals"),
            keys=_one(connection, "SELECT COUNT(*) FROM keys") if "keys" in tables else 0,
            snapshots=_one(connection, "SELECT COUNT(*) FROM snapshots") if "snapshots" in tables else 0,
            first=_one(connection, "SELECT COALESCE(MIN(at), 0.0) FROM rows WHERE gid = 1"),
            last=_one(connection, "SELECT COALESCE(MAX(at), 0.0) FROM (SELECT at FROM rows ORDER BY gid DESC LIMIT 1)"),
            kinds=tuple(KindSize(kind, by_kind[kind], size) for kind, size in kind_bytes.most_common()),
            biggest=tuple(
                StreamSize(names[id], by_stream[id], size) for id, size in stream_bytes.most_common(_BIGGEST)
            ),
        )
    finally:
        connection.execute("ROLLBACK")


_SIZES = """SELECT kind, stream, COUNT(*), SUM(COALESCE(LENGTH(CAST(payload AS BLOB)), 0)), SUM(digest IS NOT NULL)
    FROM rows WHERE gid > ? AND gid <= ? GROUP BY kind, stream"""


def _one(connection: Connection, sql: str) -> Any:  # a column's type is SQLite's own
    found = connection.execute(sql).fetchone()
    return found[0] if found else 0


def _address(connection: Connection, id: int) -> str:
    found = connection.execute("SELECT address FROM streams WHERE id = ?", (id,)).fetchone()
    return str(found[0]) if found else f"stream {id}"
