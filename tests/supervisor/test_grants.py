"""Standing approvals: a yes with a scope answers later questions that are alike, until somebody takes it back."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw

import understudy as us
from tests.actors.crew import rows
from tests.supervisor.buying import LARGE, Buy, bought, shop, wanted
from understudy.actors.answers import accept
from understudy.protocols.approvals import Scope
from understudy.protocols.effects import Effect
from understudy.protocols.errors import UnknownItem, WrongAnswer
from understudy.protocols.ids import Address
from understudy.supervisor.simulation.sent import Sent
from understudy.testing import Simulated

DAY = 86_400.0


def granted(scope: Scope, *rules: us.ApprovalRule, **more: Any) -> Simulated:
    """A shop where ada has said yes to one payment, with a scope."""
    node = shop(*rules)
    _, item = wanted(node)
    answer = node.answer(item.id, "approve", scope=scope, **more)
    node.pass_time(60)
    assert answer.error is None
    assert bought == ["ada 60"]
    return node


def buys(node: Simulated, **what: Any) -> bool:
    """Whether a payment goes through with nobody asked."""
    before = len(bought)
    node.ask("buyer", Buy(**what))
    node.pass_time(60)
    return len(bought) == before + 1


def test_once_is_for_this_call_only() -> None:
    node = granted("once")
    assert node.grants() == ()
    assert not buys(node)


@pytest.mark.parametrize(
    ("scope", "more", "other_amount", "other_person"),
    [
        ("run", {}, True, True),
        ("always", {}, True, True),
        ("pattern", {}, False, False),  # where it goes must be the same, and how much
        ("pattern", {"same": ("to",)}, True, False),
        ("pattern", {"same": ("usd",)}, False, True),
        ("pattern", {"same": ("usd", "to")}, False, False),
    ],
)
def test_a_scope_says_which_calls_are_alike(
    scope: Scope, more: dict[str, Any], other_amount: bool, other_person: bool
) -> None:
    node = granted(scope, **more)
    assert buys(node), "the very same call"
    assert buys(node, usd=70.0) is other_amount
    assert buys(node, to="bob") is other_person


def test_the_question_is_put_and_answered_and_the_row_says_by_what() -> None:
    node = granted("always", reason="ada is known to us")
    (grant,) = node.grants()
    assert (grant.tool, grant.agent, grant.by, grant.policy) == ("pay", "buyer", ("ada",), (LARGE.label,))
    assert buys(node, usd=70.0)
    last = [record for _, record in rows(node, "buyer") if record.answer is not None][-1]
    assert last.answer is not None
    assert last.answer.by == f"grant {grant.id} of ada"
    assert (last.answer.grant, last.answer.reason) == (grant.id, "it is allowed always: ada is known to us")
    assert last.changes[0].question is not None
    assert last.changes[0].question.policy == LARGE.label
    assert [item for item in node.inbox() if item.kind == "approval"] == []


def test_one_that_was_taken_back_answers_nothing_any_more() -> None:
    node = granted("always")
    (grant,) = node.grants()
    assert buys(node)
    taken = node.revoke(grant.id, by="bob", reason="no more")
    node.pass_time(60)
    assert taken.error is None
    assert node.grants() == ()
    assert not buys(node)
    again = node.revoke(grant.id)
    node.pass_time(1)
    assert isinstance(again.error, UnknownItem)


def test_a_call_that_it_allowed_and_that_has_not_begun_is_refused_when_it_was_taken_back() -> None:
    node = granted("always")
    (grant,) = node.grants()
    node.kernel.flights.hold = True  # the node drains: nothing new leaves
    node.ask("buyer", Buy(usd=70.0))
    for _ in range(200):
        node.step(until=node.now)
    node.revoke(grant.id)
    for _ in range(200):
        node.step(until=node.now)
    node.crash()
    node.pass_time(60)
    settled = [e for _, record in rows(node, "buyer") for e in record.changes if e.state == "settled"]
    assert settled[-1].failure is not None
    assert settled[-1].failure.code == "grant_revoked"
    assert bought == ["ada 60"]


def test_it_is_there_after_a_crash_and_gone_after_one() -> None:
    node = granted("always")
    before = node.grants()
    node.crash()
    assert node.grants() == before
    assert buys(node)
    node.revoke(before[0].id)
    node.pass_time(1)
    node.crash()
    assert node.grants() == ()
    assert not buys(node)


def test_it_ends_when_it_was_said_to() -> None:
    node = granted("always", expires=DAY)
    assert buys(node)
    node.pass_time(DAY)
    assert not buys(node)
    assert len(node.grants()) == 1, "it is still to be seen"


FINAL = us.ApprovalRule("final", irreversible=True)


@pytest.mark.parametrize(
    "now",
    [
        (us.ApprovalRule("large", money_above=55),),
        (LARGE, FINAL),
        (us.ApprovalRule("large", money_above=50, quorum=2),),
    ],
)
def test_it_does_not_answer_what_other_rules_ask(now: tuple[us.ApprovalRule, ...]) -> None:
    node = granted("always")
    node.journal.close()
    other = shop(*now, journal=node.journal)
    assert not buys(other)
    assert len(other.inbox()) == 1


def test_the_same_rules_in_another_life_are_answered() -> None:
    """The control."""
    node = granted("always")
    node.journal.close()
    other = shop(LARGE, journal=node.journal)
    assert buys(other)


def test_where_several_must_agree_they_must_mean_the_same() -> None:
    two = us.ApprovalRule("large", money_above=50, quorum=2)
    for first, second, stands in (("always", "always", True), ("always", "run", False), ("once", "always", False)):
        node = shop(two)
        _, item = wanted(node)
        node.answer(item.id, "approve", by="ada", scope=first)  # type: ignore[arg-type]
        node.pass_time(60)
        assert node.grants() == (), "one yes of two stands for nothing"
        node.answer(item.id, "approve", by="bob", scope=second)  # type: ignore[arg-type]
        node.pass_time(60)
        assert [grant.by for grant in node.grants()] == ([("ada", "bob")] if stands else [])
        assert buys(node) is stands


@pytest.mark.parametrize(
    ("decision", "more", "message"),
    [
        ("reject", {"scope": "always", "reason": "no"}, "only a yes to a call has a scope"),
        ("approve", {"scope": "ever"}, "scope='ever'"),
        ("approve", {"same": ("usd",)}, "for a yes with a scope"),
        ("approve", {"expires": 5.0}, "for a yes with a scope"),
        ("approve", {"scope": "always", "same": ("usd",)}, "goes with scope='pattern'"),
        ("approve", {"scope": "pattern", "same": ("eur",)}, "no argument of this call"),
        ("approve", {"scope": "always", "expires": -1.0}, "expires=-1.0"),
    ],
)
def test_a_scope_that_cannot_be_meant_is_refused_and_the_item_stays_open(
    decision: Any, more: dict[str, Any], message: str
) -> None:
    node = shop()
    _, item = wanted(node)
    answer = node.answer(item.id, decision, **more)
    node.pass_time(60)
    assert isinstance(answer.error, WrongAnswer)
    assert message in str(answer.error)
    assert [one.id for one in node.inbox()] == [item.id]
    assert bought == []


def test_nobody_can_answer_in_the_name_of_a_standing_approval() -> None:
    node = shop()
    _, item = wanted(node)
    sent = Sent(us.Answer(item.id, "approve", by="grant 1.0 of ada", grant="1.0"))
    node._take(sent)
    node.pass_time(60)
    assert isinstance(sent.error, WrongAnswer)
    assert bought == []


def test_a_question_about_a_loop_is_about_this_one_call() -> None:
    question = us.Question("approval", "Once more?", policy=f"limits.loop, {LARGE.label}")
    asking = Effect("1.0", Address("clerk/1"), "call", "pay", Raw(b"{}"), "tool:*", state="asking", question=question)
    with pytest.raises(WrongAnswer, match="which is about this one call"):
        accept(asking, us.Answer("1.0", "approve", scope="always"), 0.0)
    assert accept(asking, us.Answer("1.0", "approve"), 0.0).state == "intended"


@pytest.mark.parametrize("seed", range(6))
def test_whatever_crashes_a_standing_approval_answers_each_question_once(seed: int) -> None:
    node = granted("always")
    node.random.seed(seed)
    for n in range(5):
        node.ask("buyer", Buy(usd=100.0 + n), key=f"{n}")
        for _ in range(seed + 3):
            node.step(until=node.now)
        node.crash()
    node.pass_time(300)
    answers = [
        record.answer.item for _, record in rows(node, "buyer") if record.answer is not None and record.answer.grant
    ]
    assert len(set(answers)) == len(answers)
    assert len(bought) == len(set(bought))
    assert [item for item in node.inbox() if item.kind == "approval"] == []
