"""What a resolver is: one way to decide a conflict, as data with a pure function over it. ``a | b`` asks b where a does not decide.

    decide(conflict) -> Wins(claim) | Makes(value) | Nobody() | Undecided()

No resolver sees a clock, an id or anything else that is not in the conflict, so replay decides it again.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise
from typing import ClassVar, Final

from msgspec import Raw, Struct

from ...protocols.conflicts import Conflict, ConflictKind
from ...protocols.errors import DefinitionError

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
            raise DefinitionError(f"{field}: {self} cannot decide {kind}", hint=f"it is for: {listed(self.kinds)}")

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


def listed(words: Collection[str]) -> str:
    """Words for a person."""
    return ", ".join(sorted(words)) or "nobody"
