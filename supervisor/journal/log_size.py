"""The write-ahead log stays bounded under a reader that does not let go.

SQLite copies the log into the database only up to where the oldest reader stands, and begins it anew only when nobody reads in
it. So one program that stopped in the middle of a query makes it grow with every commit, until the disk is full. Nobody can take
a reader's place away; what can be done is to say no in time, while reading, and room for everything else, are still there: over
``MAX_LOG`` bytes an append is refused, with the reader's process named where the system tells. When it has let go, the next
append copies what there is and goes on.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from ...protocols.errors import JournalFull
from .driver import Connection

MAX_LOG = 4_000_000_000
"""Bytes of log over which nothing more is appended. About that: it is looked at once for each ``LOOK`` bytes."""

LOOK = 4_000_000

_READERS = range(123, 128)
"""Bytes of the shared memory that readers lock (https://sqlite.org/walformat.html, 2.3.1)."""


class LogSize:
    """The size of one journal's log, as its owner watches it."""

    def __init__(self, db: Path) -> None:
        self._log, self._memory = (db.with_name(db.name + suffix) for suffix in ("-wal", "-shm"))
        self._since = 0

    def room_for(self, size: int, connection: Connection) -> None:
        """Before a commit of about so many bytes.

        Raises:
            JournalFull: the log is too long already, and a reader keeps it from being copied.
        """
        self._since += size
        if self._since < LOOK:
            return
        self._since = 0
        length = self._length()
        if length < MAX_LOG:
            return
        found = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if found is None or found[1] == found[2]:
            return  # all of it is in the database: the next commit begins at the front again
        self._since = LOOK  # look again each time from now on
        readers = sorted(self._readers())
        who = f"process {', '.join(map(str, readers))} reads" if readers else "another program reads"
        raise JournalFull(
            f"the log {self._log} is {length:,} bytes long and cannot be copied into the database: {who} in it without an end",
            hint="end that program, or its query; then appending goes on",
        )

    def _length(self) -> int:
        try:
            return self._log.stat().st_size
        except FileNotFoundError:
            return 0

    def _readers(self) -> set[int]:
        """Processes that read in the log, by the kernel's table of locks; none where there is no such table."""
        with contextlib.suppress(OSError):
            inode = self._memory.stat().st_ino
            table = Path("/proc/locks").read_text(encoding="ascii")
            found = re.findall(rf"^\d+: POSIX +\w+ +READ (\d+) \w+:\w+:{inode} (\d+)", table, re.MULTILINE)
            return {int(pid) for pid, byte in found if int(byte) in _READERS}
        return set()
