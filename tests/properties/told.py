"""A journal whose batches say what a kernel's would, beside a model of it: it is copied, and taken over by newer versions."""

from __future__ import annotations

import shutil
from unittest.mock import patch

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from tests.contracts.author import effect, timer
from tests.contracts.journal import alike
from tests.properties.journals import IDS, STREAMS, Ids, Journals
from tests.properties.tally import made_old, replayed, stored, worth
from tests.supervisor.journal.dying import Killed, killed_after
from understudy.actors.cell import Cell, read_record
from understudy.actors.working_sets import WorkingSets
from understudy.protocols.envelope import Envelope, Reply, ReplyTo
from understudy.protocols.ids import OUTSIDE, Address
from understudy.protocols.journal import FORMAT, Batch, Opened, Record
from understudy.supervisor.journal import backup as backups
from understudy.supervisor.journal import migrate
from understudy.supervisor.journal.audit import audit
from understudy.supervisor.journal.driver import choose
from understudy.supervisor.journal.reader import JournalReader, read_only
from understudy.supervisor.journal.sqlite import SqliteJournal


class Told(Journals):
    """The same, with batches that hold just what their rows say, as a kernel's do: copies of it can be audited, states replayed.

    The program has had three releases, and the file has had two formats. Whatever wrote a row, the newest reads it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.release = 0
        self.keys: dict[tuple[Address, str], tuple[int, int]] = {}
        self.totals: dict[Address, int] = dict.fromkeys(STREAMS, 0)
        self._fold()

    @rule(
        meanwhile=st.lists(st.lists(st.sampled_from(STREAMS), min_size=1, max_size=5), max_size=4),
        pages=st.integers(1, 12),
    )
    def back_up(self, meanwhile: list[list[Address]], pages: int) -> None:
        """The owner appends between any two pages, and while the copy is verified."""
        before, rows = self.sqlite.reload(), [alike(row) for row in self.rows]
        copy = self._place()

        def progress(*_: object) -> None:
            if meanwhile:
                self.append_a_few(meanwhile.pop())

        with patch.object(backups, "_PAGES", pages):
            made = backups.backup(self.path, copy, progress=progress)
        assert (made.rows, made.audit.whole) == (len(rows), True), "it is no exact prefix"
        core = SqliteJournal(copy)
        assert msgspec.json.encode(core.open()) == msgspec.json.encode(before)
        assert [alike(row) for row in core.rows(limit=10_000)] == rows
        core.close()
        shutil.rmtree(copy.parent)

    @rule(
        deaths=st.lists(st.integers(1, 40), min_size=1, max_size=3),
        step=st.integers(1, 9),
        releases=st.integers(0, 2),
    )
    def upgrade(self, deaths: list[int], step: int, releases: int) -> None:
        """A file of format 1 is taken over by this version, of which some owners may die, and by newer code."""
        for core in self.cores:
            core.close()
        made_old(self.path)
        self.snapshots.clear()
        self.memory._snapshots.clear()
        with patch.object(migrate, "STEP", step):
            for statements in deaths:
                connection = choose().connect(f"file:{self.path}")
                try:
                    migrate.migrate(killed_after(connection, statements), lambda done, of: None)
                except Killed:
                    pass
                finally:
                    connection.close()
            self._open()
        self.release = min(self.release + releases, 2)
        with read_only(self.path) as reader:
            assert reader.query("PRAGMA user_version") == [(FORMAT,)]
            assert "migrating" not in reader.meta()
            self._is_whole(reader)

    @invariant()
    def keys_are_those_of_the_model(self) -> None:
        pairs = tuple(self.keys)
        for core in self.cores:
            assert {(key.address, key.key): (key.gid, key.answered) for key in core.keys(pairs)} == self.keys

    @invariant()
    def the_newest_code_replays_every_row(self) -> None:
        for stream, total in self.totals.items():
            for core in self.cores:
                found = replayed(stream, core.stream(stream), self.release)
                assert found == total, f"the state of {stream} is not what its rows say"

    def append_a_few(self, streams: list[Address]) -> None:
        self.append(streams=streams, opened=(IDS[:1], IDS[:2], ()), closed=(IDS[3:4], (), ()), at=2_000.0)

    # -- the model ----------------------------------------------------------------------------------------------

    def _batch(self, streams: list[Address], opened: Ids, closed: Ids, at: float) -> Batch:
        """As the base's, but what is opened gets ids of its row, and what is closed is open."""
        for n, stream in enumerate(streams):
            record = self._record(stream, int(at) % 97 + n, opened if n == 0 else ((), (), ()), closed, at)
            row = self.author.row(stream, record, cause=record.took)
            cell = self._cells.setdefault(stream, Cell(stream, None))
            cell.fold(row, record)
            self._sets.take(row, record, cell)
            closed = ((), (), ())
        batch = self._sets.cut()
        assert batch is not None
        return batch

    def _record(self, stream: Address, euros: int, opened: Ids, closed: Ids, at: float) -> Record:
        gid, sets = self.author.last + 1, self._sets
        took = _those(list(sets.mail), closed[0])[:1]
        settled = [sets.effects[id] for id in _those(list(sets.effects), closed[1])]
        key = f"k{gid}" if not took and euros % 3 else ""
        waiting = [pair for pair, (_, answered) in self.keys.items() if not answered]
        answered = [(stream, key)] if key and euros % 2 else waiting[: len(closed[2])]
        body = msgspec.Raw(b"{}")
        return Record(
            took="".join(took),
            message=Envelope(f"outside:{stream}#{key}", stream, "pay", body, key=key) if key else None,
            events=tuple(stored(self.release, euros + n) for n in range(euros % 4)),
            sends=tuple(Envelope(f"{gid}.{n}", STREAMS[n], "pay", body) for n, _ in enumerate(opened[0])),
            replies=tuple(Reply(ReplyTo(OUTSIDE, f"{to}#{key}", keyed=to)) for to, key in answered),
            effects=tuple(effect(f"{gid}.{n}", stream=stream) for n, _ in enumerate(opened[1], 10)),
            changes=tuple(msgspec.structs.replace(e, state="started" if at > 2_500 else "settled") for e in settled),
            timers=tuple(timer(f"{gid}.{n}", at, stream) for n, _ in enumerate(opened[2], 20)),
            dropped=_those(list(sets.timers), closed[2]),
        )

    def _took(self, batch: Batch) -> None:
        super()._took(batch)
        for row in batch.rows:
            record = read_record(row)
            if record.message is not None:
                self.keys[row.stream, record.message.key] = (row.gid, 0)
            for reply in record.replies:
                pair = reply.to.keyed, reply.to.token.removeprefix(f"{reply.to.keyed}#")
                self.keys[pair] = (self.keys[pair][0], row.gid)
            self.totals[row.stream] += sum(map(worth, record.events))

    def _left_out(self) -> None:
        super()._left_out()
        self._fold()

    def _fold(self) -> None:
        """What the next batch is made from."""
        self._sets = WorkingSets(Opened(0, 0.0, 0, True, "", (), (), ()))
        self._cells: dict[Address, Cell] = {}
        for row in self.rows:
            record = read_record(row)
            cell = self._cells.setdefault(row.stream, Cell(row.stream, None))
            cell.fold(row, record)
            self._sets.take(row, record, cell)
        self._sets.cut()

    def _is_whole(self, reader: JournalReader) -> None:
        found, expected = audit(reader), ((), len(self.rows), len(self.keys))
        assert (found.findings, found.rows, found.keys) == expected, "the tables are not what the rows say"


def _those(ids: list[str], drawn: tuple[str, ...]) -> tuple[str, ...]:
    """Some of those that are open."""
    return tuple(dict.fromkeys(ids[int(float(one)) % len(ids)] for one in drawn)) if ids else ()
