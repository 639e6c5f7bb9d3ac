"""A few actors that misbehave on demand, and a node to run them on."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, cast

import msgspec

import understudy as us
from understudy.actors.cell import read_record
from understudy.protocols.ids import Address
from understudy.protocols.journal import Record, Row
from understudy.testing import Sent, Simulated


class Add(us.Request[int]):
    amount: int


class Note(us.Message):
    text: str


class Break(us.Request[int]):
    how: str


class Later(us.Message):
    after: float
    text: str


class Forget(us.Message):
    pass


class Relay(us.Request[str]):
    """Ask somebody else in turn."""

    to: str
    how: str = "add"


class Close(us.Request[str]):
    pass


class Draw(us.Request[list[str]]):
    pass


class Unhandled(us.Request[int]):
    pass


class Added(us.Event):
    amount: int


class Noted(us.Event):
    text: str


class Loose(us.Event):
    value: Any


class Set(us.Event):
    reminder: str


class Rotten(us.Event):
    """Its ``applies`` raises."""


class Wrong(us.Event):
    """Its ``applies`` returns no state."""


class Stray(us.Event):
    """Nobody applies it."""


@us.tool(effect="read")
def nobody_settles() -> None:
    """Nobody takes its outcome."""


class Actor(us.Actor):
    class State(us.State):
        total: int = 0
        notes: tuple[str, ...] = ()
        reminder: str = ""
        later: str = ""

    @us.handles(Add)
    def add(self, turn: us.Turn[State], msg: Add) -> int:
        return turn.emit(Added(msg.amount)).total

    @us.handles(Note)
    def note(self, turn: us.Turn[State], msg: Note) -> None:
        turn.emit(Noted(msg.text))

    @us.handles(Break)
    def break_it(self, turn: us.Turn[State], msg: Break) -> int:  # noqa: C901 - a list of ways
        turn.emit(Added(1_000))
        turn.tell(turn.me, Note("from a turn that failed"))
        match msg.how:
            case "raise":
                raise ZeroDivisionError("broken")
            case "nan":
                turn.emit(Loose(math.nan))
            case "tuple":
                turn.emit(Loose((1, 2)))
            case "type":
                turn.emit(Added(cast(int, "many")))
            case "surrogate":
                turn.emit(Noted("\ud800"))
            case "object":
                turn.emit(Loose(object()))
            case "applies":
                turn.emit(Rotten())
            case "no state":
                turn.emit(Wrong())
            case "stray":
                turn.emit(Stray())
            case "answer":
                return cast(int, "many")
            case "large":
                turn.emit(Noted("x" * 1_100_000))
            case "message":
                turn.tell(turn.me, Note(cast(str, 5)))
            case "address":
                turn.tell("not an address", Note("x"))
            case "settle":
                turn.call(nobody_settles)
            case _:
                raise AssertionError(msg.how)
        return 0

    @us.handles(Later)
    def later(self, turn: us.Turn[State], msg: Later) -> None:
        turn.emit(Set(turn.remind(Note(msg.text), after=msg.after)))

    @us.handles(Forget)
    def forget(self, turn: us.Turn[State], msg: Forget) -> None:
        turn.forget(turn.state.reminder)

    @us.handles(Relay)
    def relay(self, turn: us.Turn[State], msg: Relay) -> us.Later[str]:
        later = turn.later(msg)
        match msg.how:
            case "add":
                turn.ask(msg.to, Add(1), tag=later)
            case "unhandled":
                turn.ask(msg.to, Unhandled(), tag=later)
            case "close":
                turn.ask(msg.to, Close(), tag=later)
            case _:
                turn.ask(msg.to, Break(msg.how), tag=later)
        return later

    @us.settles(Add)
    @us.settles(Break)
    @us.settles(Unhandled)
    def relayed(self, turn: us.Turn[State], outcome: us.Outcome[int]) -> None:
        turn.reply(outcome.tag, f"got {outcome.value}")

    @us.settles(Close)
    def closed(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
        turn.reply(outcome.tag, outcome.value)

    @us.handles(Close)
    def close(self, turn: us.Turn[State], msg: Close) -> str:
        turn.stop()
        return "closed"

    @us.handles(Draw)
    def draw(self, turn: us.Turn[State], msg: Draw) -> list[str]:
        drawn = [turn.uid(), turn.uid(), str(turn.random.random()), str(turn.random.randint(1, 6))]
        turn.emit(Noted(" ".join(drawn)))
        return drawn

    @us.applies(Added)
    def added(self, state: State, event: Added) -> State:
        return state.evolve(total=state.total + event.amount)

    @us.applies(Noted)
    def noted(self, state: State, event: Noted) -> State:
        return state.evolve(notes=(*state.notes, event.text))

    @us.applies(Set)
    def was_set(self, state: State, event: Set) -> State:
        return state.evolve(reminder=event.reminder)

    @us.applies(Loose)
    def loose(self, state: State, event: Loose) -> State:
        return state

    @us.applies(Rotten)
    def rotten(self, state: State, event: Rotten) -> State:
        raise LookupError("rotten")

    @us.applies(Wrong)
    def wrong(self, state: State, event: Wrong) -> State:
        return cast(Actor.State, None)


def node(seed: int = 0, **options: Any) -> Simulated:
    """Actors below a supervisor called ``crew``, at ``a/{name}``."""
    return Simulated(us.Supervisor("crew", [us.Child("a/{name}", Actor, tools=[nobody_settles])], **options), seed=seed)


def said(sent: Sent) -> Any:
    """What a request was answered with: a value, or the code of the failure."""
    assert sent.reply is not None, f"no answer to {sent.thing}"
    return sent.reply.failure.code if sent.reply.failure is not None else msgspec.json.decode(sent.reply.value)


def crash_and_go_on(node: Simulated, sent: Iterable[Sent]) -> None:
    """The process dies, the next one goes on, and callers whose message was lost with it bring it again."""
    node.crash()
    for one in sent:
        if one.lost:
            node.again(one)
    node.rest()


def rows(node: Simulated, address: str) -> list[tuple[Row, Record]]:
    """The committed rows of an actor."""
    return [(row, read_record(row)) for row in node.journal.stream(Address(address))]


def state(node: Simulated, address: str) -> Actor.State:
    """An actor's state as its committed rows say."""
    found = node.actor(address).state
    assert isinstance(found, Actor.State)
    return found
