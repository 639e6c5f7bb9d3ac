"""Keys of callers outside: one message, one answer, for ever, wherever its actor is by then."""

from __future__ import annotations

import msgspec
import pytest

import understudy as us
from tests.actors.crew import Actor, Add, Close, Note, nobody_settles, said, state
from tests.actors.crew import Later as Remind
from understudy.actors.cell import LAST, Memory
from understudy.protocols.envelope import Reply, ReplyTo
from understudy.protocols.ids import OUTSIDE, Address
from understudy.protocols.journal import Known, Record
from understudy.supervisor.journal.memory import MemoryJournal
from understudy.supervisor.journal.recall import recall
from understudy.testing import Sent, Simulated


class Ask(us.Request[int]):
    pass


class Answer(us.Message):
    pass


class Asked(us.Event):
    later: str


class Slow(us.Actor):
    """Answers when it is told to."""

    class State(us.State):
        later: str = ""
        asked: int = 0

    @us.handles(Ask)
    def ask(self, turn: us.Turn[State], msg: Ask) -> us.Later[int]:
        later = turn.later(msg)
        turn.emit(Asked(later.id))
        return later

    @us.handles(Answer)
    def answer(self, turn: us.Turn[State], msg: Answer) -> None:
        turn.reply(us.Later[int](turn.state.later), turn.state.asked)

    @us.applies(Asked)
    def asked(self, state: State, event: Asked) -> State:
        return state.evolve(later=event.later, asked=state.asked + 1)


def crew(journal: MemoryJournal | None = None) -> Simulated:
    children = [us.Child("a/{name}", Actor, tools=[nobody_settles]), us.Child("slow/{name}", Slow)]
    return Simulated(us.Supervisor("crew", children), journal=journal)


def reopened(board: Simulated) -> Simulated:
    board.kernel.stop("reopened")
    board._commit()
    board.journal.close()
    return crew(board.journal)


def error(sent: Sent) -> str:
    assert isinstance(sent.error, us.AskFailed), sent.reply
    return sent.error.failure.code


@pytest.mark.parametrize("where", ["in memory", "passive", "after a restart"])
def test_the_same_key_and_message_give_the_recorded_answer(where: str) -> None:
    board = crew()
    first = board.ask("a/ada", Add(2), key="k")
    board.rest()
    board.ask("a/ada", Add(5))
    board.rest()
    if where == "passive":
        board.kernel.rest(board.now + 61.0)
    elif where == "after a restart":
        board = reopened(board)
    again, other = board.ask("a/ada", Add(2), key="k"), board.ask("a/ada", Add(3), key="k")
    board.rest()
    assert said(first) == said(again) == 2
    assert error(other) == "other_payload"
    assert state(board, "a/ada").total == 7
    if where != "in memory":
        assert "a/ada" not in board.kernel.residents.cells, "nobody had to be loaded for it"


def test_a_finished_actor_is_asked_nothing_and_its_answer_is_given() -> None:
    board = crew()
    first = board.ask("a/ada", Close(), key="k")
    board.rest()
    board = reopened(board)
    again = board.ask("a/ada", Close(), key="k")
    board.rest()
    assert said(first) == said(again) == "closed"


@pytest.mark.parametrize("restarted", [False, True])
def test_the_same_key_while_the_first_is_under_way_joins_it(restarted: bool) -> None:
    board = crew()
    first = board.ask("slow/ada", Ask(), key="k")
    board.rest()
    if restarted:
        board = reopened(board)
    again = board.ask("slow/ada", Ask(), key="k")
    board.rest()
    assert again.accepted
    assert again.reply is None
    board.tell("slow/ada", Answer())
    board.rest()
    assert said(again) == 1
    assert restarted or said(first) == 1


def test_a_key_of_a_tell_has_no_answer_for_who_asks_with_it_later() -> None:
    board = crew()
    told = board.tell("a/ada", Add(2), key="k")
    board.rest()
    for node in (board, reopened(board)):
        asked, told_again = node.ask("a/ada", Add(2), key="k"), node.tell("a/ada", Add(2), key="k")
        node.rest()
        assert error(asked) == "no_recorded_answer"
        assert told_again.accepted
        assert state(node, "a/ada").total == 2
    assert told.accepted


def test_an_answer_that_retention_erased_is_said_to_be() -> None:
    board = crew()
    board.ask("a/ada", Add(2), key="k")
    board.rest()
    rows = board.journal._rows
    for n, row in enumerate(rows):
        if row.stream == "a/ada":
            rows[n] = msgspec.structs.replace(row, payload=msgspec.Raw(msgspec.json.encode(Record(erased=True))))
    board = reopened(board)
    again = board.ask("a/ada", Add(2), key="k")
    board.rest()
    assert error(again) == "erased"


def test_an_address_and_a_key_may_hold_any_sign() -> None:
    board = crew()
    for key in ("a#b", "#", "?", "outside:a/x#y"):
        for name in ("x", "x#y"):
            first = board.ask(f"a/{name}", Add(1), key=key)
            board.rest()
            again = board.ask(f"a/{name}", Add(1), key=key)
            board.rest()
            assert said(first) == said(again)
    assert state(board, "a/x").total == state(board, "a/x#y").total == 4


def test_memory_does_not_grow_with_keys() -> None:
    board = crew()
    for n in range(50):
        board.ask("a/ada", Add(1), key=f"k{n}")
        board.tell("a/ada", Remind(1.0, "x"), key=f"t{n}")
        board.rest()
    board._let_out()
    memory = board.kernel.residents.cells[Address("a/ada")].memory
    assert len(msgspec.json.encode(memory)) < 1_000
    assert not board.kernel._taken._keys
    assert not board.kernel._taken._replies
    assert not board.kernel._taken._order


def test_what_a_finished_actor_is_remembered_by_is_bounded() -> None:
    memory = Memory()
    for n in range(100):
        memory.answered(Reply(ReplyTo(OUTSIDE, str(n), said=str(n))))
        memory.answered(Reply(ReplyTo(OUTSIDE, "again", said="always")))
    assert len(memory.last) == LAST
    assert "always" in memory.last


def test_a_free_key_is_known_as_such_and_many_are_looked_up_at_once() -> None:
    board = crew()
    board.ask("a/ada", Add(2), key="k")
    board.tell("a/ada", Note("x"), key="told")
    board.rest()
    free, told, asked = recall(
        board.journal, ((Address("a/bob"), "k"), (Address("a/ada"), "told"), (Address("a/ada"), "k"))
    )
    assert free is None
    assert isinstance(told, Known)
    assert (told.asked, told.reply) == (False, None)
    assert asked is not None
    assert asked.reply is not None
    assert bytes(asked.reply.value) == b"2"
