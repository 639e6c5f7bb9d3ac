"""The head: a sidecar ``<db>-head`` that knows how long the journal must be. A chain alone cannot see a lost tail.

It holds one small record in two slots, written in turn, each with a checksum, so that a torn write leaves the other
one. A record says *intended* (the last row of the commit that is being made) and *acked* (the last row known to be
durable). Who calls whom, for each commit:

    intend(N)    the record (intended N, acked N - 1) is written and flushed by a helper thread ...
    COMMIT       ... while SQLite commits N
    settle()     wait for the helper; now N may be acknowledged

``close`` writes (N, N). So the file never says acked before the row was durable, and after a crash the journal may
be ahead of it (the last commit; normal), never behind. Loss of the last commit alone is beyond detection.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from queue import SimpleQueue
from struct import Struct as Layout
from threading import Thread
from typing import Protocol

from msgspec import Struct

from ...protocols.errors import JournalReadOnly

_MAGIC = b"ushead1\n"
_layout = Layout("<8sQQ16sQ16sQ")  # magic, counter, intended gid and hash, acked gid and hash, flags
_SIZE = _layout.size + 16
_SLOT = 4096  # two slots never share a sector, nor a page


class Mark(Struct, frozen=True):
    """A row and its hash."""

    gid: int
    hash: bytes


class Record(Struct, frozen=True):
    """What the head says. ``strict``: it was made with durability ``power_loss``, so *acked* is binding."""

    counter: int
    intended: Mark
    acked: Mark
    strict: bool


class HeadFile(Protocol):
    """The few file operations of the head; tests hand over a recording one."""

    def write(self, data: bytes, offset: int) -> None: ...
    def sync(self) -> None: ...
    def sync_folder(self) -> None: ...
    def close(self) -> None: ...


class OsHeadFile:
    """The file of the operating system."""

    def __init__(self, path: Path) -> None:
        self._folder = path.parent
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)

    def write(self, data: bytes, offset: int) -> None:
        if os.pwrite(self._fd, data, offset) != len(data):
            raise OSError("short write")

    def sync(self) -> None:
        getattr(os, "fdatasync", os.fsync)(self._fd)

    def sync_folder(self) -> None:
        fd = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def close(self) -> None:
        os.close(self._fd)


OpenHead = Callable[[Path], HeadFile]


def head_path(db: Path) -> Path:
    """Where the head of a journal is."""
    return db.with_name(db.name + "-head")


def read(path: Path) -> Record | None:
    """The newest whole record; None if there is no file or none in it.

    Raises:
        JournalReadOnly: there is something that cannot be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JournalReadOnly(
            f"{path} cannot be read: {error.strerror}",
            hint="it knows where the journal ends: make it a file that this user may read and write",
        ) from error
    records = [record for slot in (0, 1) if (record := _decode(data[slot * _SLOT : slot * _SLOT + _SIZE]))]
    return max(records, key=lambda record: record.counter, default=None)


class Head:
    """The head of an open journal. ``old`` is what was read; ``strict`` flushes each record.

    ``broken`` is the error after which it stopped being written: the rows are durable all the same, only the loss of
    the tail would no longer be seen. ``told``: somebody has been told so.
    """

    def __init__(self, path: Path, old: Record | None, start: Mark, *, strict: bool, open_file: OpenHead) -> None:
        self.broken: OSError | None = None
        self.told = False
        self._strict = strict
        self._counter = old.counter if old else 0
        self._acked = old.acked if old else start
        self._pending = False
        self._jobs: SimpleQueue[bytes | None] = SimpleQueue()
        self._done: SimpleQueue[OSError | None] = SimpleQueue()
        self._helper: Thread | None = None
        self._file = open_file(path)
        if old is None:
            self._write(self._record(self._acked))
            if strict:
                self._file.sync_folder()  # what is made is there only when its folder says so

    def intend(self, mark: Mark) -> None:
        """Begin to write that a commit up to this row is under way."""
        self.settle(None)  # one that was interrupted while it waited
        if self.broken:
            return
        data = self._record(mark)
        if not self._strict:
            self._note(self._try(data))
            return
        if self._helper is None:
            self._helper = Thread(target=self._work, name="understudy-head", daemon=True)
            self._helper.start()
        self._pending = True
        self._jobs.put(data)

    def settle(self, committed: Mark | None) -> None:
        """Wait until what ``intend`` began is written. ``committed``: what is durable now; None if it failed."""
        if self._pending:
            self._note(self._done.get())
            self._pending = False
        if committed is not None:
            self._acked = committed

    def close(self) -> None:
        """Write what is acknowledged, and let go."""
        if not self.broken:
            self._note(self._try(self._record(self._acked)))
        if self._helper is not None:
            self._jobs.put(None)
            self._helper.join()
        with contextlib.suppress(OSError):
            self._file.close()

    def _record(self, intended: Mark) -> bytes:
        self._counter += 1
        body = _layout.pack(
            _MAGIC, self._counter, intended.gid, intended.hash, self._acked.gid, self._acked.hash, int(self._strict)
        )
        return body + blake2b(body, digest_size=16).digest()

    def _write(self, data: bytes) -> None:
        self._file.write(data, (self._counter % 2) * _SLOT)
        if self._strict:
            self._file.sync()

    def _try(self, data: bytes) -> OSError | None:
        try:
            self._write(data)
        except OSError as error:
            return error
        return None

    def _note(self, error: OSError | None) -> None:
        self.broken = self.broken or error

    def _work(self) -> None:
        while (data := self._jobs.get()) is not None:
            self._done.put(self._try(data))


def _decode(data: bytes) -> Record | None:
    if len(data) != _SIZE or blake2b(data[:-16], digest_size=16).digest() != data[-16:]:
        return None
    magic, counter, gid, digest, acked_gid, acked_digest, flags = _layout.unpack(data[:-16])
    if magic != _MAGIC:
        return None
    return Record(counter, Mark(gid, digest), Mark(acked_gid, acked_digest), bool(flags))
