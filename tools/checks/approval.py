"""Approval: calls that the tool's rule names wait for a person. A rule that raises is a refusal that says so."""

from __future__ import annotations

import msgspec

from ...protocols.approvals import Question
from ...protocols.failures import Failure, of_exception, text_of
from ...protocols.watch import Blocked
from ..policies import Policy
from .case import Case, Ruling, allow, ask, deny


def approval(case: Case) -> Ruling:
    """Ask a person where the tool's rule says so. Bound to tool, arguments (their digest) and rule version.

    Where a person is to be asked already, about a loop, it becomes one question.
    """
    assert case.tool is not None
    policy = case.tool.policy
    if policy is None:
        return allow("approval")
    try:
        applies = asks(case)
    except Broken as broken:
        return deny("approval", broken.failure)
    if not applies:
        return allow("approval", unasked(policy))
    return ask(
        "approval", asked(case, policy.text or f"The rule {policy.name} asks for an approval.", policy.current())
    )


def unasked(policy: Policy) -> str:
    """The reason of a call that the tool's rule does not ask about: which rule it was."""
    return f"{policy.current()} does not apply"


def asked(case: Case, why: str, label: str, quorum: int = 1) -> Question:
    """The question about a call, one with what a check before this one asks."""
    before, deadline = case.asked, case.deadline()
    if before is None:
        text, policy = f"May {case.intent.run} call {case.shown()}?", label
    else:
        due = [at for at in (before.deadline, deadline) if at is not None]
        text, deadline, policy = before.text, min(due, default=None), f"{before.policy}, {label}"
        quorum = max(quorum, before.quorum)
    return Question("approval", f"{text} {why}", policy=policy, deadline=deadline, quorum=quorum)


class Broken(Exception):
    """A rule raised."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def asks(case: Case) -> bool:
    """Whether the rule asks about this call. Raises Broken where it is broken: that must not open the gate, and nobody can say what it
    would have wanted a person to know."""
    if case.tool is None or case.tool.policy is None:
        return False
    policy = case.tool.policy
    try:
        return bool(policy.rule(**case.arguments))
    except (Blocked, KeyboardInterrupt):  # not the rule's own: the watchdog, and whoever sits at the terminal
        raise
    except BaseException as error:
        cause = of_exception(error, where=policy.name, code="policy_failed")
        why = f"{type(error).__name__}: {text_of(error)}"
        message = f"the approval rule {policy.label} of {case.intent.name} failed, so the call is refused: {why}"
        hint = "mend the rule: a call that nobody can judge is not made"
        failure = Failure("abandon", "policy_failed", message, hint=hint, where=case.intent.name)
        raise Broken(msgspec.structs.replace(failure, cause=cause)) from error
