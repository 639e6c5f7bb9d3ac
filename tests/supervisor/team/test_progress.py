"""How far a run is: steps done, what is under way, what waits and why; live, afterwards, and as sentences."""

from __future__ import annotations

from typing import Any

import anyio
import msgspec

import understudy as us
from tests.supervisor.team.crew import NEVER_AGAIN, clumsy, desk, fetcher, rows, writer
from understudy.actors.cell import read_record
from understudy.protocols.ids import Address
from understudy.supervisor.telling.teller import tell
from understudy.testing import Faults, Simulated

S = us.Step
PLAN = us.Plan(
    (
        S("a", "fetcher", "x"),
        S("b", "lame", "y"),
        S("c", "writer", "z", after=("a", "b")),
        S("d", "fetcher", "w", after=("a",)),
    ),
    goal="All of it",
)


def limp(task: us.Task) -> str:
    """Limps."""
    raise us.Abandon("no legs")


def team(**options: Any) -> us.Supervisor:
    return us.Supervisor("desk", [fetcher(), us.Worker("lame", limp, effect="read"), writer()], **options)


def story(node: Simulated, run: str = "desk/r") -> Any:
    mine = [row for row in rows(node) if row.stream == run or row.stream.startswith(run + "/")]
    around = [row for row in rows(node) if row.stream in ("desk", "root", "system")]
    return tell(Address(run), mine, around)


async def test_a_running_system_says_how_far_a_run_is() -> None:
    crew = team()
    async with us.System(crew) as system:
        assert await system.progress("desk/r") is None
        waiting = await system.run(crew, PLAN, id="r", timeout=20)
        assert waiting.status == "waiting"
        known = await system.progress("desk/r")
        assert known is not None
        assert (known.steps, known.done, known.failed, known.skipped, known.current) == (4, 2, 0, 0, ())
        assert [(w.step, w.why) for w in known.waiting] == [("b", "for a person"), ("c", "for b")]
        assert str(known) == "2 of 4 steps done; waiting: b for a person, c for b"
        await system.reject(waiting.waiting[0].id, "no")
        ended = await system.run(crew, PLAN, id="r", timeout=20)
        known = await system.progress("desk/r")
        assert known is not None
        assert (known.done, known.failed, known.skipped, known.waiting) == (2, 1, 1, ())
        assert ended.status == "cannot"


async def test_whoever_watches_a_run_sees_each_step_as_it_is_over() -> None:
    crew = desk()
    plan = us.Plan((S("a", "fetcher", "x"), S("b", "writer", "y", after=("a",))))
    seen: list[tuple[str, int, int]] = []
    async with us.System(crew) as system, system.watch("desk/r") as stream, anyio.create_task_group() as tasks:
        tasks.start_soon(system.run, crew, plan)
        tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True), anyio.fail_after(20):
            await system.submit("desk", us.Task("go", plan=plan), id="r")
            async for thing in stream:
                for event in read_record(thing).events if not isinstance(thing, us.Delta) else ():
                    if event.wire == "team.step_over":
                        said = msgspec.json.decode(event.data)
                        seen.append((said["step"], said["over"], said["steps"]))
                if len(seen) == 2:
                    break
    assert seen == [("a", 1, 2), ("b", 2, 2)]


def test_what_waits_for_a_place_says_with_whom_and_since_when() -> None:
    node = Simulated(desk(parallel=1), seed=1, faults=Faults(hangs=1.0))
    plan = us.Plan((S("a", "fetcher", "x"), S("b", "fetcher", "y")))
    node.ask("desk/r", us.Task("go", plan=plan), key="r")
    while node.step(until=node.now):
        pass
    known = story(node).progress
    assert [(c.step, c.worker) for c in known.current] == [("a", "fetcher")]
    assert [(w.step, w.why) for w in known.waiting] == [("b", "for a place with fetcher")]
    assert known.waiting[0].since == known.current[0].since is not None
    assert str(known) == "0 of 2 steps done; now: a (fetcher); waiting: b for a place with fetcher"


def test_a_task_without_a_plan_has_progress_too() -> None:
    def to_lame(task: us.Task) -> str:
        return "lame"

    node = Simulated(team(route=to_lame), seed=1)
    node.ask("desk/r", us.Task("go"), key="r")
    node.rest()
    assert str(story(node).progress) == "0 of 1 done; waiting: for a person"
    node.answer(node.inbox()[0].id, "answer", value="fetcher")
    node.rest()
    assert str(story(node).progress) == "1 of 1 done"


def test_the_story_of_a_plan_reads_as_sentences() -> None:
    node = Simulated(team(parallel=1), seed=3)
    node.ask("desk/r", us.Task("go", plan=PLAN), key="r")
    node.rest()
    node.answer(node.inbox()[0].id, "reject", reason="not today")
    node.rest()
    lines = [line.text for line in story(node).lines if line.who == "desk"]
    for sentence in (
        "takes the task",
        "takes the plan that the task gave, 4 steps: a (fetcher); b (lame); c (writer) after a and b; d (fetcher) after a",
        "step a waits for a place with fetcher",
        "asks fetcher for step a",
        'fetcher answers (step a): "x fetched"',
        "lame fails at step b: no legs",
        "step b has failed (3 of 4 over): ada: not today",
        "step c is skipped (4 of 4 over): b failed (ada: not today)",
    ):
        assert sentence in lines, lines
    assert any(line.startswith("step a is done (1 of 4 over)") for line in lines)
    assert not any(line.startswith("team.") for line in lines)


def test_the_story_of_a_hand_over_and_of_a_refused_plan_reads_as_sentences() -> None:
    crew = us.Supervisor("desk", [clumsy("anna", can=["german"]), fetcher(can=["german"])], intensity=NEVER_AGAIN)
    node = Simulated(crew, seed=1)
    node.ask("desk/r", us.Task("go", needs=("german",)), key="r")
    node.rest()
    lines = [line.text for line in story(node).lines]
    assert any(line.startswith("anna was given up, and somebody else takes the task: ") for line in lines)
    assert not any("team." in line or "places." in line for line in lines)
    ring = us.Plan((S("a", "fetcher", "x", after=("b",)), S("b", "fetcher", "y", after=("a",))))
    workers = [fetcher()]
    planner = us.Planner("planner", "Plan.", model=us.Scripted(ring), to=workers, retries=0)
    node = Simulated(us.Supervisor("desk", workers, route=planner), seed=1)
    node.ask("desk/r", us.Task("go"), key="r")
    node.rest()
    assert "refuses the plan that planner made: the plan goes in a circle: 'a' after 'b' after 'a'" in [
        line.text for line in story(node).lines
    ]
