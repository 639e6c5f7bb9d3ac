"""Crash images: the production journal on a recorded disk, the power lost at any point, and what must be true then.

    python -m tests.crash.images SEED CUT DRAW      makes one image again and says what is wrong with it

A recording is one life of a journal under one seed: batches that the production kernel made (the bank of the simulation:
mail, events, effects, timers, restarts), with closings, failed writes and rebuilds in between. Every other recording
begins with an image of the one before it, so power is also lost in what follows a loss of power. An image is a recording,
a cut (how many operations the disk had seen) and a draw (what became of those that were not flushed).
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import Final
from unittest.mock import patch

import apsw
import msgspec
from msgspec import Struct

from tests.crash.disk import Call, Disk, Medium, Op, put
from tests.simulation.bank import STORM
from tests.simulation.run_bank import Run
from understudy.actors.cell import read_record
from understudy.actors.working_sets import WorkingSets
from understudy.protocols.errors import JournalError, UnderstudyError
from understudy.protocols.ids import Address
from understudy.protocols.journal import ActorLine, Batch, Opened, Row
from understudy.supervisor.journal.connect import Durability
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.sqlite import SqliteJournal
from understudy.supervisor.journal.verify import Verified, verify

BATCHES: Final = 45
"""Batches of one recording."""

NAME: Final = "desk.db"


class Fold(Struct, frozen=True):
    """What a journal must hold after so many batches: the rows, and the working sets as a fold over them."""

    rows: tuple[bytes, ...]
    last: int
    sets: bytes
    actors: bytes
    epoch: int


class Work(Struct, frozen=True):
    """Batches that a kernel made, and what stands in the journal after none, one, two … of them."""

    batches: tuple[Batch, ...]
    folds: tuple[Fold, ...]

    def after(self, last: int) -> int | None:
        """How many batches there are up to a row; None if it is not the last of one."""
        return next((n for n, fold in enumerate(self.folds) if fold.last == last), None)


class Recording(Struct, frozen=True):
    """One life of a journal on a recorded disk. ``first``: the files with which it began."""

    seed: str
    work: Work
    first: dict[str, bytes]
    log: tuple[Op, ...]
    began: int
    """Rows that were acknowledged before it began."""


class Broken(AssertionError):
    """An image is not what it must be."""


@lru_cache(16)
def work(seed: int, batches: int = BATCHES) -> Work:
    """What the production kernel makes of a busy bank."""
    made: list[Batch] = []
    run = Run(seed, STORM)
    append = run.node.journal.append

    def listen(batch: Batch) -> None:
        append(batch)
        made.append(batch)

    with patch.object(run.node.journal, "append", listen):
        while len(made) < batches:
            run.storm(20, calls=10_000)
    return Work(tuple(made), tuple(_folds(made)))


def record(
    seed: str,
    work: Work,
    *,
    first: dict[str, bytes] | None = None,
    began: int = 0,
    durability: Durability = "power_loss",
    lying: bool = False,
) -> Recording:
    """Let a journal live through the batches that it does not hold yet."""
    draw = random.Random(seed)
    faults = _Faults(draw)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=memory()))) / "disk"
        put(folder, first or {})
        disk = stack.enter_context(Disk(folder, seed, lying=lying, plan=faults))
        journal = SqliteJournal(folder / NAME, durability=durability, driver=disk.driver, open_head=disk.open_head)
        disk.begin()
        opened = journal.open()
        disk.end(None)
        at = work.after(opened.last)
        assert at is not None, f"it begins in the middle of a batch, at row {opened.last}"
        for batch in work.batches[at:]:
            _append(journal, disk, batch, faults)
            match draw.choices(("go on", "stop", "die"), (90, 4, 6))[0]:
                case "stop":
                    journal.close()
                    journal.open()
                case "die":
                    disk.kill(journal)
                    journal.open()
                case _:
                    pass
        journal.close()
        return Recording(seed, work, disk.first, tuple(disk.log), began)


def _append(journal: SqliteJournal, disk: Disk, batch: Batch, faults: _Faults) -> None:
    """As the shell does it: after an error the journal is read anew and asked what it holds. Or the process dies of it."""
    last = batch.rows[-1].gid
    while True:
        disk.begin()
        faults.arm()
        try:
            journal.append(batch)
        except JournalError:
            faults.armed = -1
            disk.end(None)
            if faults.deadly:
                disk.kill(journal)
                journal.open()
            else:
                journal.reload()
            if journal.tail() == last:
                if faults.deadly:
                    return
                disk.log.append(Op("acked", at=last))
                return
        else:
            faults.armed = -1
            disk.end(last)
            return


class _Faults:
    """Now and then a write or a flush of SQLite's fails, somewhere in an append."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self.armed, self.deadly = -1, False
        self._calls: tuple[Call, ...] = ()

    def arm(self) -> None:
        """Decide about the next append."""
        self._calls = self._draw.choice((("sync",), ("write", "sync", "truncate")))
        steps = 1 if len(self._calls) == 1 else 12
        self.armed = self._draw.randint(0, steps) if self._draw.random() < 0.08 else -1
        self.deadly = self._draw.random() < 0.5

    def __call__(self, call: Call, name: str) -> None:
        if self.armed < 0 or call not in self._calls or name.endswith("-head"):
            return
        self.armed -= 1
        if self.armed < 0:
            raise apsw.exception_for(self._draw.choice((apsw.SQLITE_IOERR_WRITE, apsw.SQLITE_FULL)))


@lru_cache(24)  # those of CI; a soak takes hundreds, of 3 MB each
def recording(number: int) -> Recording:
    """One of a row without end. Each odd one begins with an image of the one before it, as the next process would."""
    work_ = work(number // 2)
    if number % 2 == 0:
        return record(f"{number}", work_)
    before = recording(number - 1)
    draw = random.Random(f"the life after {number - 1}")
    cut = draw.randint(len(before.log) // 4, len(before.log) // 2)
    ((_, _, files, acked),) = images(before, [cut])
    return record(f"{number}", work_, first=files, began=acked)


def images(recording: Recording, cuts: Sequence[int]) -> Iterator[tuple[int, int, dict[str, bytes], int]]:
    """For each cut: which one it is, its draw, the files, and how many rows were acknowledged then."""
    medium = Medium(recording.log, recording.first, recording.seed)
    seen: dict[int, int] = {}
    for cut in sorted(cuts):
        draw = seen[cut] = seen.get(cut, -1) + 1
        medium.go(cut)
        yield cut, draw, medium.left(chance(recording.seed, cut, draw)), max(medium.acked, recording.began)


def chance(seed: str, cut: int, draw: int) -> random.Random:
    """What an image is drawn from."""
    return random.Random(f"{seed} {cut} {draw}")


def check(folder: Path, work: Work, acked: int, *, going_on: bool) -> int:
    """Open an image with the production class; gives how many rows it holds.

    Args:
        folder: where it is.
        work: what was being written.
        acked: rows that somebody had been told are durable.
        going_on: append what comes next, too.

    Raises:
        Broken: it is not what it must be.
    """
    journal = SqliteJournal(folder / NAME)
    try:
        opened = journal.open()
    except UnderstudyError as error:
        raise Broken(f"it is refused: {error}") from error
    try:
        at = work.after(opened.last)
        if opened.last < acked:
            raise Broken(f"row {acked} was acknowledged, and it ends at row {opened.last}")
        if at is None:
            raise Broken(f"it ends at row {opened.last}, in the middle of a batch")
        _compare(journal, opened, work.folds[at])
        if going_on and at < len(work.batches):
            journal.append(work.batches[at])
            at += 1
            _compare(journal, None, work.folds[at])
    except UnderstudyError as error:
        raise Broken(f"it cannot be used: {error}") from error
    finally:
        journal.close()
    return work.folds[at].last


def _compare(journal: SqliteJournal, opened: Opened | None, fold: Fold) -> None:
    found = tuple(map(_bytes, journal.rows(limit=1_000_000)))
    if found != fold.rows:
        wrong = next(n for n, (left, right) in enumerate(zip(found, fold.rows, strict=False), 1) if left != right)
        raise Broken(f"row {wrong} is not what was written")
    if msgspec.json.encode(journal.actors()) != fold.actors:
        raise Broken("the lines of actors are not those of the last row")
    if opened is not None:
        if (opened.epoch, opened.warnings) != (fold.epoch, ()):
            raise Broken(f"epoch {opened.epoch} instead of {fold.epoch}, warnings {opened.warnings}")
        if _sets(opened.mail, opened.effects, opened.timers) != fold.sets:
            raise Broken("the working sets are not the fold over the rows")
    with read_only(journal.path) as reader:
        found_by_chain = verify(reader)
    if found_by_chain != Verified(fold.last):
        raise Broken(f"the chain does not hold: {found_by_chain}")


def _folds(batches: Sequence[Batch]) -> Iterator[Fold]:
    sets = WorkingSets(Opened(0, 0.0, 0, True, "", (), (), ()))
    rows: tuple[bytes, ...] = ()
    actors: dict[Address, ActorLine] = {}
    last = epoch = 0
    yield Fold(rows, last, _sets((), (), ()), b"[]", epoch)
    for batch in batches:
        for row in batch.rows:
            record = read_record(row)
            sets.take(row, record, None)
            epoch = int(record.note.get("epoch", epoch))
        rows = (*rows, *map(_bytes, batch.rows))
        actors.update((line.address, line) for line in batch.actors)
        lines = msgspec.json.encode(tuple(actors[name] for name in sorted(actors)))
        last = batch.rows[-1].gid
        yield Fold(rows, last, _sets(sets.mail.values(), sets.effects.values(), sets.timers.values()), lines, epoch)


def _sets(*sets: Iterable[object]) -> bytes:
    return msgspec.json.encode([tuple(those) for those in sets])


def _bytes(row: Row) -> bytes:
    return msgspec.json.encode(row)


def memory() -> Path | None:
    """A folder in memory, where the machine has one: what a real disk does is none of our business here."""
    shared = Path("/dev/shm")
    return shared if shared.is_dir() else None


def main(number: int, cut: int, draw: int) -> None:
    """Make one image again, keep it, and say what is wrong with it."""
    recorded = recording(number)
    files, acked = next((f, a) for c, d, f, a in images(recorded, [cut] * (draw + 1)) if (c, d) == (cut, draw))
    folder = Path(tempfile.mkdtemp(prefix="image-"))
    put(folder / "kept", files)
    put(folder / "opened", files)
    print(f"{folder}/kept: operation {cut} of {len(recorded.log)}, {acked} rows acknowledged")
    for op in recorded.log[max(0, cut - 12) : cut]:
        print("   ", op.what, op.file, op.name, op.at, len(op.data))
    check(folder / "opened", recorded.work, acked, going_on=True)
    shutil.rmtree(folder)
    print("nothing is wrong with it")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
