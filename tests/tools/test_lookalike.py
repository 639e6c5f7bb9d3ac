"""Names that look like others are refused, and the refusal names the real one."""

from __future__ import annotations

import pytest

import understudy as us
from tests.tools.intents import call, gate
from understudy.protocols.counters import Counters
from understudy.protocols.lookalike import meant


@us.tool(kind="money")
def pay(to: str, usd: int = 1) -> str:
    """Pay somebody."""
    return to


ALIKE = {
    "a Cyrillic letter": "p\u0430y",
    "all Cyrillic": "\u0440\u0430\u0443",
    "a Greek capital": "\u03a1AY",
    "fullwidth": "\uff50\uff41\uff59",
    "a zero-width space": "pa\u200by",
    "a mark of direction": "\u202epay",
    "a joined accent": "pay\u0301",
    "mathematical letters": "\U0001d429\U0001d41a\U0001d432",
    "a line end": "pay\n",
}


@pytest.mark.parametrize("what", ALIKE)
def test_a_tool_name_that_looks_like_one_is_refused_with_the_real_one(what: str) -> None:
    failure = gate(pay).admit(call(ALIKE[what], {"to": "ann"}), Counters(), 0.0).failure
    assert failure is not None
    assert (failure.kind, failure.code, failure.where) == ("change_arguments", "look_alike", "pay")
    assert "looks like 'pay'" in failure.message
    assert failure.message.isascii()


@pytest.mark.parametrize("name", ["t\u043e", "to\u200d", "\uff54\uff4f", "\u03c4\u03bf"])
def test_an_argument_name_that_looks_like_a_parameter_is_refused_with_the_real_one(name: str) -> None:
    failure = gate(pay).admit(call("pay", {name: "ann", "usd": 2}), Counters(), 0.0).failure
    assert failure is not None
    assert (failure.kind, failure.code) == ("change_arguments", "look_alike")
    assert "looks like 'to'" in failure.message
    assert failure.message.isascii()


def test_two_parameters_of_which_one_only_looks_right_are_not_merged() -> None:
    failure = gate(pay).admit(call("pay", {"to": "ann", "t\u043e": "mallory"}), Counters(), 0.0).failure
    assert failure is not None
    assert failure.code == "look_alike"


@pytest.mark.parametrize("name", ["p4y", "PAY", "pays", "\u652f\u6255", "", "pay "])
def test_a_name_that_is_only_another_one_is_an_unknown_tool(name: str) -> None:
    failure = gate(pay).admit(call(name, {"to": "ann"}), Counters(), 0.0).failure
    assert failure is not None
    assert failure.code == "unknown_tool"


def test_a_name_is_not_taken_for_itself() -> None:
    assert meant("\u652f\u6255", ["\u652f\u6255", "pay"]) == ""
