"""Schema: arguments fit the tool's parameters; unknown, missing and wrong ones are named and the tool does not run."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from ...protocols.bounds import check
from ...protocols.codec import canonical, decode, digest
from ...protocols.errors import NotStorable
from ...protocols.failures import Failure
from ...protocols.lookalike import meant
from ..schema import MAX_ARGUMENTS
from .case import Case, Ruling, allow, deny


def arguments(case: Case) -> Ruling:
    """Deny arguments that do not fit. Runs after ``permission`` has found the tool."""
    assert case.tool is not None
    name = case.intent.name
    try:
        case.arguments = case.tool.signature.read(case.intent.args)
    except ValueError as error:
        names = ", ".join(case.tool.order) or "no arguments"
        code, why = _look_alike(case) or ("bad_arguments", f"{name}: {error}")
        return deny("schema", Failure("change_arguments", code, why, hint=f"it takes: {names}", where=name))
    case.digest = digest(name, canonical(case.arguments))
    return allow("schema")


def _look_alike(case: Case) -> tuple[str, str] | None:
    """Code and words, where an argument has a name that only looks like a parameter's."""
    tool = case.tool
    assert tool is not None
    try:
        check(case.intent.args, "what was given", most=MAX_ARGUMENTS)
        given = decode(case.intent.args, dict[str, Raw])
    except (NotStorable, msgspec.DecodeError, UnicodeDecodeError):
        return None
    for name in given:
        if name not in tool.order and (real := meant(name, tool.order)):
            return "look_alike", f"{case.intent.name} has no parameter {name!a}, which only looks like {real!r}"
    return None
