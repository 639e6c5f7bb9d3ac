"""A system that erases what its runs said, and is killed in the middle of one.

    python -m tests.crash.programs.forgetful JOURNAL N

N jobs are done where there are none yet; then they are erased. In the transaction of job N // 2 the process is killed; in the next
life it is not.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio

import understudy as us
from understudy.supervisor.journal import retention


class Do(us.Request[str]):
    what: str


class Did(us.Event):
    what: str


class Job(us.Actor):
    class State(us.State):
        did: str = ""

    @us.handles(Do)
    def do(self, turn: us.Turn[State], msg: Do) -> str:
        if msg.what != "wait":
            turn.stop()
        return turn.emit(Did(msg.what)).did

    @us.applies(Did)
    def has_done(self, state: State, event: Did) -> State:
        return state.evolve(did=event.what)


def deadly(real: Callable[..., Any], at: int) -> Callable[..., Any]:
    calls = 0

    def last(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args)

    return last


async def main(journal: Path, jobs: int, begun: bool) -> None:
    async with us.System(us.Child("job/{n}", Job), journal=journal) as system:
        for n in range(jobs):
            if not begun:
                await system.ask(f"job/{n}", Do(f"secret {n}"), key="do")
        if not begun:
            retention._last = deadly(retention._last, jobs // 2)
        done = await system.retain(days=0)
        print(done.runs, flush=True)


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[1]).exists())
