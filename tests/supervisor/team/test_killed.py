"""kill -9 in the middle of a plan: the same program, started again, goes on at the step where it was."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.crash.programs.world import World
from understudy.actors.cell import read_record
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.replay.verify import replay

ROOT = Path(__file__).parents[3]
STEPS = ("a", "b", "c", "d", "e")


def life(folder: Path, step: str, when: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "tests.crash.programs.plan", str(folder), step, when]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def over(journal: Path) -> list[str]:
    """Steps that are over, as the journal says."""
    with read_only(journal) as reader:
        events = [event for row in reader.rows(limit=1_000) for event in read_record(row).events]
    return [msgspec.json.decode(event.data)["step"] for event in events if event.wire == "team.step_over"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["a", "c", "e"])
def test_a_plan_whose_process_is_killed_goes_on_at_the_step_where_it_was(tmp_path: Path, step: str, when: str) -> None:
    world = World(tmp_path)
    assert life(tmp_path, step, when).returncode == -signal.SIGKILL
    before = over(tmp_path / "journal.db")
    assert step not in before
    assert set("abcde"[: STEPS.index(step)]) - {"b", "d"} <= set(before)
    ended = life(tmp_path, "none", "")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "(((a)+(b))+(d))\n"
    assert sorted(over(tmp_path / "journal.db")) == list(STEPS)
    assert all(world.count("ran", name) == 1 for name in before), "a step that was done was done again"
    report = replay(tmp_path / "journal.db", "desk/r", "tests.crash.programs.plan:desk")
    assert report.difference is None
    if when == "after":
        assert world.count("ran", step) == 2, (
            "the control: the step that was cut off is run again, as its effect class says"
        )


def test_started_again_when_it_is_over_it_gives_the_recorded_answer(tmp_path: Path) -> None:
    first, again = life(tmp_path, "none", ""), life(tmp_path, "none", "")
    assert first.stdout == again.stdout == "(((a)+(b))+(d))\n"
    assert all(World(tmp_path).count("ran", name) == 1 for name in STEPS)
