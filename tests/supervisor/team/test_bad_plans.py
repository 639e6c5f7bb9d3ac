"""Plans that cannot be taken: refused with the reason, from code at once, from callers typed, from a model back to it, then to a person."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

import understudy as us
from tests.supervisor.team.crew import begun, checker, desk, fetcher, result, rows, writer
from understudy.protocols.errors import WrongAnswer
from understudy.supervisor.team.checking import cycle, refusal
from understudy.testing import Simulated

S = us.Step


def chain(count: int) -> us.Plan:
    first = S("s0", "fetcher", "x")
    return us.Plan((first, *(S(f"s{n}", "fetcher", "x", after=(f"s{n - 1}",)) for n in range(1, count))))


BAD: list[tuple[us.Plan, str]] = [
    (us.Plan(()), "the plan has no steps"),
    (chain(10_000), "10,000 steps, more than the 100"),
    (us.Plan((S("a", "fetcher", "x"), S("a", "writer", "y"))), "2 steps named 'a'"),
    (us.Plan((S("a", "nobody", "x"),)), "step 'a': 'nobody' is no worker of 'desk': fetcher, writer, checker are"),
    (us.Plan((S("a", "desk", "x"),)), "'desk' is no worker"),
    (us.Plan((S("a", objective="x"),)), "step 'a' names neither a worker nor what it needs"),
    (us.Plan((S("a", needs=("german",), objective="x"),)), "nobody of 'desk' can 'german'"),
    (us.Plan((S("a", "fetcher", "x", needs=("german",)),)), "can 'german'"),
    (us.Plan((S("a", "fetcher"),)), "says nothing of what is wanted"),
    (us.Plan((S("a", "fetcher", "x", after=("a",)),)), "step 'a' comes after itself"),
    (us.Plan((S("a", "fetcher", "x", after=("b",)),)), "after 'b', which is no step of the plan"),
    (us.Plan((S("b", "fetcher", "x"), S("a", "fetcher", "x", after=("b", "b")))), "twice after 'b'"),
    (
        us.Plan((S("a", "fetcher", "x", after=("c",)), S("b", "fetcher", "x", after=("a",)), S("c", "fetcher", "x", after=("b",)))),
        "in a circle: 'a' after 'c' after 'b' after 'a'",
    ),
    (us.Plan((S("a", "fetcher", "x"), S("b", "writer", "on {a}"))), "speaks of {a} but does not come after 'a'"),
    (us.Plan((S("a b", "fetcher", "x"),)), "a step's name is"),
    (us.Plan((S("a/b", "fetcher", "x"),)), "a step's name is"),
    (us.Plan((S("", "fetcher", "x"),)), "a step's name is"),
    (us.Plan((S("a" * 61, "fetcher", "x"),)), "a step's name is"),
    (us.Plan((S("a", "fetcher", "x", within=0.0),)), "more than 0"),
    (us.Plan((S("a", "fetcher", "x"),), gives="b"), "gives the result of 'b', which is no step"),
    (
        us.Plan((S("a", "fetcher", "x"), S("b", "fetcher", "x", after=("a",), inputs={"a": msgspec.Raw(b"1")}))),
        "has an input named 'a'",
    ),
]  # fmt: skip


@pytest.mark.parametrize("within", [True, "5", [], float("nan")], ids=repr)
def test_a_step_with_a_time_that_is_none_is_refused_with_the_field_named(within: Any) -> None:
    plan = us.Plan((S("a", "fetcher", "x", within=within),))
    assert f"within={within!r}" in refusal(plan, desk(), 0.0, None)


@pytest.mark.parametrize(("plan", "why"), BAD, ids=[why[:40] for _, why in BAD])
async def test_from_code_it_is_refused_before_anything_is_written(plan: us.Plan, why: str) -> None:
    team = desk()
    async with us.System(team) as system:
        with pytest.raises(us.DefinitionError) as refused:
            await system.run(team, plan, id="r", timeout=20)
        assert why in str(refused.value)
        assert not await system.actors("desk/r")


@pytest.mark.parametrize(("plan", "why"), BAD[:1] + BAD[2:], ids=[why[:40] for _, why in BAD[:1] + BAD[2:]])
def test_from_a_caller_it_is_a_typed_refusal(plan: us.Plan, why: str) -> None:
    node = Simulated(desk(), seed=1)
    sent = node.ask("desk/r", us.Task("go", plan=plan), key="r")
    node.rest()
    assert sent.reply is not None
    assert sent.reply.failure is not None
    assert sent.reply.failure.code == "rejected"
    assert why in sent.reply.failure.message
    assert not begun(rows(node))


def test_a_long_plan_is_looked_at_fast_and_a_large_limit_is_kept() -> None:
    team = desk(plans=us.PlanLimits(steps=2_000))
    began = time.perf_counter()
    assert refusal(chain(2_000), team) == ""
    ring = us.Plan((*chain(10_000).steps[1:], S("s0", "fetcher", "x", after=("s9999",))))
    assert len(cycle(ring)) == 10_001
    assert time.perf_counter() - began < 5.0


def test_one_text_is_no_tuple_of_names() -> None:
    wrong: Any = "a"
    with pytest.raises(us.DefinitionError, match="after='a' is no tuple"):
        S("b", "fetcher", "x", after=wrong)
    with pytest.raises(us.DefinitionError, match="needs='a' is no tuple"):
        S("b", "fetcher", "x", needs=wrong)
    listed: Any = ["a"]
    assert S("b", "fetcher", "x", after=listed).after == ("a",)
    assert us.Plan([S("b", "fetcher", "x")]).steps == (S("b", "fetcher", "x"),)  # type: ignore[arg-type]


def test_limits_of_plans_that_are_none_are_refused_by_name() -> None:
    wrong: list[dict[str, Any]] = [
        {"steps": 0},
        {"steps": None},
        {"thinks": -1},
        {"tokens": 1.5},
        {"usd": -0.1},
        {"usd": "a"},
    ]
    for bad in wrong:
        with pytest.raises(us.DefinitionError, match=next(iter(bad))):
            us.PlanLimits(**bad)
    with pytest.raises(us.DefinitionError, match="plans=3"):
        desk(plans=3)


def test_more_model_calls_than_the_team_allows_and_less_time_than_it_takes_are_refused() -> None:
    agent = us.Agent("agent", "Think.", model=us.Scripted("x"), limits=us.Limits(steps=10))
    team = us.Supervisor("desk", [agent, fetcher()], plans=us.PlanLimits(thinks=20))
    steps = tuple(S(f"s{n}", "agent", "x") for n in range(3))
    assert refusal(us.Plan(steps), team) == "the plan may take 30 model calls, more than the 20 that 'desk' allows"
    assert refusal(us.Plan(steps[:2]), team) == ""
    slow = us.Plan((S("a", "fetcher", "x", within=40.0), S("b", "fetcher", "x", after=("a",), within=30.0)))
    assert refusal(slow, team, 1_000.0, 1_070.0) == ""
    assert "may take 70 s one step after the other, and its deadline is in 60 s" in refusal(
        slow, team, 1_000.0, 1_060.0
    )


async def test_an_agent_or_worker_takes_no_plans() -> None:
    worker = fetcher()
    async with us.System(worker) as system:
        with pytest.raises(us.DefinitionError, match="'fetcher' takes no plans"):
            await system.run(worker, us.Task("go", plan=chain(1)), timeout=20)


# -- from a model -------------------------------------------------------------------------------------------------

GOOD = us.Plan((S("a", "fetcher", "x"), S("b", "writer", "on {a}", after=("a",))), goal="both")
RING = us.Plan((S("a", "fetcher", "x", after=("b",)), S("b", "writer", "y", after=("a",))))


def planned(*answers: Any, **options: Any) -> us.Supervisor:
    crew: list[Any] = [fetcher(), writer(), checker()]
    planner = us.Planner("planner", "Cut it up.", model=us.Scripted(*answers), to=crew, **options)
    return us.Supervisor("desk", crew, route=planner)


def test_a_plan_of_a_model_is_taken_as_one_from_code_is() -> None:
    node = Simulated(planned(GOOD), seed=1)
    sent = node.ask("desk/r", us.Task("go"), key="r")
    node.rest()
    assert msgspec.json.decode(result(sent).output) == {"a": "x fetched", "b": "on x fetched written"}
    assert result(sent).steps == 1, "the planner's step counts"


class Draws:
    """A model that plans badly until it is told why."""

    name = "draws"

    def __init__(self, *answers: us.Plan) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def complete(self, request: us.ModelRequest, on_delta: Any) -> us.ModelReply:
        self.asked.append(request.messages[-1].text)
        return us.ModelReply(msgspec.json.encode(self.answers.pop(0)).decode())


def test_a_refused_plan_goes_back_to_the_model_once_with_the_reason() -> None:
    model = Draws(RING, GOOD)
    crew = [fetcher(), writer()]
    team = us.Supervisor("desk", crew, route=us.Planner("planner", "Cut it up.", model=model, to=crew))
    node = Simulated(team, seed=1)
    sent = node.ask("desk/r", us.Task("go"), key="r")
    node.rest()
    assert result(sent).status == "done"
    assert "Your plan was refused: the plan goes in a circle: 'a' after 'b' after 'a'" in model.asked[1]


@pytest.mark.parametrize("value", [GOOD, "writer"], ids=["a plan", "a worker"])
def test_refused_twice_it_goes_to_a_person_who_may_give_a_plan_or_a_worker(value: Any) -> None:
    crew = [fetcher(), writer()]
    planner = us.Planner("planner", "Cut it up.", model=Draws(RING, RING), to=crew)
    node = Simulated(us.Supervisor("desk", crew, route=planner), seed=1)
    sent = node.ask("desk/r", us.Task("go"), key="r")
    node.rest()
    (item,) = node.inbox()
    assert "in a circle" in item.text
    assert item.failure is not None
    assert item.failure.code == "plan_refused"
    node.answer(item.id, "answer", value=msgspec.to_builtins(value))
    node.rest()
    assert result(sent).status == "done"


def test_a_plan_of_a_person_that_cannot_be_taken_goes_back_to_people() -> None:
    node = Simulated(planned(RING, retries=0), seed=1)
    sent = node.ask("desk/r", us.Task("go"), key="r")
    node.rest()
    node.answer(node.inbox()[0].id, "answer", value=msgspec.to_builtins(RING))
    node.rest()
    (item,) = node.inbox()
    assert "The plan that ada made cannot be taken" in item.text
    node.answer(item.id, "reject", reason="enough")
    node.rest()
    assert result(sent).status == "cannot"


@pytest.mark.parametrize("word", ["result", "answer"])
def test_a_plan_of_a_person_with_a_field_misspelled_does_not_pass_for_the_result(word: Any) -> None:
    node = Simulated(planned(RING, retries=0), seed=1)
    node.ask("desk/r", us.Task("go"), key="r")
    node.rest()
    (item,) = node.inbox()
    steps = [
        {"name": "a", "worker": "fetcher", "objective": "x"},
        {"name": "b", "worker": "writer", "depends_on": ["a"]},
    ]
    wrong = node.answer(item.id, word, value={"steps": steps})
    node.rest()
    assert isinstance(wrong.error, WrongAnswer)
    assert "unknown field `depends_on`" in str(wrong.error)
    assert [one.id for one in node.inbox()] == [item.id]


@pytest.mark.parametrize(
    "nonsense",
    [
        "I would rather not.",
        '{"steps": "many"}',
        '{"steps": [{"name": 1}]}',
        "[]",
        '{"steps": [{"name": "a", "after": "b"}]}',
        '{"steps": [{"name": "a", "worker": "fetcher", "objective": "x", "depends_on": ["b"]}]}',
    ],
)
def test_nonsense_of_a_model_ends_before_a_person(nonsense: str) -> None:
    node = Simulated(planned(*[nonsense] * 5), seed=1)
    node.ask("desk/r", us.Task("go"), key="r")
    node.rest()
    (item,) = node.inbox()
    assert "planner has no plan" in item.text
    assert not any(run.endswith(("/fetcher", "/writer")) for run in begun(rows(node)))


def test_a_planner_that_cannot_be_one_is_refused_when_it_is_declared() -> None:
    model = us.Scripted("x")
    with pytest.raises(us.DefinitionError, match="nobody to plan with"):
        us.Planner("planner", "x", model=model, to=[])
    with pytest.raises(us.DefinitionError, match="retries=-1"):
        us.Planner("planner", "x", model=model, to=[fetcher()], retries=-1)
    with pytest.raises(us.DefinitionError, match="its planner plans with writer, who is no worker here"):
        us.Supervisor("desk", [fetcher()], route=us.Planner("planner", "x", model=model, to=[writer()]))
    with pytest.raises(us.DefinitionError, match="two workers named 'fetcher'"):
        us.Supervisor("desk", [fetcher()], route=us.Planner("fetcher", "x", model=model, to=[fetcher()]))
