"""One message, one turn, one row: what a turn leaves, and what a failed one does not."""

from __future__ import annotations

import pytest

import understudy as us
from tests.actors.crew import Actor, Add, Break, Draw, Note, Unhandled, node, rows, said, state
from understudy.protocols.errors import DefinitionError
from understudy.testing import take

BREAKAGES = {
    "raise": "ZeroDivisionError: broken",
    "nan": "NotStorable",
    "tuple": "NotStorable",
    "type": "NotStorable",
    "surrogate": "NotStorable",
    "object": "NotStorable",
    "applies": "LookupError: rotten",
    "no state": "TypeError",
    "stray": "no @us.applies(Stray)",
    "answer": "NotStorable",
    "large": "TooLarge",
    "message": "NotStorable",
    "address": "is not an address",
}


@pytest.mark.parametrize("how", BREAKAGES)
def test_a_turn_that_fails_leaves_its_row_and_nothing_else(how: str) -> None:
    board = node()
    before = board.ask("a/ada", Add(1))
    board.rest()
    broken = board.ask("a/ada", Break(how))
    board.rest()
    other, after = board.ask("a/bob", Add(5)), board.ask("a/ada", Add(2))
    board.rest()
    assert [said(sent) for sent in (before, broken, other, after)] == [1, "crashed", 5, 3]
    failed = [(row, record) for row, record in rows(board, "a/ada") if row.kind == "failed"]
    assert len(failed) == 1
    row, record = failed[0]
    assert record.failure is not None
    assert BREAKAGES[how] in record.failure.message
    assert (record.events, record.effects, record.timers, record.askers) == ((), (), (), {})
    assert [envelope.to for envelope in record.sends] == ["crew"], "only the supervisor is told"
    assert record.message is not None
    assert record.message.id == row.cause, "its input is kept: the message is parked in this row"
    assert state(board, "a/ada").notes == ()


def test_an_outcome_that_nobody_settles_fails_the_turn() -> None:
    board = node()
    asked = board.ask("a/ada", Break("settle"))
    board.rest()
    assert said(asked) == 0
    (failed,) = [record for row, record in rows(board, "a/ada") if row.kind == "failed"]
    assert failed.failure is not None
    assert "nobody settles 'tool:nobody_settles'" in failed.failure.message


def test_emit_applies_at_once() -> None:
    assert take(Actor, Add(3), state=Actor.State(total=4)).reply == 7


def test_a_message_nobody_handles_is_refused_to_its_sender() -> None:
    taken = take(Actor, Unhandled())
    assert not taken.crashed
    assert taken.failure is not None
    assert taken.failure.code == "unhandled"
    assert taken.record.events == ()


def test_a_message_of_another_version_is_refused() -> None:
    class NewAdd(us.Request[int], wire="Add", version=2):
        amount: int

    taken = take(Actor, NewAdd(1))
    assert taken.failure is not None
    assert "takes version 1" in taken.failure.message


def test_a_message_that_does_not_fit_its_class_is_refused() -> None:
    class Shady(us.Request[int], wire="Add"):
        amount: str

    taken = take(Actor, Shady("5"))
    assert taken.failure is not None
    assert taken.failure.code == "bad_message"


def test_what_a_turn_draws_follows_from_its_input() -> None:
    one, same = take(Actor, Draw(), seed="s"), take(Actor, Draw(), seed="s")
    assert one.reply == same.reply
    assert one.reply != take(Actor, Draw(), seed="t").reply
    assert len(set(one.reply)) == 4


def test_what_was_drawn_is_drawn_again_in_another_life() -> None:
    """Two turns of one actor draw differently; the same turn of the same journal draws the same."""

    def drawn(seed: int) -> list[list[str]]:
        board = node(seed)
        first = board.ask("a/ada", Draw())
        board.rest()
        board.crash()
        second = board.ask("a/ada", Draw())
        board.rest()
        return [said(first), said(second)]

    assert drawn(3) == drawn(3)
    assert drawn(3)[0] != drawn(3)[1]


def test_reminders_need_one_time() -> None:
    class Reminds(us.Actor):
        @us.handles(Note)
        def note(self, turn: us.Turn[us.State], msg: Note) -> None:
            turn.remind(msg)

    taken = take(Reminds, Note("x"))
    assert taken.crashed
    assert taken.failure is not None
    assert "takes one of after=" in taken.failure.message


def test_definitions_that_cannot_work_are_refused_when_they_are_made() -> None:
    class Other(us.Message, wire="Note"):
        pass

    with pytest.raises(DefinitionError, match="two messages have the wire name 'Note'"):

        class Twice(us.Actor):  # pyright: ignore[reportUnusedClass]
            @us.handles(Note)
            def one(self, turn: us.Turn[us.State], msg: Note) -> None: ...

            @us.handles(Other)
            def two(self, turn: us.Turn[us.State], msg: Other) -> None: ...

    with pytest.raises(DefinitionError, match=r"@us\.handles takes"):
        us.handles(int)  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match=r"@us\.applies takes"):
        us.applies(Note)  # type: ignore[type-var]
    with pytest.raises(DefinitionError, match=r"@us\.settles takes"):
        us.settles(Note)  # type: ignore[arg-type]
