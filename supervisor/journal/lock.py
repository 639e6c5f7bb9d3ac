"""One process owns a journal: an flock on ``<real path of the db>-lock``, which also names the owner for people.

The lock is what counts, the text in the file only says who; so a dead owner's text holds nobody up. flock and not a
POSIX lock, because SQLite's POSIX locks on files beside it are dropped by any close() and because it conflicts
inside one process too. The file stays when the lock is released (removing it is safe only while holding it, and only
done for an open that failed and had created it).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from pathlib import Path
from weakref import WeakSet

from ...protocols.errors import JournalError, JournalFull, JournalHeld, JournalReadOnly
from .files import lives


class Lock:
    """The lock of one journal. ``db`` is its real path (symlinks resolved)."""

    def __init__(self, db: Path) -> None:
        self._db = db
        self._path = db.with_name(db.name + "-lock")
        self._fd = -1
        self._created = False

    def take(self) -> None:
        """Own the journal.

        Raises:
            JournalHeld: somebody else does.
            JournalReadOnly, JournalFull, JournalError: the lock's file cannot be made.
        """
        while True:
            fd = self._open_file()
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held = self._held(fd)
                os.close(fd)
                raise held from None
            except BaseException:
                os.close(fd)
                raise
            if self._is_current(fd):
                break
            os.close(fd)  # its owner removed it between our open and our lock: once more
        self._fd = fd
        _taken.add(self)
        with contextlib.suppress(OSError):  # a full disk does not matter here
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()} {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}\n".encode(), 0)

    def release(self, *, undo: bool = False) -> None:
        """Let go; ``undo`` removes the file too if ``take`` made it. Twice does nothing."""
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        _taken.discard(self)
        with contextlib.suppress(OSError):
            if undo and self._created:
                self._path.unlink()
            else:
                os.ftruncate(fd, 0)
        os.close(fd)

    def _open_file(self) -> int:
        try:
            try:
                fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
                self._created = True
            except FileExistsError:
                fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
                self._created = False
            return fd
        except OSError as error:
            message = f"{self._db} cannot be owned: {error.strerror} ({self._path})"
            if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
                raise JournalReadOnly(message, hint="the file and its folder must be writable by this user") from error
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise JournalFull(message, hint="make room on the device") from error
            raise JournalError(message, hint="is the folder there?") from error

    def _is_current(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), self._path.stat())
        except FileNotFoundError:
            return False

    def _held(self, fd: int) -> JournalHeld:
        words = os.pread(fd, 200, 0).decode("ascii", "replace").split()
        pid = int(words[0]) if words and words[0].isdecimal() and lives(int(words[0])) else 0
        who = f"process {pid} (since {words[1]})" if pid and len(words) > 1 else "another process"
        return JournalHeld(
            f"{self._db} is held by {who}",
            pid=pid,
            hint="stop that process, or speak to it: the command line does while it runs",
        )


_taken: WeakSet[Lock] = WeakSet()


def _forget_in_child() -> None:
    # A forked child shares the lock's open file, and would hold the journal for as long as it lives.
    for lock in list(_taken):
        os.close(lock._fd)
        lock._fd = -1
    _taken.clear()


os.register_at_fork(after_in_child=_forget_in_child)
