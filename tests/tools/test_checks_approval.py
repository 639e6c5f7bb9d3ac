"""Approval: what a rule names waits for a person, and the answer counts for these arguments only."""

from __future__ import annotations

import msgspec
import pytest

import understudy as us
from tests.tools.intents import call, effect, gate
from understudy.actors.flights import accept
from understudy.protocols.effects import Counters, Effect, Limits
from understudy.protocols.errors import UnknownItem, WrongAnswer
from understudy.tools.tool import Policy


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


def test_a_rule_that_raises_asks_and_says_that_it_is_broken() -> None:
    admission = gate(send).admit(call("send", {"to": "ada"}), Counters(), 0.0)
    assert admission.decision == "ask"
    assert admission.question is not None
    assert "LookupError: no such list" in admission.question.text


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
        accept(asking, us.Answer("1.0", "approve", digest="of what I saw"))
    assert accept(asking, us.Answer("1.0", "approve", digest=asking.digest)).state == "intended"


def test_without_the_binding_an_answer_would_fit_anything() -> None:
    """The control: an answer that names no digest is taken for whatever is asked."""
    assert accept(_asking(), us.Answer("1.0", "approve")).state == "intended"


def test_the_first_answer_counts() -> None:
    answered = accept(_asking(), us.Answer("1.0", "reject", by="ada", reason="no"))
    with pytest.raises(UnknownItem, match="answered before, by ada"):
        accept(msgspec.structs.replace(answered, state="asking"), us.Answer("1.0", "approve"))


def test_no_needs_a_reason_and_answers_must_fit() -> None:
    with pytest.raises(WrongAnswer, match="needs a reason"):
        accept(_asking(), us.Answer("1.0", "reject"))
    with pytest.raises(WrongAnswer, match="it takes: approve, reject"):
        accept(_asking(), us.Answer("1.0", "happened"))
    with pytest.raises(UnknownItem):
        accept(None, us.Answer("7.0", "approve"))


def test_a_changed_rule_is_another_policy() -> None:
    def rule(usd: float) -> bool:
        return usd > 50

    def changed(usd: float) -> bool:
        return usd > 5_000

    changed.__name__ = "rule"
    assert Policy(rule).name == Policy(changed).name
    assert Policy(rule).version != Policy(changed).version
