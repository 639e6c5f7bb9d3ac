"""A plan: each step once, after those before it, with what they gave; what is left when some fail."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import understudy as us
from tests.supervisor.team.crew import (
    NEVER_AGAIN,
    begun,
    checker,
    clumsy,
    desk,
    fetcher,
    order,
    places,
    poisoned,
    result,
    rows,
    see_through,
    under_way,
    within,
    writer,
)
from understudy.actors.cell import read_record
from understudy.protocols.lifecycle import Restart
from understudy.protocols.plans import Parallel
from understudy.supervisor.team.dispatch import TeamActor
from understudy.supervisor.team.events import TeamState
from understudy.testing import Faults, Sent, Simulated

TIDES = us.Plan(
    (
        us.Step("facts", "fetcher", "tides"),
        us.Step("numbers", "fetcher", "heights"),
        us.Step("check", "checker", "check them", after=("facts", "numbers")),
        us.Step("text", "writer", "on {facts}, {check}", after=("facts", "check")),
    ),
    goal="Tides",
)


def output(sent: Sent) -> Any:
    return msgspec.json.decode(result(sent).output)


def run(node: Simulated, plan: us.Plan, **task: Any) -> Sent:
    sent = node.ask("desk/r", us.Task("go", plan=plan, **task), key="r")
    see_through(node, sent)
    return sent


def ended(node: Simulated) -> list[str]:
    """Steps in the order in which they were over."""
    wire = "team.step_over"
    events = [event for row in rows(node) for event in read_record(row).events if event.wire == wire]
    return [msgspec.json.decode(event.data)["step"] for event in events]


def test_each_step_gets_what_the_steps_before_it_gave_in_its_inputs_and_its_words() -> None:
    sent = run(Simulated(desk(), seed=1), TIDES)
    assert output(sent) == {
        "facts": "tides fetched",
        "numbers": "heights fetched",
        "check": ["facts", "numbers"],
        "text": 'on tides fetched, ["facts","numbers"] written',
    }
    assert {name: (part.status, part.by) for name, part in result(sent).parts.items()} == {
        "facts": ("done", "desk/r/fetcher/facts"),
        "numbers": ("done", "desk/r/fetcher/numbers"),
        "check": ("done", "desk/r/checker/check"),
        "text": ("done", "desk/r/writer/text"),
    }


async def test_one_step_may_give_the_result_of_the_whole() -> None:
    team = desk()
    plan = us.Plan((us.Step("a", "fetcher", "x"), us.Step("b", "writer", "{a}", after=("a",))), gives="b")
    async with us.System(team) as system:
        assert (await system.run(team, plan, id="r", timeout=20)).output == "x fetched written"


def test_a_program_without_an_event_loop_hands_in_a_plan_as_it_does_a_task() -> None:
    assert us.run(desk(), us.Plan((us.Step("a", "fetcher", "x"),))).output == {"a": "x fetched"}


def test_steps_that_nothing_orders_run_side_by_side_within_the_limit() -> None:
    plan = us.Plan(tuple(us.Step(f"s{n}", "fetcher", "x") for n in range(6)))
    free, two = Simulated(desk(), seed=1), Simulated(desk(parallel=2), seed=1)
    run(free, plan)
    run(two, plan)
    assert max(sum(now.values()) for now in under_way(rows(free))) > 2
    assert max(sum(now.values()) for now in under_way(rows(two))) == 2


@st.composite
def plans(draw: st.DrawFn) -> us.Plan:
    """Any acyclic plan of up to 9 steps, in any order."""
    count = draw(st.integers(1, 9))
    steps = [
        us.Step(
            f"s{n}",
            draw(st.sampled_from(["fetcher", "writer", "checker"])),
            "do",
            after=tuple(f"s{k}" for k in range(n) if draw(st.booleans())),
        )
        for n in range(count)
    ]
    return us.Plan(tuple(draw(st.permutations(steps))))


@settings(max_examples=40, deadline=None)
@given(plan=plans(), seed=st.integers(0, 10_000), limit=st.sampled_from([None, 1, 2]))
def test_any_acyclic_plan_finishes_with_each_step_once_and_in_order_whatever_crashes(
    plan: us.Plan, seed: int, limit: int | None
) -> None:
    node = Simulated(desk(parallel=limit), seed=seed, faults=Faults(crash=0.02))
    sent = run(node, plan)
    if limit is not None:
        assert within(under_way(rows(node)), Parallel(limit))
        assert not places(node).held
    if poisoned(sent):
        return
    assert result(sent).status == "done"
    order = ended(node)
    assert sorted(order) == sorted(step.name for step in plan.steps)
    for step in plan.steps:
        assert all(order.index(name) < order.index(step.name) for name in step.after)
    assert set(begun(rows(node)).values()) == {1}


def test_a_crash_at_any_step_changes_nothing_of_what_comes_out() -> None:
    whole = Simulated(desk(parallel=2), seed=7)
    expected = output(run(whole, TIDES))
    steps = sum(whole.steps.values())
    assert steps > 50
    for at in range(1, steps):
        node = Simulated(desk(parallel=2), seed=7)
        sent = node.ask("desk/r", us.Task("go", plan=TIDES), key="r")
        for _ in range(at):
            node.step()
        node.crash(down=1.0)
        node.rest()
        if sent.lost:
            node.again(sent)
            node.rest()
        assert output(sent) == expected, f"crash at step {at}"
        assert sorted(ended(node)) == ["check", "facts", "numbers", "text"]
        assert set(begun(rows(node)).values()) == {1}
        assert not places(node).held


# -- failures -----------------------------------------------------------------------------------------------------


def lame() -> us.Worker[str]:
    def limp(task: us.Task) -> str:
        """Limps."""
        raise us.Abandon("no legs")

    return us.Worker("lame", limp, effect="read")


def pair(**options: Any) -> us.Supervisor:
    return us.Supervisor("desk", [fetcher(), lame(), writer(), checker()], **options)


BROKEN = us.Plan(
    (
        us.Step("a", "fetcher", "a"),
        us.Step("bad", "lame", "b"),
        us.Step("after", "writer", "c", after=("bad",)),
        us.Step("last", "writer", "d", after=("after", "a")),
        us.Step("apart", "writer", "e", after=("a",)),
    )
)


def test_a_step_that_fails_is_put_before_a_person_while_the_others_go_on() -> None:
    node = Simulated(pair(), seed=1)
    sent = run(node, BROKEN)
    assert sent.reply is None
    assert sorted(ended(node)) == ["a", "apart"]
    (item,) = node.inbox()
    assert "lame can't complete step 'bad'" in item.text
    assert "no legs" in item.text


def test_what_is_left_comes_back_where_a_step_is_given_up_with_which_and_why() -> None:
    node = Simulated(pair(parallel=1), seed=1)
    sent = run(node, BROKEN)
    node.answer(node.inbox()[0].id, "reject", reason="not today")
    node.rest()
    told = result(sent)
    assert told.status == "cannot"
    assert msgspec.json.decode(told.output) == {"a": "a fetched", "apart": "e written"}
    assert {name: part.status for name, part in told.parts.items()} == {
        "a": "done", "bad": "failed", "after": "skipped", "last": "skipped", "apart": "done",
    }  # fmt: skip
    assert told.parts["bad"].reason == "ada: not today"
    assert told.parts["last"].reason == "bad failed (ada: not today)"
    assert told.reason.startswith("3 of 5 steps have no result")
    assert told.failure is not None
    assert told.failure.code == "steps_failed"
    assert not places(node).held


@pytest.mark.parametrize(
    ("value", "by"), [("writer", "desk/r/writer/bad.2"), ({"given": 1}, "ada")], ids=["another worker", "a result"]
)
def test_a_person_may_give_a_step_to_another_or_its_result(value: object, by: str) -> None:
    node = Simulated(pair(), seed=1)
    sent = run(node, BROKEN)
    node.answer(node.inbox()[0].id, "answer", value=value)
    node.rest()
    assert result(sent).status == "done"
    assert result(sent).parts["bad"].by == by


def test_a_person_may_skip_a_step_and_the_others_go_on_without_it() -> None:
    node = Simulated(pair(), seed=1)
    sent = run(node, BROKEN)
    node.answer(node.inbox()[0].id, "skip")
    node.rest()
    told = result(sent)
    assert told.status == "done"
    assert told.parts["bad"] == us.Part("skipped", "ada", "ada: go on without it")
    assert set(output(sent)) == {"a", "after", "last", "apart"}


def test_a_person_may_change_what_a_step_is_told() -> None:
    def picky(task: us.Task) -> str:
        """Only takes what it likes."""
        if task.objective != "tea":
            raise us.Abandon("not that")
        return f"{task.objective}, {sorted(task.inputs)}"

    team = us.Supervisor("desk", [us.Worker("picky", picky, effect="read"), fetcher()])
    node = Simulated(team, seed=1)
    plan = us.Plan((us.Step("a", "fetcher", "x"), us.Step("b", "picky", "coffee", after=("a",))))
    sent = run(node, plan)
    node.answer(node.inbox()[0].id, "change", value="tea")
    node.rest()
    assert output(sent) == {"a": "x fetched", "b": "tea, ['a']"}


def test_many_steps_that_begin_or_end_at_once_fit_into_rows() -> None:
    wide = [us.Step("bad", "lame", "x"), *(us.Step(f"f{n}", "writer", "x", after=("bad",)) for n in range(700))]
    wide += [us.Step(f"s{n}", "fetcher", "x") for n in range(700)]
    node = Simulated(pair(plans=us.PlanLimits(steps=2_000), parallel=20), seed=1)
    sent = run(node, us.Plan(tuple(wide)))
    node.answer(node.inbox()[0].id, "stop", reason="x" * 250)
    node.rest()
    status = [part.status for part in result(sent).parts.values()]
    assert (status.count("done"), status.count("skipped"), status.count("failed")) == (700, 700, 1)


def test_a_step_is_tried_again_where_a_person_says_so_in_a_run_of_its_own() -> None:
    tries: list[str] = []

    def once_more(task: us.Task) -> str:
        """Second time lucky."""
        tries.append(task.objective)
        if len(tries) == 1:
            raise us.Abandon("not yet")
        return "now"

    team = us.Supervisor("desk", [us.Worker("lame", once_more, effect="read")])
    node = Simulated(team, seed=1)
    sent = run(node, us.Plan((us.Step("a", "lame", "x"),)))
    node.answer(node.inbox()[0].id, "approve")
    node.rest()
    assert output(sent) == {"a": "now"}
    assert result(sent).parts["a"].by == "desk/r/lame/a.2"


def test_an_optional_step_that_fails_leaves_the_others_without_its_result() -> None:
    steps = (
        us.Step("a", "fetcher", "a"),
        us.Step("bad", "lame", "b", optional=True),
        us.Step("c", "checker", "with {a} and {bad}", after=("a", "bad")),
    )
    sent = run(Simulated(pair(), seed=1), us.Plan(steps))
    told = result(sent)
    assert told.status == "done"
    assert output(sent) == {"a": "a fetched", "c": ["a"]}
    assert told.reason == "1 of 3 steps have no result: bad failed (no legs)"
    assert run(Simulated(pair(), seed=1), us.Plan(steps, gives="bad")).reply is not None


def test_a_step_of_a_worker_that_was_given_up_goes_to_another_who_can() -> None:
    for seed in range(10):
        team = us.Supervisor(
            "desk", [clumsy("anna", can=["german"]), fetcher(can=["german"])], intensity=NEVER_AGAIN, parallel=1
        )
        node = Simulated(team, seed=seed, faults=Faults(crash=0.01))
        plan = us.Plan((us.Step("a", needs=("german",), objective="x"), us.Step("b", "fetcher", "{a}", after=("a",))))
        sent = run(node, plan)
        assert output(sent) == {"a": "x fetched", "b": "x fetched fetched"}, f"seed {seed}"
        assert set(begun(rows(node)).values()) == {1}


def test_a_step_has_its_time() -> None:
    node = Simulated(desk(), seed=1, faults=Faults(hangs=1.0))
    node.ask("desk/r", us.Task("go", plan=us.Plan((us.Step("a", "fetcher", "x", within=5.0),))), key="r")
    node.pass_time(10)
    (item,) = node.inbox()
    assert "within 5 s" in item.text


def slow(task: us.Task) -> str:
    """Takes its time."""
    return task.objective


@pytest.mark.parametrize("parallel", [None, 2])
def test_after_a_restart_of_the_team_a_step_has_the_time_that_was_left(parallel: int | None) -> None:
    worker = us.Worker("slow", slow, effect="read", timeout=100_000.0)
    node = Simulated(us.Supervisor("desk", [worker], parallel=parallel), seed=1, faults=Faults(hangs=1.0))
    plan = us.Plan(
        (us.Step("a", "slow", "x", within=1_000.0), us.Step("b", "slow", "y", optional=True, within=2_500.0))
    )
    node.ask("desk/r", us.Task("go", plan=plan), key="r")
    until(node, "worker.accepted")
    began = remembered(node).work["a"].at
    for _ in range(2):
        node.pass_time(300)
        order(node, "desk/r", Restart())
    node.pass_time(950 - (node.now - began))
    assert node.inbox() == (), "its time is not over"
    node.pass_time(150)
    (item,) = node.inbox()
    assert "'a'" in item.text
    assert "within 1000 s" in item.text
    assert began + 1_000 <= item.since <= began + 1_100
    node.answer(item.id, "skip")
    node.pass_time(1_000)
    assert "b" not in remembered(node).parts, "it has its own time"
    node.pass_time(600)
    assert {name: part.status for name, part in remembered(node).parts.items()} == {
        "a": "skipped",
        "b": "failed",
    }
    assert set(begun(rows(node)).values()) == {1}
    assert not node.kernel.sets.timers
    assert not parallel or not places(node).held


def test_a_step_that_ends_in_time_after_a_restart_is_over_once() -> None:
    for seed in range(20):
        node = Simulated(desk(), seed=seed)
        sent = node.ask("desk/r", us.Task("go", plan=us.Plan((us.Step("a", "fetcher", "x", within=500.0),))), key="r")
        until(node, "worker.accepted")
        order(node, "desk/r", Restart())
        node.pass_time(1_000)
        assert output(sent) == {"a": "x fetched"}, seed
        assert set(begun(rows(node)).values()) == {1}


def remembered(node: Simulated) -> TeamState:
    """What the run remembers."""
    state = node.actor("desk/r").state
    assert isinstance(state, TeamState)
    return state


def until(node: Simulated, wire: str) -> None:
    """Until an event of this kind is in the journal."""
    while not any(event.wire == wire for row in rows(node) for event in read_record(row).events):
        assert node.step()


def test_a_deadline_ends_a_plan_with_what_there_is() -> None:
    node = Simulated(pair(), seed=1)
    sent = run(node, BROKEN, deadline=node.now + 50)
    node.pass_time(60)
    told = result(sent)
    assert told.failure is not None
    assert told.failure.code == "deadline"
    assert "while it waited for a person" in told.reason
    assert output(sent) == {"a": "a fetched", "apart": "e written"}
    assert told.parts["last"].status == "skipped"
    assert not node.kernel.sets.effects


def test_a_plan_that_is_cancelled_ends_with_what_there_is() -> None:
    node = Simulated(pair(parallel=1), seed=1)
    sent = run(node, BROKEN)
    node.tell("desk/r", us.Cancel("enough"))
    node.rest()
    assert result(sent).failure is not None
    assert output(sent) == {"a": "a fetched", "apart": "e written"}
    assert not places(node).held


def test_a_bug_in_the_team_itself_repeats_nothing_that_workers_did(monkeypatch: pytest.MonkeyPatch) -> None:
    bugs = ["one", "two"]
    begin = TeamActor.step_returned

    def fails(actor: TeamActor, turn: Any, *args: Any) -> None:
        if bugs and turn.state.parts:
            raise RuntimeError(bugs.pop())
        begin(actor, turn, *args)

    monkeypatch.setattr(TeamActor, "step_returned", fails)
    for seed in range(20):
        bugs[:] = ["one", "two"]
        node = Simulated(desk(parallel=2), seed=seed)
        sent = run(node, TIDES)
        assert result(sent).status == "done", f"seed {seed}"
        assert set(begun(rows(node)).values()) == {1}
        assert node.actor("desk/r").memory.incarnation == 2
        assert not places(node).held


def test_after_a_restart_people_are_asked_again_what_they_had_not_answered() -> None:
    node = Simulated(pair(), seed=1)
    sent = run(node, BROKEN)
    order(node, "desk/r", Restart())
    node.rest()
    (item,) = node.inbox()
    node.answer(item.id, "reject", reason="no")
    node.rest()
    assert result(sent).status == "cannot"


# -- what it may spend --------------------------------------------------------------------------------------------


def dear(limits: us.PlanLimits) -> us.Supervisor:
    agents = [us.Agent(name, "Think.", model=Priced(name)) for name in ("one", "two")]
    return us.Supervisor("desk", agents, plans=limits)


class Priced:
    """A model that costs a dollar and ten tokens an answer."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def complete(self, request: us.ModelRequest, on_delta: Any) -> us.ModelReply:
        return us.ModelReply("ok", usage=us.Usage(5, 5), cost=1.0)


CHAIN = us.Plan(
    (us.Step("a", "one", "x"), us.Step("b", "two", "x", after=("a",)), us.Step("c", "one", "x", after=("b",)))
)


@pytest.mark.parametrize("limits", [us.PlanLimits(usd=2.0), us.PlanLimits(tokens=15)], ids=["money", "tokens"])
@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_a_plan_that_has_spent_what_it_may_asks_a_person_before_it_begins_more(
    limits: us.PlanLimits, decision: Any
) -> None:
    node = Simulated(dear(limits), seed=1)
    sent = run(node, CHAIN)
    assert ended(node) == ["a", "b"]
    (item,) = node.inbox()
    assert "2 of its 3 steps over" in item.text
    node.answer(item.id, decision, reason="because")
    node.rest()
    told = result(sent)
    assert told.status == ("done" if decision == "approve" else "cannot")
    assert told.parts["c"].status == ("done" if decision == "approve" else "skipped")
    assert told.cost == (3.0 if decision == "approve" else 2.0)


def test_results_too_large_to_go_on_fail_their_step_and_nothing_else() -> None:
    def much(task: us.Task) -> str:
        """Much."""
        return "x" * 120_000

    team = us.Supervisor("desk", [us.Worker("much", much, effect="read"), checker()])
    both = us.Step(
        "both", "checker", "x", after=("a", "b"), optional=True, inputs={"own": msgspec.Raw(b'"%s"' % (b"y" * 20_000))}
    )
    node = Simulated(team, seed=1)
    told = result(run(node, us.Plan((us.Step("a", "much", "x"), us.Step("b", "much", "x"), both))))
    assert told.status == "done"
    assert "more than 250,000" in told.parts["both"].reason
    five = us.Plan(tuple(us.Step(f"s{n}", "much", "x", optional=True) for n in range(5)))
    node = Simulated(team, seed=1)
    told = result(run(node, five))
    assert [part.status for part in told.parts.values()].count("failed") == 3
    wide = (us.Step("a", "much", "x"), *(us.Step(f"s{n}", "checker", "x", after=("a",)) for n in range(20)))
    node = Simulated(team, seed=1)
    assert result(run(node, us.Plan(wide))).status == "done", "not all of them fit into one row"


def test_the_state_of_a_run_says_all_that_is_known_of_it() -> None:
    node = Simulated(desk(), seed=1)
    run(node, TIDES)
    state = node.actor("desk/r").state
    assert isinstance(state, TeamState)
    assert set(state.parts) == {"facts", "numbers", "check", "text"}
    assert not state.work
    assert not state.queued
