"""Resolvers that look at the claims and decide by themselves."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any, cast

import msgspec

from ...protocols.codec import roundtrip
from ...protocols.conflicts import Claim, Conflict, ConflictKind
from ...protocols.errors import DefinitionError
from ..words import words
from .resolver import Makes, Nobody, Resolver, Said, Undecided, Wins, listed


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
                f"{field}: {self} names {strangers[0]!r}, who is not in this team", hint=f"it has: {listed(known)}"
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
