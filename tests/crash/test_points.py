"""``kill -9`` at every named point of a commit, each time that a life comes by it: nothing acknowledged is lost, nothing that
may happen once happens twice, and the work is done in the end."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import msgspec

from tests.crash.images import memory
from tests.crash.programs.points import POINTS, End

ROOT = Path(__file__).parents[2]


def killed_everywhere(*options: str) -> list[End]:
    """Every life of the program, and how it ended."""
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        command = [sys.executable, "-m", "tests.crash.programs.points", folder, *options]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return [msgspec.json.decode(line, type=End) for line in done.stdout.splitlines()]


def test_at_every_point_of_a_commit_nothing_acknowledged_is_lost_and_nothing_happens_twice() -> None:
    ends = killed_everywhere()
    wrong = [end for end in ends if end.wrong]
    assert not wrong, f"{len(wrong)} of {len(ends)} lives, the first: {wrong[0]}"
    killed = Counter(end.point for end in ends if end.killed)
    print(dict(killed))
    assert killed.keys() == set(POINTS)
    assert min(killed[point] for point in POINTS if "transaction" in point or "commit" in point) > 8
    assert min(killed.values()) >= 2
    assert killed.total() > 100


def test_an_acknowledgement_before_the_commit_is_seen() -> None:
    wrong = [line for end in killed_everywhere("--late") for line in end.wrong]
    assert any("was acknowledged, and is not there" in line for line in wrong)


def test_a_ledger_that_runs_a_call_again_is_seen() -> None:
    wrong = [line for end in killed_everywhere("--twice") for line in end.wrong]
    assert any("ran 2 times" in line for line in wrong)
