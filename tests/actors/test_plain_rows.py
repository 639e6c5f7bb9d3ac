"""Rows that are read back fast give what the whole fold gives."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest
from msgspec import Raw

import understudy as us
from tests.actors.crew import Actor, Add, Note, Relay
from tests.simulation.run_bank import run
from understudy.actors.cell import Cell, read_record
from understudy.actors.plain_rows import remember
from understudy.actors.registry import Directory, Mount
from understudy.protocols.codec import encode
from understudy.protocols.envelope import Envelope
from understudy.protocols.ids import Address
from understudy.protocols.journal import Record, Row, StoredEvent
from understudy.protocols.messages import State
from understudy.testing import Simulated


def _both(rows: Iterable[Row], directory: Directory) -> None:
    """Fold rows in both ways and compare after each."""
    whole, quick = dict[Address, Cell](), dict[Address, Cell]()
    for row in rows:
        one = whole.setdefault(row.stream, Cell(row.stream, directory.find(row.stream)))
        two = quick.setdefault(row.stream, Cell(row.stream, directory.find(row.stream)))
        one.fold(row, read_record(row))
        remember(two, row)
        assert (one.memory, one.state, one.at, one.gid) == (two.memory, two.state, two.at, two.gid), row


def test_every_row_of_a_stormy_bank_is_remembered_as_the_whole_fold_remembers_it() -> None:
    for seed in range(5):
        made = run(seed)
        _both(made.seen.rows, made.node.tree.directory)


def test_rows_of_actors_that_talk_are_remembered_as_the_whole_fold_remembers_them_and_most_are_plain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wholes, fold = 0, Cell.fold

    def counted(self: Cell, row: Row, record: Record, state: State | None = None) -> None:
        nonlocal wholes
        wholes += 1
        fold(self, row, record, state)

    board = Simulated(us.Child("a/{name}", Actor), seed=3)
    for n in range(60):
        board.ask(f"a/{n % 3}", Relay(f"a/{(n + 1) % 3}") if n % 10 == 0 else Add(n))
        board.tell(f"a/{n % 3}", Note("hello"))
        board.rest()
    rows = board.journal.rows(limit=10_000)
    monkeypatch.setattr(Cell, "fold", counted)
    _both([row for row in rows if row.kind != "system"], board.tree.directory)
    assert wholes < 1.5 * len(rows), "hardly any row was read back fast"


def _cell() -> Cell:
    cell = Cell(Address("a/ada"), Mount("a/{name}", Actor(), Address(""), "a"))
    cell.fold(_row(1, Record(took="0.0")), Record(took="0.0"))
    return cell


def _row(seq: int, record: Record) -> Row:
    return Row(seq, Address("a/ada"), seq, 0, "turn", "", 1.0, Raw(encode(record)))


def test_a_message_that_stands_in_its_row_whole_is_read_as_in_the_whole_fold() -> None:
    mail = Envelope("outside:a/ada#k", Address("a/ada"), Add.__wire__, Raw(encode(Add(1))), key="k")
    one, two, row = _cell(), _cell(), _row(2, Record(message=mail))
    one.fold(row, read_record(row))
    remember(two, row)
    assert one.memory == two.memory


def test_an_event_that_cannot_be_read_raises_as_in_the_whole_fold() -> None:
    row = _row(2, Record(took="1.0", events=(StoredEvent("Added", Raw(b'{"amount":"much"}')),)))
    for _ in range(2):  # also when the event's class is known by now
        with pytest.raises(msgspec.ValidationError):
            remember(_cell(), row)
        remember(_cell(), _row(2, Record(took="1.0", events=(StoredEvent("Added", Raw(b'{"amount":1}')),))))


def test_a_row_that_is_no_record_raises() -> None:
    row = msgspec.structs.replace(_row(2, Record()), payload=Raw(b'{"events":3}'))
    with pytest.raises(msgspec.ValidationError):
        remember(_cell(), row)
