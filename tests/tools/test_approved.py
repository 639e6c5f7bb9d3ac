"""What an approval is bound to: whatever of it is another at the start, the call does not run."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

import understudy as us
from tests.tools.intents import call, effect, gate
from understudy.actors.answers import accept
from understudy.protocols.approvals import Question
from understudy.protocols.binding import bound, leave
from understudy.protocols.budget import ASKS
from understudy.protocols.counters import Counters
from understudy.protocols.effects import Effect
from understudy.protocols.hooks import Clearance
from understudy.protocols.ids import Address
from understudy.protocols.limits import Limits


def paying(version: str = "1") -> Any:
    @us.tool(effect="once", approve=True, version=version, name="pay")
    def pay(to: str, usd: float) -> str:
        """Pay somebody."""
        return to

    return pay


def allowed(now: float = 0.0) -> Effect:
    """A payment that ada has said yes to."""
    intent = call("pay", {"to": "ada", "usd": 60.0})
    admission = gate(paying()).admit(intent, Counters(), 0.0)
    made = effect(intent, admission, question=admission.question)
    return accept(made, us.Answer("1.0", "approve", by="ada"), now)


def start(
    one: Effect, *, version: str = "1", now: float = 1.0, skip: tuple[str, ...] = (), limits: Limits | None = None
) -> Clearance:
    return gate(paying(version), skip=skip, limits=limits).start(one, Counters(), now, {})


def verdict(clear: Clearance) -> str:
    return clear.failure.code if clear.failure is not None else clear.verdicts[-1].verdict


CHANGES: list[dict[str, Any]] = [
    {"args": Raw(b'{"to":"adb","usd":60.0}')},
    {"args": Raw(b'{"to":"ada","usd":61.0}')},
    {"digest": "0" * 32},
    {"id": "2.0"},
    {"stream": Address("clerk/2")},
]


def test_what_was_approved_runs() -> None:
    assert verdict(start(allowed())) == "allow"


@pytest.mark.parametrize("change", CHANGES)
def test_what_differs_by_one_byte_does_not_run(change: dict[str, Any]) -> None:
    assert verdict(start(msgspec.structs.replace(allowed(), **change))) == "approval_mismatch"


@pytest.mark.parametrize("change", CHANGES)
def test_without_the_check_it_would_run(change: dict[str, Any]) -> None:
    """The control."""
    assert verdict(start(msgspec.structs.replace(allowed(), **change), skip=("approval",))) == "allow"


def test_an_answer_to_something_else_does_not_count() -> None:
    one = allowed()
    assert one.answer is not None
    stolen = msgspec.structs.replace(one.answer, digest="0" * 32)
    assert verdict(start(msgspec.structs.replace(one, answer=stolen))) == "approval_mismatch"


def test_another_version_of_the_tool_is_another_tool() -> None:
    assert verdict(start(allowed(), version="2")) == "tool_changed"


def test_a_question_that_was_changed_after_the_answer_does_not_count() -> None:
    one = allowed()
    assert one.question is not None
    for change in ({"policy": "other@1"}, {"version": "2"}, {"quorum": 3}):
        other = msgspec.structs.replace(one, question=msgspec.structs.replace(one.question, **change))
        assert verdict(start(other, version="2")) == "approval_mismatch"


def test_a_yes_counts_for_a_day_or_as_long_as_the_limits_say() -> None:
    one = allowed(now=100.0)
    assert verdict(start(one, now=100.0 + 86_400.0)) == "allow"
    assert verdict(start(one, now=101.0 + 86_400.0)) == "approval_expired"
    assert verdict(start(one, now=200.0, limits=Limits(approved=50.0))) == "approval_expired"
    assert verdict(start(one, now=1e9, limits=Limits(approved=None))) == "allow"


def test_answers_of_journals_of_before_still_count() -> None:
    """They were bound to the arguments alone, or to nothing but what the effect is."""
    one = allowed()
    assert one.answer is not None
    for digest in ("", one.digest):
        assert (
            verdict(start(msgspec.structs.replace(one, answer=msgspec.structs.replace(one.answer, digest=digest))))
            == "allow"
        )


def test_the_binding_covers_all_of_it() -> None:
    one = allowed()
    assert one.question is not None
    others = [msgspec.structs.replace(one, **change) for change in (
        {"id": "2.0"}, {"name": "pay2"}, {"digest": "0"}, {"agent": "boss"}, {"stream": Address("clerk/2")},
        {"question": msgspec.structs.replace(one.question, version="2")}, {"question": msgspec.structs.replace(one.question, policy="x@1")},
        {"question": msgspec.structs.replace(one.question, quorum=2)},
    )]  # fmt: skip
    assert len({bound(other) for other in (one, *others)}) == len(others) + 1


def test_verdicts_of_a_later_start_have_its_time() -> None:
    assert {v.at for v in start(allowed(), now=7.0).verdicts} == {7.0}


def paid_for(one: Effect, now: float) -> Effect:
    """A call about which a person was asked, after its yes, whether it may cost more, and said so."""
    money = Question("approval", "As much again?", policy=ASKS, takes=("approve", "reject"))
    asking = msgspec.structs.replace(one, state="asking", question=money, answer=None, leave=leave(one))
    return accept(asking, us.Answer("1.0", "approve", by="bob"), now)


def test_a_yes_to_the_money_takes_nothing_from_the_yes_to_the_call() -> None:
    one = paid_for(allowed(now=100.0), 50_000.0)
    assert verdict(start(one, now=50_001.0)) == "allow"
    assert verdict(start(one, now=101.0 + 86_400.0)) == "approval_expired"
    assert verdict(start(one, version="2", now=50_001.0)) == "tool_changed"
    other = msgspec.structs.replace(one, args=Raw(b'{"to":"adb","usd":60.0}'))
    assert verdict(start(other, now=50_001.0)) == "approval_mismatch"
    twice = paid_for(one, 60_000.0)
    assert (twice.leave, verdict(start(twice, now=101.0 + 86_400.0))) == (one.leave, "approval_expired")
    assert one.leave is not None
    by_grant = msgspec.structs.replace(one.leave.answer, grant="9.0")
    granted = msgspec.structs.replace(allowed(), answer=by_grant)
    assert verdict(start(paid_for(granted, 1.0))) == "grant_revoked"


def test_a_yes_to_the_money_is_none_to_a_call_about_which_nobody_was_asked() -> None:
    @us.tool(effect="once", name="pay")
    def pay(to: str, usd: float) -> str:
        """Pay somebody."""
        return to

    intent = call("pay", {"to": "ada", "usd": 60.0})
    before = gate(pay)
    one = paid_for(effect(intent, before.admit(intent, Counters(), 0.0)), 5.0)
    assert verdict(before.start(one, Counters(), 6.0, {})) == "allow"
    since = gate(pay, rules=(us.ApprovalRule("large", money_above=50, amount="usd"),))
    clear = since.start(one, Counters(), 6.0, {})
    assert clear.question is not None
    assert clear.question.policy.startswith("large@")
