"""A copy of a journal, made through SQLite while the owner goes on: an exact prefix of it, verified, whole or not there at all.

read transaction (the picture that is copied) -> pages into a file of another name -> fsync -> audit
-> rename, and a head of its own that says where the copy ends
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

from msgspec import Struct

from ...protocols.errors import JournalDamaged, JournalFull
from . import head, tables
from .audit import Audit, Progress, audit, silent
from .chain import genesis
from .connect import uri
from .driver import Connection, Driver, choose, translate
from .files import BadTarget, other_names, refuse_target, remove_stale
from .lock import Lock
from .reader import JournalReader, read_only

_PAGES = 2_000
"""Pages (8 MB) copied before progress is told."""


class _Copies(Protocol):
    """A connection of pysqlite3 or of the standard library."""

    def backup(
        self, target: Connection, *, pages: int, progress: Callable[[int, int, int], None], sleep: float
    ) -> None: ...


class BackedUp(Struct, frozen=True):
    """What was made.

    Attributes:
        path: of the copy.
        rows: gid of its last row.
        bytes: its size.
        audit: what its verification found.
    """

    path: str
    rows: int
    bytes: int
    audit: Audit


def backup(
    source: str | os.PathLike[str], to: str | os.PathLike[str], *, force: bool = False, progress: Progress | None = None
) -> BackedUp:
    """Copy a journal. It may be owned and written meanwhile: the copy holds what was committed when it began.

    Args:
        source: the journal.
        to: the copy; with its head it can be opened and run as it is.
        force: replace what is there.
        progress: told what is done.

    Raises:
        BadTarget: ``to`` is there already (without ``force``), or is the journal itself or belongs to it.
        JournalError: there is no journal.
        JournalHeld: ``to`` is a journal that a process owns.
        JournalDamaged: the copy does not verify (nor does the journal, then); it is not kept.
        JournalFull: there is no room.
    """
    target = Path(os.path.realpath(to))
    refuse_target(target, Path(source), journal=True)
    if not target.parent.is_dir():
        raise BadTarget(f"there is no folder {target.parent}", hint="make it first")
    if target.exists() and not force:
        raise BadTarget(f"{target} is there already", hint="--force replaces it")
    driver, tell = choose(), progress or silent
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        remove_stale(target)
        with read_only(source, driver=driver) as reader:
            whole(reader)
            _copy(driver, reader, partial, tell)
        _flush(partial)
        with read_only(partial, driver=driver) as copy:
            found = audit(copy, tell)
            if not found.whole:
                worst = found.findings[0]
                raise JournalDamaged(
                    f"the copy does not verify: {worst.table} {worst.item}: {worst.why}",
                    hint="'understudy journal verify' says more about the journal itself; the copy was not kept",
                )
            tail = copy.read(lambda c: tables.tail(c, genesis(tables.meta(c).get("seed", ""))))
        size = partial.stat().st_size
        _put(partial, target, head.Mark(tail.gid, tail.hash))
    except OSError as error:
        raise JournalFull(f"{target} cannot be written: {error.strerror or error}", hint="is there room?") from error
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            partial.with_name(partial.name + suffix).unlink(missing_ok=True)
    return BackedUp(str(target), tail.gid, size, found)


def whole(reader: JournalReader) -> None:
    """Raises JournalDamaged where the journal lacks what its head acknowledged, or may have rows under another name: a copy
    would look whole."""
    if why := reader.lost() or other_names(reader.path):
        raise JournalDamaged(
            f"{why}; a copy would hide that",
            hint="look for the lost part first; 'understudy journal export' reads what is left",
        )


def _copy(driver: Driver, reader: JournalReader, partial: Path, tell: Progress) -> None:
    def pages(connection: Connection) -> None:
        partial.unlink(missing_ok=True)
        target = driver.connect(uri(partial, "rwc"))
        try:
            # The picture is held by a transaction of the source: without one, each commit of the owner begins the copy anew.
            connection.execute("BEGIN")
            try:
                connection.execute("SELECT 1 FROM rows LIMIT 1").fetchall()
                cast("_Copies", connection).backup(
                    target, pages=_PAGES, progress=lambda _, left, of: tell("copy", of - left, of), sleep=0.0
                )
            finally:
                connection.execute("ROLLBACK")
        except driver.errors as error:
            raise translate(driver, error, f"copy {reader.path} to {partial}") from error
        finally:
            target.close()

    reader.read(pages)


def _put(partial: Path, target: Path, tail: head.Mark) -> None:
    """The copy in its place. A journal without its head is only warned about, a head without its journal is damage: so the old
    head goes first and the new one comes last."""
    lock = Lock(target)
    lock.take()
    try:
        for name in ("-head", "-wal", "-shm"):
            target.with_name(target.name + name).unlink(missing_ok=True)
        partial.replace(target)
        head.Head(head.head_path(target), None, tail, strict=True, open_file=head.OsHeadFile).close()
        _flush(target.parent)
    finally:
        lock.release(undo=True)


def _flush(path: Path) -> None:
    """Nobody has the copy open yet, so that a plain open and close can drop no lock."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
