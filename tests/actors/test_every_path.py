"""An ask fails at once and with a typed reason on every path, whether it comes from outside or from another actor."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import understudy as us
from tests.actors.crew import said
from tests.actors.post import Clerk, Do, Fetch, Say, heard, lookup
from tests.actors.test_priorities import step_until
from understudy.actors.cell import Cell
from understudy.protocols.failures import Failure
from understudy.protocols.ids import Address
from understudy.testing import Simulated


class Picky(Clerk):
    """Refuses, breaks or keeps to itself whatever it is asked for."""

    mailbox = us.MailboxPolicy(bound=1, overflow="drop_oldest")

    @us.handles(Fetch)
    def fetch(self, turn: us.Turn[Clerk.State], msg: Fetch) -> str | us.Later[str]:
        match turn.me.partition("/")[2]:
            case "rejects":
                raise us.Rejected("not today")
            case "breaks":
                raise ZeroDivisionError
            case "wrong":
                return 5  # type: ignore[return-value]
            case "stops":
                later = turn.later(msg)
                turn.stop()
                return later
            case _:
                return turn.later(msg)


class Deaf(us.Actor):
    @us.handles(Say)
    def say(self, turn: us.Turn[us.State], msg: Say) -> None:
        pass


class Full(Clerk):
    mailbox = us.MailboxPolicy(bound=1, overflow="reject")


def street() -> Simulated:
    children = [
        us.Child(f"{name}/{{name}}", actor, tools=[lookup])
        for name, actor in (("p", Clerk), ("picky", Picky), ("deaf", Deaf), ("full", Full))
    ]
    return Simulated(us.Supervisor("post", children, intensity=us.Intensity(max_restarts=0)))


def finish(board: Simulated) -> None:
    board.ask("p/gone", Do("stop"))
    board.rest()


def answer_and_finish(board: Simulated) -> None:
    board.ask("p/gone", Fetch("what it said last"))
    board.rest()
    finish(board)


def stop(board: Simulated) -> None:
    board.ask("p/eve", Do("raise"))
    board.rest()
    (item,) = board.inbox()
    board.answer(item.id, "reject", reason="enough")
    board.rest()


def spoil(board: Simulated) -> None:
    board.ask("p/old", Fetch("x"))
    board.rest()
    cell: Cell = board.kernel._cells[Address("p/old")]
    cell.broken = Failure("abandon", "unreadable", "an event that nobody knows", where="p/old")


def nothing(board: Simulated) -> None:
    pass


PATHS: list[tuple[str, Callable[[Simulated], None], str]] = [
    ("nobody/there", nothing, "no_such_actor"),
    ("p/too/deep", nothing, "no_such_actor"),
    ("p/gone", finish, "finished"),
    ("p/gone", answer_and_finish, "finished"),
    ("p/eve", stop, "stopped"),
    ("p/old", spoil, "unreadable"),
    ("deaf/eve", nothing, "unhandled"),
    ("picky/rejects", nothing, "rejected"),
    ("picky/breaks", nothing, "crashed"),
    ("picky/wrong", nothing, "crashed"),
    ("picky/stops", nothing, "stopped"),
]


@pytest.mark.parametrize(("to", "prepare", "code"), PATHS)
@pytest.mark.parametrize("where", ["outside", "inside"])
def test_it_fails_at_once(where: str, to: str, prepare: Callable[[Simulated], None], code: str) -> None:
    board = street()
    prepare(board)
    began = board.now
    ask = board.ask(to, Fetch("x")) if where == "outside" else board.ask("p/asker", Do("ask", to))
    board.rest()
    assert said(ask) == code
    assert board.now - began < 60.0, "not by waiting"
    if where == "inside":
        assert heard(board, "p/asker") == (f"came {code}",)


def held(board: Simulated, to: str) -> Cell:
    """An actor that takes nothing for now, as while its supervisor decides."""
    board.tell(to, Say("first"))
    board.rest()
    cell = board.kernel._cells[Address(to)]
    cell.memory.life = "restarting"
    return cell


def test_overloaded_outside_and_never_inside() -> None:
    board = street()
    cell = held(board, "full/eve")
    board.tell("full/eve", Say("it is full"))
    board.rest()
    refused = board.ask("full/eve", Fetch("x"))
    inside = board.ask("p/asker", Do("ask", "full/eve", text="x"))
    board.rest()
    assert isinstance(refused.error, us.AskFailed)
    assert refused.error.failure.code == "overloaded"
    assert inside.reply is None
    cell.memory.life = "running"
    board.kernel._wake(cell)
    board.rest()
    assert heard(board, "full/eve") == ("first", "it is full", "x")


def test_dropped_outside() -> None:
    board = street()
    held(board, "picky/eve")
    first = board.ask("picky/eve", Fetch("x"))
    board.rest()
    board.tell("picky/eve", Say("newer"))
    board.rest()
    assert said(first) == "dropped"


def test_cancelled_timed_out_expired_and_restarted_inside() -> None:
    board = street()
    cancelled = board.ask("p/asker", Do("ask", "p/eve"))
    timed = board.ask("p/timed", Do("ask", "p/eve", within=5.0))
    board.rest()
    board.give_up(cancelled)
    board.rest()
    assert heard(board, "p/asker") == ("came cancelled",)
    assert said(timed) == "timeout"
    calm = Simulated(us.Supervisor("post", [us.Child("p/{name}", Clerk, tools=[lookup])]))
    asked = calm.ask("p/asker", Do("ask", "p/eve"))
    calm.rest()
    calm.ask("p/asker", Do("raise"))
    calm.rest()
    assert said(asked) == "restarted"


def test_expired_before_its_turn_after_a_crash_of_the_process() -> None:
    board = street()
    held(board, "p/eve")
    ask = board.ask("p/eve", Fetch("x"), timeout=5.0)
    step_until(board, lambda: ask.accepted)
    board.now += 10.0
    board.crash()
    board.rest()
    assert heard(board, "p/eve") == ("first",)
    assert [message.failure.code for message in board.parked()] == ["expired"]
