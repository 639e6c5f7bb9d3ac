"""Trees of supervisors on a simulated node, four levels deep, that are drawn from a seed: mixed strategies, children of all kinds.

What goes wrong comes from outside as words (``Do("raise")``), and from the world: with some chance the handlers of ``Started``,
``Restarted`` and ``Stopping`` raise, too.
"""

from __future__ import annotations

import random
from typing import Any, cast

from msgspec import Struct

import understudy as us
from understudy.protocols.children import AutoShutdown, Backoff, Directive, Intensity, RestartType, Strategy
from understudy.protocols.failures import Failure


class World:
    """What goes wrong by itself, each as a chance."""

    def __init__(self) -> None:
        self.starting = 0.0
        self.stopping = 0.0
        self.ignoring = 0.0


world = World()
"""The world of the seed that runs now."""

ERRORS = (RuntimeError, ValueError, LookupError, KeyError, OSError)


@us.tool(effect="idempotent", timeout=30.0)
def errand(id: str) -> str:
    """Something that takes its time."""
    return id


class Do(us.Request[str]):
    """Do what ``how`` says."""

    id: str
    how: str = ""
    whom: str = ""


class Told(us.Message):
    """The same, and nobody waits for an answer."""

    id: str
    how: str = ""
    whom: str = ""


class Began(us.Event):
    """A life began."""

    incarnation: int


class Did(us.Event):
    id: str


class Owes(us.Event):
    later: str


class Paid(us.Event):
    later: str


def _stumble(turn: us.Turn[Any], chance: float, what: str) -> None:
    if turn.random.random() < chance:
        raise ERRORS[int(turn.random.random() * len(ERRORS))](what)


class Leaf(us.Actor):
    """Does what it is told, which may be its end."""

    class State(us.State):
        done: int = 0
        owes: dict[str, None] = {}  # noqa: RUF012  # msgspec copies it

    @us.handles(us.Started)
    def started(self, turn: us.Turn[State], msg: us.Started) -> None:
        turn.emit(Began(0))
        if turn.random.random() < world.ignoring:
            raise us.Ignore("nothing to do today")
        _stumble(turn, world.starting, "could not start")

    @us.handles(us.Restarted)
    def restarted(self, turn: us.Turn[State], msg: us.Restarted) -> None:
        turn.emit(Began(msg.incarnation))
        for later in list(turn.state.owes):  # what has not begun was withdrawn
            turn.refuse(us.Later[str](later), Failure("retry_later", "restarted", turn.me, where=turn.me))
            turn.emit(Paid(later))
        _stumble(turn, world.starting, "could not start again")

    @us.handles(us.Stopping)
    def stopping(self, turn: us.Turn[State], msg: us.Stopping) -> None:
        _stumble(turn, world.stopping, "could not end in order")

    @us.handles(Told)
    def told(self, turn: us.Turn[State], msg: Told) -> None:
        if msg.how == "stash":
            if turn.state.done % 3:
                turn.stash()
        elif msg.how == "call":
            turn.call(errand, msg.id)
        else:
            self._do(turn, msg)

    @us.handles(Do)
    def do(self, turn: us.Turn[State], msg: Do) -> str | us.Later[str]:
        if msg.how == "stash" and turn.state.done % 3:
            return turn.stash()
        later = turn.later(msg)
        if msg.how == "call":
            turn.emit(Owes(later.id))
            turn.call(errand, msg.id, tag=later)
            return later
        if msg.how == "ask":
            turn.emit(Owes(later.id))
            turn.ask(msg.whom, Do(f"{msg.id}+"), tag=later, within=300.0)
            return later
        self._do(turn, msg)
        turn.reply(later, msg.id)
        return later

    def _do(self, turn: us.Turn[State], msg: Do | Told) -> None:
        if msg.how != "stash":
            turn.emit(Did(msg.id))
        match msg.how:
            case "raise":
                _stumble(turn, 1.0, msg.id)
            case "exit":
                turn.stop()
            case "give up":
                turn.stop(Failure("retry_later", "tired", msg.id, where=turn.me))
            case "stash":
                pass
            case "pass":
                turn.tell(msg.whom, Told(f"{msg.id}+"))
            case _:
                turn.unstash()

    @us.settles(us.ANY_TOOL)
    def came(self, turn: us.Turn[State], outcome: us.Outcome[object]) -> None:
        self._back(turn, outcome)

    @us.settles(Do)
    def answered(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
        self._back(turn, outcome)

    def _back(self, turn: us.Turn[State], outcome: us.Outcome[Any]) -> None:
        later = cast("us.Later[str]", outcome.tag)
        if not isinstance(outcome.tag, us.Later) or later.id not in turn.state.owes:
            return
        turn.emit(Paid(later.id))
        if outcome.failure is not None:
            turn.refuse(later, outcome.failure)
        else:
            turn.reply(later, str(outcome.value))

    @us.applies(Began)
    def has_begun(self, state: State, event: Began) -> State:
        return state

    @us.applies(Did)
    def has_done(self, state: State, event: Did) -> State:
        return state.evolve(done=state.done + 1)

    @us.applies(Owes)
    def does_owe(self, state: State, event: Owes) -> State:
        return state.evolve(owes={**state.owes, event.later: None})

    @us.applies(Paid)
    def has_paid(self, state: State, event: Paid) -> State:
        return state.evolve(owes={later: None for later in state.owes if later != event.later})


class Light(us.Actor):
    """Lives in memory only."""

    durable = False

    class State(us.State):
        done: int = 0

    @us.handles(us.Started)
    def started(self, turn: us.Turn[State], msg: us.Started) -> None:
        _stumble(turn, world.starting, "could not start")

    @us.handles(Told)
    def told(self, turn: us.Turn[State], msg: Told) -> None:
        if msg.how == "raise":
            raise RuntimeError(msg.id)
        if msg.how == "exit":
            turn.stop()

    @us.handles(Do)
    def do(self, turn: us.Turn[State], msg: Do) -> str:
        if msg.how == "raise":
            raise RuntimeError(msg.id)
        return msg.id


class Shape(Struct, frozen=True):
    """How large a tree is: branches of the three upper levels, and children of each supervisor of the lowest."""

    tops: int
    mids: int
    lows: int
    leaves: int


LARGE = Shape(2, 3, 5, 32)
"""About 1,000 actors."""

SMALL = Shape(2, 2, 2, 6)
"""About 70."""


class Team(Struct):
    """One supervisor of a tree, as it was defined."""

    name: str
    above: str
    level: int
    strategy: Strategy
    intensity: Intensity
    slow: Intensity | None
    fixed: tuple[str, ...] = ()
    """Addresses that it starts, in order."""
    temporary: frozenset[str] = frozenset()
    pool: str = ""
    most: int = 0
    counts: bool = False
    template: str = ""
    budgets: bool = False
    """Some child has a limit of its own."""
    memory: frozenset[str] = frozenset()


class Forest:
    """All of one seed: what is mounted, and who is where."""

    def __init__(self, seed: int, shape: Shape) -> None:
        self.draw = random.Random(f"trees of {seed}")
        self.teams: dict[str, Team] = {}
        self.leaves: list[str] = []
        """Children with an address of their own."""
        self.definitions = [self._team(f"t{n}", "root", 1, shape) for n in range(shape.tops)]

    @property
    def actors(self) -> int:
        """How many are started with their supervisors, these included."""
        return len(self.teams) + len(self.leaves)

    def _team(self, name: str, above: str, level: int, shape: Shape) -> us.Supervisor:
        draw = self.draw
        below = {1: shape.mids, 2: shape.lows, 3: 0}[level]
        strategy: Strategy = draw.choice(("one_for_one", "one_for_all", "rest_for_one"))
        auto: AutoShutdown = (
            draw.choice(("never", "never", "any_significant", "all_significant")) if level > 1 else "never"
        )
        intensity = Intensity(draw.choice((1, 2, 3, 5, 8)), draw.choice((5.0, 60.0, 600.0)))
        slow = draw.choice((None, Intensity(20, 4_000.0), Intensity(100, 86_400.0)))
        team = self.teams[name] = Team(name, above, level, strategy, intensity, slow)
        workers: list[us.Child | us.Supervisor] = []
        for n in range(below):
            workers += [self._leaf(team, f"{n}", auto) for n in (f"b{n}",) if draw.random() < 0.7]
            workers.append(self._team(f"{name}-{n}", name, level + 1, shape))
        team.temporary |= {w.name for w in workers if isinstance(w, us.Supervisor) and w.spec.restart == "temporary"}
        if not below:
            workers += [self._leaf(team, f"{n}", auto) for n in range(shape.leaves)]
        draw.shuffle(workers)
        team.fixed = tuple(
            w.name if isinstance(w, us.Supervisor) else w.template
            for w in workers
            if isinstance(w, us.Supervisor) or w.template not in self._virtual(team)
        )
        if level == 3 or draw.random() < 0.5:
            team.pool, team.most, team.counts = f"pool/{name}/{{key}}", 4, draw.random() < 0.5
            pool = us.Pool(
                team.pool, Leaf, max_children=team.most, counts=team.counts, tools=[errand], restart=self._restart(),
                shutdown=self._shutdown(),
            )  # fmt: skip
            workers.append(pool)
            team.template = f"virtual/{name}/{{key}}"
            workers.append(us.Child(team.template, Leaf, tools=[errand]))
        restart = self._restart()
        decide: dict[str, Directive] = {"OSError": "escalate", "KeyError": "stop", "ValueError": "resume"}
        return us.Supervisor(
            name, workers, strategy=strategy, intensity=intensity, slow=slow, auto_shutdown=auto, restart=restart,
            on_restart=draw.choice(("keep", "fresh")), shutdown=draw.choice((None, None, 120.0)),
            backoff=draw.choice((Backoff(), Backoff(1.0, 300.0, 600.0), Backoff(0.0, 0.0, 0.0))),
            decide=draw.choice((None, None, decide)),
        )  # fmt: skip

    def _virtual(self, team: Team) -> frozenset[str]:
        """A memory-only child that stands for itself is nobody's to start."""
        return team.memory if team.strategy == "one_for_one" else frozenset()

    def _restart(self) -> RestartType:
        return self.draw.choice(("permanent", "permanent", "transient", "transient", "temporary"))

    def _shutdown(self) -> float | None:
        return self.draw.choice((5.0, 5.0, 0.0, 60.0, None))

    def _leaf(self, team: Team, name: str, auto: AutoShutdown) -> us.Child:
        draw, address = self.draw, f"leaf/{team.name}/{name}"
        self.leaves.append(address)
        if draw.random() < 0.08:
            team.memory |= {address}
            return us.Child(address, Light)
        restart = self._restart()
        significant = auto != "never" and restart != "permanent" and draw.random() < 0.2
        budget = Intensity(2, 600.0) if draw.random() < 0.1 else None
        team.budgets |= budget is not None
        if restart == "temporary":
            team.temporary |= {address}
        return us.Child(
            address, Leaf, tools=[errand], restart=restart, significant=significant, shutdown=self._shutdown(), budget=budget,
            start=draw.choice((60.0, 10.0)),
        )  # fmt: skip
