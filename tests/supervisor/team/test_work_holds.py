"""What must hold of work whatever plans, models and people do: no money is spent beyond the limit, nothing grows without end,
nobody waits for what is optional."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Raw

import understudy as us
from tests.supervisor.team.crew import (
    KEEPER,
    NEVER_AGAIN,
    begun,
    clumsy,
    desk,
    fetcher,
    places,
    result,
    rows,
)
from understudy.protocols.errors import DefinitionError, NotStorable, UnknownItem, WrongAnswer
from understudy.protocols.tasks import Cancel
from understudy.supervisor.parked import Letters
from understudy.supervisor.supervision.roster import SupervisorState
from understudy.supervisor.verdicts import how_it_ended
from understudy.testing import Faults, Simulated


def to_fetcher(task: us.Task) -> str:
    return "fetcher"


class Priced:
    """A model that costs a dollar an answer."""

    name = "priced"

    async def complete(self, request: us.ModelRequest, on_delta: Callable[[str], None]) -> us.ModelReply:
        return us.ModelReply("ok", usage=us.Usage(5, 5), cost=1.0)


FIVE = us.Plan(tuple(us.Step(f"s{n}", "one", "x") for n in range(5)))


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_steps_that_wait_for_a_place_do_not_begin_when_all_is_spent_before_a_person_says_so(decision: Any) -> None:
    team = us.Supervisor("desk", [us.Agent("one", "Think.", model=Priced())], parallel=1, plans=us.PlanLimits(usd=2.0))
    node = Simulated(team, seed=1)
    sent = node.ask("desk/r", us.Task("go", plan=FIVE), key="r")
    other = node.ask("desk/other", us.Task("go"), key="other")
    node.rest()
    (item,) = node.inbox()
    assert "spent $2.0000 of $2.0000" in item.text
    assert result(other).status == "done", "what it may not begin keeps no place"
    node.answer(item.id, decision, reason="because")
    node.rest()
    told = result(sent)
    assert told.cost == (5.0 if decision == "approve" else 2.0)
    assert [part.status for part in told.parts.values()].count("skipped") == (0 if decision == "approve" else 3)
    assert not places(node).held
    assert not node.actor(KEEPER).memory.askers


def test_all_is_spent_while_others_hold_the_places_and_nothing_of_it_begins_after_a_no() -> None:
    team = us.Supervisor(
        "desk",
        [us.Agent("one", "Think.", model=Priced()), fetcher()],
        parallel=us.Parallel(workers={"fetcher": 1}),
        plans=us.PlanLimits(usd=1.0),
        route=to_fetcher,
    )
    node = Simulated(team, seed=1, faults=Faults(hangs=1.0))
    node.ask("desk/slow", us.Task("go"), key="slow")
    node.pass_time(1)
    node.faults = Faults()
    plan = us.Plan(
        (us.Step("a", "one", "x"), us.Step("waits", "fetcher", "x"), us.Step("b", "one", "{a}", after=("a",)))
    )
    sent = node.ask("desk/r", us.Task("go", plan=plan), key="r")
    node.rest()
    (item,) = node.inbox()
    node.answer(item.id, "reject", reason="too dear")
    node.rest()
    assert {name: part.status for name, part in result(sent).parts.items()} == {
        "a": "done", "waits": "skipped", "b": "skipped",
    }  # fmt: skip
    assert [waiting.run for waiting in places(node).waiting] == []


def test_a_run_that_waits_for_a_place_and_is_cancelled_leaves_nothing_with_the_keeper() -> None:
    node = Simulated(desk(parallel=1, route=to_fetcher), faults=Faults(hangs=1.0), seed=1)
    node.ask("desk/a", us.Task("go"), key="a")
    node.pass_time(1)
    sent = node.ask("desk/b", us.Task("go"), key="b")
    node.pass_time(1)
    assert len(places(node).waiting) == 1
    node.tell("desk/b", Cancel("no more"))
    node.pass_time(1)
    assert result(sent).status == "failed"
    assert not places(node).waiting
    assert not node.actor(KEEPER).memory.askers
    assert [row.kind for row in rows(node) if row.stream == "desk/b"][-1] == "turn", "no mail to one who has ended"


def test_an_optional_step_whose_worker_was_given_up_holds_nobody_up() -> None:
    node = Simulated(us.Supervisor("desk", [clumsy("lame"), fetcher()], intensity=NEVER_AGAIN), seed=1)
    plan = us.Plan((us.Step("a", "lame", "x", optional=True), us.Step("b", "fetcher", "go on", after=("a",))))
    sent = node.ask("desk/r", us.Task("go", plan=plan), key="r")
    node.rest()
    told = result(sent)
    assert told.status == "done"
    assert (told.parts["a"].status, told.parts["b"].status) == ("failed", "done")


def test_a_long_result_that_a_plan_names_thousands_of_times_is_never_written_out() -> None:
    def much(task: us.Task) -> str:
        """Much."""
        return "x" * 100_000

    team = us.Supervisor("desk", [us.Worker("much", much, effect="read"), fetcher()])
    node = Simulated(team, seed=1)
    bomb = us.Step("b", "fetcher", "{a}" * 100_000, after=("a",))  # 10 GB
    sent = node.ask("desk/r", us.Task("go", plan=us.Plan((us.Step("a", "much", "x"), bomb))), key="r")
    node.rest()
    assert "more than 250,000" in result(sent).parts["b"].reason


def lame_int(task: us.Task) -> int:
    """Count."""
    raise ValueError("cannot count")


def test_the_result_that_a_person_gives_for_a_step_must_fit_its_worker() -> None:
    team = us.Supervisor("desk", [us.Worker("counter", lame_int, effect="read"), fetcher()])
    node = Simulated(team, seed=1)
    plan = us.Plan((us.Step("n", "counter", "x"), us.Step("b", "fetcher", "{n}", after=("n",))))
    sent = node.ask("desk/r", us.Task("go", plan=plan), key="r")
    node.rest()
    (item,) = node.inbox()
    wrong = node.answer(item.id, "result", value="seven")
    node.rest()
    assert isinstance(wrong.error, WrongAnswer)
    assert "Expected `int`" in str(wrong.error)
    node.answer(item.id, "result", value=7)
    node.rest()
    assert result(sent).status == "done"


def test_a_change_that_makes_a_step_too_large_is_refused_and_the_question_stays() -> None:
    team = us.Supervisor("desk", [us.Worker("counter", lame_int, effect="read"), fetcher()])
    node = Simulated(team, seed=1)
    plan = us.Plan((us.Step("a", "fetcher", "y" * 1_000), us.Step("n", "counter", "x", after=("a",))))
    node.ask("desk/r", us.Task("go", plan=plan), key="r")
    node.rest()
    (item,) = node.inbox()
    wrong = node.answer(item.id, "change", value="{a}" * 10_000)
    node.rest()
    assert isinstance(wrong.error, WrongAnswer)
    assert "more than 250,000" in str(wrong.error)
    assert [one.id for one in node.inbox()] == [item.id]


def test_a_plan_whose_deadline_has_passed_ends_as_any_task_does() -> None:
    node = Simulated(desk(), seed=1)
    sent = node.ask("desk/r", us.Task("go", plan=us.Plan((us.Step("a", "fetcher", "x"),)), deadline=1.0), key="r")
    node.rest()
    told = result(sent)
    assert told.failure is not None
    assert told.failure.code == "deadline"


@pytest.mark.parametrize("raw", [b"NaN", b"{", b"", b'"a" "b"'])
def test_an_input_that_is_no_json_is_refused_with_the_reason(raw: bytes) -> None:
    for what in (us.Task("go", {"x": Raw(raw)}), us.Plan((us.Step("a", "fetcher", "x", inputs={"x": Raw(raw)}),))):
        with pytest.raises(NotStorable, match="does not come back from its JSON"):
            us.run(desk(), what)


def test_a_step_without_end_is_refused_with_the_reason() -> None:
    plan = us.Plan((us.Step("a", "fetcher", "x", within=float("inf")),))
    with pytest.raises(DefinitionError, match="not for ever"):
        us.run(desk(), plan)


def test_nobody_is_asked_about_a_worker_any_more_whose_work_somebody_else_has_done() -> None:
    team = us.Supervisor("desk", [clumsy("anna", can=["german"]), fetcher(can=["german"])], intensity=NEVER_AGAIN)
    node = Simulated(team, seed=1)
    asked: list[str] = []
    sent = node.ask("desk/r", us.Task("go", needs=("german",)), key="r")
    while sent.reply is None:
        node.step()
        asked += [item.id for item in node.inbox() if item.id not in asked]
    node.rest()
    assert result(sent).by == "desk/r/fetcher"
    assert len(asked) == 1
    assert node.inbox() == ()
    state = node.actor("desk").state
    assert isinstance(state, SupervisorState)
    assert state.given_up == {}
    late = node.answer(asked[0], "retry")
    node.rest()
    assert isinstance(late.error, UnknownItem)
    pages = Letters(node.journal.rows(limit=1_000_000))
    assert "it was withdrawn" in how_it_ended(pages, asked[0])
    assert begun(rows(node))["desk/r/anna"] == 1
    node.crash()
    node.rest()
    assert node.inbox() == ()


def test_a_run_that_ends_takes_with_it_the_question_about_its_worker() -> None:
    node = Simulated(us.Supervisor("desk", [clumsy("anna")], intensity=NEVER_AGAIN, parallel=1), seed=1)
    sent = node.ask("desk/r", us.Task("go", deadline=node.now + 60), key="r")
    node.pass_time(30)
    assert [item.about for item in node.inbox()] == ["desk/r/anna"]
    node.pass_time(100)
    assert result(sent).status == "failed"
    assert node.inbox() == ()


@pytest.mark.parametrize("decision", ["retry", "stop"])
def test_an_answer_about_a_worker_is_heard_once_and_nobody_is_watched_after_it(decision: Any) -> None:
    node = Simulated(us.Supervisor("desk", [clumsy("anna")], intensity=NEVER_AGAIN), seed=1)
    sent = node.ask("desk/r", us.Task("go"), key="r")
    node.rest()
    (item,) = node.inbox()
    node.answer(item.id, decision, reason="so")
    node.rest()
    before = len([row for row in rows(node) if row.stream == "root"])
    node.pass_time(100)
    assert len([row for row in rows(node) if row.stream == "root"]) == before
    postal = node.actor("root").memory.postal
    assert postal is None or not postal.watching
    assert (sent.reply is not None) == (decision == "retry")
