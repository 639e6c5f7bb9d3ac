"""An ask ends: with an answer, or at once with a typed reason, on every path."""

from __future__ import annotations

import pytest

import understudy as us
from tests.actors.crew import Add, Break, Close, Note, Relay, Unhandled, crash_and_go_on, node, rows, said, state
from understudy.supervisor.simulation.simulated import Simulated


def asked(board: Simulated, to: str, how: str = "add") -> str:
    relay = board.ask("a/relay", Relay(to, how))
    began = board.now
    board.rest()
    assert board.now - began < 60.0, "not by waiting"
    answer: str = said(relay)
    return answer


def test_an_actor_asks_another() -> None:
    assert asked(node(), "a/ada") == "got 1"


@pytest.mark.parametrize(
    ("to", "how", "code"),
    [
        ("a/ada", "unhandled", "unhandled"),
        ("a/ada", "raise", "crashed"),
        ("nobody/there", "add", "no_such_actor"),
        ("a/ada/too/deep", "add", "no_such_actor"),
    ],
)
def test_it_fails_at_once_and_the_asker_of_the_asker_is_told(to: str, how: str, code: str) -> None:
    assert asked(node(), to, how) == code


def test_a_finished_actor_answers_a_request_that_it_answered_before_and_no_other() -> None:
    board = node()
    board.ask("a/ada", Add(1))
    close = board.ask("a/ada", Close(), key="bye")
    board.rest()
    again, anew = board.ask("a/ada", Close(), key="bye"), board.ask("a/ada", Close())
    other = board.ask("a/ada", Break("raise"))
    board.rest()
    assert [said(sent) for sent in (close, again, anew)] == ["closed"] * 3
    assert said(other) == "finished"
    assert asked(board, "a/ada") == "finished", "the sum was what it was then; nobody can add to it any more"
    assert asked(board, "a/ada", "close") == "closed", "the inside too"
    more = board.ask("a/ada", Add(100))
    board.rest()
    assert said(more) == "finished"


class Order(us.Request[str]):
    what: str


class Ordered(us.Event):
    later: str


class Clerk(us.Actor):
    """Answers later, and closes."""

    class State(us.State):
        later: str = ""

    @us.handles(Order)
    def order(self, turn: us.Turn[State], msg: Order) -> str | us.Later[str]:
        if msg.what == "close":
            turn.reply(us.Later(turn.state.later), "here it is")
            turn.stop()
            return "closed"
        later = turn.later(msg)
        turn.emit(Ordered(later.id))
        return later

    @us.applies(Ordered)
    def ordered(self, state: State, event: Ordered) -> State:
        return state.evolve(later=event.later)


@pytest.mark.parametrize("crash", [False, True])
def test_what_it_answered_later_is_repeated_to_the_same_request_only(crash: bool) -> None:
    board = Simulated(us.Child("c", Clerk))
    first = board.ask("c", Order("x"))
    board.rest()
    board.ask("c", Order("close"))
    board.rest()
    if crash:
        board.crash()
    same, other, close = (board.ask("c", Order(what)) for what in ("x", "y", "close"))
    board.rest()
    assert [said(sent) for sent in (first, same, other, close)] == ["here it is", "here it is", "finished", "closed"]


def test_a_stopped_actor_answers_that_it_was_stopped() -> None:
    board = node(intensity=us.Intensity(within=1_000_000.0))
    assert stopped(board) == "stopped"
    assert asked(board, "a/ada") == "stopped"


def stopped(board: Simulated) -> str:
    """Let an actor fail too often, and let a person stop it. Gives what mail that was held is answered."""
    for _ in range(4):
        board.ask("a/ada", Break("raise"))
    held = board.ask("a/ada", us.Task("x"))
    board.rest()
    (item,) = board.inbox()
    board.answer(item.id, "reject", reason="enough")
    board.rest()
    answer: str = said(held)
    return answer


def test_outside_the_same_paths_end_the_same_way() -> None:
    board = node()
    sent = [
        board.ask("a/ada", Unhandled()),
        board.ask("a/ada", Break("raise")),
        board.ask("nobody/there", Add(1)),
    ]
    board.rest()
    assert [said(one) for one in sent] == ["unhandled", "crashed", "no_such_actor"]


def test_a_tell_to_nobody_is_acknowledged_and_kept_as_a_dead_letter() -> None:
    board = node()
    told = board.tell("nobody/there", Note("x"))
    board.rest()
    assert told.accepted
    row, record = rows(board, "nobody/there")[-1]
    assert row.kind == "parked"
    assert record.failure is not None
    assert record.failure.code == "no_such_actor"


def test_the_same_keyed_message_gives_the_recorded_answer_and_is_applied_once() -> None:
    board = node()
    first = board.ask("a/ada", Add(5), key="k")
    board.rest()
    second = board.ask("a/ada", Add(5), key="k")
    board.rest()
    board.crash()
    third = board.ask("a/ada", Add(5), key="k")
    board.rest()
    assert [said(sent) for sent in (first, second, third)] == [5, 5, 5]
    assert state(board, "a/ada").total == 5


def test_twice_at_once_is_once_too() -> None:
    for seed in range(20):
        board = node(seed)
        one, two = board.ask("a/ada", Add(5), key="k"), board.ask("a/ada", Add(5), key="k")
        board.rest()
        assert (said(one), said(two)) == (5, 5)
        assert state(board, "a/ada").total == 5


def test_a_key_is_good_for_one_message() -> None:
    board = node()
    board.ask("a/ada", Add(5), key="k")
    board.rest()
    other = board.ask("a/ada", Add(6), key="k")
    board.rest()
    assert other.error is not None
    assert "other_payload" in str(other.error)
    assert state(board, "a/ada").total == 5


def test_keys_are_for_one_actor_each_and_without_a_key_nothing_is_a_double() -> None:
    board = node()
    for to, key in (("a/ada", "k"), ("a/bob", "k"), ("a/ada", ""), ("a/ada", "")):
        board.ask(to, Add(1), key=key)
    board.rest()
    assert (state(board, "a/ada").total, state(board, "a/bob").total) == (3, 1)


def test_a_deposit_that_was_acknowledged_survives_and_one_that_was_not_may_be_brought_again() -> None:
    for seed in range(30):
        board = node(seed)
        sent = [board.ask("a/ada", Add(1), key=str(number)) for number in range(10)]
        for _ in range(seed):
            board.step()
        crash_and_go_on(board, sent)
        assert state(board, "a/ada").total == 10
        assert sorted(said(one) for one in sent) == list(range(1, 11))
