"""Conditions: a tool is called only after others have succeeded in the same run, and not where one that excludes it was called."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import understudy as us
from tests.tools.intents import admit, call, effect, gate
from understudy.protocols.counters import Counters
from understudy.protocols.effects import EffectState
from understudy.protocols.failures import Failure
from understudy.tools.models.scripted import call as say
from understudy.tools.together import complete


@us.tool(effect="read")
def login(user: str) -> str:
    """Log in."""
    return user


@us.tool(kind="money", after=[login], excludes=["refund"])
def pay(to: str) -> str:
    """Pay somebody."""
    return to


@us.tool(kind="money")
def refund(to: str) -> str:
    """Give money back."""
    return to


def settled(counters: Counters, name: str, args: object, state: EffectState, failure: Failure | None) -> Counters:
    """After a call was let through and came to this."""
    intent = call(name, args)
    admission, counters = admit(gate(login, refund), intent, counters, settles=False)
    made = effect(intent, admission)
    return counters.changed(msgspec.structs.replace(made, state=state, failure=failure))


def decided(counters: Counters, name: str, *, skip: tuple[str, ...] = ()) -> tuple[str, str]:
    admission = gate(login, pay, refund, skip=skip).admit(call(name, {"to": "ann"}), counters, 0.0)
    return admission.decision, admission.failure.code if admission.failure else ""


def test_a_tool_waits_for_the_one_that_must_come_before() -> None:
    admission = gate(login, pay, refund).admit(call("pay", {"to": "ann"}), Counters(), 0.0)
    assert admission.decision == "deny"
    assert admission.failure is not None
    assert (admission.failure.kind, admission.failure.code) == ("change_arguments", "not_yet")
    assert "only after login has succeeded" in admission.failure.message
    assert "call login first" in admission.failure.hint
    assert decided(settled(Counters(), "login", {"user": "me"}, "settled", None), "pay") == ("allow", "")


@pytest.mark.parametrize("how", ["failed", "under way", "in doubt", "withdrawn"])
def test_only_success_counts(how: str) -> None:
    failure = Failure("abandon", "wrong_password", "no") if how == "failed" else None
    states: dict[str, EffectState] = {
        "failed": "settled",
        "under way": "started",
        "in doubt": "in_doubt",
        "withdrawn": "withdrawn",
    }
    counters = settled(Counters(), "login", {"user": "me"}, states[how], failure)
    assert decided(counters, "pay") == ("deny", "not_yet")


def test_without_the_check_it_goes_at_once() -> None:
    """The control: this check is what keeps it out."""
    assert decided(Counters(), "pay", skip=("conditions",)) == ("allow", "")


@pytest.mark.parametrize(("first", "second"), [("refund", "pay"), ("pay", "refund")])
def test_tools_exclude_each_other_both_ways(first: str, second: str) -> None:
    counters = settled(Counters(), "login", {"user": "me"}, "settled", None)
    _, counters = admit(gate(login, pay, refund), call(first, {"to": "bob"}), counters)
    assert decided(counters, second) == ("deny", "excluded")
    assert decided(counters, second, skip=("conditions",)) == ("allow", "")


@pytest.mark.parametrize(
    ("state", "failure", "decision"),
    [
        ("started", None, "deny"),
        ("in_doubt", None, "deny"),
        ("settled", Failure("abandon", "schema_drift", "it ran"), "deny"),
        ("settled", Failure("abandon", "no", "it did not run"), "allow"),
        ("withdrawn", None, "allow"),
    ],
)
def test_what_may_have_happened_excludes_and_what_did_not_does_not(
    state: EffectState, failure: Failure | None, decision: str
) -> None:
    counters = settled(Counters(), "login", {"user": "me"}, "settled", None)
    assert decided(settled(counters, "refund", {"to": "bob"}, state, failure), "pay")[0] == decision


def test_models_are_told_of_the_conditions() -> None:
    assert "Only after login succeeded in this run." in pay.spec.description
    assert "Not in a run in which refund was called" in pay.spec.description


def made(name: str, **said: Any) -> Any:
    def act(to: str) -> str:
        """Act."""
        return to

    return us.tool(name=name, **said)(act)


@pytest.mark.parametrize(
    ("tools", "named"),
    [
        ([pay, refund], "after='login'"),
        ([pay, login], "excludes='refund'"),
        ([made("a", after=["b"]), made("b", after=["c"]), made("c", after=["b"])], "only after itself"),
        ([made("a", after=["board_read"]), us.board_read], "does not hear how it ended"),
        ([made("pay"), made("p\u0430y")], "look alike"),
        ([made("pay"), made("pay\u200b")], "look alike"),
    ],
)
def test_what_can_never_come_true_is_refused_at_the_start(tools: list[Any], named: str) -> None:
    with pytest.raises(us.DefinitionError, match="agent 'clerk'") as refused:
        complete("agent 'clerk'", tools)
    assert named in str(refused.value)


def test_a_system_does_not_start_with_a_rule_about_an_unknown_tool() -> None:
    agent = us.Agent("clerk", "Pays.", model=us.Scripted("Done."), tools=[pay])
    with pytest.raises(us.DefinitionError, match="after='login'"):
        us.run(agent, "Pay ann.")


def test_an_agent_that_pays_first_is_told_to_log_in_and_does() -> None:
    done: list[str] = []

    @us.tool(effect="read")
    def log_in() -> str:
        """Log in."""
        done.append("log_in")
        return "in"

    @us.tool(kind="write", after=[log_in])
    def note(text: str) -> str:
        """Write something down."""
        done.append("note")
        return text

    model = us.Scripted(say("note", text="x"), say("log_in"), say("note", text="x"), "Done.")
    agent = us.Agent("clerk", "Writes.", model=model, tools=[log_in, note])
    assert us.run(agent, "Write x.").output == "Done."
    assert done == ["log_in", "note"]
    assert "call log_in first" in model.requests[1].messages[-1].text
