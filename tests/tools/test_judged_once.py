"""An attempt that failed is judged once, also where the journal said that it could not store what came of it, and had stored it."""

from __future__ import annotations

from typing import Any

import pytest

import understudy as us
from understudy.actors.cell import read_record
from understudy.actors.releases import Settlement
from understudy.protocols.effects import Effect
from understudy.testing import FaultPlan, Simulated


class Get(us.Request[str]):
    pass


calls: list[int] = []


def down(call: us.Call) -> str:
    """Get it."""
    calls.append(call.attempt)
    raise us.RetryNow("not now")


def node(effect: Any, plan: FaultPlan, seed: int) -> Simulated:
    calls.clear()
    get: Any = us.tool(name="get", effect=effect, retry=us.Retry(attempts=3))(down)

    class Getter(us.Actor):
        @us.handles(Get)
        def wanted(self, turn: us.Turn[us.State], msg: Get) -> us.Later[str]:
            later = turn.later(msg)
            turn.call(get, tag=later)
            return later

        @us.settles(get)
        def got(self, turn: us.Turn[us.State], outcome: us.Outcome[str]) -> None:
            turn.reply(outcome.tag, outcome.value)

    return Simulated(us.Child("getter", Getter, tools=[get]), plan=plan, seed=seed)


def last(made: Simulated) -> Effect:
    records = [read_record(row) for row in made.journal.rows(limit=10_000)]
    return [change for record in records for change in record.changes][-1]


@pytest.mark.parametrize("effect", ["read", "idempotent"])
@pytest.mark.parametrize("seed", range(3))
def test_a_failure_whose_row_got_in_after_all_is_not_judged_again(effect: Any, seed: int) -> None:
    hit = 0
    for n in range(1, 14):
        plan = FaultPlan().fail_append(n)
        made = node(effect, plan, seed)
        made.ask("getter", Get())
        made.pass_time(100.0)
        hit += len(plan.hits)
        over = last(made)
        assert calls == [1, 2, 3], f"append {n}"
        assert over.state == "settled"
        assert over.failure is not None
        assert (over.attempt, over.failure.code) == (3, "attempts_exhausted"), f"append {n}"
    assert hit > 3


@pytest.mark.parametrize("late", [us.RetryNow("busy"), us.Abandon("gone")])
def test_what_an_earlier_attempt_came_to_does_not_settle_the_doubt_about_a_later_one(late: us.Failed) -> None:
    made = node("once", FaultPlan().hang_effect(1).hang_effect(2), 0)
    made.ask("getter", Get())
    made.pass_time(100.0)
    (item,) = made.inbox()
    made.answer(item.id, "run_again")
    made.pass_time(100.0)
    (item,) = made.inbox()
    made.kernel.settle(Settlement(item.id, 1, failure=late.failure, serial=7))
    made.pass_time(100.0)
    assert (calls, [one.kind for one in made.inbox()], last(made).attempt) == ([], ["in_doubt"], 2)
    made.kernel.settle(Settlement(item.id, 2, failure=us.Abandon("gone").failure, serial=8))
    made.pass_time(100.0)
    assert (calls, made.inbox(), last(made).state) == ([], (), "settled"), "of the attempt itself it does"


def test_a_failure_that_led_to_a_doubt_is_not_judged_again() -> None:
    made = node("idempotent", FaultPlan().fail_effect(1).fail_effect(2, us.RetryLater("busy", after=900.0)), 0)
    made.ask("getter", Get(), timeout=300.0)
    made.pass_time(100.0)
    (item,) = made.inbox()
    assert item.kind == "in_doubt"
    rows, failure = made.journal.rows(limit=10_000), last(made).failure
    assert failure is not None
    assert failure.after == 900.0, "it is the one that the tool gave"
    made.kernel.settle(Settlement(item.id, 2, failure=failure, serial=7))
    made.pass_time(50.0)
    assert made.journal.rows(limit=10_000) == rows
