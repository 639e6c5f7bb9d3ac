"""Most turns take a message and make events and messages only. The kernel goes a shorter way with them, to the same end."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, cast

import pytest

import understudy as us
from understudy.actors import kernel
from understudy.actors.aside import put_aside, sure_of_a_turn
from understudy.actors.cell import Cell
from understudy.actors.mailbox import Item
from understudy.actors.working_sets import WorkingSets
from understudy.protocols.errors import SystemStopped
from understudy.protocols.journal import Record, Row


class Token(us.Message):
    """Goes from one to another, and at some hops becomes two."""

    left: int


class Passed(us.Event):
    """A token came by."""

    left: int


class Sum(us.Request[int]):
    """Of all that came by."""


class Walker(us.Actor):
    """Passes tokens on to whomever chance names."""

    class State(us.State):
        sum: int = 0

    @us.handles(Token)
    def token(self, turn: us.Turn[State], msg: Token) -> None:
        if msg.left % 3:
            turn.emit(Passed(msg.left))
        for _ in range(min(msg.left, 2 if msg.left % 4 == 0 else 1)):
            turn.tell(f"walker/{turn.random.randint(0, 40)}", Token(msg.left - 1), priority=msg.left % 2)
        if msg.left == 5:
            turn.ask("walker/0", Sum())
        if msg.left == 7:
            turn.remind(Token(1), after=0.0)

    @us.handles(Sum)
    def total(self, turn: us.Turn[State], _: Sum) -> int:
        return turn.state.sum

    @us.settles(Sum)
    def told(self, turn: us.Turn[State], outcome: us.Outcome[int]) -> None:
        turn.emit(Passed(outcome.value))

    @us.applies(Passed)
    def passed(self, state: State, event: Passed) -> State:
        return state.evolve(sum=state.sum + event.left)


async def walk() -> None:
    async with us.System(us.Child("walker/{key}", Walker)) as system:
        await system.tell("walker/0", Token(20))
        await system.rest()


class Compared:
    """Goes both ways with each plain turn and compares; counts how many there were."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.cells = self.sets = self.mail = 0
        fold_plain: Callable[[Cell, Row, Record, Any], None] = Cell.fold_plain
        take_plain: Callable[[WorkingSets, Row, Record, Cell], None] = WorkingSets.take_plain

        def fold(cell: Cell, row: Row, record: Record, state: Any) -> None:
            other = copy.copy(cell)
            other.memory = copy.deepcopy(cell.memory)
            other.fold(row, record, state)
            fold_plain(cell, row, record, state)
            assert _slots(cell) == _slots(other)
            self.cells += 1

        def take(sets: WorkingSets, row: Row, record: Record, cell: Cell) -> None:
            other = copy.copy(sets)
            for name, value in vars(sets).items():
                setattr(other, name, copy.deepcopy(value) if name == "_keys" else copy.copy(value))
            other.take(row, record, cell)
            take_plain(sets, row, record, cell)
            assert _open(sets) == _open(other)
            self.sets += 1

        def sure(cell: Cell, item: Item) -> bool:
            if not sure_of_a_turn(cell, item):
                return False
            assert put_aside(cell, item, 1, 0.0) is None
            self.mail += 1
            return True

        patch.setattr(Cell, "fold_plain", fold)
        patch.setattr(WorkingSets, "take_plain", take)
        patch.setattr(kernel, "sure_of_a_turn", sure)


def _slots(cell: Cell) -> dict[str, Any]:
    return {name: getattr(cell, name) for name in Cell.__slots__}


def _open(sets: WorkingSets) -> dict[str, Any]:
    """In their order: it is that in which they are delivered after a crash."""
    held = dict(vars(sets))
    order = {name: list(cast("dict[str, object]", value)) for name, value in held.items() if isinstance(value, dict)}
    return {**held, "_keys": vars(sets._keys), "order": order}


async def test_the_short_way_of_a_plain_turn_ends_where_the_long_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = Compared(monkeypatch)
    await walk()
    assert min(compared.cells, compared.sets, compared.mail) > 40


async def test_a_short_way_that_ends_elsewhere_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    short = Cell.fold_plain

    def forgetful(cell: Cell, row: Row, record: Record, state: Any) -> None:
        short(cell, row, record, state)
        cell.memory.turns -= 1

    monkeypatch.setattr(Cell, "fold_plain", forgetful)
    Compared(monkeypatch)
    with pytest.raises(SystemStopped, match="AssertionError"):
        await walk()
