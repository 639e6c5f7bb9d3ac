"""Stash: a message is put by, durably, and comes back in order before newer mail of its priority."""

from __future__ import annotations

import pytest

import understudy as us
from tests.actors.crew import Note, crash_and_go_on, node, rows, said
from tests.actors.post import Do, Fetch, Say, heard, office
from understudy.protocols.ids import Address
from understudy.testing import Simulated, take


@pytest.mark.parametrize("crash", [False, True])
def test_what_was_stashed_comes_back_in_order_before_newer_mail(crash: bool) -> None:
    for seed in range(10):
        board = office(seed)
        lock = board.ask("p/ada", Do("lock"))
        board.rest()
        for text in ("one", "two", "three"):
            board.tell("p/ada", Say(text))
        fetch = board.ask("p/ada", Fetch("four"), key="f")
        board.rest()
        assert said(lock) == "lock"
        assert heard(board, "p/ada") == ()
        assert fetch.reply is None
        assert [m.envelope.wire for m in board.journal._mail.values()] == ["Say", "Say", "Say", "Fetch"], (
            "they stay open"
        )
        if crash:
            board.crash()
            board.rest()
            board.again(fetch)
        board.ask("p/ada", Do("unlock"))
        board.tell("p/ada", Say("five"))
        board.rest()
        assert heard(board, "p/ada") == ("one", "two", "three", "four", "five")
        assert said(fetch) == "here is four"
        assert not board.journal._mail


def test_a_crash_between_any_two_rows_loses_nothing_and_doubles_nothing() -> None:
    for seed in range(60):
        board = office(seed)
        sent = [board.ask("p/ada", Do("lock"), key="l")]
        board.rest()
        sent += [board.tell("p/ada", Say(str(n)), key=f"s{n}") for n in range(4)]
        sent.append(board.ask("p/ada", Do("unlock"), key="u"))
        for _ in range(seed // 2):
            board.step()
        crash_and_go_on(board, sent)
        board.ask("p/ada", Do("unlock"))
        board.rest()
        assert heard(board, "p/ada") == ("0", "1", "2", "3"), f"seed {seed}"
        assert not board.journal._mail


def test_a_restart_ends_the_stash_and_its_messages_are_taken() -> None:
    board = office()
    board.ask("p/ada", Do("lock"))
    board.tell("p/ada", Say("one"))
    board.tell("p/ada", Say("two"))
    board.rest()
    board.ask("p/ada", Do("raise"))
    board.rest()
    assert board.actor("p/ada").memory.incarnation == 1
    postal = board.actor("p/ada").memory.postal
    assert postal is not None
    assert list(postal.stash) != [], "the state was kept, and so was the lock: they are put by again"
    board.ask("p/ada", Do("unlock"))
    board.rest()
    assert heard(board, "p/ada") == ("one", "two")
    fresh = office(on_restart="fresh")
    fresh.ask("p/ada", Do("lock"))
    fresh.tell("p/ada", Say("one"))
    fresh.tell("p/ada", Say("two"))
    fresh.rest()
    fresh.ask("p/ada", Do("raise"))
    fresh.rest()
    assert heard(fresh, "p/ada") == ("one", "two")


def test_who_ends_with_a_stash_leaves_dead_letters_and_its_askers_are_told() -> None:
    board = office()
    board.ask("p/ada", Do("lock"))
    fetch = board.ask("p/ada", Fetch("x"))
    board.tell("p/ada", Say("y"))
    board.rest()
    board.ask("p/ada", Do("stop"))
    board.rest()
    assert said(fetch) == "finished"
    parked = [record.failure.code for row, record in rows(board, "p/ada") if row.kind == "parked" and record.failure]
    assert parked == ["finished", "finished"]
    assert not board.journal._mail


def test_a_stash_with_an_answer_is_a_mistake_that_says_so() -> None:
    class Both(us.Actor):
        @us.handles(Fetch)
        def fetch(self, turn: us.Turn[us.State], msg: Fetch) -> str:
            turn.stash()
            return "and answered"

    board = Simulated(us.Child("b/{name}", Both))
    fetch = board.ask("b/ada", Fetch("x"))
    board.rest()
    assert said(fetch) == "crashed"
    taken = take(Both, Fetch("x"))
    assert taken.crashed
    assert taken.failure is not None
    assert "Fetch was stashed and answered" in taken.failure.message


def test_nothing_is_stashed_by_a_turn_that_fails() -> None:
    class Falls(us.Actor):
        @us.handles(Say)
        def say(self, turn: us.Turn[us.State], msg: Say) -> None:
            turn.stash()
            raise ZeroDivisionError

    board = Simulated(us.Child("b/{name}", Falls))
    board.tell("b/ada", Say("x"))
    board.rest()
    assert "failed" in [row.kind for row, _ in rows(board, "b/ada")]
    assert not board.journal._mail


def test_an_actor_that_stashes_nothing_has_no_stash_in_memory() -> None:
    board = node()
    board.tell("a/ada", Note("x"))
    board.rest()
    assert board.actor("a/ada").memory.postal is None
    assert board.kernel._cells[Address("a/ada")].mailbox.rare is None


@pytest.mark.parametrize("crash", [False, True])
def test_what_the_last_turn_of_an_actor_stashes_is_told_that_it_has_finished(crash: bool) -> None:
    class Goes(us.Actor):
        @us.handles(Fetch)
        def fetch(self, turn: us.Turn[us.State], msg: Fetch) -> us.Later[str]:
            put_by: us.Later[str] = turn.stash()
            turn.stop()
            return put_by

    for seed in range(10):
        board = Simulated(us.Child("g/{name}", Goes), seed=seed)
        fetch = board.ask("g/ada", Fetch("x"), key="f")
        if crash:
            for _ in range(seed):
                board.step()
            board.crash()
            board.again(fetch)
        board.rest()
        assert said(fetch) == "finished"
        assert not board.journal._mail
