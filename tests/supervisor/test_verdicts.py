"""How a question ended, for whoever answers too late: what decided it, not what was said first."""

from __future__ import annotations

import pytest

import understudy as us
from tests.supervisor.buying import shop, wanted
from understudy.supervisor.parked import Letters
from understudy.supervisor.verdicts import how_it_ended
from understudy.testing import Simulated

FOUR = us.ApprovalRule("large", money_above=50, quorum=2)


def ended(node: Simulated, item: str) -> str:
    return how_it_ended(Letters(node.journal.rows(limit=10_000)), item)


def answered(node: Simulated, item: str, *answers: tuple[str, str], usd: float = 55.0) -> str:
    for decision, by in answers:
        value = {"usd": usd} if decision == "change" else None
        node.answer(item, decision, by=by, reason=f"{by} knows", value=value)  # type: ignore[arg-type]
        node.pass_time(60)
    return ended(node, item)


def test_a_yes_that_another_one_must_say_too_ended_nothing() -> None:
    node = shop(FOUR)
    _, item = wanted(node)
    assert answered(node, item.id, ("approve", "ada")) == ""


def test_all_whose_yes_it_took_are_named() -> None:
    node = shop(FOUR)
    _, item = wanted(node)
    assert answered(node, item.id, ("approve", "ada"), ("approve", "bob")) == "approve, by ada and bob (bob knows)"


def test_a_no_after_a_yes_is_what_decided() -> None:
    node = shop(FOUR)
    _, item = wanted(node)
    assert answered(node, item.id, ("approve", "ada"), ("reject", "bob")) == "reject, by bob (bob knows)"


def test_a_change_begins_anew_and_does_not_count_as_the_end() -> None:
    node = shop(FOUR)
    _, item = wanted(node)
    assert answered(node, item.id, ("approve", "ada"), ("change", "eve")) == ""
    assert answered(node, item.id, ("approve", "bob")) == "change by eve, approve by bob (bob knows)"


@us.tool(effect="once", kind="money", amount="usd", sinks=())
def hang(usd: float) -> str:
    """Nobody knows what this does."""
    raise ConnectionError("lost")


class Payer(us.Actor):
    class State(us.State):
        pass

    @us.handles(us.Task)
    def begin(self, turn: us.Turn[State], task: us.Task) -> us.Later[us.Result]:
        later = turn.later(task)
        turn.call(hang, 60.0, tag=later)
        return later

    @us.settles(hang)
    def came(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
        turn.reply(outcome.tag, us.Result("failed", reason="no"))


@pytest.mark.parametrize(("word", "said"), [("happened", "happened, by bob"), ("not_happened", "not happened, by bob")])
def test_of_two_questions_about_one_call_the_last_counts(word: str, said: str) -> None:
    payer = us.Child("payer", Payer, tools=[hang])
    node = Simulated(us.Supervisor("desk", [payer], approvals=[us.ApprovalRule("all")]))
    node.ask("payer", us.Task("Pay."), key="a")
    node.pass_time(60)
    (item,) = node.inbox()
    assert answered(node, item.id, ("approve", "ada")) == "", "it is asked about again: whether it happened"
    assert node.inbox()[0].id == item.id
    assert answered(node, item.id, (word, "bob")).startswith(said)
