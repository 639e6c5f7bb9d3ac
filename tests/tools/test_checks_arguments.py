"""Schema: what a model writes as arguments fits the tool's parameters, or the tool does not run."""

from __future__ import annotations

from typing import Any

import pytest

import understudy as us
from tests.tools.intents import call, gate
from understudy.protocols.counters import Counters
from understudy.tools import gate as gates
from understudy.tools.checks.case import Case, Ruling, allow
from understudy.tools.checks.permission import permission


@us.tool(effect="once")
def pay(to: str, usd: int, note: dict[str, Any] | None = None, rate: float = 1.0) -> str:
    """Pay somebody."""
    return f"{to} got {usd}"


DEEP = b'{"to":"ada","usd":1,"note":' + b'{"a":' * 90_000 + b"1" + b"}" * 90_000 + b"}"

WRONG = {
    "unknown field": (b'{"to":"ada","usd":1,"from":"bob"}', "from"),
    "missing field": (b'{"to":"ada"}', "usd"),
    "wrong type": (b'{"to":"ada","usd":"much"}', "usd"),
    "bool for int": (b'{"to":"ada","usd":true}', "usd"),
    "float for int": (b'{"to":"ada","usd":1.5}', "usd"),
    "null for str": (b'{"to":null,"usd":1}', "to"),
    "not a number": (b'{"to":"ada","usd":NaN}', "JSON"),
    "infinity": (b'{"to":"ada","usd":1,"rate":Infinity}', "JSON"),
    "1e400": (b'{"to":"ada","usd":1,"rate":1e400}', ""),
    "-1e400 for int": (b'{"to":"ada","usd":-1e400}', ""),
    "a number as text": (b'{"to":"ada","usd":1,"rate":"NaN"}', "rate"),
    "half a character": (b'{"to":"\\ud800","usd":1}', ""),
    "a text that does not end": (b'{"to":"ada', ""),
    "no object": (b"[1,2]", "object"),
    "no JSON": (b'{"to":"ada"', "trunc"),
    "nothing": (b"", "trunc"),
    "deep": (DEEP, "nested deeper"),
    "two megabytes": (b'{"to":"' + b"a" * 2_000_000 + b'","usd":1}', "bytes"),
    "text that is no UTF-8": (b'{"to":"\xff\xfe","usd":1}', ""),
}


@pytest.mark.parametrize("what", WRONG)
def test_arguments_that_do_not_fit_are_a_typed_failure(what: str) -> None:
    raw, named = WRONG[what]
    admission = gate(pay).admit(call("pay", raw=raw), Counters(), 0.0)
    assert admission.decision == "deny"
    assert admission.failure is not None
    assert (admission.failure.kind, admission.failure.code) == ("change_arguments", "bad_arguments")
    assert named in admission.failure.message
    assert admission.failure.hint == "it takes: to, usd, note, rate"
    assert len(admission.failure.message) < 1_000


def test_a_text_of_nearly_a_megabyte_goes_through() -> None:
    """The control of what is too large."""
    raw = b'{"to":"' + b"a" * 900_000 + b'","usd":1}'
    assert gate(pay).admit(call("pay", raw=raw), Counters(), 0.0).decision == "allow"


@pytest.mark.parametrize("what", ["unknown field", "missing field", "wrong type", "bool for int"])
def test_without_the_schema_check_they_are_let_through(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def lax(case: Case) -> Ruling:
        case.arguments = {}
        return allow("schema")

    monkeypatch.setattr(gates, "CALL_CHECKS", (("permission", permission), ("schema", lax)))
    assert gate(pay).admit(call("pay", raw=WRONG[what][0]), Counters(), 0.0).decision == "allow"


def test_equal_arguments_have_one_digest_however_they_are_written() -> None:
    one = gate(pay).admit(call("pay", raw=b'{"to":"ada","usd":1}'), Counters(), 0.0)
    two = gate(pay).admit(call("pay", raw=b'{ "usd": 1, "note": null, "to": "\\u0061da" }'), Counters(), 0.0)
    assert one.decision == two.decision == "allow"
    assert one.digest == two.digest
