"""Approved: what a person said yes to is looked at again when the call starts: it is bound to all that ``binding.bound`` names."""

from __future__ import annotations

from collections.abc import Mapping

from ...protocols.binding import bound
from ...protocols.books import Entry
from ...protocols.effects import Effect
from ...protocols.failures import Failure
from ...protocols.grants import key
from ...protocols.shadow import by_shadow
from .approval import Broken, asks, unasked
from .case import Case, Ruling, allow, deny
from .rules import about, idle
from .rules import asks as asks_of_rule


def approved(case: Case, effect: Effect, books: Mapping[str, Entry]) -> Ruling:
    """Whether what a person allowed is what is about to start: these arguments, under these rules, by this tool, and not too long ago."""
    assert case.tool is not None
    assert effect.question is not None
    assert effect.answer is not None
    question, answer = effect.question, effect.answer
    # Answers of versions before this one were bound to the arguments alone, or to what the effect is.
    if case.digest != effect.digest or answer.digest not in ("", effect.digest, bound(effect)):
        what = f"the call of {effect.name} is not the one that {answer.by} said yes to: it has another digest"
        return _no("approval_mismatch", what, effect)
    if question.version != case.tool.spec.version:
        now = f"it was version {question.version or 'unnamed'!r} and is {case.tool.spec.version or 'unnamed'!r}"
        return _no("tool_changed", f"the tool {effect.name} has changed since a person was asked: {now}", effect)
    try:
        change = _changed(case, effect)
    except Broken as broken:
        return deny("approval", broken.failure)
    if change is not None:
        return _no(
            "rule_changed", f"the approval rule of {effect.name} has changed since a person was asked: {change}", effect
        )
    if answer.grant and not by_shadow(answer) and key(answer.grant) not in books:  # the gate asks about such calls anew
        gone = f"the standing approval {answer.grant}, which allowed this call of {effect.name}, was taken back"
        return _no("grant_revoked", gone, effect)
    valid = case.limits.approved
    if valid is not None and effect.cleared and case.now > effect.cleared + valid:
        late = f"{answer.by} said yes to this call of {effect.name} more than {valid:g} s ago (us.Limits(approved=…))"
        return _no("approval_expired", late, effect)
    return allow("approval", f"{answer.by} said yes under {question.policy or 'no rule'}")


def other_rules(case: Case, effect: Effect) -> bool:
    """Whether a call about which nobody was asked was looked at by other rules than there are now."""
    assert case.tool is not None
    if effect.cleared or effect.attempt > effect.before:
        return False
    policy = case.tool.policy
    if policy is not None and _said(effect, "approval") != unasked(policy):
        return True
    return bool(case.rules) and about(case.tool) and _said(effect, "rules") != idle(case.rules)


def _said(effect: Effect, check: str) -> str | None:
    """The reason for which a check let it go, when it was last asked."""
    for verdict in reversed(effect.verdicts):
        if verdict.check == check and verdict.verdict == "allow":
            return verdict.reason
    return None


def _changed(case: Case, effect: Effect) -> str | None:
    """In which way the rule is not the one under which a person was asked; None where it is."""
    assert case.tool is not None
    assert effect.question is not None
    # A question about a loop alone names no rule (rules have an "@"): there was none, or it did not apply. One that applies now is news.
    under = {label for label in effect.question.policy.split(", ") if "@" in label}
    policy = case.tool.policy
    label = "" if policy is None else policy.current()
    known = {label, *(rule.label for rule in case.rules)} - {""}
    news = {label} if label not in under and asks(case) else set[str]()
    news |= {rule.label for rule in case.rules if rule.label not in under and asks_of_rule(rule, case) is not None}
    if under <= known and not news:
        return None
    return f"it was {', '.join(sorted(under)) or 'none'} and is {', '.join(sorted(news | known)) or 'none'}"


def _no(code: str, message: str, effect: Effect) -> Ruling:
    hint = "call it again, and a person is asked anew"
    return deny("approval", Failure("abandon", code, f"{message}; {hint}", where=effect.name))
