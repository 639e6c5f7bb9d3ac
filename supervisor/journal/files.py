"""The files of a journal: its database, and beside it what belongs to it by name. Looked at with stat only, never opened: a plain
open and close would drop SQLite's locks.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ...protocols.errors import JournalError

COMPANIONS = ("-head", "-lock", "-wal", "-shm", "-journal", "-sock")
"""What stands behind a journal's name in the names of the files that belong to it."""


class BadTarget(JournalError):
    """What should be written may not be written there. Nothing was."""


def refuse_no_file(db: Path) -> None:
    """Raises JournalError where something is there that is no regular file: a pipe holds whoever opens it, for ever."""
    try:
        mode = db.stat().st_mode
    except OSError:
        return  # not there, or not to be seen: whoever opens it says so
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
        kind = kinds.get(stat.S_IFMT(mode), "a device")
        raise JournalError(f"{db} is {kind}, and a journal is a file", hint="name a file")


def other_names(db: Path) -> str:
    """Why a file with several names (hard links) can't be trusted; empty where it has one, or is not there."""
    with contextlib.suppress(OSError):
        count = db.stat().st_nlink
        if count > 1:
            return (
                f"{db} has {count} names (hard links): its lock, log and head go by name, so whoever uses another one "
                "is not seen, and what one of them writes the other loses"
            )
    return ""


def refuse_other_names(db: Path) -> None:
    """Raises JournalError where the file has another name, under which another process could own it at the same time."""
    if why := other_names(db):
        raise JournalError(
            why,
            hint=f"remove the other names ('find -samefile {db.name}' finds them), or use a copy of your own: "
            "'understudy journal backup'. A symbolic link does no harm",
        )


def refuse_target(target: Path, db: Path, *, journal: bool) -> None:
    """Before anything is written. ``journal``: it gets companions of its own.

    Raises:
        BadTarget: it is the journal, or a file that belongs to it, by whatever name; or no regular file.
    """
    target, db = Path(os.path.realpath(target)), Path(os.path.realpath(db))
    mine = list(_with_companions(db))
    for written in _with_companions(target) if journal else (target,):
        for name in mine:
            if written == name or _same(written, name):
                what = "the journal itself" if name == db else f"{name.name}, which belongs to the journal {db}"
                how = f"{target} is" if written == target else f"{target} would need {written.name}, and that is"
                raise BadTarget(f"{how} {what}", hint="name another file; nothing was written")
    try:
        refuse_no_file(target)
    except JournalError as error:
        raise BadTarget(f"{target} is no file that could be replaced", hint="name another file") from error


def remove_stale(target: Path) -> None:
    """Remove what was begun for this target by processes that are dead: ``NAME.PID.partial`` and what SQLite put beside it."""
    start = f"{target.name}."
    with contextlib.suppress(OSError):
        for path in target.parent.iterdir():
            if not path.name.startswith(start):
                continue
            pid, dot, rest = path.name[len(start) :].partition(".")
            whole = dot and rest in {"partial", *(f"partial{suffix}" for suffix in COMPANIONS)}
            if whole and pid.isdecimal() and not lives(int(pid)):
                path.unlink(missing_ok=True)


def lives(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _with_companions(db: Path) -> Iterator[Path]:
    yield db
    for suffix in COMPANIONS:
        yield db.with_name(db.name + suffix)


def _same(one: Path, other: Path) -> bool:
    try:
        return os.path.samestat(one.stat(), other.stat())
    except OSError:
        return False
