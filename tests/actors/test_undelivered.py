"""Mail that nobody takes: its sender is told if it wants to be, the dead letter keeps the true addressee, and nothing goes round."""

from __future__ import annotations

import pytest

import understudy as us
from tests.actors.crew import Relay, rows, said
from tests.actors.post import Do, Say, heard, office
from understudy.actors.cell import read_record
from understudy.protocols.codec import decode
from understudy.protocols.mail import Undelivered
from understudy.testing import Simulated


@pytest.mark.parametrize(
    ("to", "reason"), [("nobody/there", "no_such_actor"), ("p/gone", "finished"), ("p/stopped", "stopped")]
)
def test_the_sender_of_a_message_that_was_told_is_told_that_nobody_took_it(to: str, reason: str) -> None:
    board = office(intensity=us.Intensity(max_restarts=0))
    board.ask("p/gone", Do("stop"))
    board.ask("p/stopped", Do("raise"))
    board.rest()
    (item,) = board.inbox()
    board.answer(item.id, "reject", reason="enough")
    board.rest()
    board.ask("p/ada", Do("tell", to, text="x"))
    board.rest()
    assert heard(board, "p/ada") == (f"undelivered {to} Say {reason}",)
    (row, record) = rows(board, to)[-1]
    assert row.kind == "parked"
    assert record.failure is not None
    assert record.failure.code == reason
    (word,) = record.sends
    told = decode(word.body, Undelivered)
    assert (told.to, told.wire, told.reason) == (to, "Say", reason)
    assert bytes(told.message) == b'{"text":"x"}'


def test_a_sender_that_does_not_handle_it_hears_nothing_and_neither_does_its_supervisor() -> None:
    class Quiet(us.Actor):
        @us.handles(Say)
        def say(self, turn: us.Turn[us.State], msg: Say) -> None:
            turn.tell("nobody/there", msg)

    board = Simulated(us.Supervisor("post", [us.Child("q/{name}", Quiet)]))
    board.tell("q/ada", Say("x"))
    board.rest()
    (record,) = [record for _, record in rows(board, "nobody/there")]
    assert record.sends == ()
    assert not board.journal._mail
    assert rows(board, "post") == []


def test_word_that_cannot_be_delivered_itself_is_only_a_dead_letter() -> None:
    board = office()
    board.ask("p/ada", Do("tell", "p/bob", text="x"))
    board.ask("p/bob", Do("stop"))
    board.ask("p/ada", Do("stop"))
    board.rest()
    board.ask("p/eve", Do("tell", "nobody/there", text="x"))
    board.rest()
    records = [read_record(row) for row in board.journal.rows(limit=10_000)]
    words = [e for record in records for e in record.sends if e.wire == Undelivered.__wire__]
    assert all(word.to != "p/bob" for word in words)
    assert not board.journal._mail


def test_asks_get_their_failure_and_no_word_besides() -> None:
    board = office()
    ask = board.ask("p/ada", Do("ask", "nobody/there"))
    board.rest()
    assert said(ask) == "no_such_actor"
    assert heard(board, "p/ada") == ("came no_such_actor",)


def test_others_senders_outside_are_not_told() -> None:
    board = office()
    told = board.tell("nobody/there", Say("x"))
    board.rest()
    assert told.accepted
    assert [record.sends for _, record in rows(board, "nobody/there") if record.failure] == [()]


def test_an_actor_that_asks_through_another_hears_of_a_dead_end_once() -> None:
    board = office()
    relay = board.ask("a/relay", Relay("nobody/there"))
    board.rest()
    assert said(relay) == "no_such_actor"
