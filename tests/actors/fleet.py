"""Memory-only actors, and durable ones that talk to them."""

from __future__ import annotations

from typing import Any, cast

import understudy as us
from tests.actors.crew import Add, Added, Note, Noted, Unhandled
from understudy.actors.ephemeral import Ephemeral
from understudy.protocols.ids import Address
from understudy.testing import Simulated


class Listed(us.Request[tuple[str, ...]]):
    pass


class Mixed(us.Request[list[int]]):
    """Neither it nor its answer can be handed on as it is."""

    values: list[int]


class Pass(us.Request[str]):
    """Do something with somebody else: ``how`` says what."""

    to: str
    how: str


class Break(us.Request[int]):
    how: str = "raise"


class Stop(us.Message):
    pass


class Kept(us.Event):
    later: str


@us.tool(effect="read")
def look() -> str:
    """Something to call."""
    return "seen"


class Durable(us.Actor):
    """Handlers that both kinds of actors have."""

    class State(us.State):
        total: int = 0
        notes: tuple[str, ...] = ()
        later: str = ""

    @us.handles(Add)
    def add(self, turn: us.Turn[State], msg: Add) -> int:
        if msg.amount < 0:
            raise us.Rejected("nothing below zero")
        return turn.emit(Added(msg.amount)).total

    @us.handles(Note)
    def note(self, turn: us.Turn[State], msg: Note) -> None:
        turn.emit(Noted(msg.text))

    @us.handles(Listed)
    def listed(self, turn: us.Turn[State], msg: Listed) -> tuple[str, ...]:
        return (*turn.state.notes, str(turn.state.total))

    @us.handles(Pass)
    def pass_on(self, turn: us.Turn[State], msg: Pass) -> us.Later[str] | str:
        match msg.how:
            case "tell":
                turn.tell(msg.to, Note(f"from {turn.me}"))
                return "told"
            case "forward":
                return turn.forward(msg.to, Pass("", "who"))
            case "who":
                return f"I am {turn.me}, asked by {turn.sender or 'outside'} for {turn.context.run}"
            case "keep":
                later = turn.later(msg)
                turn.emit(Kept(later.id))
                return later
            case "release":
                turn.reply(us.Later[str](turn.state.later), "at last")
                return "released"
            case "stop":
                turn.stop()
                return "gone"
            case "unhandled":
                later = turn.later(msg)
                turn.ask(msg.to, Unhandled(), tag=later)
                return later
            case "break":
                later = turn.later(msg)
                turn.ask(msg.to, Break(), tag=later)
                return later
            case _:
                later = turn.later(msg)
                turn.ask(msg.to, Add(int(msg.how)), tag=later)
                return later

    @us.settles(Add)
    @us.settles(Break)
    @us.settles(Unhandled)
    def came(self, turn: us.Turn[State], outcome: us.Outcome[int]) -> None:
        turn.reply(outcome.tag, f"got {outcome.value}")

    @us.applies(Added)
    def added(self, state: State, event: Added) -> State:
        return state.evolve(total=state.total + event.amount)

    @us.applies(Noted)
    def noted(self, state: State, event: Noted) -> State:
        return state.evolve(notes=(*state.notes, event.text))

    @us.applies(Kept)
    def kept(self, state: State, event: Kept) -> State:
        return state.evolve(later=event.later)


class Memory(Durable):
    durable = False

    @us.handles(Mixed)
    def mixed(self, turn: us.Turn[Durable.State], msg: Mixed) -> list[int]:
        msg.values.append(0)
        return msg.values

    @us.handles(Stop)
    def stop(self, turn: us.Turn[Durable.State], msg: Stop) -> None:
        turn.stop()

    @us.handles(Break)
    def break_it(self, turn: us.Turn[Durable.State], msg: Break) -> int:
        turn.emit(Added(1_000))
        turn.tell("m/other", Note("from a turn that failed"))
        turn.tell("d/other", Note("from a turn that failed"))
        match msg.how:
            case "call":
                turn.call(look)
            case "think":
                turn.think("model", 1)
            case "remind":
                turn.remind(Note("x"), after=1.0)
            case "escalate":
                turn.escalate(us.Question("escalation", "what now?"))
            case "answer":
                return cast(int, "many")
            case "event":
                turn.emit(Added(cast(int, "many")))
            case "message":
                turn.tell(turn.me, Note(cast(str, 5)))
            case _:
                raise ZeroDivisionError("broken")
        return 0


class Starts(us.Actor):
    """Counts its beginnings."""

    durable = False

    class State(us.State):
        notes: tuple[str, ...] = ()

    @us.handles(us.Started)
    def started(self, turn: us.Turn[State], msg: us.Started) -> None:
        turn.emit(Noted("started"))

    @us.handles(us.Restarted)
    def restarted(self, turn: us.Turn[State], msg: us.Restarted) -> None:
        turn.emit(Noted(f"restarted {msg.incarnation}"))

    @us.handles(Listed)
    def listed(self, turn: us.Turn[State], msg: Listed) -> tuple[str, ...]:
        return turn.state.notes

    @us.handles(Break)
    def break_it(self, turn: us.Turn[State], msg: Break) -> int:
        raise ZeroDivisionError("broken")

    @us.applies(Noted)
    def noted(self, state: State, event: Noted) -> State:
        return state.evolve(notes=(*state.notes, event.text))


class Fleeting(us.Actor):
    """Stops itself when it begins."""

    durable = False

    @us.handles(us.Started)
    def started(self, turn: us.Turn[us.State], msg: us.Started) -> None:
        turn.stop()

    @us.handles(Listed)
    def listed(self, turn: us.Turn[us.State], msg: Listed) -> tuple[str, ...]:
        return ("never",)


class Send(us.Message):
    """Tell somebody, within so many seconds."""

    to: str
    within: float | None = None


class Teller(us.Actor):
    """Hears of what it told in vain."""

    class State(us.State):
        notes: tuple[str, ...] = ()

    @us.handles(Send)
    def send(self, turn: us.Turn[State], msg: Send) -> None:
        turn.tell(msg.to, Note("x"), within=msg.within)

    @us.handles(us.Undelivered)
    def in_vain(self, turn: us.Turn[State], msg: us.Undelivered) -> None:
        turn.emit(Noted(f"{msg.to} {msg.wire} {msg.reason}"))

    @us.handles(Listed)
    def listed(self, turn: us.Turn[State], msg: Listed) -> tuple[str, ...]:
        return turn.state.notes

    @us.applies(Noted)
    def noted(self, state: State, event: Noted) -> State:
        return state.evolve(notes=(*state.notes, event.text))


class MemoryTeller(Teller):
    durable = False


def team(**options: Any) -> us.Supervisor:
    """Memory-only actors at ``m/{name}`` and ``s/{name}``, durable ones at ``d/{name}``, below ``crew``."""
    children = [
        us.Child("m/{name}", Memory),
        us.Child("s/{name}", Starts),
        us.Child("gone", Fleeting),
        us.Child("teller", Teller),
        us.Child("m-teller", MemoryTeller),
        us.Child("d/{name}", Durable, tools=[look]),
    ]
    return us.Supervisor("crew", children, **options)


def node(seed: int = 0, **options: Any) -> Simulated:
    """A simulated one."""
    return Simulated(team(**options), seed=seed)


def cell(board: Simulated, address: str) -> Ephemeral:
    """A memory-only actor as it is now."""
    found = board.kernel.memory.find(Address(address))
    assert found is not None
    return found
