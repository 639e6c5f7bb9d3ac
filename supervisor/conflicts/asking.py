"""Resolvers that have nothing to compute: whoever runs the conflict (``actor``) asks a judge, or a person."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import msgspec

from ...actors.agent import Agent
from ...protocols.conflicts import Conflict, ConflictKind, Ruling
from ...protocols.errors import DefinitionError
from .resolver import Resolver, Said, Undecided, listed

LONGEST: Final = 3_660 * 86_400.0
"""Seconds that somebody may have at most: ten years."""


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
                hint=f"it has: {listed(known)}",
            )


def _seconds(whose: str, field: str, given: object) -> float:
    fits = isinstance(given, (int, float)) and not isinstance(given, bool) and 0 < given <= LONGEST
    if not fits:
        raise DefinitionError(f"{whose}: {field}={given!r}", hint=f"seconds, above 0 and up to {LONGEST:,.0f}")
    seconds: float = msgspec.convert(given, float)
    return seconds
