"""``us.Conflicts``: what a team declares about conflicts, one chain of resolvers for each kind, with safe defaults."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from ...actors.agent import Agent
from ...protocols.conflicts import ConflictKind
from ...protocols.errors import DefinitionError
from .asking import Judge
from .resolver import Resolver
from .resolvers import first_come, majority, person, refuse

KINDS: Final[tuple[ConflictKind, ...]] = ("answers", "entries", "claims", "delegation")


class Conflicts:
    """Who decides when things contradict each other. Each kind has a chain of resolvers; where none of them decides, a person does.

    Args:
        answers: several workers of one task came to different answers. Default: ``majority() | person()``.
        entries: a write to the board that lost its race: the entry as it stands against the value that was to be written. Default:
            ``first_come()``: the entry stays, and the writer is told, with both.
        claims: several want one resource. Default: ``first_come()``: the holder keeps it.
        delegation: a task came back to who had handed it on. Default: ``refuse()``: whoever closed the circle is told.
        compare: which part of two answers must be equal for them to agree: a pure function of the answer as plain Python. By default
            all of it but a field ``confidence``.

    Raises:
        DefinitionError: a chain that cannot work; it names the field.
    """

    def __init__(
        self, *, answers: Resolver | None = None, entries: Resolver | None = None, claims: Resolver | None = None,
        delegation: Resolver | None = None, compare: Callable[[Any], object] | None = None,
    ) -> None:  # fmt: skip
        given = {"answers": answers, "entries": entries, "claims": claims, "delegation": delegation}
        for field, resolver in given.items():
            if resolver is not None and not isinstance(resolver, Resolver):
                raise DefinitionError(
                    f"conflicts: {field}={resolver!r} is no resolver",
                    hint="us.majority(), us.person() and their like, chained with |",
                )
        if compare is not None and not callable(compare):
            raise DefinitionError(f"conflicts: compare={compare!r} is no function", hint="one that takes an answer")
        self.answers = answers or majority() | person()
        self.entries = entries or first_come()
        self.claims = claims or first_come()
        self.delegation = delegation or refuse()
        self.compare = compare
        for field in KINDS:
            for step in self.steps(field):
                if field not in step.kinds:
                    step.check(f"conflicts: {field}", field, (), 0)
        agents = self.judges()
        if twice := sorted({a.name for a in agents if sum(b.name == a.name for b in agents) > 1}):
            raise DefinitionError(f"conflicts: two judges are named {twice[0]!r}", hint="give one of them another name")

    def steps(self, kind: ConflictKind) -> tuple[Resolver, ...]:
        """The resolvers of one kind, in order."""
        chain: Resolver = getattr(self, kind)
        return chain.steps()

    def judges(self) -> tuple[Agent[Any], ...]:
        """The agents that may be asked, each once."""
        found: list[Agent[Any]] = []
        for kind in KINDS:
            for step in self.steps(kind):
                if isinstance(step, Judge) and all(step.agent is not agent for agent in found):
                    found.append(step.agent)
        return tuple(found)

    def check(self, team: str, known: Collection[str], workers: int) -> None:
        """Whether it can work in a team with these names and so many workers.

        Raises:
            DefinitionError: it cannot; the message names team and field.
        """
        for kind in KINDS:
            for step in self.steps(kind):
                step.check(f"supervisor {team!r}: conflicts.{kind}", kind, known, workers)
