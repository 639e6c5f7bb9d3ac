"""Power lost at any moment: every acknowledged row is there, bit for bit, and the journal opens and goes on.

5,000 images; ``make soak`` takes 100,000. A failure says how to make its image again.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import apsw
import pytest

from tests import soak
from tests.crash.disk import SECTOR, Call, Disk, Medium, Op, put
from tests.crash.images import Broken, Recording, check, images, memory, record, recording, work
from understudy.protocols.errors import JournalFull
from understudy.supervisor.journal import sqlite
from understudy.supervisor.journal.connect import Durability
from understudy.supervisor.journal.sqlite import SqliteJournal

CUTS = 250
RECORDINGS = soak.count("images") // CUTS
PROGRESS = soak.Progress("images", RECORDINGS * CUTS)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """Where images are put, one after the other."""
    with tempfile.TemporaryDirectory(dir=memory()) as name:
        yield Path(name) / "image"


def cuts(recorded: Recording, count: int) -> list[int]:
    """Moments, all as likely; one in ten is in the opening, where a file is made."""
    draw = random.Random(f"cuts of {recorded.seed}")
    return [draw.randint(0, 80 if n % 10 == 0 else len(recorded.log)) for n in range(count)]


def broken(recorded: Recording, place: Path, count: int) -> list[str]:
    """What is wrong with so many images of a recording."""
    found: list[str] = []
    for cut, draw, files, acked in images(recorded, cuts(recorded, count)):
        put(place, files)
        try:
            check(place, recorded.work, acked, going_on=cut % 8 == 0)
        except Broken as error:
            found.append(f"{error}\n    make it again: python -m tests.crash.images {recorded.seed} {cut} {draw}")
    return found


@pytest.mark.parametrize("number", range(RECORDINGS))
def test_after_a_loss_of_power_every_acknowledged_row_is_there(place: Path, number: int) -> None:
    found = broken(recording(number), place, CUTS)
    PROGRESS.step(CUTS)
    assert not found, f"{len(found)} of {CUTS} images, the first:\n{found[0]}"


def test_the_recordings_hold_what_they_are_for() -> None:
    seen: Counter[str] = Counter()
    for number in range(20):
        recorded = recording(number)
        database = next(op.file for op in recording(0).log if op.name == "desk.db")
        seen.update(op.what for op in recorded.log)
        seen["checkpoint"] += sum(op.what == "sync" and op.file == database for op in recorded.log)
        seen["began with an image"] += bool(recorded.first)
        seen.update(f"a {row.kind} row" for batch in recorded.work.batches for row in batch.rows)
    print(dict(seen))
    assert seen["checkpoint"] > 100
    assert seen["unsync"] > 5
    assert seen["remove"] > 20
    assert seen["began with an image"] == 10
    assert min(seen[f"a {kind} row"] for kind in ("turn", "accepted", "started", "settled", "attempt", "system")) > 20


# -- what must fail -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("durability", "lying"), [("process_crash", False), ("power_loss", True)])
def test_without_real_flushes_acknowledged_rows_are_lost_and_this_test_sees_it(
    place: Path, durability: Durability, lying: bool
) -> None:
    found = [
        line
        for seed in range(3)
        for line in broken(record(f"{seed}", work(seed), durability=durability, lying=lying), place, 60)
    ]
    lost = [line for line in found if "was acknowledged, and it ends at row" in line or "rows are lost" in line]
    assert len(lost) > 18, found


def test_a_death_of_the_process_alone_loses_nothing_without_flushes(place: Path) -> None:
    recorded = record("0", work(0), durability="process_crash")
    medium = Medium([Op("sync", op.file) if op.what == "unsync" else op for op in recorded.log], recorded.first)
    for cut in sorted(cuts(recorded, 60)):
        medium.go(cut)
        put(place, medium.written())
        check(place, recorded.work, medium.acked, going_on=True)


# -- the disk itself ----------------------------------------------------------------------------------------------------


def medium(*ops: Op) -> Medium:
    """A disk on which this has happened."""
    made = Medium((Op("make", 0, "a"), Op("folder"), *ops), {})
    made.go(2 + len(ops))
    return made


def draws(made: Medium) -> Counter[bytes | None]:
    """What is found in file ``a`` after a loss of power, and how often."""
    return Counter(made.left(random.Random(seed)).get("a") for seed in range(400))


OLD, NEW = b"o" * (3 * SECTOR), b"n" * (3 * SECTOR)


def test_what_was_flushed_is_there() -> None:
    assert draws(medium(Op("write", data=OLD), Op("sync"))) == {OLD: 400}


def test_what_was_not_flushed_is_torn_in_every_way_but_inside_a_sector() -> None:
    found = draws(medium(Op("write", data=OLD), Op("sync"), Op("write", data=NEW)))
    parts = ("o" * SECTOR, "n" * SECTOR)
    assert found.keys() == {(a + b + c).encode() for a in parts for b in parts for c in parts}


def test_a_file_that_grows_may_have_a_hole() -> None:
    found = draws(medium(Op("write", data=OLD)))
    assert {b"", OLD, bytes(SECTOR) + OLD[SECTOR:], OLD[:SECTOR], bytes(2 * SECTOR) + OLD[:SECTOR]} <= found.keys()


def test_a_cut_may_be_lost_and_what_followed_it_not() -> None:
    found = draws(medium(Op("write", data=OLD), Op("sync"), Op("truncate", at=0), Op("write", data=NEW[:SECTOR])))
    assert {OLD, b"", NEW[:SECTOR], NEW[:SECTOR] + OLD[SECTOR:]} == found.keys()


def test_a_file_whose_folder_was_not_flushed_may_not_be_there() -> None:
    found = Medium((Op("make", 0, "a"), Op("write", data=OLD), Op("sync")), {})
    found.go(3)
    assert draws(found).keys() == {OLD, None}


def test_a_flush_after_one_that_failed_does_not_bring_back_what_is_lost() -> None:
    lost = Counter[bool]()
    for seed in range(40):
        log = (Op("write", data=OLD), Op("sync"), Op("write", data=NEW), Op("unsync"), Op("sync"))
        made = Medium((Op("make", 0, "a"), Op("folder"), *log), {}, seed)
        made.go(7)
        (left,) = draws(made)
        lost[left == NEW] += 1
    assert min(lost[True], lost[False]) > 3


# -- a flush that failed ------------------------------------------------------------------------------------------------


def broken_after_a_failed_flush(place: Path) -> list[str]:
    """A flush fails, the process dies of it, the next one goes on and acknowledges; then the power is lost."""
    failing = False
    batches = work(0)

    def plan(call: Call, name: str) -> None:
        if failing and (call, name) == ("sync", "desk.db-wal"):
            raise apsw.exception_for(apsw.SQLITE_IOERR_FSYNC)

    put(place, {})
    with Disk(place, plan=plan) as disk:
        journal = SqliteJournal(place / "desk.db", driver=disk.driver, open_head=disk.open_head)
        journal.open()
        for batch in batches.batches[:3]:
            journal.append(batch)
        disk.begin()
        failing = True
        with pytest.raises(JournalFull):
            journal.append(batches.batches[3])
        failing = False
        disk.kill(journal)
        disk.end(None)
        opened = journal.open()
        assert opened.last == batches.folds[4].last, "the frames are there, for whoever reads them"
        journal.append(batches.batches[4])
        journal.append(batches.batches[5])
        disk.log.append(Op("acked", at=batches.folds[6].last))
        disk.kill(journal)
    found: list[str] = []
    for seed in range(30):
        after = Medium(disk.log, disk.first, seed)
        after.go(len(disk.log))
        put(place, after.left(random.Random(seed)))
        try:
            check(place, batches, after.acked, going_on=True)
        except Broken as error:
            found.append(str(error))
    return found


def test_what_is_built_on_a_flush_that_failed_is_durable(place: Path) -> None:
    assert broken_after_a_failed_flush(place) == []


def test_without_a_second_flush_it_would_be_lost(place: Path) -> None:
    with patch.object(sqlite, "reflush"):
        assert len(broken_after_a_failed_flush(place)) > 3
