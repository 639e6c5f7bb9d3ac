"""Conditions: what must have been done in this run before a tool is called, and what excludes it. Declared with the tool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...protocols.failures import Failure
from ..composite import CompositeTool
from ..tool import Tool
from .case import Case, Ruling, allow, deny


def conditions(case: Case) -> Ruling:
    """Deny a call before the tools in ``after`` have succeeded, and one whose tool and another exclude each other."""
    assert case.tool is not None
    spec, run = case.tool.spec, case.intent.run
    if missing := [name for name in spec.after if name not in case.counters.done]:
        first = " and ".join(missing)
        why = f"{spec.name} may be called only after {first} has succeeded in {run}, and it has not"
        hint = f"call {first} first, wait for what it gives, then call {spec.name} again"
        return deny("conditions", Failure("change_arguments", "not_yet", why, hint=hint, where=spec.name))
    if both := [name for name, times in case.counters.made.items() if times and _exclude(case.tool, name, case.tools)]:
        why = f"{spec.name} and {both[0]} exclude each other, and {both[0]} was called in {run}"
        return deny(
            "conditions",
            Failure("abandon", "excluded", why, hint=f"go on without {spec.name}", where=spec.name),
        )
    return allow("conditions")


def _exclude(tool: Tool[..., Any], name: str, tools: Mapping[str, Tool[..., Any]]) -> bool:
    """Whether a tool and another exclude each other. A composite is its steps, too: it is no way around what they exclude."""
    other = tools.get(name)
    names = {name} if other is None else parts(other)
    return not excluded(tool).isdisjoint(names) or (other is not None and not excluded(other).isdisjoint(parts(tool)))


def parts(tool: Tool[..., Any]) -> frozenset[str]:
    """Names of what is called with it."""
    within = [part for one in tool.tools for part in parts(one)] if isinstance(tool, CompositeTool) else []
    return frozenset((tool.spec.name, *within))


def excluded(tool: Tool[..., Any]) -> frozenset[str]:
    """Names of what it, or a step of it, excludes."""
    within = [name for one in tool.tools for name in excluded(one)] if isinstance(tool, CompositeTool) else []
    return frozenset((*tool.spec.excludes, *within))
