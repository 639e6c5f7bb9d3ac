"""One flipped bit, anywhere: it is found, and the first bad row is named, or it changed nothing that is ever read."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from tests import soak
from tests.crash.disk import put
from tests.crash.images import NAME, Work, memory, work
from understudy.protocols.errors import JournalDamaged, JournalNewer
from understudy.protocols.ids import Address
from understudy.supervisor.journal.head import head_path
from understudy.supervisor.journal.head import read as read_head
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.sqlite import SqliteJournal
from understudy.supervisor.journal.verify import Verified, verify

ANYWHERE = soak.count("bits")
"""Bits drawn from the whole file."""

LOG_HEADER, FRAME, PAGE = 32, 24, 4_096


class Made(Struct, frozen=True):
    """A journal's files, and what is in them."""

    files: dict[str, bytes]
    work: Work
    rows: tuple[tuple[object, ...], ...]
    hashes: tuple[bytes, ...]


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """Where damaged files are put, one after the other."""
    with tempfile.TemporaryDirectory(dir=memory()) as name:
        yield Path(name) / "image"


def make(place: Path, *, closed: bool) -> Made:
    """What the kernel made, in a file that was closed, or in one whose owner died: then all of it is in the log."""
    made = work(3)
    put(place, {})
    journal = SqliteJournal(place / NAME)
    journal.open()
    for batch in made.batches:
        journal.append(batch)
    if closed:
        journal.close()
    files = {path.name: path.read_bytes() for path in place.iterdir() if not path.name.endswith(("-lock", "-shm"))}
    journal.close()
    with read_only(place / NAME) as reader:
        rows = tuple(reader.query("SELECT * FROM rows ORDER BY gid"))
        assert verify(reader) == Verified(len(rows))
    put(place, files)
    return Made(files, made, rows, tuple(row[8] for row in rows))


@pytest.fixture(scope="module")
def closed(place: Path) -> Made:
    """A journal at rest."""
    return make(place, closed=True)


@pytest.fixture(scope="module")
def in_the_log(place: Path) -> Made:
    """A journal whose owner was killed before the first checkpoint."""
    return make(place, closed=False)


def flipped(data: bytes, bit: int) -> bytes:
    """The same bytes but for one bit."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)


def examine(path: Path, made: Made) -> str:
    """What becomes of a damaged file: how it was found, or that nothing in it differs. Raises AssertionError otherwise."""
    try:
        with read_only(path) as reader:
            found = verify(reader)
            if found.bad:
                assert 1 <= found.bad == found.rows + 1
                if found.rows:  # those that it vouches for are what they were, as far as SQLite can read
                    rows = reader.query("SELECT * FROM rows ORDER BY gid LIMIT ?", found.rows)
                    assert tuple(rows) == made.rows[: found.rows]
                return "named"
            assert tuple(reader.query("SELECT * FROM rows ORDER BY gid")) == made.rows
            for address in {Address(name) for (name,) in reader.query("SELECT address FROM streams")}:
                try:
                    reader.stream(address)
                except JournalDamaged:
                    return "the index"
            return "nothing read differs"
    except (JournalDamaged, JournalNewer):
        return "refused"


def test_any_bit_of_the_file_is_found_or_is_never_read(place: Path, closed: Made) -> None:
    draw, data = random.Random("bits"), closed.files[NAME]
    seen: Counter[str] = Counter()
    progress = soak.Progress("bits", ANYWHERE)
    for bit in (draw.randrange(8 * len(data)) for _ in range(ANYWHERE)):
        (place / NAME).write_bytes(flipped(data, bit))
        try:
            seen[examine(place / NAME, closed)] += 1
        except BaseException as error:
            error.add_note(f"bit {bit % 8} of byte {bit // 8}")
            raise
        progress.step()
    print(dict(seen))
    assert seen["named"] > ANYWHERE // 5


def test_a_bit_in_the_name_of_a_column_is_damage(place: Path, closed: Made) -> None:
    """A soak found it: SQLite says that the statement is wrong."""
    data = closed.files[NAME]
    bit = 8 * (data.rindex(b"address TEXT NOT NULL UNIQUE") + 1) + 3  # the schema has been moved once
    (place / NAME).write_bytes(flipped(data, bit))
    assert examine(place / NAME, closed) == "named"
    with pytest.raises(JournalDamaged, match="no such column"), read_only(place / NAME) as reader:
        reader.rows()
    with pytest.raises(JournalDamaged):
        SqliteJournal(place / NAME).open()


def test_any_bit_of_a_row_names_this_row(place: Path, closed: Made) -> None:
    data, hashes = closed.files[NAME], closed.hashes
    swept: Counter[str] = Counter()
    # Cells grow downwards in a page: what lies between the hashes of two rows is the whole cell of the earlier one.
    ends = [data.index(link) + 16 for link in hashes]
    neighbours = [gid for gid in range(1, len(ends)) if ends[gid] // PAGE == (ends[gid - 1] - 1) // PAGE]
    for gid in neighbours[-1:]:
        first, last = ends[gid], ends[gid - 1]
        for bit in range(8 * first, 8 * last):
            (place / NAME).write_bytes(flipped(data, bit))
            with read_only(place / NAME) as reader:
                found = verify(reader)
                if not found.bad:  # such as the place of a key that SQLite takes from elsewhere
                    assert tuple(reader.query("SELECT * FROM rows ORDER BY gid")) == closed.rows
                    swept["never read"] += 1
                    continue
            assert found.bad == gid, f"bit {bit % 8} of byte {bit // 8 - first} of the row: {found}"
            swept["named"] += 1
    print(dict(swept))
    assert swept["named"] > 400
    assert swept["never read"] < 20


def test_any_frame_of_the_log_is_found_and_the_first_missing_row_named(place: Path, in_the_log: Made) -> None:
    """But for the frames of the last group, of which the head does not know yet that it was acknowledged."""
    name, draw = f"{NAME}-wal", random.Random("frames")
    log = in_the_log.files[name]
    record = read_head(head_path(place / NAME))
    assert record is not None
    total = in_the_log.work.folds[-1].last
    assert (record.acked.gid, record.intended.gid) == (in_the_log.work.folds[-2].last, total)
    ends = [fold.last for fold in in_the_log.work.folds]
    frames = (len(log) - LOG_HEADER) // (FRAME + PAGE)
    named: list[int] = []
    unseen = 0
    for frame in range(frames):
        start = LOG_HEADER + frame * (FRAME + PAGE)
        for first, last in ((start, start + FRAME), (start + FRAME, start + FRAME + PAGE)):
            bit = draw.randrange(8 * first, 8 * last)
            put(place, {**in_the_log.files, name: flipped(log, bit)})
            try:
                with read_only(place / NAME) as reader:
                    found = verify(reader)
            except JournalDamaged:
                assert not named, "only without its first frames it is no journal at all"
                continue
            assert found.rows in ends, "a batch is there or not, never in part"
            if found == Verified(record.acked.gid):
                unseen += 1
                continue
            assert found.bad == found.rows + 1
            assert "had been acknowledged" in found.why
            named.append(found.bad)
            before = sorted(path.name for path in place.iterdir())
            with pytest.raises(JournalDamaged, match="had been acknowledged"):
                SqliteJournal(place / NAME).open()
            assert sorted(path.name for path in place.iterdir()) == before
    assert named == sorted(named), "the earlier the frame, the earlier the row"
    assert len(named) > 150
    assert unseen < 2 * 30, "frames of one group only"


def test_the_header_of_the_log_is_found(place: Path, in_the_log: Made) -> None:
    name = f"{NAME}-wal"
    for bit in range(8 * LOG_HEADER):
        put(place, {**in_the_log.files, name: flipped(in_the_log.files[name], bit)})
        with pytest.raises(JournalDamaged):
            SqliteJournal(place / NAME).open()


@pytest.mark.parametrize("slot", [0, 1])
def test_any_bit_of_the_head_is_found_or_harmless(place: Path, closed: Made, slot: int) -> None:
    """A slot that is damaged is passed over for the other one; that one is older, so it can only say less."""
    name = f"{NAME}-head"
    for bit in range(8 * 4_096 * slot, 8 * (4_096 * slot + 80)):
        put(place, {**closed.files, name: flipped(closed.files[name], bit)})
        with read_only(place / NAME) as reader:
            assert verify(reader) == Verified(len(closed.rows))
        assert read_head(place / name) is not None
