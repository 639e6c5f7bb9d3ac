"""A look at a file before anybody touches it: is it a journal, can this version read it, is all of it there?

Called with the lock held. Everything is read through SQLite: a plain ``open`` + ``close`` would drop the POSIX locks of
another connection in this process. Without a WAL the file is opened as immutable, because a plain read-only
connection to a WAL database leaves ``-wal`` and ``-shm`` behind.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Literal

from ...protocols.errors import JournalDamaged, JournalNewer
from ...protocols.journal import FORMAT
from . import head, tables
from .chain import genesis
from .connect import uri
from .driver import Connection, Driver, translate
from .schema import APPLICATION_ID


def has_wal(db: Path) -> bool:
    """Whether some of the journal may be in its write-ahead log."""
    return _size(db, "-wal") > 0


def _modes(db: Path) -> tuple[Literal["immutable", "ro", "rwc"], ...]:
    """How to look at it, one after the other."""
    if _size(db, "-journal"):
        return (
            "rwc",
        )  # it was just being made when the power went: SQLite undoes that first, as it does for everybody
    return ("immutable", "ro") if has_wal(db) else ("immutable",)


def _size(db: Path, suffix: str) -> int:
    try:
        return db.with_name(db.name + suffix).stat().st_size
    except FileNotFoundError:
        return 0


def is_journal(connection: Connection, db: Path) -> bool:
    """False for an empty database, which may become one.

    Raises:
        JournalDamaged: it is another program's database.
        JournalNewer: a newer version wrote it.
    """
    found = connection.execute("PRAGMA application_id").fetchone()
    version = connection.execute("PRAGMA user_version").fetchone()
    if found is None or version is None:
        return False
    if found[0] != APPLICATION_ID:
        if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None and not found[0]:
            return False
        raise JournalDamaged(f"{db} is a SQLite file, but not a journal", hint="name another file; it was not touched")
    if version[0] > FORMAT:
        raise JournalNewer(
            f"{db} has format {version[0]}; this version of Understudy knows format {FORMAT}",
            hint="use the version that wrote it, or a newer one; the file was not touched",
        )
    return True


def look(driver: Driver, db: Path) -> tuple[str, ...]:
    """Warnings, where the file may be opened (or made).

    Raises:
        JournalDamaged, JournalNewer: it may not; it is as it was.
        JournalReadOnly, JournalFull, JournalError: it cannot even be read.
    """
    record = head.read(head.head_path(db))
    if db.exists() and db.stat().st_size > 0:
        try:
            for mode in _modes(db):
                connection = driver.connect(uri(db, mode))
                try:
                    # With a WAL, the file alone tells only whether it is too new; the rest is asked through the WAL.
                    if is_journal(connection, db) and (mode != "immutable" or not has_wal(db)):
                        return _compare(connection, db, record)
                except driver.errors:
                    # A checkpoint that was cut off (a crash, a full disk) leaves a file that makes no sense without its WAL.
                    if mode != "immutable" or not has_wal(db):
                        raise
                finally:
                    connection.close()
        except driver.errors as error:
            raise translate(driver, error, f"read {db}") from error
    warnings = _lost(db, 0, record) if record is not None and record.acked.gid else ()
    if not warnings:  # durability 'process_crash' may lose the log, too
        _refuse_log(db)
    return warnings


def _refuse_log(db: Path) -> None:
    """There is no journal: may one be made? Not over a log that held one; SQLite would throw it away unread."""
    size, log = _size(db, ""), db.with_name(db.name + "-wal")
    if not has_wal(db) or (size and commits(log) < 2):  # making a journal is one commit, which a crash may have cut off
        return
    what = "holds no journal" if size else "is empty" if db.exists() else "is not there"
    raise JournalDamaged(
        f"{db} {what}, but its log {log} ({_size(db, '-wal'):,} bytes) held something: it cannot be read without its other half",
        hint=f"nothing was touched. Look for the lost part, or restore a backup; to begin anew, move {log} away",
    )


def commits(log: Path) -> int:
    """How many commits a log seems to hold, whether or not its checksums are right (two are enough to know); by the layout of
    https://www.sqlite.org/fileformat2.html#the_write_ahead_log. Nobody locks the log itself, so reading it does no harm."""
    found = 0
    with log.open("rb") as file:
        page = int.from_bytes(file.read(32)[8:12], "big")
        page = page if page in _PAGE_SIZES else 4096
        at = 32
        while found < 2 and len(frame := _at(file, at)) == 24:
            found += bool(int.from_bytes(frame[4:8], "big"))
            at += 24 + page
    return found


def _at(file: BinaryIO, offset: int) -> bytes:
    file.seek(offset)
    return file.read(24)


_PAGE_SIZES = frozenset(2**n for n in range(9, 17))


def lost(connection: Connection, db: Path, record: head.Record | None) -> str:
    """What a journal lacks of what its head says was acknowledged; empty where it lacks nothing. ``record`` must have been read
    before the connection's picture was taken: the journal only grows."""
    if record is None or not record.acked.gid:
        return ""
    acked = record.acked
    found = connection.execute("SELECT hash FROM rows WHERE gid = ?", (acked.gid,)).fetchone()
    if found is None:
        tail = connection.execute("SELECT COALESCE(MAX(gid), 0) FROM rows").fetchone()
        last = tail[0] if tail else 0
        return f"{db} ends at row {last}, but row {acked.gid} had been acknowledged: {acked.gid - last} rows are lost"
    if bytes(found[0]) != acked.hash:
        return f"{db} is not the journal that was acknowledged: row {acked.gid} has another hash than its head says"
    return ""


def _compare(connection: Connection, db: Path, record: head.Record | None) -> tuple[str, ...]:
    seed = tables.meta(connection).get("seed", "")
    tail = tables.tail(connection, genesis(seed))
    if record is None:
        if not tail.gid:
            return ()
        return (
            f"{head.head_path(db)} is missing or unreadable, so a lost end of the journal would go unseen; made anew",
        )
    acked = record.acked
    if tail.gid < acked.gid:
        return _lost(db, tail.gid, record)
    found = connection.execute("SELECT hash FROM rows WHERE gid = ?", (acked.gid,)).fetchone()
    if acked.gid and (found is None or bytes(found[0]) != acked.hash):
        raise JournalDamaged(
            f"{db} is not the journal that was acknowledged: row {acked.gid} has another hash than its head says",
            hint=_HINT.format(head=head.head_path(db)),
        )
    return ()


_HINT = (
    "nothing was touched. If you put this file here yourself (a backup, say), remove {head} and start again; "
    "otherwise look for the lost part before you do"
)


def _lost(db: Path, tail: int, record: head.Record) -> tuple[str, ...]:
    acked = record.acked.gid
    report = f"{db} ends at row {tail}, but row {acked} had been acknowledged: {acked - tail} rows are lost"
    if record.strict:
        raise JournalDamaged(report, hint=_HINT.format(head=head.head_path(db)))
    return (f"{report}, as durability 'process_crash' allows",)
