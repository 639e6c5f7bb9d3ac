"""Work that goes from one colleague to another: who cannot do it does not begin it, and it has the place of whoever gave it away."""

from __future__ import annotations

from typing import Any

import pytest

import understudy as us
from tests.supervisor.team.crew import places, rows
from understudy.actors.cell import read_record
from understudy.testing import Sent, Simulated
from understudy.tools.models.scripted import call

asked = list[str]()


def count(task: us.Task) -> str:
    """Count."""
    asked.append(task.objective)
    return "seven"


def counter(name: str, *can: str) -> us.Worker[str]:
    return us.Worker(name, count, effect="read", can=can)


def writer(*script: Any, tool: Any = us.hand_over) -> us.Agent[str]:
    return us.Agent("writer", "Write.", model=us.Scripted(*script, name="writer"), tools=[tool])


def done(node: Simulated, task: us.Task) -> us.Result:
    asked.clear()
    sent: Sent = node.ask("desk/r", task, key="r")
    node.rest()
    assert sent.reply is not None
    assert sent.reply.failure is None
    from understudy.protocols.codec import decode

    result: us.Result = decode(sent.reply.value, us.Result)
    return result


TOOLS: dict[str, Any] = {"hand_over": us.hand_over, "delegate": us.builtin.delegate(["bert", "anna"])}


@pytest.mark.parametrize("name", TOOLS)
def test_a_colleague_that_lacks_what_the_task_needs_is_refused_and_one_that_can_does_it(name: str) -> None:
    script = [call(name, to=to, objective="Count sheep", needs=["numbers", "sheep"]) for to in ("bert", "anna")]
    team = us.Supervisor(
        "desk", [writer(*script, "Seven.", tool=TOOLS[name]), counter("bert", "numbers"), counter("anna", "sheep", "numbers")],
        route=lambda _: "writer",
    )  # fmt: skip
    node = Simulated(team, seed=1)
    assert done(node, us.Task("Write of sheep")).status == "done"
    assert asked == ["Count sheep"]
    (refused,) = [r for r in rows(node) if "/bert/" in r.stream]
    (sent,) = read_record(refused).sends
    assert b'"unable"' in bytes(sent.body)
    assert b"bert" in bytes(sent.body)
    assert b"cannot sheep" in bytes(sent.body)
    told = b"".join(bytes(r.payload) for r in rows(node) if r.stream == "desk/r/writer")
    assert b"cannot sheep" in told, "the model is told"
    assert not node.stuck()


def test_what_the_whole_needs_is_not_asked_of_who_does_a_part_of_it() -> None:
    team = us.Supervisor("desk", [
        us.Agent("writer", "Write.", model=us.Scripted(call("hand_over", to="bert", objective="Count"), "Seven."), tools=[us.hand_over],
                 can=("german",)), counter("bert"),
    ])  # fmt: skip
    assert done(Simulated(team, seed=1), us.Task("Schreibe von Schafen", needs=("german",))).status == "done"
    assert asked == ["Count"]


def test_a_worker_that_is_asked_directly_for_what_it_cannot_do_refuses() -> None:
    node = Simulated(counter("bert", "numbers"), seed=1)
    asked.clear()
    sent = node.ask("bert/r", us.Task("Count", needs=("sheep",)), key="r")
    node.rest()
    assert sent.reply is not None
    assert sent.reply.failure is not None
    assert sent.reply.failure.code == "unable"
    assert asked == []


def test_handed_over_work_has_the_place_of_whoever_gave_it_away() -> None:
    """A place of its own could never be had where all are held by givers who wait: with one place this would wait for ever."""
    for seed in range(10):
        team = us.Supervisor(
            "desk", [writer(call("hand_over", to="bert", objective="Count"), "Seven."), counter("bert")], parallel=1,
            route=lambda _: "writer",
        )  # fmt: skip
        node = Simulated(team, seed=seed)
        assert done(node, us.Task("Write of sheep")).status == "done"
        given = [e for r in rows(node) for e in read_record(r).events if e.wire == "places.given"]
        assert len(given) == 1
        assert not places(node).held
