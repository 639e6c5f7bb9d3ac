"""A disk that remembers: the journal's files through a recording VFS, and what a loss of power would leave of them.

    with Disk(folder, seed) as disk:
        journal = SqliteJournal(folder / "desk.db", driver=disk.driver, open_head=disk.open_head)

Everything that SQLite and the head write, cut off, flush, make or remove goes to ``log``, in order. The files are also
really written, so reading needs no simulation. ``Medium`` walks a log and gives the files as power lost at any point of
it may leave them:

* what was written to a file before its last flush is there;
* what came after may be there or not, each 512-byte sector by itself, in any order (a sector itself is never torn);
* what was there when a flush failed is there or not, and no later flush changes that: Linux marks it as written;
* what was made or removed since the folder's last flush may be undone, from the latest on.

The head is written by a thread of its own while SQLite commits. To be the same each time, its operations are put at
places drawn from the seed, anywhere between the begin and the end of the append they belong to: all of those can happen.

``plan`` is asked before each call and may raise, as a failing disk does: see ``failing``.
"""

from __future__ import annotations

import errno
import random
import shutil
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, cast

import apsw
from msgspec import Struct

from understudy.supervisor.journal.driver import Connection, Cursor, Driver, Value
from understudy.supervisor.journal.head import HeadFile, OsHeadFile
from understudy.supervisor.journal.sqlite import SqliteJournal

SECTOR = 512
AUTOCHECKPOINT = 24
"""Pages of log after which SQLite checkpoints here; in production it is 1,000, which would make every image megabytes."""

Call = Literal["open", "read", "write", "truncate", "sync", "delete", "access", "size", "lock"]
Plan = Callable[[Call, str], None]

_numbers = count()
_SIDE = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL


class Op(Struct, frozen=True):
    """Something that happened to the disk.

    Attributes:
        what: ``unsync`` is a flush that failed, ``folder`` a flush of the folder, ``acked`` the moment at which the caller
            knows that ``at`` rows are durable.
        file: which one; a name that is removed and made again is another file.
        name: of the file, where it is made or removed.
        at: offset of a write, size after a cut.
        data: what is written.
    """

    what: Literal["make", "remove", "write", "truncate", "sync", "unsync", "folder", "acked"]
    file: int = 0
    name: str = ""
    at: int = 0
    data: bytes = b""


class Disk:
    """A folder on a recorded disk. The files that are in it already count as flushed.

    Args:
        folder: a real one; use it through this object only.
        seed: where the head's operations are put among SQLite's.
        lying: a flush does nothing and says that it did.
        plan: told of each call before it is made; what it raises is what SQLite or the head is told.
    """

    def __init__(self, folder: Path, seed: object = 0, *, lying: bool = False, plan: Plan | None = None) -> None:
        self.folder, self.lying, self.plan = folder, lying, plan
        self.log: list[Op] = []
        self.files: dict[str, int] = {}
        self.first: dict[str, bytes] = {}
        for path in sorted(folder.iterdir()):
            if not path.name.endswith(("-lock", "-shm")):
                self.first[path.name] = path.read_bytes()
                self.files[path.name] = len(self.files)
        self._next = len(self.files)
        self._random = random.Random(f"{seed}")
        self._owner = threading.get_ident()
        self._aside: list[Op] = []
        self._began = 0
        self._dead = False
        self._name = f"recording-{next(_numbers)}"
        self._vfs = _Vfs(self, self._name)
        self.driver = Driver(
            "apsw", tuple(map(int, apsw.sqlite_lib_version().split("."))), self._connect, (apsw.Error,), _code
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._vfs.unregister()

    def begin(self) -> None:
        """An append begins; the head's operations from here on belong to it."""
        self._began = len(self.log)

    def end(self, acked: int | None) -> None:
        """It is over: so many rows are acknowledged, or it failed."""
        ours, aside = self.log[self._began :], self._aside
        places = sorted(self._random.randint(0, len(ours)) for _ in aside)
        for done, (place, op) in enumerate(zip(places, aside, strict=True)):
            ours.insert(place + done, op)
        self.log[self._began :] = ours
        self._aside = []
        if acked is not None:
            self.log.append(Op("acked", at=acked))

    def open_head(self, path: Path) -> HeadFile:
        """The head's file, for ``SqliteJournal``."""
        return _PlainFile(self, path)

    def kill(self, journal: SqliteJournal) -> None:
        """The process dies: what it wrote is there, flushed or not, and nothing that ``close`` does happens."""
        files = dict(self.files)
        there = {name: (self.folder / name).read_bytes() for name in files}
        plan, self.plan, self._dead = self.plan, None, True
        journal.close()
        self.plan, self._dead = plan, False
        for name, data in there.items():
            (self.folder / name).write_bytes(data)
        self.files = files

    # -- what the files call -----------------------------------------------------------------------------------------

    def asked(self, call: Call, name: str) -> None:
        """A call is about to be made."""
        if self.plan is not None:
            self.plan(call, name)

    def flushed(self, name: str, file: int) -> None:
        """A flush is about to be made."""
        try:
            self.asked("sync", name)
        except Exception:
            self.note(Op("unsync", file))
            raise

    def note(self, op: Op) -> None:
        """It was made."""
        if self._dead or (self.lying and op.what in ("sync", "folder")):
            return
        (self.log if threading.get_ident() == self._owner else self._aside).append(op)

    def opened(self, name: str, *, there: bool) -> int:
        """A file was opened, and made if it was not ``there``."""
        if not there or name not in self.files:
            self.files[name] = self._next
            self._next += 1
            self.note(Op("make", self.files[name], name))
        return self.files[name]

    def _connect(self, uri: str) -> Connection:
        flags = apsw.SQLITE_OPEN_URI | apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        return _Connection(apsw.Connection(uri, flags=flags, vfs=self._name))


class _Connection:
    """apsw's connection, as the journal uses one.

    SQLite passes over an error in a checkpoint after a commit or at the end; apsw would raise it. So both are done here as
    SQLite does them (``sqlite3WalDefaultHook``, ``sqlite3WalClose``), only after fewer pages.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection: Any = connection  # its type stubs use names that they do not define
        connection.set_busy_timeout(5_000)
        connection.set_wal_hook(self._committed)

    def execute(self, sql: str, parameters: Sequence[Value] = (), /) -> Cursor:
        if sql.startswith("PRAGMA wal_autocheckpoint"):
            sql = "SELECT 1000"
        return cast("Cursor", self._connection.execute(sql, parameters))

    def close(self) -> None:
        with suppress(apsw.Error):
            self._connection.close()

    def _committed(self, connection: apsw.Connection, _: str, pages: int) -> int:
        if pages >= AUTOCHECKPOINT:
            with suppress(apsw.Error):
                connection.wal_checkpoint()
        return apsw.SQLITE_OK


class _Vfs(apsw.VFS):
    def __init__(self, disk: Disk, name: str) -> None:
        self._disk = disk
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        assert path is not None, "the journal uses no temporary files"
        self._disk.asked("open", Path(path).name)
        return _File(self._disk, Path(path), name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        name = Path(filename).name
        self._disk.asked("delete", name)
        super().xDelete(filename, syncdir)
        self._disk.note(Op("remove", self._disk.files.pop(name), name))
        if syncdir:
            self._disk.note(Op("folder"))

    def xAccess(self, pathname: str, flags: int) -> bool:
        self._disk.asked("access", Path(pathname).name)
        return super().xAccess(pathname, flags)

    def excepthook(self, etype: object, evalue: object, etraceback: object) -> bool:
        return True  # an error that a plan raised where SQLite does not look: it was meant


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, path: Path, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk, self._name = disk, path.name
        there = path.exists()
        # A log or a journal that SQLite has made is flushed together with its folder, the first time (UNIXFILE_DIRSYNC).
        self._with_folder = bool(flags[0] & _SIDE) and bool(flags[0] & apsw.SQLITE_OPEN_CREATE)
        super().__init__("", name, flags)
        self._file = disk.opened(self._name, there=there)

    def xRead(self, amount: int, offset: int) -> bytes:
        self._disk.asked("read", self._name)
        return super().xRead(amount, offset)

    def xWrite(self, data: Any, offset: int) -> None:  # apsw's Buffer is a name for type checkers only
        self._disk.asked("write", self._name)
        super().xWrite(data, offset)  # pyright: ignore[reportUnknownMemberType]
        self._disk.note(Op("write", self._file, at=offset, data=bytes(data)))

    def xTruncate(self, newsize: int) -> None:
        self._disk.asked("truncate", self._name)
        super().xTruncate(newsize)
        self._disk.note(Op("truncate", self._file, at=newsize))

    def xSync(self, flags: int) -> None:
        self._disk.flushed(self._name, self._file)
        super().xSync(flags)
        self._disk.note(Op("sync", self._file))
        if self._with_folder:
            self._with_folder = False
            self._disk.note(Op("folder"))

    def xFileSize(self) -> int:
        self._disk.asked("size", self._name)
        return super().xFileSize()

    def xLock(self, level: int) -> None:
        self._disk.asked("lock", self._name)
        super().xLock(level)

    def excepthook(self, etype: object, evalue: object, etraceback: object) -> bool:
        return True


class _PlainFile:
    """A file that the journal writes without SQLite (the head), recorded."""

    def __init__(self, disk: Disk, path: Path) -> None:
        self._disk, self._name = disk, path.name
        with _as_os_error():
            disk.asked("open", self._name)
        there = path.exists()
        self._inner = OsHeadFile(path)
        self._file = disk.opened(self._name, there=there)

    def write(self, data: bytes, offset: int) -> None:
        with _as_os_error():
            self._disk.asked("write", self._name)
        self._inner.write(data, offset)
        self._disk.note(Op("write", self._file, at=offset, data=data))

    def sync(self) -> None:
        with _as_os_error():
            self._disk.flushed(self._name, self._file)
        self._inner.sync()
        self._disk.note(Op("sync", self._file))

    def sync_folder(self) -> None:
        with _as_os_error():
            self._disk.asked("sync", "")
        self._inner.sync_folder()
        self._disk.note(Op("folder"))

    def close(self) -> None:
        self._inner.close()


@contextmanager
def _as_os_error() -> Generator[None]:
    """What a plan raises is meant for SQLite; others are told by the operating system."""
    try:
        yield
    except apsw.FullError as error:
        raise OSError(errno.ENOSPC, "No space left on device") from error
    except apsw.Error as error:
        raise OSError(errno.EIO, "Input/output error") from error


def _code(error: Exception) -> int:
    return getattr(error, "extendedresult", 0)


# --- What a loss of power leaves ---------------------------------------------------------------------------------------


class _Inode:
    """One file: what is flushed, and what came since."""

    def __init__(self, data: bytes = b"") -> None:
        self.flushed = bytearray(data)
        self.since: list[Op] = []

    def flush(self) -> None:
        for op in self.since:
            _apply(self.flushed, op)
        self.since.clear()

    def left(self, draw: random.Random) -> bytes:
        """What may be there after the power was lost now."""
        steps = len(self.since)
        fate = draw.choices(("all", "nothing", "first", "each", "but one"), (2, 2, 3, 4, 1))[0] if steps else "nothing"
        if fate == "nothing":
            return bytes(self.flushed)
        upto = draw.randint(0, steps) if fate == "first" else steps
        share = draw.random()
        reached: dict[int, int] = {}
        """For each sector how many of the writes to it got there: also the file's length is one."""

        def reach(sector: int) -> int:
            if sector not in reached:
                lost = fate == "each" and draw.random() < share
                reached[sector] = draw.randint(0, steps) if lost else upto
            return reached[sector]

        unlucky = -2
        if fate == "but one":
            touched = sorted({s for op in self.since if op.what == "write" for s in _sectors(op)})
            unlucky = draw.choice(touched) if touched else -1
            reached[unlucky] = draw.randint(0, steps - 1)
        data = bytearray(self.flushed)
        for step, op in enumerate(self.since):
            if op.what == "truncate":
                if step < reach(-1):
                    _apply(data, op)
                continue
            for sector in _sectors(op):
                if step < reach(sector):
                    first, last = max(op.at, sector * SECTOR), min(op.at + len(op.data), (sector + 1) * SECTOR)
                    _write(data, first, op.data[first - op.at : last - op.at])
        return bytes(data)


class Medium:
    """Walks a log. ``position``: how many of its operations have happened; ``acked``: how many rows are acknowledged."""

    def __init__(self, log: Sequence[Op], first: dict[str, bytes], seed: object = 0) -> None:
        self.position = self.acked = 0
        self._random = random.Random(f"flushes that failed, of {seed}")
        self._log = log
        self._names = {name: number for number, name in enumerate(sorted(first))}
        self._inodes = {number: _Inode(first[name]) for name, number in self._names.items()}
        self._undone: list[dict[str, int]] = []
        """What the folder was before each change since its last flush."""

    def go(self, position: int) -> None:
        """Let operations happen, up to this many in all."""
        for op in self._log[self.position : position]:
            self._happens(op)
        self.position = max(self.position, position)

    def left(self, draw: random.Random) -> dict[str, bytes]:
        """The files, as power lost now may leave them."""
        versions = [*self._undone, self._names]
        lost = draw.randint(0, len(versions) - 1) if draw.random() < 0.5 else 0
        names = versions[len(versions) - 1 - lost]
        return {name: self._inodes[number].left(draw) for name, number in names.items()}

    def written(self) -> dict[str, bytes]:
        """The files as every process sees them, power or not."""
        found: dict[str, bytes] = {}
        for name, number in self._names.items():
            inode = self._inodes[number]
            data = bytearray(inode.flushed)
            for op in inode.since:
                _apply(data, op)
            found[name] = bytes(data)
        return found

    def _happens(self, op: Op) -> None:
        match op.what:
            case "make":
                self._undone.append(dict(self._names))
                self._inodes[op.file] = _Inode()
                self._names[op.name] = op.file
            case "remove":
                self._undone.append(dict(self._names))
                del self._names[op.name]
            case "folder":
                self._undone.clear()
            case "sync":
                self._inodes[op.file].flush()
            case "unsync":
                inode = self._inodes[op.file]
                inode.flushed = bytearray(inode.left(self._random))
                inode.since.clear()
            case "acked":
                self.acked = op.at
            case _:
                self._inodes[op.file].since.append(op)


def put(folder: Path, files: dict[str, bytes]) -> None:
    """Make a folder that holds exactly these files."""
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)


def _sectors(op: Op) -> Iterator[int]:
    return iter(range(op.at // SECTOR, (op.at + len(op.data) - 1) // SECTOR + 1))


def _apply(data: bytearray, op: Op) -> None:
    if op.what == "truncate":
        del data[op.at :]
        data.extend(bytes(op.at - len(data)))
    else:
        _write(data, op.at, op.data)


def _write(data: bytearray, at: int, what: bytes) -> None:
    if at > len(data):
        data.extend(bytes(at - len(data)))
    data[at : at + len(what)] = what
