"""Permission: an agent calls what it was given and nothing else."""

from __future__ import annotations

import understudy as us
from tests.tools.intents import call, gate
from understudy.protocols.counters import Counters


@us.tool(effect="read")
def look(name: str) -> str:
    """Look somebody up."""
    return name


@us.tool(effect="once")
def fire(name: str) -> str:
    """Dismiss somebody."""
    return name


def test_a_tool_of_somebody_else_is_not_granted() -> None:
    admission = gate(look, other=fire).admit(call("fire", {"name": "ada"}), Counters(), 0.0)
    assert admission.decision == "deny"
    assert admission.failure is not None
    assert (admission.failure.kind, admission.failure.code) == ("abandon", "not_granted")
    assert "look" in admission.failure.hint


def test_without_the_grant_check_the_same_call_would_run() -> None:
    """The control: granting it is all that lets it through, so the check is what keeps it out."""
    assert gate(look, fire).admit(call("fire", {"name": "ada"}), Counters(), 0.0).decision == "allow"


def test_an_unknown_tool_is_named_as_such_with_the_known_ones() -> None:
    admission = gate(look).admit(call("loook", {"name": "ada"}), Counters(), 0.0)
    assert admission.failure is not None
    assert (admission.failure.kind, admission.failure.code) == ("change_arguments", "unknown_tool")
    assert admission.failure.hint == "tools: look"


def test_an_agent_without_grants_may_do_nothing() -> None:
    assert gate(look).admit(call("look", {"name": "ada"}, agent="stranger"), Counters(), 0.0).decision == "deny"
