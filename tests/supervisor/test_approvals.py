"""Approvals on a whole node: who must say yes, with which arguments, how long it counts, and what survives a crash."""

from __future__ import annotations

import anyio.lowlevel
import pytest

import understudy as us
from tests.actors.crew import rows, said
from tests.supervisor.buying import LARGE, Buy, Buyer, Write, bought, note, pay, shop, wanted
from understudy.actors.answers import who
from understudy.protocols.errors import UnknownItem, WrongAnswer
from understudy.supervisor.inbox import following
from understudy.supervisor.simulation.sent import Sent
from understudy.testing import Simulated

TWO = us.ApprovalRule("large", money_above=50, quorum=2)
HOUR = 3_600.0


def refused(sent: Sent, kind: type[Exception], *parts: str) -> None:
    """Whether an answer was refused, with these words."""
    assert isinstance(sent.error, kind), sent.error
    for part in parts:
        assert part in f"{sent.error} {getattr(sent.error, 'hint', '')}"


def failures(node: Simulated) -> list[str]:
    """Why calls of the buyer were settled without a value."""
    settled = [e for _, record in rows(node, "buyer") for e in record.changes if e.state == "settled"]
    return [effect.failure.code for effect in settled if effect.failure is not None]


# -- four eyes ------------------------------------------------------------------------------------------------------


def test_two_different_people_must_say_yes_and_each_yes_is_a_row() -> None:
    node = shop(TWO)
    sent, item = wanted(node)
    assert (item.quorum, item.yes) == (2, ())
    node.answer(item.id, "approve", by="ada")
    node.pass_time(60)
    (item,) = node.inbox()
    assert (item.yes, bought) == (("ada",), [])
    node.answer(item.id, "approve", by="bob")
    node.pass_time(60)
    assert said(sent) == "ada got 60"
    answers = [record.answer for _, record in rows(node, "buyer") if record.answer is not None]
    assert [(a.by, a.decision) for a in answers] == [("ada", "approve"), ("bob", "approve")]
    assert all(a.digest == item.digest for a in answers)


SAME = [
    "ada",
    "Ada ",
    "ＡＤＡ",
    "ada  ",
    "somebody",
    "",
    "a\u200bda",
    "ad\u0430",
    "ada\ufe0f",
    "ada\u3164",
    "ada\u2800",
    "áda",
]


@pytest.mark.parametrize("name", SAME)
def test_the_same_person_or_nobody_does_not_count_for_two(name: str) -> None:
    node = shop(TWO)
    _, item = wanted(node)
    node.answer(item.id, "approve", by="ada")
    node.pass_time(60)
    again = node.answer(item.id, "approve", by=name)
    node.pass_time(60)
    refused(again, WrongAnswer, "a yes of 2 different people")
    assert bought == []
    assert node.inbox()[0].yes == ("ada",)


def test_a_rule_that_asks_one_person_is_satisfied_with_one() -> None:
    """The control: without the quorum one yes is enough."""
    node = shop(LARGE)
    sent, item = wanted(node)
    node.answer(item.id, "approve", by="ada")
    node.pass_time(60)
    assert said(sent) == "ada got 60"


def test_the_first_no_decides_also_after_a_yes() -> None:
    node = shop(TWO)
    sent, item = wanted(node)
    node.answer(item.id, "approve", by="ada")
    node.answer(item.id, "reject", by="bob", reason="too much")
    late = node.answer(item.id, "approve", by="eve")
    node.pass_time(60)
    assert said(sent) == "person_rejected"
    refused(late, UnknownItem)
    assert bought == []


def test_silence_after_one_yes_is_a_no() -> None:
    node = shop(TWO)
    sent, item = wanted(node)
    node.answer(item.id, "approve", by="ada")
    node.pass_time(60)
    node.pass_time(25 * HOUR)
    node.pass_time(60)
    assert said(sent) == "no_answer"
    assert bought == []


def test_a_first_yes_survives_a_crash() -> None:
    node = shop(TWO)
    _, item = wanted(node)
    node.answer(item.id, "approve", by="ada")
    node.pass_time(60)
    before = node.inbox()
    node.crash()
    node.pass_time(60)
    assert node.inbox() == before
    assert before[0].yes == ("ada",)
    node.answer(item.id, "approve", by="bob")
    node.pass_time(60)
    assert bought == ["ada 60"]


def test_people_can_ask_for_four_eyes_themselves() -> None:
    node = shop(LARGE, people=us.People(ask=("ada", "bob"), next_after=HOUR, quorum=2))
    _, item = wanted(node)
    assert item.quorum == 2


def test_names_are_compared_as_people_read_them() -> None:
    assert who("  Ada   LOVELACE") == who("ada lovelace") != who("ada")


# -- one answer -----------------------------------------------------------------------------------------------------


def test_two_answer_at_once_one_wins_and_the_other_is_told_who() -> None:
    node = shop()
    sent, item = wanted(node)
    first, second = node.answer(item.id, "approve", by="ada"), node.answer(item.id, "reject", by="bob", reason="no")
    node.pass_time(60)
    assert first.error is None
    refused(second, UnknownItem)
    assert said(sent) == "ada got 60"
    assert bought == ["ada 60"]


def test_a_yes_is_used_once() -> None:
    node = shop()
    _, item = wanted(node)
    node.answer(item.id, "approve")
    node.pass_time(60)
    again = node.answer(item.id, "approve")
    node.pass_time(60)
    refused(again, UnknownItem)
    _, other = wanted(node)
    assert other.id != item.id, "the same call once more is asked about once more"
    assert other.digest != item.digest, "and what was said about the first does not fit the second"
    assert bought == ["ada 60"]


def test_what_was_shown_and_differs_by_one_byte_is_refused() -> None:
    node = shop()
    _, item = wanted(node)
    for digest in (item.digest[:-1] + ("0" if item.digest[-1] != "0" else "1"), "x", item.digest.upper() + " "):
        effect = node.kernel.effect(item.id)
        assert effect is not None
        sent = Sent(us.Answer(item.id, "approve", by="ada", digest=digest))
        node._take(sent)
        node.pass_time(60)
        refused(sent, WrongAnswer, "not what was shown")
    assert bought == []


# -- other arguments ------------------------------------------------------------------------------------------------


def test_a_person_can_say_yes_to_other_arguments_and_the_caller_is_told() -> None:
    node = shop()
    sent, item = wanted(node)
    assert item.answers == ("approve", "change", "reject")
    node.answer(item.id, "change", by="ada", value={"usd": 55.0}, reason="that is the price")
    node.pass_time(60)
    assert bought == ["ada 55"]
    assert (
        said(sent) == 'ada got 55 ada changed the arguments of this call to {"usd":55.0,"to":"ada"}: that is the price'
    )
    (effect,) = [e for _, record in rows(node, "buyer") for e in record.changes if e.state == "started"]
    checks = [v.check for v in effect.verdicts]
    assert checks.count("schema") == 3, "at the intent, with the changed arguments, at the start"
    assert effect.answer is not None
    assert effect.answer.decision == "change"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"usd": "much"}, "is refused"),
        ({"eur": 5}, "is refused"),
        ([5], "no JSON object"),
        (5, "no JSON object"),
        ("usd", "no JSON object"),
    ],
)
def test_arguments_that_do_not_pass_the_checks_are_refused_and_the_item_stays_open(value: object, message: str) -> None:
    node = shop()
    _, item = wanted(node)
    answer = node.answer(item.id, "change", value=value)
    node.pass_time(60)
    refused(answer, WrongAnswer, message, "the question is still open")
    assert [one.id for one in node.inbox()] == [item.id]
    assert bought == []


def test_a_changed_call_is_another_one_for_whoever_said_yes_before() -> None:
    node = shop(TWO)
    sent, item = wanted(node)
    node.answer(item.id, "approve", by="ada")
    node.pass_time(60)
    node.answer(item.id, "change", by="bob", value={"usd": 70.0})
    node.pass_time(60)
    (changed,) = node.inbox()
    assert changed.yes == ("bob",)
    assert b"70.0" in bytes(changed.arguments)
    assert changed.digest != item.digest
    stale = Sent(us.Answer(item.id, "approve", by="eve", digest=item.digest))
    node._take(stale)
    node.pass_time(60)
    refused(stale, WrongAnswer, "not what was shown")
    node.answer(item.id, "approve", by="ada")
    node.pass_time(60)
    assert bought == ["ada 70"]
    assert str(said(sent)).startswith("ada got 70 bob changed the arguments")


def test_a_changed_call_that_no_rule_asks_about_needs_nobody_else() -> None:
    node = shop(TWO)
    _, item = wanted(node)
    node.answer(item.id, "change", by="ada", value={"usd": 10.0})
    node.pass_time(60)
    assert bought == ["ada 10"]


def test_a_changed_call_counts_once_and_under_its_new_arguments() -> None:
    node = shop()
    _, item = wanted(node)
    node.answer(item.id, "change", value={"usd": 55.0})
    node.pass_time(60)
    counters = node.actor("buyer").memory.counters
    assert counters.calls == 1
    assert sum(counters.admitted.values()) == 1
    assert [n for n in counters.taken.values() if n] == [(0,)]
    before = counters
    node.crash()
    node.ask("buyer", Write())
    node.pass_time(60)
    after = node.actor("buyer").memory.counters
    assert after.taken.items() >= {k: v for k, v in before.taken.items() if v}.items()


# -- how long a yes counts ------------------------------------------------------------------------------------------


def test_a_yes_that_was_not_used_in_time_is_none_any_more() -> None:
    node = shop()
    _, item = wanted(node)
    node.kernel.flights.hold = True  # the node drains: nothing new leaves
    node.answer(item.id, "approve", by="ada")
    for _ in range(200):
        node.step(until=node.now)
    node.crash(down=25 * HOUR)
    node.pass_time(60)
    assert failures(node) == ["approval_expired"]
    assert bought == []


def test_a_yes_that_is_younger_is_used_after_a_crash() -> None:
    """The control."""
    node = shop()
    _, item = wanted(node)
    node.kernel.flights.hold = True
    node.answer(item.id, "approve", by="ada")
    for _ in range(200):
        node.step(until=node.now)
    node.crash(down=23 * HOUR)
    node.pass_time(60)
    assert (failures(node), bought) == ([], ["ada 60"])


# -- the first of its class -----------------------------------------------------------------------------------------


def test_the_first_call_of_a_tool_is_asked_about_and_later_ones_are_not() -> None:
    node = shop(us.ApprovalRule("first", first=True, kinds=("money",)))
    _, item = wanted(node, usd=1.0)
    node.answer(item.id, "reject", reason="not yet")
    node.pass_time(60)
    _, item = wanted(node, usd=1.0)
    node.answer(item.id, "approve")
    node.pass_time(60)
    node.crash()
    sent = node.ask("buyer", Buy(usd=2.0))
    node.pass_time(60)
    assert said(sent) == "ada got 2"
    assert node.inbox() == ()


# -- many -----------------------------------------------------------------------------------------------------------


def test_five_hundred_that_wait_are_paged_oldest_first() -> None:
    node = shop(people=us.People(ask=("ada",)))
    for n in range(500):
        node.ask("buyer", Buy(to=f"p{n}"))
        if n % 100 == 0:
            node.pass_time(10)
    node.pass_time(10)
    found = node.inbox()
    assert len(found) == 500
    assert [item.since for item in found] == sorted(item.since for item in found)
    pages, after = list[str](), ""
    while page := (following(found, after) if after else found)[:20]:
        pages += [item.id for item in page]
        after = page[-1].id
        node.answer(page[0].id, "reject", reason="paged")  # what is answered meanwhile is in nobody's way
    node.pass_time(10)
    assert pages == [item.id for item in found]
    assert len(node.inbox()) == 475
    assert {(item.default, item.to) for item in node.inbox()} == {("no", "ada")}


async def test_whoever_comes_too_late_is_told_who_decided_not_who_said_yes_before() -> None:
    buyer = us.Child("buyer", Buyer, tools=[pay, note])
    async with us.System(us.Supervisor("shop", [buyer], approvals=[TWO])) as system:
        await system.tell("buyer", Buy())
        while not system.inbox():
            await anyio.lowlevel.checkpoint()
        (item,) = system.inbox()
        await system.approve(item.id, by="ada")
        await system.reject(item.id, "too much", by="bob")
        with pytest.raises(UnknownItem, match="reject, by bob"):
            await system.approve(item.id, by="eve")


async def test_a_system_gives_its_inbox_in_pages() -> None:
    buyer = us.Child("buyer", Buyer, tools=[pay, note])
    async with us.System(us.Supervisor("shop", [buyer], approvals=[LARGE])) as system:
        for n in range(5):
            await system.tell("buyer", Buy(to=f"p{n}"))
        while len(system.inbox()) < 5:
            await anyio.lowlevel.checkpoint()
        everything = system.inbox()
        first = system.inbox(limit=2)
        assert (*first, *system.inbox(after=first[-1].id)) == everything
        for limit in (0, -1, True, 1.5):
            with pytest.raises(us.UnderstudyError, match="limit"):
                system.inbox(limit=limit)  # type: ignore[arg-type]
        with pytest.raises(UnknownItem, match="no id of an item"):
            system.inbox(after="x")
