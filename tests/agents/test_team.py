"""``us.Supervisor`` over agents: who gets a task, and what becomes of a worker that cannot."""

from __future__ import annotations

from typing import Any

import pytest

import understudy as us
from understudy.supervisor.team.routing import by_words
from understudy.tools.models.scripted import call


def team(
    *, researcher: object = "Tides come from the moon.", writer: object = "A poem.", **options: object
) -> us.Supervisor:
    one = us.Agent("researcher", "Find out facts about nature.", model=us.Scripted(researcher, "Second try."))  # type: ignore[arg-type]
    two = us.Agent("writer", "Write poems and letters.", model=us.Scripted(writer))  # type: ignore[arg-type]
    return us.Supervisor("desk", [one, two], **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("task", "who"),
    [
        ("Write a poem", "writer"),
        ("A letter, please, in writing", "writer"),
        ("Research facts", "researcher"),
        ("Juggle", "person"),
        ("", "person"),
        ("Write facts", "person"),
    ],
)
def test_the_worker_that_shares_most_words_with_the_task_takes_it_and_where_that_is_not_clear_a_person(
    task: str, who: str
) -> None:
    assert by_words(us.Task(task), team()) == who


async def test_a_team_hands_the_task_over_and_brings_the_answer() -> None:
    desk = team()
    async with us.System(desk) as system:
        result = await system.run(desk, "Write a poem", id="r", timeout=20)
        actors = [line.address for line in await system.actors("desk")]
    assert result.output == "A poem."
    assert actors == ["desk/r", "desk/r/writer"], "each run of a worker is an actor of its own"


async def test_a_rule_of_ones_own_decides() -> None:
    def always(task: us.Task) -> str:
        return "researcher"

    desk = team(route=always)
    async with us.System(desk) as system:
        assert (await system.run(desk, "Write a poem", timeout=20)).output == "Tides come from the moon."


async def test_a_rule_that_raises_leaves_it_to_a_person() -> None:
    def broken(task: us.Task) -> str:
        raise LookupError("no such rule")

    desk = team(route=broken)
    async with us.System(desk) as system:
        waiting = await system.run(desk, "Write a poem", timeout=20)
    assert waiting.status == "waiting"
    assert waiting.waiting[0].failure is not None
    assert "no such rule" in waiting.waiting[0].failure.message


async def test_a_worker_that_cannot_is_brought_before_a_person_who_may_send_it_to_another() -> None:
    desk = team(researcher=call("cannot_complete", reason="no library"))
    async with us.System(desk) as system:
        waiting = await system.run(desk, "Research facts", id="r", timeout=20)
        (item,) = waiting.waiting
        assert "no library" in item.text
        await system.answer(item.id, "answer", value="writer")
        assert (await system.run(desk, "Research facts", id="r", timeout=20)).output == "A poem."


async def test_or_let_it_try_again_in_a_run_of_its_own() -> None:
    desk = team(researcher=call("cannot_complete", reason="no library"))
    async with us.System(desk) as system:
        waiting = await system.run(desk, "Research facts", id="r", timeout=20)
        await system.approve(waiting.waiting[0].id)
        assert (await system.run(desk, "Research facts", id="r", timeout=20)).output == "Second try."
        assert [line.address for line in await system.actors("desk/r/researcher")] == [
            "desk/r/researcher",
            "desk/r/researcher/2",
        ]


async def test_on_whose_behalf_goes_down_the_chain() -> None:
    desk = team()
    async with us.System(desk) as system:
        task = us.Task("Write a poem", user="ada", tenant="acme", tags=("x",))
        await system.run(desk, task, id="r", timeout=20)
        for line in await system.actors("desk/r"):
            assert (line.context.run, line.context.user, line.context.tenant) == ("desk/r", "ada", "acme")


def test_what_cannot_work_is_refused_when_it_is_declared() -> None:
    model = us.Scripted("x")
    worker = us.Agent("worker", "Work.", model=model)
    wrong: list[tuple[list[us.Agent[str]], dict[str, Any], str]] = [
        ([], {}, "has no workers"),
        ([worker, worker], {}, "two workers named 'worker'"),
        ([worker], {"strategy": "all_for_one"}, "strategy"),
        ([worker], {"on_restart": "never"}, "keep, fresh"),
        ([worker], {"intensity": us.Intensity(max_restarts=-1)}, "must not be negative"),
    ]
    for workers, options, message in wrong:
        with pytest.raises(us.DefinitionError, match=message):
            us.Supervisor("desk", workers, **options)
    with pytest.raises(us.DefinitionError, match="two definitions are mounted"):
        us.System(us.Supervisor("desk", [worker]), us.Supervisor("desk", [worker]))
    with pytest.raises(us.DefinitionError, match="the same addresses fit both"):
        us.System(us.Supervisor("desk", [worker, us.Child("desk/{name}", us.Actor)]))
