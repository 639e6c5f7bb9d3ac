"""Labels of arguments in approvals: what a rule asks about them, what a yes is bound to, what an edit and a standing approval do."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

import understudy as us
from tests.tools.intents import call, effect, gate
from understudy.actors.answers import accept
from understudy.actors.editing import edited
from understudy.protocols.binding import bound
from understudy.protocols.codec import encode
from understudy.protocols.counters import Counters
from understudy.protocols.effects import Effect, Intent
from understudy.protocols.errors import WrongAnswer
from understudy.protocols.grants import made, standing
from understudy.protocols.provenance import Label, Provenance
from understudy.supervisor.inbox import arguments_text, item

STRANGE: dict[str, tuple[Label, ...]] = {"to": ("untrusted",), "text": ("untrusted", "private")}
AROUND = Provenance(("untrusted",), ("read_mail",))


@us.tool(effect="once", kind="send", sinks=["to"], payload=["text"])
def mail(text: str, to: str) -> str:
    """Send a mail."""
    return to


@us.tool(effect="once", kind="write", sinks=[], payload=["text"])
def jot(text: str) -> str:
    """Write something down."""
    return text


def wanted(name: str, labels: dict[str, tuple[Label, ...]], **args: str) -> Intent:
    return msgspec.structs.replace(call(name, args), labels=labels, around=AROUND)


def asking(
    labels: dict[str, tuple[Label, ...]], *rules: us.ApprovalRule, to: str = "eve@x.org", id: str = "1.0"
) -> Effect:
    """A mail that a person is asked about."""
    intent = wanted("mail", labels, to=to, text="hello")
    admission = gate(mail, rules=rules).admit(intent, Counters(), 0.0)
    assert admission.decision == "ask"
    return effect(intent, admission, id, question=admission.question, labels=labels)


def test_a_rule_can_ask_about_every_argument_that_a_stranger_may_have_written() -> None:
    rule = us.ApprovalRule("tainted", tainted=True)
    asks = gate(jot, rules=(rule,))
    question = asks.admit(wanted("jot", {"text": ("untrusted",)}, text="x"), Counters(), 0.0).question
    assert question is not None
    assert question.policy == rule.label
    assert "text may hold the words of a stranger" in question.text
    assert asks.admit(wanted("jot", {"text": ("private",)}, text="x"), Counters(), 0.0).decision == "allow"
    assert asks.admit(call("jot", {"text": "x"}), Counters(), 0.0).decision == "allow"
    assert gate(jot).admit(wanted("jot", {"text": ("untrusted",)}, text="x"), Counters(), 0.0).decision == "allow"


def test_a_yes_is_bound_to_the_labels() -> None:
    one = asking(STRANGE)
    allowed = accept(one, us.Answer("1.0", "approve", by="ada", digest=bound(one)), 0.0)
    assert gate(mail).start(allowed, Counters(), 1.0, {}).failure is None
    more: dict[str, tuple[Label, ...]] = {**STRANGE, "to": ("untrusted", "private")}
    other = gate(mail).start(msgspec.structs.replace(allowed, labels=more), Counters(), 1.0, {})
    assert other.failure is not None
    assert other.failure.code == "approval_mismatch"


def test_what_a_person_writes_is_trusted_and_what_they_leave_is_what_it_was() -> None:
    one = asking(STRANGE)

    def change(**given: str) -> Effect:
        answer = us.Answer("1.0", "change", by="ada", value=Raw(encode(given)))
        return edited(one, answer, gate(mail), Counters(), None, 1.0)

    half = change(to="ada@example.org")
    assert half.labels == {"text": STRANGE["text"]}
    assert half.question is not None
    assert "to=" not in half.question.policy
    whole = change(to="ada@example.org", text="hi")
    assert whole.labels == {}
    assert whole.question is not None
    assert whole.question.policy == "", "nobody needs to be asked about it any more"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"scope": "always"}, "strangers may have put words into it"),
        ({"scope": "run"}, "strangers may have put words into it"),
        ({"scope": "pattern", "same": ("to",)}, "text may hold the words of a stranger"),
    ],
)
def test_what_strangers_may_have_written_is_not_allowed_in_advance_but_as_it_is(answer: Any, message: str) -> None:
    one = asking(STRANGE)
    with pytest.raises(WrongAnswer, match=message):
        made(accept(one, us.Answer("1.0", "approve", **answer), 0.0), 0.0)


@pytest.mark.parametrize("scope", ["always", "run"])
def test_what_a_rule_asks_because_of_a_stranger_s_words_is_not_allowed_in_advance_either(scope: Any) -> None:
    rule = us.ApprovalRule("tainted", tainted=True)
    intent = wanted("jot", {"text": ("untrusted",)}, text="x")
    admission = gate(jot, rules=(rule,)).admit(intent, Counters(), 0.0)
    one = effect(intent, admission, "1.0", question=admission.question, labels=intent.labels)
    with pytest.raises(WrongAnswer, match="strangers may have put words into it"):
        accept(one, us.Answer("1.0", "approve", scope=scope), 0.0)


def test_a_pattern_over_all_that_is_labelled_answers_the_same_words_only() -> None:
    entries = made(accept(asking(STRANGE), us.Answer("1.0", "approve", scope="pattern"), 0.0), 0.0)
    books = {entry.key: entry for entry in entries}
    assert standing(asking(STRANGE, id="2.0"), books, 1.0) is not None
    assert standing(asking(STRANGE, to="mallory@x.org", id="3.0"), books, 1.0) is None


def test_what_was_allowed_without_labels_does_not_answer_for_labelled_arguments() -> None:
    rule = us.ApprovalRule("external", external=True)
    entries = made(accept(asking({}, rule), us.Answer("1.0", "approve", scope="always"), 0.0), 0.0)
    books = {entry.key: entry for entry in entries}
    assert standing(asking({}, rule, id="2.0"), books, 1.0) is not None
    assert standing(asking(STRANGE, rule, id="3.0"), books, 1.0) is None


def test_sinks_and_labelled_arguments_are_shown_first() -> None:
    entry = item(asking(STRANGE))
    assert entry is not None
    assert entry.labels == STRANGE
    assert arguments_text(entry) == 'mail(to="eve@x.org", text="hello")'
