"""Runs that are long over lose their texts and keep their place; nothing else is touched, and a kill leaves all of a run or nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from tests.contracts.author import ADA, BOB, Author, effect, envelope, line, mail, timer
from tests.supervisor.journal.process import heard, running
from understudy.protocols.envelope import Context
from understudy.protocols.errors import JournalHeld
from understudy.protocols.ids import Address
from understudy.protocols.journal import ActorLine, Batch, Record, Snapshot
from understudy.protocols.lifecycle import Life
from understudy.supervisor.journal import chain
from understudy.supervisor.journal.audit import audit
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.retention import retain
from understudy.supervisor.journal.sqlite import SqliteJournal
from understudy.supervisor.journal.verify import verify

RICH = Path(__file__).parents[2] / "golden" / "format-1.journal"
DAY = 86_400.0
CHILD = Address("desk/ada/clerk")


def stands(address: Address, seq: int, life: Life, at: float, run: Address) -> ActorLine:
    """Where an actor stands, in a run."""
    return msgspec.structs.replace(line(address, seq, life=life, at=at), context=Context(run=run))


def journal_of(path: Path, batch: Batch) -> Path:
    """A journal with one batch, closed."""
    journal = SqliteJournal(path)
    journal.open()
    journal.append(batch)
    journal.put_snapshots((Snapshot(ADA, batch.rows[0].gid, 1, "s", "{}"),))
    journal.close()
    return path


def one_run(**more: object) -> Batch:
    """Ada's run of two actors, over at 1,004 s; Ada told Bob something, who goes on."""
    author = Author()
    rows = (
        author.row(ADA, Record(message=envelope("outside:1", key="k"))),
        author.row(ADA, Record(took="1.9", sends=(envelope("2.0", BOB, sender=ADA), envelope("2.1", CHILD)))),
        author.row(CHILD, Record(took="2.1", sends=(envelope("3.0", ADA),))),
        author.row(ADA, Record(took="3.0", life="finished")),
        author.row(BOB, Record(took="2.0")),
    )
    lines = (
        stands(ADA, 3, "finished", 1_004.0, ADA),
        stands(CHILD, 1, "finished", 1_003.0, ADA),
        stands(BOB, 1, "running", 1_005.0, BOB),
    )
    return msgspec.structs.replace(Batch(rows, actors=lines), **more)


def erased(path: Path) -> list[int]:
    """gids of rows without a text."""
    with read_only(path) as reader:
        return [gid for (gid,) in reader.query("SELECT gid FROM rows WHERE payload IS NULL ORDER BY gid")]


def test_texts_go_and_what_others_need_stays(tmp_path: Path) -> None:
    path = journal_of(tmp_path / "desk.db", one_run())
    done = retain(path, days=1.0, clock=lambda: 1_005.0 + DAY)
    assert (done.runs, done.rows, done.kept) == (1, 3, 1)
    assert erased(path) == [1, 3, 4], "row 2 sent what Bob took by reference"
    with read_only(path) as reader:
        assert verify(reader).bad == 0
        assert reader.query("SELECT COUNT(*) FROM snapshots") == [(0,)]
        assert reader.query(
            "SELECT COUNT(*) FROM rows WHERE payload IS NULL AND (cause IS NOT NULL OR digest IS NULL)"
        ) == [(0,)]
        notes = reader.query("SELECT json_extract(payload, '$.note') FROM rows WHERE kind = 'system' ORDER BY gid")
    assert '"for":"retention"' in notes[0][0]
    assert '"retained":"1 runs"' in notes[1][0]


@pytest.mark.parametrize(("days", "rows"), [(1.0, 3), (1.1, 0)])
def test_age_counts_from_the_last_row_of_the_run(tmp_path: Path, days: float, rows: int) -> None:
    path = journal_of(tmp_path / "desk.db", one_run())
    assert retain(path, days=days, clock=lambda: 1_005.0 + DAY).rows == rows


@pytest.mark.parametrize(
    "still",
    [
        {"mail": (mail("9.0", ADA),)},
        {"mail": (mail("9.0", CHILD),)},
        {"effects": (effect("9.0", stream=CHILD),)},
        {"effects": (effect("9.0", stream=BOB, context=Context(run=ADA)),)},
        {"timers": (timer("9.0", to=ADA),)},
        {"actors": (stands(ADA, 3, "running", 1_004.0, ADA), stands(CHILD, 1, "finished", 1_003.0, ADA))},
        {"actors": (stands(ADA, 3, "finished", 1_004.0, ADA), stands(CHILD, 1, "running", 1_003.0, ADA))},
    ],
)
def test_a_run_of_which_anything_is_open_is_not_touched(tmp_path: Path, still: dict[str, object]) -> None:
    path = journal_of(tmp_path / "desk.db", one_run(**still))
    assert retain(path, days=0.0, clock=lambda: 9e9).runs == 0
    assert erased(path) == []


def test_a_second_time_nothing_is_left_to_do(tmp_path: Path) -> None:
    shutil.copyfile(RICH, tmp_path / "desk.db")
    first = retain(tmp_path / "desk.db", days=0.0)
    assert (first.runs, first.rows, first.kept) == (3, 16, 0)
    with read_only(tmp_path / "desk.db") as reader:
        rows = len(reader.rows())
    again = retain(tmp_path / "desk.db", days=0.0, compact=True)
    assert (again.runs, again.rows) == (0, 0)
    with read_only(tmp_path / "desk.db") as reader:
        assert len(reader.rows()) == rows
        found = audit(reader)
        assert reader.query("SELECT COUNT(*) FROM keys") == [(10,)]
    assert found.whole
    assert found.erased == 22


def test_after_compacting_what_was_erased_is_in_no_byte_of_the_file(tmp_path: Path) -> None:
    author = Author()
    rows = tuple(author.row(ADA, Record(note={"text": "confidential" * size})) for size in (1, 30, 1_000))
    path = journal_of(tmp_path / "desk.db", Batch(rows, actors=(stands(ADA, 3, "finished", 1_200.0, ADA),)))
    assert b"confidential" in path.read_bytes()
    assert retain(path, days=0.0, compact=True).rows == 3
    assert all(b"confidential" not in file.read_bytes() for file in tmp_path.iterdir())


def test_compacting_gives_the_room_back(tmp_path: Path) -> None:
    author = Author()
    long = Record(note={"text": "x" * 4_000})
    rows = tuple(author.row(ADA, long) for _ in range(200))
    path = journal_of(tmp_path / "desk.db", Batch(rows, actors=(stands(ADA, 200, "finished", 1_200.0, ADA),)))
    before = path.stat().st_size
    assert retain(path, days=0.0, compact=True).bytes > 800_000
    assert path.stat().st_size < before / 4
    with read_only(path) as reader:
        assert verify(reader).rows == 202


def test_a_kill_leaves_all_of_a_run_or_nothing_and_the_next_time_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    shutil.copyfile(RICH, tmp_path / "desk.db")
    calls = 0
    real = chain.content

    def dies(cause: str, payload: bytes) -> bytes:
        nonlocal calls
        calls += 1
        if calls == 9:
            raise Killed
        return real(cause, payload)

    monkeypatch.setattr(chain, "content", dies)
    with pytest.raises(Killed):
        retain(tmp_path / "desk.db", days=0.0)
    with read_only(tmp_path / "desk.db") as reader:
        left = reader.query(
            "SELECT s.run, SUM(r.payload IS NULL), COUNT(*) FROM rows r JOIN streams s ON s.id = r.stream"
            " WHERE s.run <> '' GROUP BY s.run"
        )
        assert audit(reader).whole
    assert {(gone == 0, gone == rows) for _, gone, rows in left} == {(True, False), (False, True)}
    assert retain(tmp_path / "desk.db", days=0.0).runs in (1, 2)
    assert len(erased(tmp_path / "desk.db")) == 22


OWNS = """
journal = SqliteJournal(path); journal.open(); journal.append(Author().batch())
say("owns")
sys.stdin.readline()
"""


def test_an_owned_journal_is_left_alone(tmp_path: Path) -> None:
    with running(OWNS, tmp_path / "desk.db") as process:
        assert heard(process) == "owns"
        with pytest.raises(JournalHeld):
            retain(tmp_path / "desk.db", days=0.0)


def test_an_unclean_journal_stays_unclean_and_a_clean_one_clean(tmp_path: Path) -> None:
    shutil.copyfile(RICH, tmp_path / "died.db")
    retain(tmp_path / "died.db", days=0.0)
    path = journal_of(tmp_path / "desk.db", one_run(rows=(*one_run().rows, Author(5).system(stopped="drained"))))
    retain(path, days=0.0)
    for journal, clean in ((tmp_path / "died.db", False), (path, True)):
        core = SqliteJournal(journal)
        assert core.open().clean is clean
        core.close()
