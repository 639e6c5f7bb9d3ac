"""How much of a team's work runs at once, and what waits: a limit that holds, an order, no place that is lost."""

from __future__ import annotations

import os
import time
from typing import Any

import anyio
import msgspec
import pytest

import understudy as us
from tests.supervisor.team.crew import (
    KEEPER,
    NEVER_AGAIN,
    begun,
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
from understudy.protocols.failures import Failure
from understudy.protocols.lifecycle import Restart, Stop
from understudy.protocols.plans import Parallel
from understudy.supervisor.team.dispatch import TeamActor
from understudy.testing import Faults, Simulated

SEEDS = range(min(150, int(os.environ.get("UNDERSTUDY_SEEDS", "60")) // 3))


def to_writer(task: us.Task) -> str:
    return "writer"


def by_first_word(task: us.Task) -> str:
    return task.objective.split()[0]


async def test_a_team_without_a_limit_has_nobody_who_counts() -> None:
    team = desk(route=to_writer)
    async with us.System(team) as system:
        await system.run(team, "go", id="r", timeout=20)
        assert [line.address for line in await system.actors()] == ["desk/r", "desk/r/writer", "system"]
        assert len(await system.rows("desk/r")) == 2


LIMITS = (Parallel(2), Parallel(each=1), Parallel(3, workers={"writer": 1}))


@pytest.mark.parametrize("limits", LIMITS, ids=["two", "one each", "three, one writer"])
def test_the_limit_holds_whatever_crashes_and_everything_gets_its_turn(limits: Parallel) -> None:
    reached = False
    for seed in SEEDS:
        node = Simulated(desk(parallel=limits, route=by_first_word), seed=seed, faults=Faults(crash=0.02))
        names = ("fetcher", "writer", "checker")
        sent = [node.ask(f"desk/{n}", us.Task(f"{names[n % 3]} go"), key=str(n)) for n in range(7)]
        see_through(node, *sent)
        seen = under_way(rows(node))
        assert all(poisoned(s) or result(s).status == "done" for s in sent), f"seed {seed}"
        assert within(seen, limits), f"seed {seed}"
        assert set(begun(rows(node)).values()) == {1}
        assert places(node) == type(places(node))(came=places(node).came), f"seed {seed}: a place is left"
        reached = reached or limits.tasks in [sum(now.values()) for now in seen] or limits.each is not None
    assert reached, "the limit was never reached"


def test_without_the_limit_the_same_work_goes_over_it() -> None:
    """The control: what the test above looks at is not kept by chance."""
    node = Simulated(desk(route=by_first_word), seed=1)
    for n in range(7):
        node.ask(f"desk/{n}", us.Task("writer go"), key=str(n))
    node.rest()
    assert not within(under_way(rows(node)), Parallel(2))


def settle(node: Simulated) -> None:
    """All that needs no time to pass."""
    while node.step(until=node.now):
        pass


def test_what_waits_goes_by_priority_then_deadline_then_arrival() -> None:
    for seed in SEEDS:
        node = Simulated(desk(parallel=1, route=to_writer), seed=seed, faults=Faults(hangs=1.0))
        node.ask("desk/first", us.Task("go"), key="first")
        settle(node)
        for name, task in {
            "plain": us.Task("go"),
            "far": us.Task("go", deadline=node.now + 50_000),
            "low": us.Task("go", priority=-1, deadline=node.now + 30_000),
            "near": us.Task("go", deadline=node.now + 40_000),
            "high": us.Task("go", priority=5),
            "later": us.Task("go"),
        }.items():
            node.ask(f"desk/{name}", task, key=name)
            settle(node)
        node.crash(down=1.0)
        node.faults = Faults()
        node.rest()
        order = [row.stream.split("/")[1] for row in rows(node) if row.stream.endswith("/writer") and row.seq == 1]
        assert order == ["first", "high", "near", "far", "plain", "later", "low"], f"seed {seed}"


def test_a_deadline_that_passes_while_it_waits_ends_it_with_a_typed_reason() -> None:
    node = Simulated(desk(parallel=1, route=to_writer), seed=1, faults=Faults(hangs=1.0))
    node.ask("desk/first", us.Task("go"), key="first")
    while not places(node).held:
        node.step()
    sent = node.ask("desk/second", us.Task("go", deadline=node.now + 10), key="second")
    node.pass_time(20)
    ended = result(sent)
    assert (ended.status, ended.failure.code if ended.failure else "") == ("failed", "deadline")
    assert "while it waited for a place" in ended.reason
    assert not places(node).waiting


def test_a_deadline_that_has_passed_when_the_task_comes_begins_nothing() -> None:
    node = Simulated(desk(parallel=1), seed=1)
    sent = node.ask("desk/r", us.Task("go", deadline=node.now - 1), key="r")
    node.rest()
    assert (f := result(sent).failure) is not None
    assert f.code == "deadline"
    assert not begun(rows(node))


@pytest.mark.parametrize("who", ["agent", "worker", "team"])
def test_a_deadline_ends_whoever_works_on_it(who: str) -> None:
    def wait(task: us.Task) -> str:
        """Never comes back."""
        raise us.RetryLater("not yet", after=5.0)

    definition: us.Worker[str] | us.Agent[str] | us.Supervisor = us.Worker(
        "slow", wait, effect="read", retry=us.Retry(attempts=1_000)
    )
    if who == "agent":
        definition = us.Agent("slow", "Wait.", model=us.Scripted(*[us.Failure("retry_later", "busy", "later")] * 1_000))
    if who == "team":
        definition = us.Supervisor("slow", [us.Worker("inner", wait, effect="read", retry=us.Retry(attempts=1_000))])
    node = Simulated(definition, seed=1)
    sent = node.ask("slow/r", us.Task("go", deadline=node.now + 3), key="r")
    node.pass_time(60)
    ended = result(sent)
    assert ended.failure is not None
    assert ended.failure.code == "deadline"
    node.rest()
    assert not node.kernel.sets.effects
    assert not node.kernel.sets.timers


@pytest.mark.parametrize("how", ["cancelled", "stopped"])
@pytest.mark.parametrize("where", ["with a place", "waiting"])
def test_a_run_that_is_cut_off_leaves_its_place_to_the_next(how: str, where: str) -> None:
    for seed in SEEDS:
        node = Simulated(desk(parallel=1, route=to_writer), seed=seed, faults=Faults(crash=0.01))
        sent = [node.ask(f"desk/{n}", us.Task("go"), key=str(n)) for n in range(3)]
        for _ in range(seed):
            node.step()
        state = places(node)
        runs = list(state.held) if where == "with a place" else [w.run for w in state.waiting]
        for run in runs[:1]:
            if how == "cancelled":
                node.tell(run, us.Cancel("enough"))
            else:
                order(node, run, Stop(Failure("abandon", "stopped", "enough")))
        see_through(node, *sent)
        assert not places(node).held, f"seed {seed}"
        assert not places(node).waiting, f"seed {seed}"
        assert all(one.reply is not None for one in sent), f"seed {seed}"


def test_a_worker_that_was_given_up_leaves_its_place_while_a_person_thinks() -> None:
    team = us.Supervisor("desk", [clumsy("clumsy"), writer()], parallel=1, route=by_first_word, intensity=NEVER_AGAIN)
    node = Simulated(team, seed=2)
    one = node.ask("desk/one", us.Task("clumsy go"), key="one")
    node.rest()
    two = node.ask("desk/two", us.Task("writer go"), key="two")
    node.rest()
    assert one.reply is None
    assert result(two).status == "done"
    (item,) = node.inbox()
    node.answer(item.id, "approve")
    node.rest()
    assert result(one).output == msgspec.Raw(b'"Up again."')
    assert not places(node).held


def test_a_run_that_was_given_up_leaves_its_place_and_takes_it_again_when_it_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    team = desk(parallel=1, route=to_writer, intensity=NEVER_AGAIN)
    node = Simulated(team, seed=2)
    close, bugs = TeamActor.close, ["a bug of the team"]

    def fails(actor: TeamActor, turn: Any, result: Any) -> None:
        if bugs:
            raise RuntimeError(bugs.pop())
        close(actor, turn, result)

    monkeypatch.setattr(TeamActor, "close", fails)
    sent = node.ask("desk/r", us.Task("go"), key="r")
    node.rest()
    assert sent.reply is None
    assert not places(node).held, "it was given up"
    (item,) = node.inbox()
    node.answer(item.id, "approve")
    node.rest()
    assert result(sent).status == "done"
    assert set(begun(rows(node)).values()) == {1}, "what its worker had done was not done again"
    assert not places(node).held


def test_the_keeper_goes_on_where_it_was_after_a_restart_of_its_own() -> None:
    node = Simulated(desk(parallel=1, route=to_writer), seed=4)
    sent = [node.ask(f"desk/{n}", us.Task("go"), key=str(n)) for n in range(3)]
    while len(places(node).waiting) < 2:
        node.step()
    order(node, KEEPER, Restart())
    node.rest()
    assert [result(s).status for s in sent] == ["done"] * 3
    assert node.actor(KEEPER).memory.incarnation == 1
    assert not places(node).held


def test_too_many_that_wait_are_refused_and_a_person_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("understudy.supervisor.team.places.MOST_WAITING", 1)
    node = Simulated(desk(parallel=1, route=to_writer), seed=1, faults=Faults(hangs=1.0))
    for n in range(3):
        node.ask(f"desk/{n}", us.Task("go"), key=str(n))
        while not node.actor(KEEPER).memory.turns > n:
            node.step()
    for _ in range(40):
        node.step(until=node.now)
    assert any("wait here already" in item.text for item in node.inbox())


def test_a_consultation_has_a_place_with_each_of_its_workers_or_none() -> None:
    def both(task: us.Task) -> tuple[str, ...]:
        return ("fetcher", "writer")

    for seed in SEEDS:
        team = desk(
            parallel=us.Parallel(2, each=1), route=both, conflicts=us.Conflicts(answers=us.priority(["writer"]))
        )
        node = Simulated(team, seed=seed, faults=Faults(crash=0.01))
        sent = [node.ask(f"desk/{n}", us.Task("go"), key=str(n)) for n in range(3)]
        see_through(node, *sent)
        assert all(poisoned(one) or result(one).status == "done" for one in sent), f"seed {seed}"
        assert within(under_way(rows(node)), Parallel(2, each=1)), f"seed {seed}"
        assert not places(node).held


def test_a_consultation_of_more_than_may_ever_work_at_once_goes_to_a_person() -> None:
    def both(task: us.Task) -> tuple[str, ...]:
        return ("fetcher", "writer")

    node = Simulated(desk(parallel=1, route=both), seed=1)
    node.ask("desk/r", us.Task("go"), key="r")
    node.rest()
    (item,) = node.inbox()
    assert "it is for 2 workers at once, and 1 may work at once" in item.text


def test_a_front_door_needs_no_place() -> None:
    workers = [fetcher(), writer()]
    agents = [us.Agent(w.name, w.instructions, model=us.Scripted(*"xxx")) for w in workers]
    door = us.Router("door", "Tell.", model=us.Scripted(*[us.Route("writer", 1.0)] * 3), to=agents)
    node = Simulated(us.Supervisor("desk", agents, route=door, parallel=1), seed=1)
    sent = [node.ask(f"desk/{n}", us.Task("go"), key=str(n)) for n in range(3)]
    node.rest()
    assert [result(one).by for one in sent] == [f"desk/{n}/writer" for n in range(3)]


async def test_a_deadline_far_away_keeps_nobody_waiting_who_waits_for_people() -> None:
    def limp(task: us.Task) -> str:
        """Limps."""
        raise us.Abandon("no legs")

    team = us.Supervisor("desk", [us.Worker("lame", limp, effect="read")])
    async with us.System(team) as system:
        task = us.Task("go", deadline=time.time() + 86_400)
        assert (await system.run(team, task, id="r", timeout=20)).status == "waiting"
        with anyio.fail_after(20):
            await system.rest()


def test_no_mail_of_the_keeper_is_put_aside_as_what_may_kill_the_process() -> None:
    """It only waited while others did: put aside, a place would be lost."""
    others = 0
    for seed in SEEDS:
        node = Simulated(desk(parallel=1, route=to_writer), seed=seed)
        sent = [node.ask(f"desk/{n}", us.Task("go"), key=str(n)) for n in range(4)]
        for _ in range(40):
            for _ in range(5):
                node.step()
            node.crash(down=1.0)
            for one in sent:
                if one.lost:
                    node.again(one)
        node.rest()
        failed = [row.stream for row in rows(node) if row.kind == "failed"]
        others += len(failed)
        assert KEEPER not in failed, f"seed {seed}"
        assert not places(node).held, f"seed {seed}"
    assert others, "the control: mail of others is put aside after as many deaths"


def test_a_limit_that_cannot_be_one_is_refused_by_name() -> None:
    with pytest.raises(us.DefinitionError, match="parallel= without agents or workers"):
        us.Supervisor("desk", [us.Child("p/{name}", us.Actor)], parallel=1)
    with pytest.raises(us.DefinitionError, match="plans= without agents or workers"):
        us.Supervisor("desk", [us.Child("p/{name}", us.Actor)], plans=us.PlanLimits())
    wrongs: list[tuple[Any, str]] = [
        (0, "tasks=0"),
        (-1, "tasks=-1"),
        (True, "tasks=True"),
        ("two", "parallel='two'"),
        (1.5, "parallel=1.5"),
    ]
    for wrong, word in wrongs:
        with pytest.raises(us.DefinitionError, match=word):
            us.Supervisor("desk", [fetcher()], parallel=wrong)
    with pytest.raises(us.DefinitionError, match="'nobody' is no worker here"):
        us.Supervisor("desk", [fetcher()], parallel=us.Parallel(workers={"nobody": 1}))
    with pytest.raises(us.DefinitionError, match="each=0"):
        us.Parallel(each=0)
    wrong_tasks: list[dict[str, Any]] = [
        {"priority": 1.5}, {"deadline": float("nan")}, {"deadline": -1.0}, {"needs": "german"}, {"needs": [""]},
    ]  # fmt: skip
    for bad in wrong_tasks:
        with pytest.raises(us.DefinitionError, match=next(iter(bad))):
            us.Task("go", **bad)
