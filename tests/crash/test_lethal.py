"""Whatever kills the process is known after some deaths, and put aside: reminders, outcomes, answers, messages from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from understudy.supervisor.journal.audit import audit, silent
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.parked import of_file

ROOT = Path(__file__).parents[2]
DEATHS = {"reminder": 3, "outcome": 4, "outside": 4, "answer": 4}
"""How many it takes: three marks for what stands in a row, and one more death until it does."""


def life(journal: Path, how: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.crash.programs.lethal", str(journal), how, *options]
    witness = {"WITNESS": str(journal.with_suffix(".witness"))}
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | witness, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("how", DEATHS)
def test_what_kills_the_process_each_time_is_put_aside_wherever_it_comes_from(tmp_path: Path, how: str) -> None:
    journal = tmp_path / "journal.db"
    for _ in range(DEATHS[how]):
        assert life(journal, how).returncode == -signal.SIGKILL
    survivor = life(journal, how)
    assert survivor.returncode == 0, survivor.stderr
    assert "the process died 3 times while this message was pending" in survivor.stdout
    assert survivor.stdout.splitlines()[-1] == "1", "what was pending beside it came once, and is not put aside"
    put = of_file(journal)
    assert [(one.to, one.wire, one.failure.code) for one in put] == (
        [("box/bad", "Deadly", "poison")] if how in ("reminder", "outside") else []
    ), "outcomes are not mail that people send again"
    if how == "outcome":
        assert (tmp_path / "journal.witness").read_text() == "looked\n" * 2, "it was not called again each time"
    with read_only(journal) as reader:
        assert audit(reader, silent).whole


@pytest.mark.parametrize("how", ["reminder", "outside"])
def test_without_marks_it_kills_for_ever(tmp_path: Path, how: str) -> None:
    for _ in range(DEATHS[how] + 1):
        assert life(tmp_path / "journal.db", how, "--unmarked").returncode == -signal.SIGKILL


def test_a_reminder_that_was_put_aside_can_be_edited_and_sent_again(tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    for _ in range(DEATHS["reminder"]):
        assert life(journal, "reminder").returncode == -signal.SIGKILL
    survivor = life(journal, "reminder", "--resent")
    assert survivor.returncode == 0, survivor.stderr
    assert survivor.stdout.splitlines()[-2:] == ["1", "1"]
    assert of_file(journal) == ()
