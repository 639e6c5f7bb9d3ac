"""A journal on each back-end beside a model of it, and all that may be done to them."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.contracts.author import Author, effect, line, mail, timer
from tests.contracts.journal import alike
from tests.properties.cancelled import BY, FATES, WHEN, By, Fate, When, cancelled
from tests.soak import Progress
from understudy.protocols.errors import JournalError, JournalFull
from understudy.protocols.ids import Address
from understudy.protocols.journal import Batch, JournalCore, Opened, Row, Snapshot
from understudy.supervisor.journal.memory import MemoryJournal
from understudy.supervisor.journal.reader import JournalReader, read_only
from understudy.supervisor.journal.sqlite import SqliteJournal
from understudy.supervisor.journal.verify import verify

STREAMS = tuple(Address(name) for name in ("desk", "desk/ada", "desk/bob", "λ"))
IDS = tuple(f"{n}.0" for n in range(8))

Ids = tuple[tuple[str, ...], ...]
"""Of mail, effects and timers."""

ids = st.lists(st.sampled_from(IDS), unique=True, max_size=4).map(tuple)


class Journals(RuleBasedStateMachine):
    """Two journals and what they should hold. ``progress``: told of each sequence that has ended."""

    progress: Progress | None = None

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="understudy-properties-"))
        self.lives = 0
        self.path = self._place()
        self.fault: JournalError | None = None
        self.memory = MemoryJournal(seed="properties", fail_after=lambda _: self.fault)
        self.sqlite = SqliteJournal(self.path)
        self.author = Author()
        self.rows: list[Row] = []
        self.mail: dict[str, str] = {}
        self.effects: dict[str, str] = {}
        self.timers: dict[str, float] = {}
        self.turns: dict[Address, int] = {}
        self.snapshots: dict[Address, Snapshot] = {}
        self.last: Batch | None = None

    @initialize()
    def begin(self) -> None:
        for core in self.cores:
            core.open()

    @property
    def cores(self) -> tuple[JournalCore, JournalCore]:
        return self.memory, self.sqlite

    def teardown(self) -> None:
        try:
            for core in self.cores:
                core.close()
            with read_only(self.path) as reader:
                self._is_whole(reader)
        finally:
            shutil.rmtree(self.folder)
        if self.progress is not None:
            self.progress.step()

    def _is_whole(self, reader: JournalReader) -> None:
        report = verify(reader)
        assert (report.rows, report.why) == (len(self.rows), "")

    # -- steps --------------------------------------------------------------------------------------------------

    @rule(
        streams=st.lists(st.sampled_from(STREAMS), min_size=1, max_size=6),
        opened=st.tuples(ids, ids, ids),
        closed=st.tuples(ids, ids, ids),
        at=st.floats(2_000.0, 3_000.0),
    )
    def append(self, streams: list[Address], opened: Ids, closed: Ids, at: float) -> None:
        batch = self._batch(streams, opened, closed, at)
        for core in self.cores:
            core.append(batch)
        self._took(batch)

    @rule(streams=st.lists(st.sampled_from(STREAMS), min_size=1, max_size=3), at=st.floats(2_000.0, 3_000.0))
    def append_without_knowing(self, streams: list[Address], at: float) -> None:
        """The error came after the rows: ``tail`` tells, and the next append follows them."""
        batch = self._batch(streams, (IDS[:2], (), ()), ((), (), ()), at)
        self.fault = JournalFull("nobody knows")
        with pytest.raises(JournalFull):
            self.memory.append(batch)
        self.fault = None
        self.sqlite.append(batch)
        self._took(batch)
        assert self.memory.tail() == len(self.rows)

    @rule(
        streams=st.lists(st.sampled_from(STREAMS), min_size=1, max_size=3),
        when=st.sampled_from(WHEN),
        fate=st.sampled_from(FATES),
        by=st.sampled_from(BY),
        times=st.integers(1, 3),
    )
    def append_cancelled(self, streams: list[Address], when: When, fate: Fate, by: By, times: int) -> None:
        """Fully in or fully out, at an end when its caller has control back, and ``tail`` says which."""
        batch = self._batch(streams, (IDS[:2], (), IDS[2:4]), (IDS[1:3], (), ()), 2_400.0)
        self.sqlite.close()
        learned = cancelled(self.path, batch, when, fate, by, times)
        written = learned.begun and fate != "refused"
        if written:
            self.memory.append(batch)
            self._took(batch)
        else:
            self._left_out()
        self._is_open(self.sqlite.open())
        assert not learned.early, "its caller goes on while it is still under way"
        assert learned.tail == len(self.rows), "its caller is told something else than what is there"
        assert written or not learned.returned

    @precondition(lambda self: self.last is not None)
    @rule()
    def append_the_same_again(self) -> None:
        assert self.last is not None
        for core in self.cores:
            with pytest.raises(JournalError):
                core.append(self.last)

    @rule(gid=st.sampled_from((-1, 1, 7)), seq=st.sampled_from((-1, 0, 1)), stream=st.sampled_from(STREAMS))
    def append_what_does_not_follow(self, gid: int, seq: int, stream: Address) -> None:
        author = Author(len(self.rows), dict(self.author.seqs))
        row = author.row(stream)
        wrong = msgspec.structs.replace(row, gid=row.gid + gid, seq=row.seq + seq)
        for core in self.cores:
            with pytest.raises(JournalError):
                core.append(Batch((wrong,), mail=(mail("9.9"),)))

    @precondition(lambda self: len(self.rows) > 0)
    @rule(data=st.data(), ahead=st.booleans())
    def take_snapshots(self, data: st.DataObject, ahead: bool) -> None:
        for row in data.draw(st.lists(st.sampled_from(self.rows), min_size=1, max_size=4)):
            self._take_a_snapshot(row, ahead)

    def _take_a_snapshot(self, row: Row, ahead: bool) -> None:
        gid = len(self.rows) + 3 if ahead else row.gid
        taken = Snapshot(row.stream, gid, row.seq, "schema", f'{{"seq":{row.seq}}}')
        for core in self.cores:
            core.put_snapshots((taken,))
        before = self.snapshots.get(row.stream)
        if not ahead and (before is None or before.gid <= taken.gid):
            self.snapshots[row.stream] = taken

    @rule()
    def close_and_open(self) -> None:
        for core in self.cores:
            core.close()
        self._open()

    @rule()
    def die(self) -> None:
        """What was acknowledged is there, as another process finds it that the first one had no time to tell."""
        place = self._place()
        subprocess.run(["cp", "-r", f"{self.path.parent}/.", place.parent], check=True)
        for core in self.cores:
            core.close()
        self.path = place
        self.sqlite = SqliteJournal(place)
        self._open()

    # -- what must be true --------------------------------------------------------------------------------------

    @invariant()
    def the_rows_are_those_of_the_model(self) -> None:
        expected = [alike(row) for row in self.rows]
        for core in self.cores:
            assert core.tail() == len(expected)
            assert [alike(row) for row in core.rows(limit=10_000)] == expected

    @invariant()
    def each_stream_is_its_rows(self) -> None:
        for stream in STREAMS:
            expected = [alike(row) for row in self.rows if row.stream == stream]
            for core in self.cores:
                assert [alike(row) for row in core.stream(stream)] == expected

    @invariant()
    def a_snapshot_is_the_newest_of_a_row_that_stands(self) -> None:
        for stream in STREAMS:
            for core in self.cores:
                assert core.snapshot(stream) == self.snapshots.get(stream)

    def _open(self) -> None:
        for core in self.cores:
            found = core.open()
            self._is_open(found)
            assert {a.address: a.turns for a in core.actors()} == self.turns

    def _is_open(self, found: Opened) -> None:
        assert found.last == len(self.rows)
        assert {m.envelope.id: "open" for m in found.mail} == self.mail
        assert {e.id: e.state for e in found.effects} == self.effects
        assert {t.id: t.at for t in found.timers} == self.timers

    # -- the model ----------------------------------------------------------------------------------------------

    def _batch(self, streams: list[Address], opened: Ids, closed: Ids, at: float) -> Batch:
        rows = tuple(self.author.row(stream, cause="c") for stream in streams)
        turns = {stream: self.turns.get(stream, 0) + streams.count(stream) for stream in streams}
        return Batch(
            rows,
            mail=tuple(mail(id) for id in opened[0]),
            mail_closed=closed[0],
            effects=tuple(effect(id, "started" if at > 2_500.0 else "intended") for id in opened[1]),
            effects_closed=closed[1],
            timers=tuple(timer(id, at) for id in opened[2]),
            timers_closed=closed[2],
            actors=tuple(line(stream, self.author.seqs[stream], turns=n) for stream, n in turns.items()),
        )

    def _took(self, batch: Batch) -> None:
        self.rows += batch.rows
        self.mail.update((m.envelope.id, "open") for m in batch.mail)
        self.effects.update((e.id, e.state) for e in batch.effects)
        self.timers.update((t.id, t.at) for t in batch.timers)
        self.turns.update((a.address, a.turns) for a in batch.actors)
        for kept, over in (
            (self.mail, batch.mail_closed),
            (self.effects, batch.effects_closed),
            (self.timers, batch.timers_closed),
        ):
            for id in over:
                kept.pop(id, None)
        self.last = batch

    def _left_out(self) -> None:
        """The batch that was made last is nowhere."""
        seqs = {row.stream: row.seq for row in self.rows}
        self.author = Author(len(self.rows), seqs)

    def _place(self) -> Path:
        self.lives += 1
        place = self.folder / str(self.lives)
        place.mkdir()
        return place / "a.db"
