"""The gate as a whole: order of its checks, keys, and what it does when a check itself fails."""

from __future__ import annotations

import msgspec
import pytest

import understudy as us
from tests.tools.intents import RUN, admit, call, effect, gate, think
from understudy.protocols.counters import Counters
from understudy.protocols.effects import Intent
from understudy.protocols.ids import Address
from understudy.tools import gate as gates
from understudy.tools.checks.case import Case, Ruling


@us.tool(effect="idempotent")
def pay(to: str, usd: float) -> str:
    """Pay somebody."""
    return f"{to} got {usd}"


def test_every_verdict_is_kept_in_order() -> None:
    admission = gate(pay).admit(call("pay", {"to": "ada", "usd": 5.0}), Counters(), 0.0)
    assert [v.check for v in admission.verdicts] == [
        "permission",
        "schema",
        "provenance",
        "limits.calls",
        "limits.loop",
        "approval",
    ]
    assert {v.verdict for v in admission.verdicts} == {"allow"}


def test_the_first_check_that_refuses_decides_and_is_the_last_one_kept() -> None:
    admission = gate(pay).admit(call("pay", {"to": "ada"}), Counters(), 0.0)
    assert admission.decision == "deny"
    assert [v.check for v in admission.verdicts] == ["permission", "schema"]
    assert admission.failure is not None
    assert admission.failure.message == admission.verdicts[-1].reason


def test_a_check_that_raises_refuses_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(case: Case) -> Ruling:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(gates, "CALL_CHECKS", (("broken", broken), *gates.CALL_CHECKS))
    admission = gate(pay).admit(call("pay", {"to": "ada", "usd": 5.0}), Counters(), 0.0)
    assert admission.decision == "deny"
    assert admission.failure is not None
    assert admission.failure.code == "check_failed"
    assert "oops" in admission.failure.message


def test_the_key_of_a_call_is_the_same_until_it_has_succeeded() -> None:
    the_gate, counters = gate(pay), Counters()
    first, after = admit(the_gate, call("pay", {"to": "ada", "usd": 5.0}), counters)
    same = the_gate.admit(call("pay", {"usd": 5.0, "to": "ada"}), counters, 9.0)
    assert same.key == first.key, "order of the arguments and time do not matter"
    assert the_gate.admit(call("pay", {"to": "ada", "usd": 5.0}), after, 0.0).key != first.key


@pytest.mark.parametrize("failure", ["settled", "in_doubt"])
def test_a_call_that_failed_or_is_in_doubt_keeps_its_key(failure: str) -> None:
    the_gate, intent = gate(pay), call("pay", {"to": "ada", "usd": 5.0})
    first = the_gate.admit(intent, Counters(), 0.0)
    made = effect(intent, first)
    lost = msgspec.structs.replace(made, state=failure, failure=us.Failure("abandon", "refused", "no"))
    counters = Counters().intended(made).changed(lost)
    assert the_gate.admit(intent, counters, 0.0).key == first.key


def test_a_doubtful_call_that_is_found_to_have_happened_counts_as_done() -> None:
    the_gate, intent = gate(pay), call("pay", {"to": "ada", "usd": 5.0})
    first = the_gate.admit(intent, Counters(), 0.0)
    made = effect(intent, first)
    doubt = msgspec.structs.replace(made, state="in_doubt")
    counters = Counters().intended(made).changed(doubt)
    counters = counters.changed(msgspec.structs.replace(doubt, state="settled"))
    assert counters.taken == {made.digest: (0,)}
    assert the_gate.admit(intent, counters, 0.0).key != first.key, (
        "otherwise the next payment would be dropped as a double"
    )


def test_two_equal_calls_at_once_have_two_keys() -> None:
    the_gate, intent = gate(pay), call("pay", {"to": "ada", "usd": 5.0})
    first, after = admit(the_gate, intent, Counters(), settles=False)
    assert the_gate.admit(intent, after, 0.0).key != first.key


def test_runs_have_keys_of_their_own() -> None:
    args = {"to": "ada", "usd": 5.0}
    one = gate(pay).admit(call("pay", args), Counters(), 0.0)
    other = gate(pay).admit(call("pay", args, run=Address("clerk/2")), Counters(), 0.0)
    assert one.key != other.key
    assert one.digest == other.digest


def test_a_person_is_asked_without_any_check() -> None:
    question = us.Question("escalation", "What now?")
    intent = Intent("person", "topic", msgspec.Raw(b"{}"), "anybody", RUN, question)
    admission = gate(pay).admit(intent, Counters(), 0.0)
    assert admission.decision == "ask"
    assert admission.question is question


def test_a_grant_that_is_gone_stops_the_call_at_its_start() -> None:
    intent = call("pay", {"to": "ada", "usd": 5.0})
    made = effect(intent, gate(pay).admit(intent, Counters(), 0.0))
    assert [v.verdict for v in gate(pay).start(made, Counters(), 0.0, {}).verdicts] == ["allow"]
    assert [v.verdict for v in gate().start(made, Counters(), 1.0, {}).verdicts] == ["deny"]


def test_models_pass_the_gate_too() -> None:
    admission = gate(pay).admit(think(), Counters(), 0.0)
    assert admission.decision == "allow"
    assert [v.check for v in admission.verdicts] == ["limits.steps"]
