"""Beginning and ending: ``Started`` in spite of refusals, nothing left behind by who has ended, keys and doubts with age."""

from __future__ import annotations

import pytest

import understudy as us
from tests.actors.crew import said
from understudy.protocols.effects import Retry
from understudy.testing import Simulated

runs: list[str] = []
trouble: list[Exception] = []


@pytest.fixture(autouse=True)
def _fresh() -> None:
    runs.clear()
    trouble.clear()


@us.tool(effect="once", retry=Retry(attempts=4, base=1.0))
def send(call: us.Call) -> str:
    """Send something."""
    if trouble:
        raise trouble.pop(0)
    runs.append(call.key)
    return "sent"


@us.tool(effect="idempotent", key_ttl=3_600.0)
def book(call: us.Call, what: str) -> str:
    """Book something."""
    if trouble:
        raise trouble.pop(0)
    runs.append(call.key)
    return "booked"


class Do(us.Request[str]):
    """finish, forget, refuse, crash, ticks, send, book or pass on."""

    how: str


class Tick(us.Message):
    pass


class Began(us.Event):
    pass


class Ticked(us.Event):
    pass


class Actor(us.Actor):
    class State(us.State):
        begun: int = 0
        ticks: int = 0

    @us.handles(us.Started)
    def started(self, turn: us.Turn[State], msg: us.Started) -> None:
        turn.emit(Began())

    @us.handles(Do)
    def do(self, turn: us.Turn[State], msg: Do) -> str | us.Later[str]:
        match msg.how:
            case "finish":
                turn.remind(Tick(), after=3_600.0)
                turn.stop()
            case "forget":
                turn.forget(turn.remind(Tick(), after=1.0))
            case "refuse":
                raise us.Rejected("no")
            case "crash":
                raise RuntimeError("oh")
            case "send":
                later = turn.later(msg)
                turn.call(send, tag=later)
                return later
            case "book":
                later = turn.later(msg)
                turn.call(book, "table", tag=later)
                return later
            case "pass on":
                return turn.forward("b", Do("look"))
            case _:
                pass
        return f"{turn.state.begun} {turn.state.ticks}"

    @us.settles(send)
    def was_sent(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
        turn.reply(outcome.tag, outcome.value)

    @us.settles(book)
    def booked(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
        turn.reply(outcome.tag, outcome.value)

    @us.handles(Tick)
    def tick(self, turn: us.Turn[State], msg: Tick) -> None:
        turn.emit(Ticked())

    @us.handles(us.Cancel)
    def cancel(self, turn: us.Turn[State], msg: us.Cancel) -> None:
        turn.stop()

    @us.applies(Began)
    def has_begun(self, state: State, event: Began) -> State:
        return state.evolve(begun=state.begun + 1)

    @us.applies(Ticked)
    def ticked(self, state: State, event: Ticked) -> State:
        return state.evolve(ticks=state.ticks + 1)


def node() -> Simulated:
    return Simulated(us.Child("a", Actor, tools=[send, book]), us.Child("b", Actor))


@pytest.mark.parametrize("first", ["look", "refuse", "crash"])
def test_started_runs_once_whatever_becomes_of_the_first_message(first: str) -> None:
    board = node()
    board.ask("a", Do(first))
    board.rest()
    asked = board.ask("a", Do("look"))
    board.rest()
    assert said(asked) == "1 0"


def test_a_reminder_that_is_forgotten_in_the_turn_that_set_it_never_comes() -> None:
    board = node()
    board.ask("a", Do("forget"))
    board.rest()
    asked = board.ask("a", Do("look"))
    board.rest()
    assert said(asked) == "1 0"


def test_who_has_finished_leaves_no_reminder_behind() -> None:
    board = node()
    board.ask("a", Do("finish"))
    board.rest()
    assert board.now < 1_700_000_000.0 + 3_600.0, "nobody waited for it"


def test_a_call_of_an_actor_that_has_ended_is_not_tried_again() -> None:
    trouble.append(us.RetryLater("busy", after=60.0))
    board = node()
    board.ask("a", Do("send"))
    while not board.actor("a").memory.effects or trouble:
        board.step()
    board.tell("a", us.Cancel("enough"))
    board.rest()
    assert runs == []
    assert board.inbox() == ()


def test_a_failed_call_frees_its_key_and_one_that_succeeded_keeps_it() -> None:
    board = node()
    for _ in range(2):
        board.ask("a", Do("send"))
    board.rest()
    trouble.append(us.Abandon("no"))
    board.ask("a", Do("send"))
    board.rest()
    board.ask("a", Do("send"))
    board.rest()
    assert len(runs) == len(set(runs)) == 3


def test_a_key_that_a_message_was_forwarded_with_is_answered_at_once_the_second_time() -> None:
    board = node()
    first = board.ask("a", Do("pass on"), key="k")
    board.rest()
    second = board.ask("a", Do("pass on"), key="k")
    board.rest()
    assert said(first) == said(second) == "1 0", "whoever answered"


def test_an_idempotent_call_that_waited_longer_than_its_key_lives_is_in_doubt() -> None:
    trouble.append(us.RetryLater("closed until next week", after=7_200.0))
    board = node()
    board.ask("a", Do("book"))
    board.rest()
    assert runs == []
    (item,) = board.inbox()
    assert (item.kind, item.tool) == ("in_doubt", "book")


def test_a_reminder_at_no_time_is_refused() -> None:
    class Bad(us.Actor):
        @us.handles(Do)
        def do(self, turn: us.Turn[us.State], msg: Do) -> str:
            turn.remind(Tick(), after=float("nan"))
            return ""

        @us.handles(Tick)
        def tick(self, turn: us.Turn[us.State], msg: Tick) -> None: ...

    board = Simulated(us.Child("bad", Bad))
    asked = board.ask("bad", Do("x"))
    board.rest()
    assert said(asked) == "crashed"
