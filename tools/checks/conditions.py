"""Conditions: what must have been done in this run before a tool is called, and what excludes it. Declared with the tool."""

from __future__ import annotations

from ...protocols.failures import Failure
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
    made = case.counters.made
    both = [name for name in spec.excludes if made.get(name)]
    both += [name for name in case.tools if made.get(name) and spec.name in case.tools[name].spec.excludes]
    if both:
        why = f"{spec.name} and {both[0]} exclude each other, and {both[0]} was called in {run}"
        return deny(
            "conditions",
            Failure("abandon", "excluded", why, hint=f"go on without {spec.name}", where=spec.name),
        )
    return allow("conditions")
