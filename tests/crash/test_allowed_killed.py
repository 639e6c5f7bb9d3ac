"""kill -9 around approvals: after each yes, between the last one and the call, between a standing approval and its call."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.crash.programs.world import World
from understudy.protocols.ids import Address
from understudy.supervisor.auditing import audit
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.verify import verify

ROOT = Path(__file__).parents[2]


def life(folder: Path, action: str) -> tuple[int, list[str], str]:
    """Exit code, lines of output and errors of one life of the program."""
    command = [sys.executable, "-m", "tests.crash.programs.allowed", str(folder), action]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    return done.returncode, [line.strip() for line in done.stdout.split("\n") if line.strip()], done.stderr


def test_what_people_said_is_there_after_every_kill_and_nothing_is_paid_twice(tmp_path: Path) -> None:
    world = World(tmp_path)
    for action, before in (("ask", "0"), ("ada", "0"), ("bob", "ada 0")):
        code, lines, errors = life(tmp_path, action)
        assert (code, lines) == (-signal.SIGKILL, [before]), errors
        assert world.count("ran", "pay") == 0, "not before both have said yes, nor before that is durable"
    code, lines, errors = life(tmp_path, "other")
    assert (code, lines) == (-signal.SIGKILL, ["1"]), errors
    assert world.count("effect", "pay") == 1, "bob's yes counts, and what stands from then on was not lost"
    code, lines, errors = life(tmp_path, "go")
    assert (code, lines) == (0, ["1", "done done"]), errors
    assert world.count("effect", "pay") == 2
    with read_only(tmp_path / "journal.db") as reader:
        audits = [audit(Address(f"payer/{run}"), reader.stream(Address(f"payer/{run}"))) for run in ("one", "two")]
        assert verify(reader).bad == 0
    assert all(report.complete for report in audits)
    said = [[s.by for call in report.calls for s in call.steps if s.what == "answered"] for report in audits]
    assert said[0] == ["ada", "bob"]
    assert len(said[1]) == 1
    assert said[1][0].startswith("grant ")
    assert said[1][0].endswith(" of ada, bob")


def test_the_same_person_is_refused_in_the_next_life_too(tmp_path: Path) -> None:
    assert life(tmp_path, "ada")[0] == -signal.SIGKILL
    code, lines, errors = life(tmp_path, "ada")
    assert (code, lines) == (1, ["ada 0"])
    assert "ada has said yes before" in errors
    assert World(tmp_path).count("ran", "pay") == 0
