"""A plan of five steps whose process kills itself: ``plan FOLDER STEP WHEN``, before or after the world was changed by a step."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import understudy as us
from tests.crash.programs.world import World

PLAN = us.Plan(
    (
        us.Step("a", "left", "a"),
        us.Step("b", "right", "b"),
        us.Step("c", "left", "{a}+{b}", after=("a", "b")),
        us.Step("d", "right", "d", after=("b",)),
        us.Step("e", "left", "{c}+{d}", after=("c", "d")),
    ),
    gives="e",
)


FOLDER, DIES_IN, WHEN = [*sys.argv, ".", "", ""][1:4] if __name__ == "__main__" else (".", "", "")


def work(call: us.Call, task: us.Task) -> str:
    """Do it."""
    step = call.run.rsplit("/", 1)[1]
    if WHEN == "before" and step == DIES_IN:
        os.kill(os.getpid(), signal.SIGKILL)
    World(Path(FOLDER)).ran(step, "")
    if WHEN == "after" and step == DIES_IN:
        os.kill(os.getpid(), signal.SIGKILL)
    return f"({task.objective})"


hands = [us.Worker(name, work, effect="idempotent", kind="write", trusted=True) for name in ("left", "right")]
desk = us.Supervisor("desk", hands, parallel=2)

if __name__ == "__main__":
    print(us.run(desk, PLAN, id="r", journal=Path(FOLDER) / "journal.db").output)
