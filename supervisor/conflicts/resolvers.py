"""Resolvers: who decides a conflict, as data with a pure function over it. ``a | b`` asks b where a does not decide.

A resolver looks at a ``Conflict`` and gives what it decided, or why it does not. ``judge`` and ``person`` have nothing to compute:
whoever runs the conflict (``actor``) asks them. No resolver sees a clock, an id or anything else that is not in the conflict, so
replay decides it again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Final, cast

import msgspec
from msgspec import Raw, Struct

from ...actors.agent import Agent
from ...protocols.codec import roundtrip
from ...protocols.conflicts import Claim, Conflict, ConflictKind, Ruling
from ...protocols.errors import DefinitionError
from ..words import words

LONGEST: Final = 3_660 * 86_400.0
"""Seconds that somebody may have at most: ten years."""
EVERY_KIND: Final[frozenset[ConflictKind]] = frozenset({"answers", "entries", "claims", "delegation"})


class Wins(Struct, frozen=True):
    """This claim stands, by its place."""

    claim: int
    reason: str


class Makes(Struct, frozen=True):
    """This value stands, in place of all claims."""

    value: Raw
    reason: str


class Nobody(Struct, frozen=True):
    """No claim stands."""

    reason: str


class Undecided(Struct, frozen=True):
    """This resolver cannot tell; the next one is asked."""

    reason: str


Said = Wins | Makes | Nobody | Undecided


class Resolver:
    """One way to decide.

    Attributes:
        name: how it stands in the journal.
        kinds: the kinds of conflict that it can decide.
        last: it always decides, so nothing can come after it.
    """

    name: ClassVar[str] = "resolver"
    kinds: ClassVar[frozenset[ConflictKind]] = EVERY_KIND
    last: ClassVar[bool] = False

    def __or__(self, other: Resolver) -> Chain:
        """Ask the other one where this one does not decide."""
        return Chain(self, other)

    def steps(self) -> tuple[Resolver, ...]:
        """The resolvers that are asked, in order."""
        return (self,)

    def decide(self, conflict: Conflict) -> Said:
        """What it says of this conflict. Pure."""
        raise NotImplementedError

    def check(self, field: str, kind: ConflictKind, known: Collection[str], workers: int) -> None:
        """Whether it can work for this kind of conflict, in a team with these names and so many workers.

        Raises:
            DefinitionError: it cannot; the message begins with the field.
        """
        if kind not in self.kinds:
            raise DefinitionError(f"{field}: {self} cannot decide {kind}", hint=f"it is for: {_list(self.kinds)}")

    def __repr__(self) -> str:
        return f"{self.name}()"


class Chain(Resolver):
    """Resolvers that are asked one after the other until one decides."""

    name = "chain"

    def __init__(self, *parts: Resolver) -> None:
        """
        Raises:
            DefinitionError: something in it is no resolver, or comes after one that always decides.
        """
        steps: list[Resolver] = []
        for part in parts:
            if not isinstance(part, Resolver):
                raise DefinitionError(
                    f"resolver: {part!r} is none", hint="us.majority(), us.person() and their like, chained with |"
                )
            steps += part.steps()
        for before, after in pairwise(steps):
            if before.last:
                raise DefinitionError(
                    f"resolver: {after} would never be asked: {before} always decides", hint=f"put {before} last"
                )
        self._steps = tuple(steps)

    def steps(self) -> tuple[Resolver, ...]:
        return self._steps

    def check(self, field: str, kind: ConflictKind, known: Collection[str], workers: int) -> None:
        for step in self._steps:
            step.check(field, kind, known, workers)

    def __repr__(self) -> str:
        return " | ".join(map(repr, self._steps))


class Majority(Resolver):
    """``us.majority``."""

    name = "majority"
    kinds = frozenset({"answers"})

    def __init__(self, quorum: float | None = None) -> None:
        given = cast("Any", quorum)  # callers who run no type checker
        whole = isinstance(given, int) and not isinstance(given, bool) and given >= 1
        share = isinstance(given, float) and 0.0 < given <= 1.0  # false for NaN
        if given is not None and not whole and not share:
            raise DefinitionError(
                f"majority: quorum={quorum!r}",
                hint="a number of equal answers, 1 or more; or a share of those asked, such as 0.6",
            )
        self.count: int | None = int(cast("int", given)) if whole else None
        self.share: float | None = float(cast("float", given)) if share else None

    def decide(self, conflict: Conflict) -> Said:
        groups = _groups(conflict)
        first, others = groups[0], groups[1:]
        asked = len(conflict.claims) + len(conflict.silent)
        need = self.need(asked)
        count = f"{len(first)} of {asked} say the same"
        if others and len(others[0]) == len(first):
            return Undecided(f"{count}, and as many say something else")
        if len(first) < need:
            return Undecided(f"{count}, and it takes {need}")
        return Wins(_surest(conflict, first), f"{count}, and it takes {need}")

    def need(self, asked: int) -> int:
        """Equal answers that it takes where so many were asked."""
        if self.count is not None:
            return self.count
        return asked // 2 + 1 if self.share is None else max(1, math.ceil(self.share * asked - 1e-9))

    def check(self, field: str, kind: ConflictKind, known: Collection[str], workers: int) -> None:
        super().check(field, kind, known, workers)
        if self.count is not None and self.count > workers:
            raise DefinitionError(
                f"{field}: {self} can never decide: there are {workers} workers", hint="take a smaller quorum"
            )

    def __repr__(self) -> str:
        quorum = self.count or self.share
        return "majority()" if quorum is None else f"majority(quorum={quorum})"


class Weighted(Resolver):
    """``us.weighted``."""

    name = "weighted"
    kinds = frozenset({"answers", "entries", "claims"})

    def __init__(self, margin: float = 0.0) -> None:
        given: Any = margin
        if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0.0 <= given <= 1.0:
            raise DefinitionError(f"weighted: margin={margin!r}", hint="a share of all confidence, from 0 to 1")
        self.margin = float(margin)

    def decide(self, conflict: Conflict) -> Said:
        for name, claim in ((c.who, c) for c in conflict.claims):
            if claim.confidence is None:
                return Undecided(f"{name} did not say how sure it is")
        groups = [(sum(_sure(conflict, n) for n in group), group) for group in _groups(conflict)]
        groups.sort(key=lambda one: -one[0])
        total = sum(weight for weight, _ in groups)
        if not total > 0.0:
            return Undecided("nobody is sure of anything")
        lead = (groups[0][0] - (groups[1][0] if len(groups) > 1 else 0.0)) / total
        said = f"it leads by {lead:.0%} of all confidence"
        if lead <= 1e-9 or lead < self.margin - 1e-9:
            return Undecided(f"{said}, and it takes {self.margin:.0%}" if lead > 1e-9 else "two are equally sure")
        return Wins(_surest(conflict, groups[0][1]), said)

    def __repr__(self) -> str:
        return f"weighted(margin={self.margin:g})"


class Priority(Resolver):
    """``us.priority``."""

    name = "priority"

    def __init__(self, order: Sequence[str]) -> None:
        if isinstance(order, str) or not isinstance(order, Sequence) or not order:
            raise DefinitionError(f"priority: order={order!r}", hint="names of workers, the most important first")
        for name in order:
            if not isinstance(name, str) or not name:
                raise DefinitionError(f"priority: order: {name!r} is no name")
        if twice := sorted({name for name in order if list(order).count(name) > 1}):
            raise DefinitionError(f"priority: order names {twice[0]!r} twice")
        self.order = tuple(order)

    def decide(self, conflict: Conflict) -> Said:
        for name in self.order:
            theirs = [n for n, c in enumerate(conflict.claims) if c.who == name or (c.outside and name == "outside")]
            if len(theirs) > 1 and len({bytes(conflict.claims[n].stance) for n in theirs}) > 1:
                return Undecided(f"{name} makes {len(theirs)} claims that contradict each other")
            if theirs:
                return Wins(theirs[0], f"{name} comes before the others")
        return Undecided("nobody who has a claim is in the order")

    def check(self, field: str, kind: ConflictKind, known: Collection[str], workers: int) -> None:
        super().check(field, kind, known, workers)
        if strangers := [name for name in self.order if name not in known]:
            raise DefinitionError(
                f"{field}: {self} names {strangers[0]!r}, who is not in this team", hint=f"it has: {_list(known)}"
            )

    def __repr__(self) -> str:
        return f"priority({list(self.order)!r})"


class FirstCome(Resolver):
    """``us.first_come``."""

    name = "first_come"
    last = True

    def decide(self, conflict: Conflict) -> Said:
        return Wins(0, f"{conflict.claims[0].who} was first")


class Refuse(Resolver):
    """``us.refuse``."""

    name = "refuse"
    last = True

    def decide(self, conflict: Conflict) -> Said:
        return Nobody("it is refused, as declared")


class Suited(Resolver):
    """``us.suited``."""

    name = "suited"
    kinds = frozenset({"delegation"})

    def decide(self, conflict: Conflict) -> Said:
        wanted = words(conflict.subject)
        scores = [len(wanted & words(f"{claim.who} {claim.reason}")) for claim in conflict.claims]
        best = max(scores)
        if best == 0 or scores.count(best) > 1:
            return Undecided("none of them is better suited than the others, by its words")
        winner = scores.index(best)
        return Wins(winner, f"{conflict.claims[winner].who} shares most words with the task")


class Merge(Resolver):
    """``us.merge``."""

    name = "merge"
    kinds = frozenset({"answers", "entries"})

    def __init__(self, function: Callable[[tuple[Claim, ...]], Any]) -> None:
        if not callable(function):
            raise DefinitionError(f"merge: {function!r} is no function", hint="one that takes a tuple of us.Claim")
        self.function = function

    def decide(self, conflict: Conflict) -> Said:
        if any(claim.cut for claim in conflict.claims):
            return Undecided(
                "the values are too large to be at hand once somebody else was asked; merge comes before that"
            )
        made = self.function(conflict.claims)
        called = getattr(self.function, "__name__", "the function")
        if made is None:
            return Undecided(f"{called} could not merge them")
        if isinstance(made, Claim):
            return Wins(conflict.claims.index(made), f"{called} chose it")
        plain, _ = roundtrip(msgspec.to_builtins(made), Any)
        return Makes(plain, f"{called} merged {len(conflict.claims)} claims")

    def __repr__(self) -> str:
        return f"merge({getattr(self.function, '__name__', self.function)})"


class Judge(Resolver):
    """``us.judge``."""

    name = "judge"

    def __init__(self, agent: Agent[Any], within: float = 900.0) -> None:
        if not isinstance(agent, Agent):
            raise DefinitionError(f"judge: {agent!r} is no agent", hint="us.Agent(name, …, output=us.Ruling)")
        if agent.output not in (Ruling, str):
            raise DefinitionError(
                f"judge: {agent.name!r} answers with {agent.output!r}",
                hint="output=us.Ruling, or plain text that is the name of who is right",
            )
        self.agent = agent
        self.within = _seconds("judge", "within", within)

    def decide(self, conflict: Conflict) -> Said:
        return Undecided("a judge has to be asked")

    def __repr__(self) -> str:
        return f"judge({self.agent.name})"


class Person(Resolver):
    """``us.person``."""

    name = "person"
    last = True

    def __init__(self, within: float | None = 86_400.0, otherwise: str = "") -> None:
        self.within = None if within is None else _seconds("person", "within", within)
        if not isinstance(otherwise, str):
            raise DefinitionError(f"person: otherwise={otherwise!r}", hint="the name of who is right if nobody answers")
        if otherwise and within is None:
            raise DefinitionError(
                "person: otherwise= would never count: there is no deadline", hint="give within=, in seconds"
            )
        self.otherwise = otherwise

    def decide(self, conflict: Conflict) -> Said:
        return Undecided("a person has to be asked")

    def check(self, field: str, kind: ConflictKind, known: Collection[str], workers: int) -> None:
        super().check(field, kind, known, workers)
        if self.otherwise and self.otherwise not in known:
            raise DefinitionError(
                f"{field}: person(otherwise={self.otherwise!r}) names nobody in this team",
                hint=f"it has: {_list(known)}",
            )


def majority(quorum: float | None = None) -> Resolver:
    """The answer that most workers give stands.

    Args:
        quorum: equal answers that it takes: a number of them, or (as a float up to 1.0) a share of those who were asked. By default
            more than half of those who were asked; who failed or could not answer was asked, too.

    As many for something else, or fewer than the quorum: the next resolver decides. Of those who agree, the surest one's answer stands.

    Raises:
        DefinitionError: no such number.
    """
    return Majority(quorum)


def weighted(margin: float = 0.0) -> Resolver:
    """The claim with most confidence behind it stands.

    Args:
        margin: by how much of all confidence it has to lead the next one, from 0 to 1.

    Somebody who did not say how sure it is, equal ones, or a smaller lead: the next resolver decides.

    Raises:
        DefinitionError: the margin is out of range.
    """
    return Weighted(margin)


def priority(order: Sequence[str]) -> Resolver:
    """The claim of the first in this order stands. Where nobody in it has a claim, the next resolver decides.

    Raises:
        DefinitionError: no names, or one twice; a name that is nobody's in the team is refused by ``us.Supervisor``.
    """
    return Priority(order)


def first_come() -> Resolver:
    """What was there first stands: the entry as it is, the holder of the lease, the first worker named. Always decides."""
    return FirstCome()


def refuse() -> Resolver:
    """Nothing stands: whoever asked is refused, with the reason. Always decides."""
    return Refuse()


def suited() -> Resolver:
    """The worker whose name and instructions share most words with the task does it. Where that is not clear, the next resolver decides."""
    return Suited()


def merge(function: Callable[[tuple[Claim, ...]], Any]) -> Resolver:
    """A function makes one value of all claims. It must be pure.

    Args:
        function: takes the claims (``claim.plain`` is the value as plain Python) and gives the value that stands; or one of the claims,
            which then does; or None where it cannot tell, and the next resolver decides. So does the next one where it raises or gives
            something that does not fit; its failure is recorded.

    Raises:
        DefinitionError: it is no function.
    """
    return Merge(function)


def judge(agent: Agent[Any], *, within: float = 900.0) -> Resolver:
    """An agent decides: it is given all claims as a task of its own, and its run is in the journal like any other.

    Args:
        agent: its output is ``us.Ruling``, or text that is the name of whose claim stands.
        within: seconds that it has. After that, and where it cannot, fails or names nobody, the next resolver decides.

    Raises:
        DefinitionError: it is no agent, its output is another, or the time is none.
    """
    return Judge(agent, within)


def person(*, within: float | None = 86_400.0, otherwise: str = "") -> Resolver:
    """A person decides, in the inbox: by the name of whose claim stands, or with a value of their own.

    Args:
        within: seconds that people have; None for ever.
        otherwise: whose claim stands when nobody answers in time. By default none does: an answer is refused, an entry stays as it
            is, a holder stays the holder.

    Raises:
        DefinitionError: the time is none, or ``otherwise`` could never count.
    """
    return Person(within, otherwise)


def _groups(conflict: Conflict) -> list[list[int]]:
    """Places of claims that agree, the largest group first, then the one that came first."""
    groups: dict[bytes, list[int]] = {}
    for n, claim in enumerate(conflict.claims):
        groups.setdefault(bytes(claim.stance), []).append(n)
    return sorted(groups.values(), key=len, reverse=True)


def _sure(conflict: Conflict, n: int) -> float:
    return conflict.claims[n].confidence or 0.0


def _surest(conflict: Conflict, group: list[int]) -> int:
    return max(group, key=lambda n: (_sure(conflict, n), -n))


def _seconds(whose: str, field: str, given: object) -> float:
    fits = isinstance(given, (int, float)) and not isinstance(given, bool) and 0 < given <= LONGEST
    if not fits:
        raise DefinitionError(f"{whose}: {field}={given!r}", hint=f"seconds, above 0 and up to {LONGEST:,.0f}")
    seconds: float = msgspec.convert(given, float)
    return seconds


def _list(words: Collection[str]) -> str:
    return ", ".join(sorted(words)) or "nobody"
