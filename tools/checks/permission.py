"""Permission: an agent may call the tools that it was given, and no others."""

from __future__ import annotations

from ...protocols.failures import Failure
from ...protocols.lookalike import meant
from .case import Case, Ruling, allow, deny


def permission(case: Case) -> Ruling:
    """Deny a tool that this agent does not have; say whether it exists at all."""
    name = case.intent.name
    allowed = case.intent.granted
    if allowed is not None and name in case.tools and name not in allowed and not case.by_code:
        return deny("permission", _not_for_this(case, allowed))
    if name in case.tools:
        case.tool = case.tools[name].at(case.intent.version)
        return allow("permission") if case.tool is not None else deny("permission", _gone(case))
    has = ", ".join(sorted(case.tools)) or "none"
    if name in case.elsewhere:
        failure = Failure(
            "abandon",
            "not_granted",
            f"{case.intent.agent} may not call {name!r}",
            hint=f"it may call: {has}",
            where=name,
        )
    elif real := meant(name, case.tools):
        told = f"there is no tool {name!a}, which only looks like {real!r}"
        failure = Failure("change_arguments", "look_alike", told, hint=f"write {real}, in plain letters", where=real)
    else:
        failure = Failure(
            "change_arguments", "unknown_tool", f"there is no tool {name!r}", hint=f"tools: {has}", where=name
        )
    return deny("permission", failure)


def _not_for_this(case: Case, allowed: tuple[str, ...]) -> Failure:
    """A task may name the tools that are enough for it; whoever does it, and all that they hand on, have no others."""
    name, has = case.intent.name, ", ".join(sorted(set(allowed) & case.tools.keys())) or "none"
    why = f"{case.intent.run} may not call {name!r}: its task names the tools for it"
    return Failure("abandon", "not_granted", why, hint=f"it may call: {has}", where=name)


def _gone(case: Case) -> Failure:
    """A run keeps the version of a tool that it began with."""
    name, version = case.intent.name, case.intent.version
    known = case.tools[name]
    has = ", ".join(sorted(one or "one without a version" for one in (known.spec.version, *known.versions)))
    why = f"{case.intent.run} keeps version {version} of {name}, and this program has: {has}"
    return Failure("abandon", "version_gone", why, hint="give the agent that version beside the new one", where=name)
