"""Approval: calls that the tool's rule names wait for a person. A rule that raises is a rule that says yes, ask."""

from __future__ import annotations

from ...protocols.approvals import Question
from ...protocols.effects import Effect
from ...protocols.failures import Failure, text_of
from .case import Case, Ruling, allow, ask, deny
from .limits import LOOP


def approval(case: Case) -> Ruling:
    """Ask a person where the tool's rule says so. Bound to tool, arguments (their digest) and rule version.

    Where a person is to be asked already, about a loop, it becomes one question.
    """
    assert case.tool is not None
    policy = case.tool.policy
    if policy is None:
        return allow("approval")
    asks, note = _asks(case)
    if not asks:
        return allow("approval", f"{policy.label} does not apply")
    why = (policy.text or f"The rule {policy.name} asks for an approval.") + note
    label, deadline = policy.label, case.deadline()
    if case.asked is None:
        text = f"May {case.intent.run} call {case.shown()}? {why}"
        return ask("approval", Question("approval", text, policy=label, deadline=deadline))
    known = [due for due in (case.asked.deadline, deadline) if due is not None]
    both = Question(
        "approval",
        f"{case.asked.text} {why}",
        policy=f"{case.asked.policy}, {label}",
        deadline=min(known, default=None),
    )
    return ask("approval", both)


def approved(case: Case, effect: Effect) -> Ruling:
    """What a person allowed under one version of the tool's rule is not allowed under another."""
    assert case.tool is not None
    assert effect.question is not None
    under = ", ".join(label for label in effect.question.policy.split(", ") if label != LOOP)
    policy = case.tool.policy
    label = "" if policy is None else policy.label
    # A question about a loop alone names no rule: there was none, or it did not apply. One that applies now is news.
    if under == label or (not under and not _asks(case)[0]):
        return allow("approval", f"a person said yes under {effect.question.policy}")
    change = f"it was {under or 'none'} and is {label or 'none'}"
    message = f"the approval rule of {effect.name} has changed since a person was asked: {change}"
    hint = "call it again, and a person is asked anew"
    return deny("approval", Failure("abandon", "rule_changed", f"{message}; {hint}", where=effect.name))


def _asks(case: Case) -> tuple[bool, str]:
    """Whether the rule asks about this call, and a note for the person where it is broken."""
    if case.tool is None or case.tool.policy is None:
        return False, ""
    try:
        return bool(case.tool.policy.rule(**case.arguments)), ""
    except Exception as error:  # noqa: BLE001 - a broken rule must not open the gate
        return True, f" (the rule itself failed: {type(error).__name__}: {text_of(error)})"
