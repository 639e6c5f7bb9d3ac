"""Mail that an actor has no use for harms nobody: it is refused or put aside, and what code does wrong ends a turn, never the node."""

from __future__ import annotations

import asyncio

import pytest

import understudy as us
from tests.actors.crew import rows, said
from tests.actors.post import Clerk, Do, Fetch, Say, heard, lookup
from understudy.testing import Simulated


class Stranger(us.Message):
    pass


class NewSay(us.Message, wire="Say", version=2):
    text: str


class ShadySay(us.Message, wire="Say"):
    text: int


class Send(us.Message):
    what: str


class Teller(us.Actor):
    """Tells what others do not take."""

    class State(us.State):
        pass

    @us.handles(Send)
    def send(self, turn: us.Turn[State], msg: Send) -> None:
        turn.tell("p/eve", {"unhandled": Stranger(), "version": NewSay("x"), "body": ShadySay(5)}[msg.what])

    @us.handles(us.Undelivered)
    def undelivered(self, turn: us.Turn[State], msg: us.Undelivered) -> None:
        turn.tell("p/log", Say(f"{msg.to} {msg.wire} {msg.reason}"))


def house() -> Simulated:
    children = [us.Child("p/{name}", Clerk, tools=[lookup]), us.Child("teller", Teller)]
    return Simulated(us.Supervisor("post", children, intensity=us.Intensity(max_restarts=0)))


@pytest.mark.parametrize(
    ("what", "code", "wire"),
    [("unhandled", "unhandled", "Stranger"), ("version", "unhandled", "Say"), ("body", "bad_message", "Say")],
)
def test_a_message_that_nobody_takes_is_a_dead_letter_and_takes_nobody_down(what: str, code: str, wire: str) -> None:
    board = house()
    waits = board.ask("p/eve", Fetch("x", open=True))
    board.rest()
    for _ in range(12):
        board.tell("teller", Send(what))
    board.rest()
    assert waits.reply is None, "who waits for an answer is not disturbed"
    assert not [row for row, _ in rows(board, "p/eve") if row.kind == "failed"]
    assert [(letter.wire, letter.failure.code) for letter in board.parked()] == [(wire, code)] * 12
    assert heard(board, "p/log") == (f"p/eve {wire} {code}",) * 12
    board.ask("p/eve", Do("answer", text="still here"))
    board.rest()
    assert said(waits) == "still here"


@pytest.mark.parametrize("message", [Stranger(), NewSay("x")])
def test_from_outside_it_is_refused_at_once_and_nothing_is_written(message: us.Message) -> None:
    board = house()
    told = board.tell("p/eve", message)
    board.rest()
    assert isinstance(told.error, us.AskFailed)
    assert told.error.failure.code == "unhandled"
    assert rows(board, "p/eve") == []
    assert board.parked() == ()


class Poke(us.Request[str]):
    how: str


class Odd(us.Actor):
    """Raises and returns what no handler should."""

    class State(us.State):
        pass

    @us.handles(Poke)
    def poke(self, turn: us.Turn[State], msg: Poke) -> str | us.Later[str]:
        match msg.how:
            case "exit":
                raise SystemExit(3)
            case "cancelled":
                raise asyncio.CancelledError
            case "generator":
                raise GeneratorExit
            case "base":
                raise BaseException("b")  # noqa: TRY002 - as bad as it gets
            case "mute":
                raise Mute
            case "made up":
                return us.Later("bogus")
            case "ask" | "ask untagged":
                later = turn.later(msg)
                turn.ask("p/eve", Fetch("x"), tag=later if msg.how == "ask" else None)
                return later
            case _:
                return "fine"

    @us.settles(Fetch)
    def fetched(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
        raise ZeroDivisionError("in the settler")


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


class Careful(Odd):
    """Takes its open requests up again itself."""

    @us.handles(us.Restarted)
    def restarted(self, turn: us.Turn[Odd.State], msg: us.Restarted) -> None:
        pass


def odd() -> Simulated:
    children = [
        us.Child("odd/{name}", Odd),
        us.Child("careful/{name}", Careful),
        us.Child("p/{name}", Clerk, tools=[lookup]),
    ]
    return Simulated(us.Supervisor("post", children))


@pytest.mark.parametrize("how", ["exit", "cancelled", "generator", "base", "mute", "made up"])
def test_whatever_a_handler_raises_or_makes_up_is_a_failed_turn(how: str) -> None:
    board = odd()
    asked, other = board.ask("odd/eve", Poke(how)), board.ask("odd/bob", Poke("fine"))
    board.rest()
    assert (said(asked), said(other)) == ("crashed", "fine")
    again = board.ask("odd/eve", Poke("fine"))
    board.rest()
    assert said(again) == "fine"


def test_a_persons_interrupt_is_no_failed_turn() -> None:
    class Interrupted(Odd):
        @us.handles(Say)
        def say(self, turn: us.Turn[Odd.State], msg: Say) -> None:
            raise KeyboardInterrupt

    board = Simulated(us.Child("a", Interrupted))
    board.tell("a", Say("x"))
    with pytest.raises(KeyboardInterrupt):
        board.rest()


@pytest.mark.parametrize("how", ["ask", "ask untagged"])
def test_who_waits_behind_a_settler_that_raises_is_told_at_once(how: str) -> None:
    board = odd()
    asked = board.ask("odd/eve", Poke(how))
    board.rest()
    assert said(asked) == "crashed"
    (failed,) = [record for row, record in rows(board, "odd/eve") if row.kind == "failed"]
    assert failed.failure is not None
    assert "in the settler" in failed.failure.message
    assert board.actor("odd/eve").memory.askers == {}


def test_an_actor_that_handles_restarted_keeps_its_askers() -> None:
    board = odd()
    asked = board.ask("careful/eve", Poke("ask"))
    board.rest()
    assert asked.reply is None
    assert len(board.actor("careful/eve").memory.askers) == 1
