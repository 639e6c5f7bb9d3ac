"""An actor that does what a test wants of it, and tells in its rows when it began and when it was asked to end."""

from __future__ import annotations

from collections import Counter
from typing import Any

import understudy as us


class World:
    """What the parts meet outside the node: it outlives them and the process.

    Attributes:
        fails: how many of its next starts fail, by address.
        ignores: who has nothing to do.
        stubborn: who fails when it is to end.
        raised: what a failing start raises.
        called: how often ``Started`` handlers of memory-only actors came through, by address.
    """

    def __init__(self) -> None:
        self.fails = Counter[str]()
        self.ignores = set[str]()
        self.stubborn = set[str]()
        self.raised: type[Exception] = RuntimeError
        self.called = Counter[str]()


class Began(us.Event, wire="part.began"):
    how: str


class Ending(us.Event, wire="part.ending"):
    final: bool


class Counted(us.Event):
    pass


class Fail(us.Message):
    """Raise what is said."""

    text: str = "broken"
    raises: str = "RuntimeError"


class FailAsked(us.Request[int]):
    text: str = "broken"


class Finish(us.Message):
    """End yourself, in order."""


class GiveUp(us.Message):
    """End yourself, with a failure."""


class Count(us.Request[int]):
    """One more. Answers how many there were."""


class Pay(us.Message):
    """Begin a call that may be made once only."""


class Look(us.Message):
    """Begin a call that may be made again."""


class Settled(us.Event, wire="part.settled"):
    """What came of a call."""

    tool: str
    came: str


class Ask(us.Request[int]):
    """Ask somebody else to count, and answer what it says."""

    whom: str


RAISES: dict[str, type[Exception]] = {"RuntimeError": RuntimeError, "KeyError": KeyError, "ValueError": ValueError}


@us.tool(effect="once", timeout=60.0)
def pay(who: str) -> str:
    """May be made once only."""
    return f"paid for {who}"


@us.tool(effect="read", timeout=60.0)
def look(who: str) -> str:
    """May be made again."""
    return f"seen by {who}"


class Part(us.Actor):
    """Counts, and fails as it is told."""

    class State(us.State):
        count: int = 0

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()

    @us.handles(us.Started)
    def started(self, turn: us.Turn[State], msg: us.Started) -> None:
        world = self.world
        if turn.me in world.ignores:
            raise us.Ignore("nothing to do here")
        if world.fails[turn.me] > 0:
            world.fails[turn.me] -= 1
            raise world.raised(f"{turn.me} cannot start")
        turn.emit(Began("started"))

    @us.handles(us.Restarted)
    def restarted(self, turn: us.Turn[State], msg: us.Restarted) -> None:
        world = self.world
        if world.fails[turn.me] > 0:
            world.fails[turn.me] -= 1
            raise world.raised(f"{turn.me} cannot start")
        turn.emit(Began("restarted"))

    @us.handles(us.Stopping)
    def stopping(self, turn: us.Turn[State], msg: us.Stopping) -> None:
        if turn.me in self.world.stubborn:
            raise RuntimeError(f"{turn.me} will not end")
        turn.emit(Ending(msg.final))

    @us.handles(Fail)
    def fail(self, turn: us.Turn[State], msg: Fail) -> None:
        raise RAISES[msg.raises](msg.text)

    @us.handles(FailAsked)
    def fail_asked(self, turn: us.Turn[State], msg: FailAsked) -> int:
        raise RuntimeError(msg.text)

    @us.handles(Finish)
    def finish(self, turn: us.Turn[State], msg: Finish) -> None:
        turn.stop()

    @us.handles(GiveUp)
    def give_up(self, turn: us.Turn[State], msg: GiveUp) -> None:
        turn.stop(us.Failure("abandon", "gave_up", "no more of this", where=turn.me))

    @us.handles(Count)
    def count(self, turn: us.Turn[State], msg: Count) -> int:
        return turn.emit(Counted()).count

    @us.handles(Ask)
    def ask(self, turn: us.Turn[State], msg: Ask) -> us.Later[int]:
        later = turn.later(msg)
        turn.ask(msg.whom, Count(), tag=later)
        return later

    @us.handles(Pay)
    def pays(self, turn: us.Turn[State], msg: Pay) -> None:
        turn.call(pay, turn.me)

    @us.handles(Look)
    def looks(self, turn: us.Turn[State], msg: Look) -> None:
        turn.call(look, turn.me)

    @us.settles(pay)
    def paid(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
        turn.emit(Settled("pay", outcome.failure.code if outcome.failure else outcome.value))

    @us.settles(look)
    def looked(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
        turn.emit(Settled("look", outcome.failure.code if outcome.failure else outcome.value))

    @us.applies(Settled)
    def settled(self, state: State, event: Settled) -> State:
        return state

    @us.settles(Count)
    def heard(self, turn: us.Turn[State], outcome: us.Outcome[int]) -> None:
        turn.reply(outcome.tag, outcome.value)

    @us.applies(Began)
    def began(self, state: State, event: Began) -> State:
        return state

    @us.applies(Ending)
    def ending(self, state: State, event: Ending) -> State:
        return state

    @us.applies(Counted)
    def counted(self, state: State, event: Counted) -> State:
        return state.evolve(count=state.count + 1)


class Fleeting(us.Actor):
    """Memory-only. Counts, and fails as it is told."""

    durable = False

    class State(us.State):
        count: int = 0

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()

    @us.handles(us.Started)
    def started(self, turn: us.Turn[State], msg: us.Started) -> None:
        if self.world.fails[turn.me] > 0:
            self.world.fails[turn.me] -= 1
            raise RuntimeError(f"{turn.me} cannot start")
        self.world.called[turn.me] += 1

    @us.handles(Fail)
    def fail(self, turn: us.Turn[State], msg: Fail) -> None:
        raise RuntimeError(msg.text)

    @us.handles(Finish)
    def finish(self, turn: us.Turn[State], msg: Finish) -> None:
        turn.stop()

    @us.handles(Count)
    def count(self, turn: us.Turn[State], msg: Count) -> int:
        return turn.emit(Counted()).count

    @us.applies(Counted)
    def counted(self, state: State, event: Counted) -> State:
        return state.evolve(count=state.count + 1)


QUICK = us.Backoff(base=0.0)
OFTEN = us.Intensity(10, 60.0)


def part(world: World, name: str, **spec: Any) -> us.Child:
    """A child at an address of its own."""
    return us.Child(name, Part(world), tools=[pay, look], **spec)


def team(world: World, *children: str | us.Child | us.Supervisor, name: str = "team", **options: Any) -> us.Supervisor:
    """A supervisor over parts, which may fail often."""
    workers = [part(world, child) if isinstance(child, str) else child for child in children]
    given: dict[str, Any] = {"backoff": QUICK, "intensity": OFTEN, **options}
    return us.Supervisor(name, workers, **given)
