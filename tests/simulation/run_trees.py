"""One seed of the trees: a storm of failures, orders and crashes, then calm; and what must be true at the end."""

from __future__ import annotations

import random
from collections import Counter

from tests.simulation import trees
from tests.simulation.tree_rules import Rules
from tests.simulation.trees import SMALL, Do, Forest, Shape, Told
from understudy.protocols.ids import Address
from understudy.protocols.messages import Request
from understudy.supervisor.supervision.live import (
    CountChildren,
    DeleteChild,
    RestartChild,
    StartChild,
    StopChild,
    WhichChildren,
)
from understudy.testing import Faults, Sent, Simulated

SECONDS = 10_000.0
"""Virtual time of one storm."""

STORM = Faults(
    crash=0.0004, commit_fails=0.002, commit_unknown=0.002, load_fails=0.002,
    fails=0.05, raises=0.05, hangs=0.05, late=0.05, twice=0.05,
)  # fmt: skip


class NotLive(AssertionError):
    """Faults have stopped, and something does not come to rest."""


class Run:
    """One seed."""

    def __init__(self, seed: int, shape: Shape, faults: Faults) -> None:
        self.draw = random.Random(f"what befalls the trees of {seed}")
        self.forest = Forest(seed, shape)
        self.rules = Rules(self.forest)
        trees.world = self.world = trees.World()
        self.node = Simulated(*self.forest.definitions, seed=seed, faults=faults, idle=self.draw.choice((5.0, 600.0)))
        self.node.on_append = self.rules.take
        self.sent: list[Sent] = []
        self.did: Counter[str] = Counter()
        self.count = 0
        self.keys: list[str] = []

    # -- what befalls them --------------------------------------------------------------------------------------

    def storm(self, seconds: float, every: float) -> None:
        """So long, with something going wrong every so many seconds."""
        self.node.pass_time(self.draw.choice((0.0, 60.0, 600.0)))
        over = 0.0
        while over < seconds:
            wait = self.draw.expovariate(1 / every)
            over += wait
            self.node.pass_time(wait)
            for _ in range(self.draw.choice((1, 1, 1, 2, 6))):
                self.befall()
            self.again()

    def befall(self) -> None:
        """Something happens."""
        draw = self.draw
        what = draw.choices(
            ("fail", "work", "exit", "burst", "by name", "person", "race", "weather"), (30, 20, 8, 5, 14, 12, 8, 3)
        )[0]
        self.did[what] += 1
        match what:
            case "fail":
                self.tell(self.anybody(), draw.choice(("raise", "raise", "give up")))
            case "work":
                self.tell(self.anybody(), draw.choice(("", "call", "stash", "pass", "ask")))
            case "exit":
                self.tell(self.anybody(), "exit")
            case "burst":
                team = draw.choice(list(self.forest.teams.values()))
                for _ in range(draw.randint(2, 6)):
                    self.tell(draw.choice(team.fixed), "raise")
            case "by name":
                self.by_name()
            case "person":
                self.people(2)
            case "race":  # calls are under way when those around are stopped
                team = draw.choice(list(self.forest.teams.values()))
                for child in team.fixed[:4]:
                    self.tell(child, "call")
                self.node.pass_time(draw.choice((0.0, 1.0)))
                self.tell(draw.choice(team.fixed), "raise")
            case _:
                chance = draw.choice((0.0, 0.0, 0.02, 0.3))
                self.world.starting, self.world.stopping = chance, draw.choice((0.0, chance))
                self.world.ignoring = draw.choice((0.0, 0.02))

    def anybody(self) -> str:
        draw, forest = self.draw, self.forest
        kind = draw.random()
        if kind < 0.15 and self.keys:
            return draw.choice(self.keys)
        if kind < 0.25:
            teams = [team for team in forest.teams.values() if team.template]
            return draw.choice(teams).template.replace("{key}", str(draw.randrange(3)))
        return draw.choice(forest.leaves)

    def tell(self, whom: str, how: str) -> None:
        self.count += 1
        id = f"m{self.count}"
        if whom in self.forest.teams:
            return  # takes no such words
        other = self.draw.choice(self.forest.leaves) if how in ("pass", "ask") else ""
        if how == "ask" or self.draw.random() < 0.3:
            self.sent.append(self.node.ask(whom, Do(id, how, other), key=id))
        else:
            self.sent.append(self.node.tell(whom, Told(id, how, other), key=id))

    def by_name(self) -> None:
        """Somebody starts, stops, restarts, deletes or looks at a child while the supervisor runs."""
        draw = self.draw
        team = draw.choice(list(self.forest.teams.values()))
        child = Address(draw.choice(team.fixed))
        if team.pool and draw.random() < 0.6:
            template = draw.choice((team.pool, team.pool, team.template))
            child = Address(template.replace("{key}", str(draw.randrange(6))))
            self.keys.append(child)
        request: Request[object] = draw.choice(
            (StartChild(child), StartChild(child), StopChild(child), RestartChild(child), DeleteChild(child), WhichChildren(),
             CountChildren())
        )  # fmt: skip
        self.did[type(request).__name__] += 1
        self.count += 1
        self.sent.append(self.node.ask(team.name, request, key=f"m{self.count}"))

    def people(self, most: int, *, approve: float = 0.7) -> None:
        for item in self.node.inbox()[:most]:
            self.did["asked a person"] += 1
            if item.kind == "in_doubt":
                self.node.answer(item.id, "not_happened", reason="it did not")
            else:
                self.node.answer(item.id, "approve" if self.draw.random() < approve else "reject", reason="as it is")

    def again(self) -> None:
        """Callers who lost their connection ask again."""
        for sent in self.sent:
            if sent.lost or getattr(getattr(sent.error, "failure", None), "kind", "") == "retry_later":
                sent.error = None
                self.node.again(sent)

    # -- the end ------------------------------------------------------------------------------------------------

    def calm(self) -> None:
        """No more faults: everything must come to rest."""
        node = self.node
        node.faults = Faults()
        self.world.starting = self.world.stopping = self.world.ignoring = 0.0
        for turn in range(200):
            try:
                node.rest(steps=100_000)
            except AssertionError as error:
                raise NotLive(str(error)) from error
            self.again()
            self.people(1_000, approve=0.8 if turn < 100 else 0.0)
            if not node.inbox() and not any(sent.lost for sent in self.sent) and not node.step(until=node.now):
                break
        else:
            raise NotLive("people and callers are asked again and again")
        for actor, one in list(self.rules.lived.items()):
            if one.life == "running" and actor.startswith(("leaf/", "pool/", "virtual/")):
                for _ in range(3):
                    self.tell(actor, "")  # what was stashed comes back
        for _ in range(50):
            node.rest()
            self.people(1_000)
            if not node.inbox() and not node.step(until=node.now):
                break
        self.look()

    def look(self) -> None:
        """Nothing is left open, and everybody runs, has ended, or waits for a person."""
        node, rules = self.node, self.rules
        assert rules.rows == node.journal.tail(), "rows are missing or doubled"
        journal = node.journal
        left = {id: mail.envelope for id, mail in journal._mail.items()}
        lives = {name: rules.lived[name].life for name in rules.lived}
        _rests(
            not left, f"mail that nobody takes: {[(e.id, e.wire, e.to, lives.get(e.to)) for e in left.values()][:5]}"
        )
        _rests(not journal._effects, f"effects that nobody ends: {list(journal._effects.values())[:3]}")
        timers = [(timer.envelope.to, timer.envelope.wire) for timer in journal._timers.values()]
        _rests(not timers, f"timers that nobody waits for: {timers[:5]}")
        for name, life in lives.items():
            _rests(life in ("running", "finished", "stopped", "absent"), f"{name} is {life}")
        lost = [id for id in rules.sent if not rules.taken[id] and id not in left]
        for id in lost:
            _rests(False, f"{id} was sent, and nobody has it")
        for sent in self.sent:
            _rests(sent.accepted or sent.error is not None, f"{sent.thing} was never taken")
            if getattr(sent.thing, "reply_to", None) is not None and sent.accepted:
                _rests(sent.reply is not None or sent.lost, f"{sent.thing} was never answered")
        _rests(not (still := node.stuck()), f"nothing will ever move: {still}")
        for led in rules.led.values():
            for child, one in led.ones.items():
                _rests(one.place in ("up", "out"), f"{led.team.name} waits for {child}, which is {one.place}")


def _rests(true: bool, what: str) -> None:
    if not true:
        raise NotLive(what)


def run(
    seed: int, *, shape: Shape = SMALL, faults: Faults = STORM, seconds: float = SECONDS, every: float = 60.0
) -> Run:
    """One seed from its beginning to its end. Raises AssertionError (or what the node raised) where something is not true."""
    made = Run(seed, shape, faults)
    made.storm(seconds, every)
    made.calm()
    return made
