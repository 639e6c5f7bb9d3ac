"""Shadow: calls that would change something are not made but simulated. Asked first of all checks at the start: what is simulated
reserves nothing, waits for no rate, and no breaker counts it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from ...protocols.effects import CALL, Effect
from ...protocols.errors import DefinitionError
from ...protocols.failures import Failure
from ...protocols.hooks import Clearance
from ...protocols.verdicts import Verdict
from ..composite import CompositeTool, steps_of
from ..inside import InsideTool
from ..person import PersonTool
from ..starting import Ending, Starting
from ..tool import Tool
from .case import Case, Ruling, deny

CHECK = "shadow"

ALL = "all"
"""How it stands in the journal that every tool is in shadow."""

Granted = Mapping[str, Mapping[str, Tool[..., Any]]]
"""Tools by agent and name."""


class Shadow:
    """The check.

    Args:
        tools: all there are.
        names: of those that are in shadow; None for all.
        undoers: agents that undo calls which have really happened.
    """

    name = CHECK

    def __init__(
        self, tools: Granted, names: frozenset[str] | None = None, undoers: frozenset[str] = frozenset()
    ) -> None:
        self._tools, self._names, self._undoers = tools, names, undoers

    @property
    def note(self) -> str:
        """How the journal says it."""
        return ALL if self._names is None else ", ".join(sorted(self._names))

    def concerns(self, effect: Effect) -> bool:
        """Calls in shadow that do more than look. A composite, where all its steps are such, or look."""
        if effect.verb != CALL:
            return False
        tool = self._tools.get(effect.agent, {}).get(effect.name)
        tool = None if tool is None else tool.at(effect.version)
        if isinstance(tool, CompositeTool):
            return all(self._has(step) for step in steps_of(tool) if acts(step))
        return (self._names is None or effect.name in self._names) and (tool is None or acts(tool))

    def _has(self, tool: Tool[..., Any]) -> bool:
        return self._names is None or tool.spec.name in self._names

    def start(self, starting: Starting) -> Ruling:
        """Simulate it, unless that would hide something that is real."""
        effect = starting.effect
        again = effect.answer is not None and effect.answer.decision == "run_again"
        if effect.unsure and not again:
            why = "an earlier attempt was made, and this system runs in shadow, which makes none"
            return deny(CHECK, Failure("abandon", "shadowed", f"{effect.name}: {why}", where=effect.name))
        if effect.agent in self._undoers:
            why = "what it undoes has really happened, and this system runs in shadow, which would not undo it"
            return deny(CHECK, Failure("abandon", "shadowed", f"{effect.name}: {why}", where=effect.name))
        return Ruling(Verdict(CHECK, "simulate", f"{effect.name} is in shadow"))

    def book(self, ending: Ending) -> tuple[Verdict, ...]:
        """Nothing was reserved."""
        return ()


def acts(tool: Tool[..., Any]) -> bool:
    """Whether a call does more than look, as far as the tool says. What is done inside the node, or asked of a person, is never
    simulated."""
    if isinstance(tool, (InsideTool, PersonTool)):
        return False
    return tool.spec.effect != "read" or not tool.spec.pure_read


def still(clear: Clearance, now: float) -> Clearance:
    """A call that was simulated when it began, in whatever system it goes on."""
    verdict = Verdict(CHECK, "simulate", "it was simulated before", now)
    return msgspec.structs.replace(clear, verdicts=(*clear.verdicts, verdict), simulate=True)


def reasked(effect: Effect, case: Case) -> Ruling:
    """A call that is to be made after all, and about which nobody was asked: it is asked now what would have been asked then."""
    assert effect.question is not None
    limit = case.limits.approval
    question = msgspec.structs.replace(effect.question, deadline=None if limit is None else case.now + limit)
    return Ruling(
        Verdict(CHECK, "ask", "its question was answered while it was to be simulated: nobody was asked"),
        question=question,
    )


def shadow(said: object, tools: Granted, undoers: frozenset[str] = frozenset()) -> Shadow | None:
    """The check as it is declared: of all tools, of those named, or none. ``undoers``: see ``Shadow``.

    Raises:
        DefinitionError: no such tool, or one that is never simulated.
    """
    if said is False:
        return None
    if said is True:
        return Shadow(tools, None, undoers)
    hint = "True for all tools, or a list of names: shadow=['pay']"
    if isinstance(said, str) or not isinstance(said, Sequence):
        raise DefinitionError(f"System(shadow={said!r})", hint=hint)
    names = cast("Sequence[object]", said)
    known: dict[object, list[Tool[..., Any]]] = {}
    for granted in tools.values():
        for one, tool in granted.items():
            known.setdefault(one, []).extend((tool, *tool.versions.values()))
    for name in names:
        if name not in known:
            there = ", ".join(sorted(str(one) for one in known)) or "none"
            raise DefinitionError(f"System(shadow=…): there is no tool {name!r} here", hint=f"there are: {there}")
        if not any(acts(tool) for tool in known[name]):
            raise DefinitionError(
                f"System(shadow=…): {name!r} only looks, or is done inside the node: it is never simulated",
                hint="leave it out",
            )
    return Shadow(tools, frozenset(cast("Sequence[str]", names)), undoers) if names else None
