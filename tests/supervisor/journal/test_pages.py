"""Many rows read as one value mean what they mean one by one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest
from msgspec import Raw

from tests.actors.crew import Actor
from tests.contracts.author import ADA, BOB, Author, line
from tests.simulation.run_bank import run
from tests.supervisor.journal.test_head import change
from understudy.actors.cell import Cell
from understudy.actors.registry import Directory, Mount
from understudy.actors.residents import take_in
from understudy.protocols.envelope import OUTCOME, Envelope, ReplyTo
from understudy.protocols.ids import SYSTEM, Address
from understudy.protocols.journal import Batch, Found, Record, Row, StoredEvent, Want
from understudy.supervisor.journal import finding
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.sqlite import SqliteJournal

ADDED = StoredEvent("Added", Raw(b'{"amount":1}'))
"""What the crew's actors emit."""


def _written(path: Path, rows: Iterable[Row]) -> Path:
    """A closed journal of these rows."""
    rows = tuple(rows)
    journal = SqliteJournal(path)
    journal.open()
    last = {row.stream: row.seq for row in rows if row.stream != SYSTEM}
    journal.append(Batch(rows, actors=tuple(line(stream, seq) for stream, seq in last.items())))
    journal.close()
    return path


def _adas(path: Path, records: Iterable[Record]) -> Path:
    author = Author()
    return _written(path, [author.row(ADA, record) for record in records])


def _ada() -> Cell:
    return Cell(ADA, Mount("desk/{name}", Actor(), Address(""), "desk"))


def _in_parts(path: Path, cell: Cell, *, paged: bool) -> tuple[Cell, list[Found]]:
    """Bring an actor in as the kernel does."""
    parts: list[Found] = []
    with read_only(path) as reader:
        while not parts or (parts[-1].more and cell.broken is None):
            parts += reader.find((Want(cell.address, cell.memory.seq, paged=paged),))
            take_in(cell, parts[-1])
    return cell, parts


def _known(cell: Cell) -> tuple[object, ...]:
    return cell.memory, cell.state, cell.at, cell.gid, cell.broken


@pytest.mark.parametrize("size", [1, 7, 500])
def test_every_actor_of_a_stormy_bank_is_the_same_from_pages_and_from_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(finding, "PAGE", size)
    for seed in range(4):
        made = run(seed)
        path = _written(tmp_path / f"{seed}.db", made.seen.rows)
        pages = 0
        directory: Directory = made.node.tree.directory
        for stream in {row.stream for row in made.seen.rows} - {SYSTEM}:
            one, _ = _in_parts(path, Cell(stream, directory.find(stream)), paged=False)
            two, parts = _in_parts(path, Cell(stream, directory.find(stream)), paged=True)
            assert _known(one) == _known(two), (seed, stream)
            pages += sum(found.page is not None for found in parts)
        assert pages, "nothing was read as a page"


def test_rows_that_are_not_plain_in_the_midst_of_others_are_folded_whole(tmp_path: Path) -> None:
    asked = Envelope("9.0", BOB, "test.ask", Raw(b"{}"), sender=ADA, reply_to=ReplyTo(ADA, "9.0", "ask:test.ask"))
    told = Envelope("9.1", BOB, OUTCOME, Raw(b'{"of":"ask:Add","value":3,"settler":"ask:Add"}'), sender=ADA)
    odd = [
        Record(events=(ADDED,), sends=(asked,)),
        Record(sends=(told,)),
        Record(note={"a": "b"}),
        Record(started=True),
    ]
    plain = [Record(events=(ADDED, ADDED)) for _ in range(40)]
    for at in (0, 1, 20, 39):
        for record in odd:
            path = _adas(tmp_path / f"{at}{odd.index(record)}.db", [*plain[:at], record, *plain[at:]])
            one, _ = _in_parts(path, _ada(), paged=False)
            two, (found,) = _in_parts(path, _ada(), paged=True)
            assert found.page is not None
            assert _known(one) == _known(two)
            assert one.weight <= two.weight, "the state may be larger than is known"


@pytest.mark.parametrize("bad", [1, 2, 9, 30, 50])
@pytest.mark.parametrize(
    "payload",
    [
        '{"events":[{"wire":"Added","data":{"amount":"much"}}]}',
        '{"events":[{"wire":"Nobody knows it","data":{}}]}',
        '{"events":3}',
        "{}{}",
        "",
        '{"took":"1.0"',
    ],
)
def test_the_row_of_a_page_that_cannot_be_read_is_named_as_it_is_without_pages(
    tmp_path: Path, bad: int, payload: str
) -> None:
    path = _adas(tmp_path / "desk.db", [Record(events=(ADDED,)) for _ in range(50)])
    change(path, f"UPDATE rows SET payload = '{payload}' WHERE gid = {bad}")
    one, _ = _in_parts(path, _ada(), paged=False)
    two, (found,) = _in_parts(path, _ada(), paged=True)
    assert found.page is not None
    assert one.broken is not None
    assert f"row {bad} (number {bad} of desk/ada)" in one.broken.message
    assert _known(one) == _known(two)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE rows SET payload = NULL WHERE gid = 20",
        "UPDATE rows SET payload = NULL, cause = NULL, digest = zeroblob(16) WHERE gid = 20",
        "UPDATE rows SET incarnation = 1 WHERE gid >= 20",
        "UPDATE rows SET incarnation = 'x' WHERE gid = 20",
        "UPDATE rows SET at = 'x' WHERE gid = 20",
        "UPDATE rows SET kind = 'tu,rn' WHERE gid = 20",
        "UPDATE rows SET payload = '{' || char(10) || '}' WHERE gid = 20",
        "DELETE FROM rows WHERE gid = 20",
    ],
)
def test_a_row_that_has_to_be_looked_at_by_itself_is(tmp_path: Path, sql: str) -> None:
    path = _adas(tmp_path / "desk.db", [Record(events=(ADDED,)) for _ in range(50)])
    change(path, sql)
    one, _ = _in_parts(path, _ada(), paged=False)
    two, (found,) = _in_parts(path, _ada(), paged=True)
    assert found.page is None
    assert _known(one) == _known(two)


def test_a_long_history_comes_in_pages_and_the_last_says_that_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "PAGE", 4)
    path = _adas(tmp_path / "desk.db", [Record(events=(ADDED,)) for _ in range(8)])
    cell, parts = _in_parts(path, _ada(), paged=True)
    assert [(found.page.first, found.page.count, found.more) for found in parts if found.page] == [
        (1, 4, True),
        (5, 4, False),
    ]
    assert msgspec.structs.asdict(cell.memory)["turns"] == 8
