"""Whether the tools of one agent go together: what a tool says of another must be about one that the agent has."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from ..protocols.errors import DefinitionError
from ..protocols.lookalike import seen
from .checks.conditions import excluded, parts
from .composite import CompositeTool
from .inside import InsideTool
from .tool import Tool


def complete(
    who: str, tools: Sequence[Tool[..., Any]], around: frozenset[str] = frozenset()
) -> dict[str, Tool[..., Any]]:
    """The tools of one agent by name, found to be whole and to go together. ``around``: of the tools of a composite's steps: names of
    what its caller has, which they may exclude.

    Raises:
        DefinitionError: a reconcilable tool has no reconcile function; two names look alike; ``after``, ``excludes`` or ``fallback``
            names a tool that the agent does not have, or one that can never have succeeded.
    """
    named = _newest(who, tools)
    looks: dict[str, str] = {}
    for tool in (one for newest in named.values() for one in (newest, *newest.versions.values())):
        name = tool.spec.name
        if tool.spec.effect == "reconcilable" and tool.reconciler is None:
            how = f"declare it with @{name}.reconcile"
            raise DefinitionError(f"tool {name!r} is reconcilable but has no reconcile function", hint=how)
        other = looks.setdefault(seen(name), name)
        if other != name and not (name.isascii() and other.isascii()):
            raise DefinitionError(f"{who}: the tools {other!a} and {name!a} look alike", hint="rename one of them")
        said = (("after", tool.spec.after), ("excludes", tool.spec.excludes), ("fallback", tool.spec.fallback))
        for field, others in said:
            for other in others:
                if other not in named and not (field == "excludes" and other in around):
                    raise DefinitionError(
                        f"{who}: tool {name!r} says {field}={other!r}, and {who} has no such tool",
                        hint=f"give it that tool too; it has: {', '.join(named)}",
                    )
                if field == "fallback" and isinstance(named[other], InsideTool):
                    raise DefinitionError(
                        f"{who}: tool {name!r} says fallback={other!r}, which is done by mail and takes nobody's place",
                        hint="name a tool that is performed",
                    )
    for name in named:
        _in_order(who, name, named)
    return named


def in_turn(who: str, composite: CompositeTool[..., Any]) -> None:
    """Whether the steps of a composite can follow each other at all. Raises DefinitionError."""
    known = {(tool.spec.name, tool.spec.version): tool for tool in composite.tools}
    before: list[str] = []
    for number, step in enumerate(composite.steps, 1):
        tool = known[step.tool, step.version]
        at = f"{who}: step {number} ({step.tool})"
        if late := [name for name in tool.spec.after if name not in before]:
            raise DefinitionError(
                f"{at} may be called only after {late[0]!r}, which comes later", hint="call that first"
            )
        both = [name for name in before if name in excluded(tool) or step.tool in excluded(_named(composite, name))]
        if both:
            raise DefinitionError(
                f"{at} and the step {both[0]!r} exclude each other", hint="no call of it could succeed"
            )
        before += parts(tool)


def _named(composite: CompositeTool[..., Any], name: str) -> Tool[..., Any]:
    found = [one for one in composite.tools if name in parts(one)]
    return next((one for one in found if one.spec.name == name), found[0])


def _newest(who: str, tools: Sequence[Tool[..., Any]]) -> dict[str, Tool[..., Any]]:
    """By name, the last version of each; it knows the others."""
    named: dict[str, Tool[..., Any]] = {}
    for tool in tools:
        name, version = tool.spec.name, tool.spec.version
        before = named.get(name)
        if before is None:
            named[name] = tool
            continue
        if version in (before.spec.version, *before.versions):
            raise DefinitionError(f"{who} has two tools named {name!r}", hint="us.tool(version=…) tells versions apart")
        newest = named[name] = copy.copy(tool)
        newest.versions = {**before.versions, before.spec.version: before}
    return named


def _in_order(who: str, first: str, tools: Mapping[str, Tool[..., Any]]) -> None:
    """Each tool that must come before can come at all."""
    waiting, seen_before = [first], set[str]()
    while waiting:
        name = waiting.pop()
        for other in tools[name].spec.after:
            if other == first:
                raise DefinitionError(f"{who}: tool {first!r} can be called only after itself", hint="break the circle")
            if isinstance(tools[other], InsideTool) and not isinstance(tools[other], CompositeTool):
                raise DefinitionError(
                    f"{who}: tool {name!r} says after={other!r}, which is done by mail: the gate does not hear how it ended",
                    hint="name a tool that is performed",
                )
            if other not in seen_before:
                seen_before.add(other)
                waiting.append(other)
