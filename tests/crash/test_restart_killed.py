"""kill -9 in the middle of a restart: the next process goes on where it was, and comes to the same end."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import anyio
import pytest

from tests.conformance.bench import Real
from tests.conformance.part import Count, Fail, World
from tests.crash.programs.restarting import tree

ROOT = Path(__file__).parents[2]

MOMENTS = [
    (when, event, child)
    for event, child in [("restarting", "a"), ("stopping", "z"), ("down", "z"), ("starting", "a"), ("up", "inner")]
    for when in ("before", "after")
]


@pytest.mark.parametrize(("when", "event", "child"), MOMENTS)
async def test_a_restart_that_is_killed_goes_on(tmp_path: Path, when: str, event: str, child: str) -> None:
    journal = tmp_path / "journal.db"
    command = [sys.executable, "-m", "tests.crash.programs.restarting", str(journal), when, event, child]
    with anyio.fail_after(60.0):
        killed = await anyio.run_process(command, cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    async with Real(tree(World()), world=World(), journal=journal) as bench:
        await bench.system.tell("a", Fail(), key="once")  # who was not told that it is durable brings it again
        ends, starts = ["end z", "end c", "end b"], ["up a", "up b", "up c", "up z"]
        await bench.until(lambda: bench.lives() == [*starts, *ends, *starts])
        for name in "abcz":
            assert await bench.ask(name, Count()) >= 1
        assert bench.status("team") == {"a": "running", "inner": "running", "z": "running"}
        assert [bench.incarnation(name) for name in ("a", "inner", "b", "c", "z")] == [1] * 5
        assert len(bench.supervisor("team").window) == 1
