"""Who takes a task: who can what it needs, and of several who has the least under way."""

from __future__ import annotations

from typing import Any

import pytest

import understudy as us
from tests.supervisor.team.crew import NEVER_AGAIN, begun, clumsy, order, places, result, rows, see_through
from understudy.protocols.lifecycle import Stop
from understudy.supervisor.team.routing import able, counts
from understudy.testing import Faults, Simulated


def say(task: us.Task) -> str:
    """Say something."""
    return task.objective


def worker(name: str, *can: str) -> us.Worker[str]:
    return us.Worker(name, say, effect="read", can=can)


def office(**options: Any) -> us.Supervisor:
    workers = [worker("anna", "german", "billing"), worker("bert", "german"), worker("cleo", "dutch")]
    return us.Supervisor("desk", workers, **options)


def who(node: Simulated) -> list[str]:
    """Who was asked, in that order."""
    return [
        row.stream.split("/")[2]
        for row in rows(node)
        if row.stream.count("/") == 2 and "/shared/" not in row.stream and row.seq == 1
    ]


def test_who_alone_can_what_a_task_needs_takes_it() -> None:
    node = Simulated(office(), seed=1)
    sent = node.ask("desk/r", us.Task("Pay", needs=("billing",)), key="r")
    node.rest()
    assert result(sent).by == "desk/r/anna"


@pytest.mark.parametrize(
    ("needs", "why"),
    [
        (("french",), "nobody of 'desk' can 'french'"),
        (("dutch", "german"), "nobody of 'desk' can 'dutch' and 'german' together"),
    ],
)
def test_what_nobody_can_goes_to_a_person_with_the_reason(needs: tuple[str, ...], why: str) -> None:
    node = Simulated(office(), seed=1)
    sent = node.ask("desk/r", us.Task("Go", needs=needs), key="r")
    node.rest()
    (item,) = node.inbox()
    assert why in item.text
    assert "anna can german, billing" in item.text
    node.answer(item.id, "answer", value="cleo")
    node.rest()
    assert result(sent).by == "desk/r/cleo"


def test_of_several_who_can_the_one_with_the_least_under_way_takes_it() -> None:
    for seed in range(20):
        node = Simulated(office(), seed=seed, faults=Faults(hangs=1.0))
        for n in range(4):
            node.ask(f"desk/{n}", us.Task("Go", needs=("german",)), key=str(n))
            while node.step(until=node.now):
                pass
        assert who(node) == ["anna", "bert", "anna", "bert"], f"seed {seed}"
        assert places(node).busy == {"anna": 2, "bert": 2}


def test_everybody_fits_where_the_least_busy_one_is_asked_for_and_nothing_is_needed() -> None:
    node = Simulated(office(route=us.least_busy), seed=1, faults=Faults(hangs=1.0))
    for n in range(3):
        node.ask(f"desk/{n}", us.Task("Go"), key=str(n))
        while node.step(until=node.now):
            pass
    assert who(node) == ["anna", "bert", "cleo"]


def test_a_rule_and_a_front_door_may_not_choose_who_cannot() -> None:
    def to_bert(task: us.Task) -> str:
        return "bert"

    for route in (to_bert, us.Router("door", "Tell.", model=us.Scripted(us.Route("bert", 1.0)), to=[b])):
        team = us.Supervisor("desk", [worker("anna", "x", "y"), b, worker("cleo", "x", "y")], route=route)
        node = Simulated(team, seed=1)
        sent = node.ask("desk/r", us.Task("Go", needs=("x", "y")), key="r")
        node.rest()
        (item,) = node.inbox()
        assert "x" in item.text
        assert not begun(rows(node)).keys() & {"desk/r/bert"}
        node.answer(item.id, "reject", reason="no")
        node.rest()
        assert result(sent).status == "cannot"


b = us.Agent("bert", "Bert.", model=us.Scripted("Done."), can=("x",))


def test_nobody_counts_where_load_never_decides() -> None:
    assert counts(office())
    assert counts(us.Supervisor("desk", [worker("anna")], parallel=1))
    assert counts(us.Supervisor("desk", [worker("anna")], route=us.least_busy))
    assert not counts(us.Supervisor("desk", [worker("anna", "x"), worker("bert", "y")]))
    assert able(office(), ()) == ("anna", "bert", "cleo")


def test_what_an_agent_or_worker_can_is_a_tuple_of_texts() -> None:
    for can in ("german", ["german", ""], [1]):
        with pytest.raises(us.DefinitionError, match="can"):
            us.Worker("anna", say, can=can)  # type: ignore[arg-type]
        with pytest.raises(us.DefinitionError, match="can"):
            us.Agent("anna", "Anna.", model=us.Scripted("x"), can=can)  # type: ignore[arg-type]


async def test_who_is_asked_directly_must_be_able() -> None:
    anna = worker("anna", "german")
    async with us.System(anna) as system:
        with pytest.raises(us.DefinitionError, match="'anna' cannot 'dutch', which the task needs"):
            await system.run(anna, us.Task("Go", needs=("dutch",)), timeout=20)
        assert (await system.run(anna, us.Task("Go", needs=("german",)), timeout=20)).output == "Go"


@pytest.mark.parametrize("parallel", [None, 1])
def test_the_task_of_a_worker_that_was_given_up_goes_to_another_who_can(parallel: int | None) -> None:
    for seed in range(20):
        team = us.Supervisor(
            "desk", [clumsy("anna", can=["german"]), worker("bert", "german")], parallel=parallel, intensity=NEVER_AGAIN
        )
        node = Simulated(team, seed=seed, faults=Faults(crash=0.01))
        sent = node.ask("desk/r", us.Task("Go", needs=("german",)), key="r")
        see_through(node, sent)
        assert result(sent).by.startswith("desk/r/bert"), f"seed {seed}"
        assert begun(rows(node)) == {"desk/r/anna": 1, "desk/r/bert": 1}
        assert node.actor("desk/r/anna").memory.life == "stopped", "nobody can start it again beside the other"
        assert not places(node).held


def test_where_nobody_else_can_it_waits_for_the_person_who_was_asked_about_the_worker() -> None:
    team = us.Supervisor("desk", [clumsy("anna", can=["german"]), worker("bert", "dutch")], intensity=NEVER_AGAIN)
    node = Simulated(team, seed=1)
    sent = node.ask("desk/r", us.Task("Go", needs=("german",)), key="r")
    node.rest()
    (item,) = node.inbox()
    assert "desk/r/anna" in item.text
    node.answer(item.id, "approve")
    node.rest()
    assert result(sent).by == "desk/r/anna"


def test_a_worker_that_is_only_restarted_goes_on_with_its_task() -> None:
    team = us.Supervisor("desk", [clumsy("anna", can=["german"]), worker("bert", "german")])
    node = Simulated(team, seed=1)
    sent = node.ask("desk/r", us.Task("Go", needs=("german",)), key="r")
    node.rest()
    assert result(sent).by == "desk/r/anna"


def test_a_worker_that_somebody_stops_is_put_before_a_person() -> None:
    node = Simulated(office(), seed=1, faults=Faults(hangs=1.0))
    node.ask("desk/r", us.Task("Pay", needs=("billing",)), key="r")
    while node.step(until=node.now):
        pass
    order(node, "desk/r/anna", Stop(us.Failure("abandon", "stopped", "enough")))
    while node.step(until=node.now):
        pass
    (item,) = node.inbox()
    assert "anna can't complete this: enough" in item.text
    assert not places(node).held
