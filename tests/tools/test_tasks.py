"""Coroutine functions in tasks of their own: one that swallows its cancellation holds nobody."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anyio
import anyio.lowlevel

import understudy as us
from understudy.tools.tasks import in_task

PROGRAM = """
import anyio
import understudy as us


@us.tool(effect="once", timeout=0.2)
async def deaf() -> str:
    "Hears no cancellation."
    while True:
        try:
            await anyio.sleep(3600)
        except BaseException:
            pass


agent = us.Agent("agent", "Call deaf.", model=us.Rules("agent", [us.Rule(us.Use("deaf"))]), tools=[deaf])
run = us.run(agent, "go", id="run", journal="journal.db")
print(run.waiting[0].kind)
"""


def test_a_tool_that_swallows_its_cancellation_is_in_doubt_and_the_program_ends(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    run = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
    )
    assert (run.returncode, run.stdout) == (0, "in_doubt\n"), run.stderr


async def test_what_it_returns_after_all_is_told_late() -> None:
    late: list[str] = []
    left: list[bool] = []

    async def polite() -> str:
        try:
            await anyio.Event().wait()
        except anyio.get_cancelled_exc_class():
            return "done all the same"
        return "never"

    with anyio.move_on_after(0.01) as scope:
        await in_task(polite(), "polite", late.append, lambda: left.append(True), lambda: None)
    assert scope.cancelled_caught
    assert (late, left) == (["done all the same"], [])


async def test_a_plain_tool_may_run_a_loop_of_its_own() -> None:
    async def inner() -> str:
        await anyio.lowlevel.checkpoint()
        return "from a loop of its own"

    @us.tool(effect="read")
    def looped() -> str:
        """Runs a loop."""
        return anyio.run(inner)

    seen: list[object] = []

    def answer(facts: us.Facts) -> us.Say:
        seen.append(facts.results["looped"][0])
        return us.Say("ok")

    rules = us.Rules("agent", [us.Rule(us.Use("looped"), before=("looped",)), us.Rule(answer, after=("looped",))])
    async with us.System(agent := us.Agent("agent", "x", model=rules, tools=[looped])) as system:
        assert (await system.run(agent, "go", timeout=20)).status == "done"
    assert seen == ["from a loop of its own"]


async def test_a_model_that_exits_ends_its_attempt_only() -> None:
    def leave(request: us.ModelRequest) -> str:
        raise SystemExit(3)

    async with us.System(agent := us.Agent("agent", "x", model=us.Scripted(leave, repeat=True))) as system:
        result = await system.run(agent, "go", timeout=20)
    assert result.status == "waiting"
    assert result.waiting[0].failure is not None
    assert "SystemExit" in result.waiting[0].failure.message
