"""The journal in one SQLite file: the synchronous core. One owner, one connection, one transaction a batch.

``open``    lock, preflight (nothing touched yet), connect, pragmas read back, schema if new.
``append``  prepare (pure: what cannot be stored raises here) -> intend in the head -> BEGIN IMMEDIATE, a few large
            statements, COMMIT -> settle the head. When it returns, the batch is on the medium.
after an error: rolled back; the connection still reads. The next append opens a new connection, reads the tail from the
            medium and goes on only if all that was acknowledged is there; a batch is never committed a second time.

The object must be opened, used and closed in one thread.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeVar

import msgspec

from ...protocols.errors import JournalDamaged, JournalError, JournalFull, JournalReadOnly
from ...protocols.ids import SYSTEM, Address
from ...protocols.journal import FORMAT, ActorLine, Batch, Found, Key, Opened, Row, Snapshot, Want
from . import finding, migrate, preflight, schema, snapshots, tables
from .batch import check
from .chain import ALGORITHM, genesis
from .connect import Durability, connect, pragma, transaction
from .driver import Connection, Driver, choose, translate
from .files import refuse_no_file, refuse_other_names
from .head import Head, Mark, OpenHead, OsHeadFile, head_path
from .head import read as read_head
from .lock import Lock
from .log_size import LogSize
from .mounts import refuse_network
from .plan import Plan, Stream, prepare, write
from .reflush import reflush

T = TypeVar("T")

_KNOWN_STREAMS = 65_536
_CHECKPOINT_BYTES = 4_000_000

_FIND = """SELECT s.address, s.id, (SELECT MAX(seq) FROM rows WHERE stream = s.id)
    FROM json_each(?) j JOIN streams s ON s.address = j.value"""


class SqliteJournal:
    """A ``JournalCore`` over a file.

    Args:
        path: of the database; its folder must exist.
        durability: what an acknowledged row survives.
        driver: which SQLite; for tests.
        open_head: how the head's file (and a log that is flushed again) is written; for tests.
        on_migration: told how far the migration of an older file has come; by default the log says it, where it takes long.

    Attributes:
        warnings: what a person should know; grows if the head can no longer be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: Durability = "power_loss",
        driver: Driver | None = None,
        open_head: OpenHead = OsHeadFile,
        on_migration: migrate.Progress | None = None,
    ) -> None:
        self.path = Path(os.path.realpath(path))
        self.durability: Durability = durability
        self.warnings: tuple[str, ...] = ()
        self._driver = driver or choose()
        self._open_head = open_head
        self._on_migration = on_migration
        self._lock = Lock(self.path)
        self._log_size = LogSize(self.path)
        self._connection: Connection | None = None
        self._head: Head | None = None
        self._suspect = False
        """An append failed: what the medium holds is not known until it was read anew."""
        self._genesis = b""
        self._tail = tables.Tail(0, 0.0, b"")
        self._clean = True
        self._streams: dict[Address, Stream] = {}
        self._next_stream = 1
        self._since_checkpoint = 0

    # --- Opening and closing

    def open(self) -> Opened:
        if self._connection is not None:
            raise JournalError(f"{self.path} is open already", hint="close it first")
        if not self.path.parent.is_dir():
            raise JournalError(f"there is no folder {self.path.parent}", hint="make it first")
        refuse_no_file(self.path)
        refuse_other_names(self.path)
        refuse_network(self.path)
        self._lock.take()
        try:
            warnings = preflight.look(self._driver, self.path)
            self._reflush()
            connection = connect(self._driver, self.path, self.durability)
            try:
                with self._translated("open"):
                    opened = self._begin(connection)
            except BaseException:
                connection.close()
                raise
        except BaseException:
            self._lock.release(undo=True)
            raise
        self._connection = connection
        self.warnings = tuple(text for text in (self._driver.warning, *warnings) if text)
        return msgspec.structs.replace(opened, warnings=self.warnings)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        head, self._head = self._head, None
        if connection is None:
            return
        try:
            if head is not None:
                head.close()
            with self._translated("close"):
                connection.close()
        finally:
            self._lock.release()

    # --- Writing

    def append(self, batch: Batch) -> None:
        connection = self._must_be_open()
        if self._suspect:
            self.reload()
            connection = self._must_be_open()
        with self._translated("append to"):
            named = {r.stream for r in batch.rows} | {a.address for a in batch.actors}
            named |= {
                key.address for key in batch.answers
            }  # an answer may be another's, to whom the request was forwarded
            streams = self._find(connection, named)
            seqs = check(batch, self._tail.gid, self._tail.at, lambda stream: streams[stream].seq)
            plan = prepare(batch, self._tail, streams)
            self._log_size.room_for(plan.size, connection)
            self._commit(connection, plan)
        self._streams.update((a, Stream(s.id, seqs.get(a, s.seq), new=False)) for a, s in streams.items())
        self._next_stream += len(plan.streams)
        self._tail, self._clean = plan.tail, plan.facts.clean
        self._after_commit(connection, plan)

    def reload(self) -> Opened:
        # While the old connection is open: SQLite keeps the shared memory, for which a full disk has no room any more, and
        # frames of a commit that failed stay unseen.
        old = self._must_be_open()
        connection = connect(self._driver, self.path, self.durability)
        try:
            with self._translated("read"):
                self._must_hold(connection, self._tail)
                opened = self._load(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        with contextlib.suppress(*self._driver.errors):
            old.close()
        return msgspec.structs.replace(opened, warnings=self.warnings)

    # --- Reading

    def tail(self) -> int:
        connection = self._must_be_open()
        with self._translated("read"):
            return tables.tail(connection, self._genesis).gid

    def stream(self, address: Address, after: int = 0) -> tuple[Row, ...]:
        connection = self._must_be_open()
        with self._translated("read"):
            return tables.stream(connection, address, after)

    def find(self, wants: tuple[Want, ...]) -> tuple[Found, ...]:
        connection = self._must_be_open()
        with self._translated("read"):
            return finding.find(connection, wants)

    def rows(self, after: int = 0, limit: int = 1_000) -> tuple[Row, ...]:
        connection = self._must_be_open()
        with self._translated("read"):
            return tables.rows(connection, after, limit)

    def actors(self, prefix: str = "") -> tuple[ActorLine, ...]:
        connection = self._must_be_open()
        with self._translated("read"):
            return tables.actors(connection, prefix)

    def keys(self, pairs: tuple[tuple[Address, str], ...]) -> tuple[Key, ...]:
        connection = self._must_be_open()
        with self._translated("read"):
            return tables.keys(connection, pairs)

    # --- Snapshots

    def snapshot(self, address: Address) -> Snapshot | None:
        connection = self._must_be_open()
        with self._translated("read"):
            return snapshots.read(connection, address)

    def put_snapshots(self, kept: tuple[Snapshot, ...]) -> None:
        connection = self._must_be_open()
        if self._suspect:
            return  # what the medium holds is not known; the next append asks it
        with self._translated("keep snapshots in"):
            snapshots.write(connection, kept)

    # --- Looking after it

    def maintain(self, work: Callable[[Connection], T]) -> T:
        """Do something to the file that is no row, on the owner's connection and between appends; in transactions of its own."""
        connection = self._must_be_open()
        if self._suspect:
            raise JournalError(f"the last append to {self.path} failed", hint="ask again when the journal works again")
        with self._translated("maintain"):
            return work(connection)

    def pragmas(self) -> dict[str, str]:
        """What the connection itself says that it does, for people and tests."""
        connection = self._must_be_open()
        with self._translated("read"):
            return {name: pragma(connection, name) for name in ("journal_mode", "synchronous", "wal_autocheckpoint")}

    # --- The steps of opening

    def _reflush(self) -> None:
        if self.durability != "power_loss":
            return
        try:
            reflush(self.path.with_name(self.path.name + "-wal"), self._open_head)
        except OSError as error:
            raise _of_os(error, f"could not flush the log of {self.path}") from error

    def _begin(self, connection: Connection) -> Opened:
        if not preflight.is_journal(connection, self.path):
            facts = {"seed": os.urandom(16).hex(), "epoch": "0", "clean": "1", "chain": ALGORITHM}
            with transaction(connection):
                for statement in schema.CREATE:
                    connection.execute(statement)
                for item in facts.items():
                    connection.execute("INSERT INTO meta VALUES (?, ?)", item)
        elif int(pragma(connection, "user_version")) < FORMAT:
            migrate.migrate(connection, self._on_migration or migrate.say(self.path))
        opened = self._load(connection)
        path, start = head_path(self.path), Mark(0, self._genesis)
        try:
            old = read_head(path)
            if old is not None and old.acked.gid > opened.last:  # a loss that was allowed; preflight warned about it
                old = msgspec.structs.replace(old, acked=start)
            strict = self.durability == "power_loss"
            self._head = Head(path, old, start, strict=strict, open_file=self._open_head)
        except OSError as error:
            raise _of_os(error, f"could not write the head of {self.path}") from error
        return opened

    def _load(self, connection: Connection) -> Opened:
        """Believe what the medium says, and say it."""
        meta = tables.meta(connection)
        try:
            seed, epoch, clean = meta["seed"], int(meta["epoch"]), meta["clean"] == "1"
        except (KeyError, ValueError) as error:
            raise JournalDamaged(f"{self.path} does not say what it is: its meta is {meta}") from error
        self._genesis = genesis(seed)
        self._tail = tables.tail(connection, self._genesis)
        self._clean = clean
        self._streams.clear()
        found = connection.execute("SELECT COALESCE(MAX(id), 0) FROM streams").fetchone()
        self._next_stream = (found[0] if found else 0) + 1
        self._suspect = False
        return Opened(
            last=self._tail.gid,
            at=self._tail.at,
            epoch=epoch,
            clean=clean,
            seed=seed,
            mail=tables.mail(connection),
            effects=tables.effects(connection),
            timers=tables.timers(connection),
            books=tables.books(connection),
            system_seq=self._find(connection, {SYSTEM})[SYSTEM].seq,
        )

    # --- The steps of an append

    def _must_hold(self, connection: Connection, acknowledged: tables.Tail) -> None:
        found = connection.execute("SELECT hash FROM rows WHERE gid = ?", (acknowledged.gid,)).fetchone()
        if acknowledged.gid and (found is None or found[0] != acknowledged.hash):
            raise JournalDamaged(f"{self.path} no longer holds row {acknowledged.gid}, which was acknowledged")

    def _find(self, connection: Connection, addresses: set[Address]) -> dict[Address, Stream]:
        """The streams of these addresses; new ones get the next ids."""
        if len(self._streams) > _KNOWN_STREAMS:
            self._streams.clear()
        known = {address: stream for address in addresses if (stream := self._streams.get(address))}
        unknown = sorted(addresses - known.keys())
        if unknown:
            try:
                names = msgspec.json.encode(unknown).decode()
            except UnicodeEncodeError as error:
                raise JournalError(f"an address cannot be stored: {error}") from error
            for address, number, seq in connection.execute(_FIND, (names,)):
                known[Address(address)] = Stream(number, seq or 0, new=False)
            new = [address for address in unknown if address not in known]
            known.update((a, Stream(number, 0, new=True)) for number, a in enumerate(new, self._next_stream))
        return known

    def _commit(self, connection: Connection, plan: Plan) -> None:
        assert self._head is not None
        mark = Mark(plan.tail.gid, plan.tail.hash)
        self._suspect = True
        self._head.intend(mark)
        try:
            with transaction(connection):
                write(connection, plan, clean_before=self._clean)
            self._suspect = False
        finally:
            self._head.settle(None if self._suspect else mark)

    def _after_commit(self, connection: Connection, plan: Plan) -> None:
        """What may fail without harm: the batch is durable."""
        if self._head is not None and self._head.broken and not self._head.told:
            self._head.told = True
            self.warnings += (f"the head of {self.path} cannot be written any more: {self._head.broken}",)
        if self._driver.careful:
            self._since_checkpoint += plan.size
            if self._since_checkpoint > _CHECKPOINT_BYTES:
                self._since_checkpoint = 0
                with contextlib.suppress(*self._driver.errors):
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _must_be_open(self) -> Connection:
        if self._connection is None:
            raise JournalError(f"{self.path} is closed", hint="open it first")
        return self._connection

    @contextlib.contextmanager
    def _translated(self, doing: str) -> Generator[None]:
        try:
            yield
        except self._driver.errors as error:
            raise translate(self._driver, error, f"{doing} {self.path}") from error


def _of_os(error: OSError, message: str) -> JournalError:
    text = f"{message}: {error.strerror or error}"
    if isinstance(error, PermissionError):
        return JournalReadOnly(text, hint="the file and its folder must be writable by this user")
    return JournalFull(text, hint="make room on the device")
