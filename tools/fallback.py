"""Another tool in the place of one that failed for good, where it is known that nothing happened.

settled with a failure -> instead -> the next alternative that every check lets through -> intended | asking
                                  -> none: the failure stands
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ..protocols.effects import CALL, HAPPENED, Effect
from ..protocols.errors import DefinitionError
from ..protocols.failures import Failure
from ..protocols.hooks import Admission, Instead
from ..protocols.tool import ToolSpec
from ..protocols.verdicts import Verdict
from .tool import Tool

SHUT = "circuit_open"
"""Code of a call that an open breaker holds back: with an alternative nobody waits for it to close."""

CHECK = "fallback"
"""Under this name it stands among the verdicts."""

LASTING = frozenset({"stopped", "person_rejected", "no_answer", "did_not_happen", "cancelled"})
"""Somebody decided that this is not to be done; another tool would go round that."""


def may(effect: Effect, failure: Failure) -> bool:
    """Whether another tool may do it: it failed for good, and it is known that nothing happened."""
    for_good = failure.kind == "abandon" or failure.code == SHUT
    if effect.simulated:  # nothing has failed, and what is tried instead might be real
        return False
    if effect.verb != CALL or not for_good or failure.code in HAPPENED or failure.code in LASTING:
        return False
    doubted = effect.question is not None and effect.question.kind == "in_doubt"
    return effect.effect == "read" or not (effect.unsure or effect.interrupted or doubted)


def instead(
    effect: Effect,
    failure: Failure,
    tools: dict[str, Tool[..., Any]],
    admit: Callable[[str], Admission],
) -> Instead | None:
    """The first alternative that the gate lets through. ``admit`` asks every check about one by its name."""
    first = effect.instead[0] if effect.instead else effect.name
    if first not in tools or not may(effect, failure):
        return None
    tried = {*effect.instead, effect.name}
    said: list[Verdict] = []
    for name in tools[first].spec.fallback:
        if name in tried:
            continue
        admission = admit(name)
        if admission.decision == "deny":
            why = admission.failure.message if admission.failure is not None else "refused"
            said.append(Verdict(CHECK, "deny", f"not {name}: {why}"))
            continue
        why = f"{name} in the place of {effect.name}, which failed for good: {failure.code}: {failure.message}"
        said.append(Verdict(CHECK, "allow", why[:1_000]))
        return Instead(name, admission, tuple(said))
    return Instead("", None, tuple(said)) if said else None


def fits(tool: Tool[..., Any], fallback: Sequence[object]) -> tuple[str, ...]:
    """Names of the alternatives of a tool.

    Raises:
        DefinitionError: one of them is no tool, does not take what the tool takes, or gives something else.
    """
    spec = tool.spec
    if isinstance(fallback, (str, Tool)) or not all(isinstance(one, Tool) for one in fallback):
        raise DefinitionError(f"tool {spec.name!r}: fallback={fallback!r}"[:300], hint="a list of tools, in order")
    names: list[str] = []
    for other in fallback:
        assert isinstance(other, Tool)
        theirs: ToolSpec = other.spec
        required = msgspec.json.decode(theirs.parameters, type=_Required).required
        if theirs.name == spec.name or theirs.name in names:
            raise DefinitionError(f"tool {spec.name!r}: fallback names {theirs.name!r} twice, or the tool itself")
        if not set(spec.names) <= set(theirs.names) or not set(required) <= set(spec.names):
            raise DefinitionError(
                f"tool {spec.name!r}: fallback {theirs.name!r} takes ({', '.join(theirs.names)})",
                hint=f"it is called with ({', '.join(spec.names)}); what it takes besides needs defaults",
            )
        if other.returns != tool.returns:
            raise DefinitionError(
                f"tool {spec.name!r}: fallback {theirs.name!r} gives {other.returns!r}",
                hint=f"it must give {tool.returns!r}, what whoever calls expects",
            )
        names.append(theirs.name)
    return tuple(names)


class _Required(msgspec.Struct):
    required: tuple[str, ...] = ()
