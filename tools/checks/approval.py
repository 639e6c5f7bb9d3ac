"""Approval: calls that the tool's rule names wait for a person. A rule that raises is a rule that says yes, ask."""

from __future__ import annotations

import json

import msgspec

from ...protocols.approvals import Question
from .case import Case, Ruling, allow, ask


def approval(case: Case) -> Ruling:
    """Ask a person where the tool's rule says so. Bound to tool, arguments (their digest) and rule version."""
    assert case.tool is not None
    policy = case.tool.policy
    if policy is None:
        return allow("approval")
    try:
        asked = policy.rule(**case.arguments)
        note = ""
    except Exception as error:  # noqa: BLE001 - a broken rule must not open the gate
        asked, note = True, f" (the rule itself failed: {type(error).__name__}: {error})"
    if not asked:
        return allow("approval", f"{policy.label} does not apply")
    shown = json.dumps(msgspec.to_builtins(case.arguments), ensure_ascii=False, sort_keys=True)
    why = policy.text or f"The rule {policy.name} asks for an approval."
    text = f"May {case.intent.run} call {case.intent.name}({shown})? {why}{note}"
    deadline = None if case.limits.approval is None else case.now + case.limits.approval
    return ask("approval", Question("approval", text, policy=policy.label, deadline=deadline))
