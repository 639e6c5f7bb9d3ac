"""An actor that does with mail whatever it is told to."""

from __future__ import annotations

from typing import Any

import understudy as us
from tests.actors.crew import Actor as Crew
from tests.actors.crew import nobody_settles
from understudy.testing import Simulated


class Say(us.Message):
    text: str


class Fetch(us.Request[str]):
    """Answered at once, or left open."""

    text: str = ""
    open: bool = False


class Do(us.Request[str]):
    """Something to do with mail; ``to`` is whom it is about."""

    what: str
    to: str = ""
    within: float | None = None
    priority: int = 0
    text: str = ""


class Heard(us.Event):
    text: str


class Opened(us.Event):
    later: str


class Locked(us.Event):
    locked: bool


@us.tool(effect="read")
def lookup(text: str) -> str:
    """Look something up."""
    return text


class Clerk(us.Actor):
    class State(us.State):
        heard: tuple[str, ...] = ()
        later: str = ""
        locked: bool = False

    @us.handles(Say)
    def say(self, turn: us.Turn[State], msg: Say) -> None:
        if turn.state.locked:
            turn.stash()
        else:
            turn.emit(Heard(msg.text))

    @us.handles(Fetch)
    def fetch(self, turn: us.Turn[State], msg: Fetch) -> str | us.Later[str]:
        if turn.state.locked:
            return turn.stash()
        turn.emit(Heard(msg.text))
        if msg.open:
            later = turn.later(msg)
            turn.emit(Opened(later.id))
            return later
        return f"here is {msg.text}"

    @us.handles(Do)
    def do(self, turn: us.Turn[State], msg: Do) -> str | us.Later[str]:  # noqa: C901 - a list of things
        match msg.what:
            case "tell":
                turn.tell(msg.to, Say(msg.text), within=msg.within, priority=msg.priority)
            case "ask":
                later = turn.later(msg)
                turn.ask(msg.to, Fetch(msg.text, open=True), tag=later, within=msg.within)
                return later
            case "ask aside":
                later = turn.later(msg)
                turn.emit(Opened(later.id))
                turn.ask(msg.to, Fetch(msg.text, open=True), tag="aside", within=msg.within)
                return later
            case "relay":
                later = turn.later(msg)
                turn.ask(msg.to, Do("ask", msg.text, text="x"), tag=later)
                return later
            case "answer":
                turn.reply(us.Later(turn.state.later), msg.text)
            case "lock" | "unlock":
                turn.emit(Locked(msg.what == "lock"))
                if msg.what == "unlock":
                    turn.unstash()
            case "watch":
                turn.watch(msg.to)
            case "unwatch":
                turn.unwatch(msg.to)
            case "stop":
                turn.stop()
            case "raise":
                raise ZeroDivisionError("broken")
            case "look up":
                later = turn.later(msg)
                turn.emit(Opened(later.id))
                turn.call(lookup, msg.text, tag=later)
                return later
            case "flood":
                for number in range(msg.priority):
                    turn.tell(msg.to, Say(str(number)))
            case _:
                raise AssertionError(msg.what)
        return msg.what

    @us.settles(Fetch)
    def fetched(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
        self._come(turn, outcome)

    @us.settles(Do)
    def done(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
        self._come(turn, outcome)

    @us.settles(lookup)
    def looked_up(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
        self._come(turn, outcome)

    def _come(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
        turn.emit(Heard(f"came {outcome.failure.code if outcome.failure else outcome.value}"))
        if outcome.tag != "aside":
            turn.reply(outcome.tag, outcome.value)

    @us.handles(us.Undelivered)
    def undelivered(self, turn: us.Turn[State], msg: us.Undelivered) -> None:
        turn.emit(Heard(f"undelivered {msg.to} {msg.wire} {msg.reason}"))

    @us.handles(us.Terminated)
    def terminated(self, turn: us.Turn[State], msg: us.Terminated) -> None:
        turn.emit(Heard(f"terminated {msg.address} {msg.reason}"))

    @us.applies(Heard)
    def has_heard(self, state: State, event: Heard) -> State:
        return state.evolve(heard=(*state.heard, event.text))

    @us.applies(Opened)
    def was_opened(self, state: State, event: Opened) -> State:
        return state.evolve(later=event.later)

    @us.applies(Locked)
    def was_locked(self, state: State, event: Locked) -> State:
        return state.evolve(locked=event.locked)


def office(seed: int = 0, clerk: type[Clerk] = Clerk, **options: Any) -> Simulated:
    """Clerks at ``p/{name}``, and an actor that handles no word about mail at ``a/{name}``."""
    children = [us.Child("p/{name}", clerk, tools=[lookup]), us.Child("a/{name}", Crew, tools=[nobody_settles])]
    return Simulated(us.Supervisor("post", children, **options), seed=seed)


def heard(board: Simulated, address: str) -> tuple[str, ...]:
    """What a clerk has heard, as its committed rows say."""
    state = board.actor(address).state
    assert isinstance(state, Clerk.State)
    return state.heard
