"""Approval: what a rule names waits for a person, and the answer counts for these arguments only."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import understudy as us
from tests.tools.intents import call, effect, gate
from understudy.actors.answers import accept
from understudy.protocols.binding import bound
from understudy.protocols.counters import Counters
from understudy.protocols.effects import Effect
from understudy.protocols.errors import UnknownItem, WrongAnswer
from understudy.protocols.limits import Limits
from understudy.tools.policies import Policy
from understudy.tools.tool import Tool


@us.tool(effect="once")
def pay(to: str, usd: float) -> str:
    """Pay somebody."""
    return f"{to} got {usd}"


@pay.approve_if
def large(to: str, usd: float) -> bool:
    """Payments above 50 USD."""
    return usd > 50


@us.tool(effect="once", approve=True)
def wipe() -> None:
    """Delete everything."""


@us.tool(effect="once")
def send(to: str) -> str:
    """Send something."""
    return to


@send.approve_if
def broken(to: str) -> bool:
    """Never works."""
    raise LookupError("no such list")


def test_what_the_rule_does_not_name_passes() -> None:
    assert gate(pay).admit(call("pay", {"to": "ada", "usd": 50.0}), Counters(), 0.0).decision == "allow"


def test_what_the_rule_names_waits_and_the_question_says_what_and_why() -> None:
    admission = gate(pay).admit(call("pay", {"to": "ada", "usd": 60.0}), Counters(), 100.0)
    assert admission.decision == "ask"
    question = admission.question
    assert question is not None
    assert question.kind == "approval"
    assert '"usd": 60.0' in question.text
    assert "Payments above 50 USD." in question.text
    assert question.policy.startswith("large@")
    assert question.deadline == 100.0 + 86_400.0


def test_without_the_approval_check_it_would_run() -> None:
    skipping = gate(pay, skip=("approval",))
    assert skipping.admit(call("pay", {"to": "ada", "usd": 60.0}), Counters(), 0.0).decision == "allow"


def test_a_rule_that_raises_refuses_the_call_and_says_that_it_is_broken() -> None:
    admission = gate(send).admit(call("send", {"to": "ada"}), Counters(), 0.0)
    assert admission.decision == "deny"
    assert admission.failure is not None
    assert admission.failure.code == "policy_failed"
    for part in ("the approval rule broken@", "of send failed", "LookupError: no such list"):
        assert part in admission.failure.message


@us.tool(effect="once")
def send_later(to: str) -> str:
    """Send something."""
    return to


def test_a_rule_must_answer_at_once() -> None:
    async def later(to: str) -> bool:
        return True

    with pytest.raises(us.DefinitionError, match="is an async def"):
        send_later.approve_if(later)  # type: ignore[arg-type]


def test_every_call_of_a_tool_made_with_approve_asks() -> None:
    admission = gate(wipe).admit(call("wipe"), Counters(), 0.0)
    assert admission.decision == "ask"
    assert admission.question is not None
    assert "Every call of wipe needs an approval" in admission.question.text


def test_no_deadline_waits_for_ever() -> None:
    admission = gate(wipe, limits=Limits(approval=None)).admit(call("wipe"), Counters(), 0.0)
    assert admission.question is not None
    assert admission.question.deadline is None


def _asking() -> Effect:
    intent = call("pay", {"to": "ada", "usd": 60.0})
    admission = gate(pay).admit(intent, Counters(), 0.0)
    return effect(intent, admission, question=admission.question)


def test_an_answer_to_other_arguments_is_refused() -> None:
    asking = _asking()
    with pytest.raises(WrongAnswer, match="another digest"):
        accept(asking, us.Answer("1.0", "approve", digest="of what I saw"), 0.0)
    assert accept(asking, us.Answer("1.0", "approve", digest=bound(asking)), 0.0).state == "intended"


def test_without_the_binding_an_answer_would_fit_anything() -> None:
    """The control: an answer that names no digest is taken for whatever is asked."""
    assert accept(_asking(), us.Answer("1.0", "approve"), 0.0).state == "intended"


def test_the_first_answer_counts() -> None:
    answered = accept(_asking(), us.Answer("1.0", "reject", by="ada", reason="no"), 0.0)
    with pytest.raises(UnknownItem, match="answered before, by ada"):
        accept(msgspec.structs.replace(answered, state="asking"), us.Answer("1.0", "approve"), 0.0)


def test_no_needs_a_reason_and_answers_must_fit() -> None:
    with pytest.raises(WrongAnswer, match="needs a reason"):
        accept(_asking(), us.Answer("1.0", "reject"), 0.0)
    with pytest.raises(WrongAnswer, match="it takes: approve, change, reject"):
        accept(_asking(), us.Answer("1.0", "happened"), 0.0)
    with pytest.raises(UnknownItem):
        accept(None, us.Answer("7.0", "approve"), 0.0)


def test_a_changed_rule_is_another_policy() -> None:
    def rule(usd: float) -> bool:
        return usd > 50

    def changed(usd: float) -> bool:
        return usd > 5_000

    changed.__name__ = "rule"
    assert Policy(rule).name == Policy(changed).name
    assert Policy(rule).version != Policy(changed).version


def paying(limit: float | None) -> Tool[..., Any]:
    """A tool of one name whose rule differs, or that has none."""

    @us.tool(effect="once", name="pay")
    def tool(to: str, usd: float) -> str:
        """Pay somebody."""
        return f"{to} got {usd}"

    if limit == 50:
        tool.approve_if(lambda to, usd: usd > 50)
    elif limit is not None:
        tool.approve_if(lambda to, usd: usd > limit)
    return tool


def _started(tool: Tool[..., Any], policy: str, usd: float = 60.0) -> list[tuple[str, str]]:
    """What the gate says at the start of a call that a person has allowed under this policy."""
    intent = call("pay", {"to": "ada", "usd": usd})
    question = us.Question("approval", "May it?", policy=policy)
    made = effect(intent, gate(tool).admit(intent, Counters(), 0.0), question=question)
    allowed = accept(msgspec.structs.replace(made, state="asking"), us.Answer("1.0", "approve"), 0.0)
    return [(v.check, v.verdict) for v in gate(tool).start(allowed, Counters(), 1.0, {}).verdicts]


SAME = [("permission", "allow"), ("limits", "allow"), ("schema", "allow"), ("approval", "allow")]
CHANGED = [("permission", "allow"), ("limits", "allow"), ("schema", "allow"), ("approval", "deny")]


def _label(tool: Tool[..., Any]) -> str:
    assert tool.policy is not None
    return tool.policy.label


def test_what_a_person_allowed_runs_while_the_rule_is_the_same() -> None:
    tool = paying(50)
    assert _started(tool, _label(tool)) == SAME
    assert _started(tool, f"limits.loop, {_label(tool)}") == SAME


def test_what_a_person_allowed_under_another_version_of_the_rule_does_not_run() -> None:
    before, now = paying(50), paying(5)
    assert _label(before) != _label(now)
    assert _started(now, _label(before)) == CHANGED
    assert _started(now, f"limits.loop, {_label(before)}") == CHANGED


def test_what_a_person_allowed_under_a_rule_that_is_gone_does_not_run() -> None:
    assert _started(paying(None), _label(paying(50))) == CHANGED


def test_a_loop_that_a_person_let_go_on_does_not_run_under_a_rule_that_was_not_asked_about() -> None:
    assert _started(paying(50), "limits.loop") == CHANGED
    assert _started(paying(50), "limits.loop", usd=5.0) == SAME, "the rule does not apply"
    assert _started(paying(None), "limits.loop") == SAME


def test_the_refusal_names_both_versions_and_what_to_do() -> None:
    intent, now = call("pay", {"to": "ada", "usd": 60.0}), paying(5)
    made = effect(
        intent, gate(paying(50)).admit(intent, Counters(), 0.0), question=us.Question("approval", "?", policy="x@1")
    )
    allowed = accept(made, us.Answer("1.0", "approve"), 0.0)
    reason = gate(now).start(allowed, Counters(), 1.0, {}).verdicts[-1].reason
    for part in ("has changed", "x@1", _label(now), "call it again, and a person is asked anew"):
        assert part in reason


class Gone(BaseException):
    """What a rule may raise as well."""


@us.tool(effect="once")
def mail(to: str) -> str:
    """Send something."""
    return to


@mail.approve_if
def dead(to: str) -> bool:
    """It ends more than itself."""
    raise Gone("no such list")


def test_a_rule_that_raises_what_is_no_exception_refuses_the_call_too() -> None:
    admission = gate(mail).admit(call("mail", {"to": "ada"}), Counters(), 0.0)
    assert admission.failure is not None
    assert (admission.decision, admission.failure.code) == ("deny", "policy_failed")
    assert "Gone: no such list" in admission.failure.message
