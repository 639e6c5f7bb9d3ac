"""kill -9 between and in the steps of a composite tool: the same program, started again, goes on at the step where it was."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.programs.world import World
from understudy.supervisor.replay.verify import replay

ROOT = Path(__file__).parents[2]
STEPS = ["withdraw", "deposit", "note"]
TARGET = "tests.crash.programs.composing:agent"


def life(folder: Path, call: str = "", when: str = "", how: str = "") -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "tests.crash.programs.composing", str(folder), call, when, how]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def did(folder: Path) -> list[str]:
    """What the world saw, in order."""
    return [line.tool for line in World(folder).lines()]


def cli(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "understudy", *words], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def streams(journal: Path) -> list[str]:
    """The actors that had a part in it."""
    found = json.loads(cli("audit", "clerk/r", "--journal", str(journal), "--json"))
    return sorted({str(call["actor"]) for call in found["calls"]})


@pytest.mark.parametrize(
    ("call", "when"), [("withdraw", "before"), ("withdraw", "after"), ("note", "before"), ("note", "after")]
)
def test_a_composite_whose_process_is_killed_has_each_step_done_once(tmp_path: Path, call: str, when: str) -> None:
    assert life(tmp_path, call, when).returncode == -signal.SIGKILL
    assert did(tmp_path) == STEPS[: STEPS.index(call) + (when == "after")]
    ended = life(tmp_path)
    assert (ended.returncode, ended.stdout) == (0, "done\n"), ended.stderr
    assert did(tmp_path) == STEPS


def test_what_a_killed_composite_did_is_told_audited_and_replayed(tmp_path: Path) -> None:
    assert life(tmp_path, "withdraw", "after").returncode == -signal.SIGKILL
    assert life(tmp_path).stdout == "done\n"
    journal = tmp_path / "journal.db"
    actors = streams(journal)
    assert [actor.rpartition("/")[0] for actor in actors] == ["clerk", "clerk/r/transfer"]
    for actor in actors:
        assert replay(journal, actor, TARGET).difference is None
    audit = cli("audit", "clerk/r", "--journal", str(journal))
    assert all(audit.count(step) >= 1 for step in (*STEPS, "transfer")), audit
    story = cli("show", "clerk/r", "--journal", str(journal))
    assert "transfer gives" in story, story


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_step_that_may_be_made_only_once_is_in_doubt_and_the_composite_waits_for_a_person(
    tmp_path: Path, when: str
) -> None:
    assert life(tmp_path, "deposit", when).returncode == -signal.SIGKILL
    done = STEPS[: 1 + (when == "after")]
    waits = life(tmp_path)
    assert waits.stdout == "waits in_doubt\n", waits.stderr
    assert did(tmp_path) == done, "nobody makes it again unasked, and the next one waits for it"
    journal = str(tmp_path / "journal.db")
    item = next(word for word in cli("inbox", "--journal", journal).split() if word[:1].isdigit())
    answer = ["--happened", "--result", '"b has 5"'] if when == "after" else ["--run-again"]
    cli("settle", item, *answer, "--journal", journal)
    assert life(tmp_path).stdout == "done\n"
    assert did(tmp_path) == STEPS


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_it_undoes_what_it_had_done_it_undoes_it_once(tmp_path: Path, when: str) -> None:
    assert life(tmp_path, "put_back", when, "fails").returncode == -signal.SIGKILL
    assert did(tmp_path) == ["withdraw", "deposit", *(["put_back"] if when == "after" else [])]
    ended = life(tmp_path, how="fails")
    assert (ended.returncode, ended.stdout) == (0, "done\n"), ended.stderr
    assert did(tmp_path) == ["withdraw", "deposit", "put_back"]
    story = cli("show", "clerk/r", "--journal", str(tmp_path / "journal.db"))
    assert "undone: withdraw by put_back; done, and not undone: deposit (nothing undoes it)" in story, story


def test_the_control_one_plain_tool_that_does_the_same_does_it_twice(tmp_path: Path) -> None:
    assert life(tmp_path, "deposit", "after", "in one").returncode == -signal.SIGKILL
    assert life(tmp_path, how="in one").stdout == "done\n"
    assert did(tmp_path) == ["withdraw", "deposit", *STEPS]
