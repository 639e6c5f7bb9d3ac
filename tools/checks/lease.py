"""Lease: which resource a call works on, by the tool's own rule; that its lease is in force is looked at when it starts."""

from __future__ import annotations

from ...protocols.failures import Failure
from ...protocols.leases import MAX_RESOURCE
from .case import Case, Ruling, allow, deny


def lease(case: Case) -> Ruling:
    """Name the resource. Deny a call for which the rule names none. Runs after ``schema`` has read the arguments."""
    assert case.tool is not None
    assert case.tool.lease is not None
    named: object = case.tool.lease.rule(**case.arguments)
    if not isinstance(named, str) or not 1 <= len(named) <= MAX_RESOURCE:
        why = f"the lease rule of {case.intent.name} names no resource for this call, but {named!r}"[:500]
        hint = f"it must give a name of 1 to {MAX_RESOURCE} characters"
        return deny("lease", Failure("abandon", "no_resource", why, hint, where=case.intent.name))
    case.resource = named
    return allow("lease", f"works on {named}")
