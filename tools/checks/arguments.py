"""Schema: arguments fit the tool's parameters; unknown, missing and wrong ones are named and the tool does not run."""

from __future__ import annotations

from ...protocols.codec import canonical, digest
from ...protocols.failures import Failure
from .case import Case, Ruling, allow, deny


def arguments(case: Case) -> Ruling:
    """Deny arguments that do not fit. Runs after ``permission`` has found the tool."""
    assert case.tool is not None
    name = case.intent.name
    try:
        case.arguments = case.tool.signature.read(case.intent.args)
    except ValueError as error:
        names = ", ".join(case.tool.order) or "no arguments"
        return deny(
            "schema",
            Failure("change_arguments", "bad_arguments", f"{name}: {error}", hint=f"it takes: {names}", where=name),
        )
    case.digest = digest(name, canonical(case.arguments))
    return allow("schema")
