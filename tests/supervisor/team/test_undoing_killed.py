"""kill -9 while a plan that was given up is undone: the same program, started again, goes on at the call where it was."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.programs.world import World
from understudy.supervisor.replay.verify import replay

ROOT = Path(__file__).parents[3]
UNDONE = ["release c", "refund b", "release a"]
TARGET = "tests.crash.programs.undoing:desk"


def life(folder: Path, call: str, when: str, *how: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "tests.crash.programs.undoing", str(folder), call, when, *how]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def undone(folder: Path) -> list[str]:
    """What was undone, in order, as the world saw it."""
    return [line.tool for line in World(folder).lines() if line.tool.startswith(("release", "refund"))]


def cli(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "understudy", *words], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", ["release c", "release a"])
def test_a_plan_whose_process_is_killed_while_it_is_undone_has_each_call_undone_once(
    tmp_path: Path, call: str, when: str
) -> None:
    assert life(tmp_path, call, when).returncode == -signal.SIGKILL
    assert undone(tmp_path) == UNDONE[: UNDONE.index(call) + (when == "after")]
    ended = life(tmp_path, "", "")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "cannot reserve:undone pay:undone reserve:undone\n"
    assert undone(tmp_path) == UNDONE
    for run in ("desk/r", "desk/r/undo"):
        assert replay(tmp_path / "journal.db", run, TARGET).difference is None
    story = cli("show", "desk/r", "--journal", str(tmp_path / "journal.db"))
    assert "team.undoing" in story or "undo" in story, story
    audit = cli("audit", "desk/r", "--journal", str(tmp_path / "journal.db"))
    assert audit.count("release") == 2, audit
    assert audit.count("pay.undo") >= 1, audit


@pytest.mark.parametrize("when", ["before", "after"])
def test_one_that_may_be_made_only_once_is_in_doubt_and_a_person_says_whether_it_happened(
    tmp_path: Path, when: str
) -> None:
    assert life(tmp_path, "refund b", when).returncode == -signal.SIGKILL
    waits = life(tmp_path, "", "")
    assert waits.stdout == "waits in_doubt\n", waits.stderr
    assert undone(tmp_path) == UNDONE[: 1 + (when == "after")], (
        "nobody makes it again unasked, and the next waits for it"
    )
    journal = str(tmp_path / "journal.db")
    item = next(word for word in cli("inbox", "--journal", journal).split() if word[:1].isdigit())
    cli("settle", item, "--happened" if when == "after" else "--run-again", "--journal", journal)
    assert life(tmp_path, "", "").stdout == "cannot reserve:undone pay:undone reserve:undone\n"
    assert undone(tmp_path) == UNDONE


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_team_that_was_given_up_and_is_stopped_has_each_call_undone_once(tmp_path: Path, when: str) -> None:
    assert life(tmp_path, "release a", when, "stumbles").returncode == -signal.SIGKILL
    assert undone(tmp_path) == UNDONE[: 2 + (when == "after")]
    ended = life(tmp_path, "", "", "stumbles")
    assert (ended.returncode, ended.stdout) == (0, "stopped\n"), ended.stderr
    assert undone(tmp_path) == UNDONE
    for run in ("desk/r/undo", "desk/r/books/a"):
        assert replay(tmp_path / "journal.db", run, TARGET).difference is None
