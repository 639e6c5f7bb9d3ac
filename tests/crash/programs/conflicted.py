"""Two experts who disagree, on a journal; killed in the middle of the conflict, and started again.

    python -m tests.crash.programs.conflicted JOURNAL [die]

Says the answer at the end. With ``die`` the tool that the judge weighs the claims with kills the process; ``RESUMED=1`` gives the judge
the rest of its script.
"""

from __future__ import annotations

import os
import signal
import sys

import anyio

import understudy as us
from understudy.tools.models.scripted import call

DIES = len(sys.argv) > 2


@us.tool(effect="read", kind="read")
def weigh(claim: str) -> str:
    """Weigh a claim."""
    if DIES:
        os.kill(os.getpid(), signal.SIGKILL)
    return f"{claim} is heavy"


def tide(task: us.Task) -> str:
    return "tide"


def wave(task: us.Task) -> str:
    return "wave"


def both(task: us.Task) -> tuple[str, ...]:
    return ("a", "b")


ruling = us.Ruling("b", "it is heavier")
script = [ruling] if os.environ.get("RESUMED") else [call("weigh", claim="b"), ruling]
judge = us.Agent("judge", "Be fair.", tools=[weigh], output=us.Ruling, model=us.Scripted(*script))
desk = us.Supervisor(
    "desk",
    [us.Worker("a", tide, effect="once"), us.Worker("b", wave, effect="once")],
    route=both,
    conflicts=us.Conflicts(answers=us.majority() | us.judge(judge)),
)


async def main() -> None:
    async with us.System(desk, journal=sys.argv[1]) as system:
        print((await system.run(desk, "What is it?", id="r", timeout=30)).output)


anyio.run(main)
