"""A process with children that behave badly, and one that behaves well.

    python -m tests.crash.programs.bad_children JOURNAL start SECONDS      one fails in its own start, for ever
    python -m tests.crash.programs.bad_children JOURNAL stop               one swallows its cancellation

Says as JSON what it cost and what was seen.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import anyio
import msgspec

import understudy as us
from understudy.supervisor.supervision.live import ChildInfo


class Seen(msgspec.Struct, frozen=True):
    """What a life came to.

    Attributes:
        cpu, wall: seconds: of this process, and of the clock on the wall, while it was watched.
        closing: seconds from the wish to end until it had ended.
        answered: asks of the good child that were answered.
        children: the bad one as its supervisor sees it, each time that somebody looked.
    """

    cpu: float = 0.0
    wall: float = 0.0
    closing: float = 0.0
    answered: int = 0
    children: tuple[ChildInfo, ...] = ()


class Hello(us.Request[int]):
    pass


class Go(us.Message):
    pass


class Good(us.Actor):
    class State(us.State):
        n: int = 0

    @us.handles(Hello)
    def hello(self, turn: us.Turn[State], msg: Hello) -> int:
        return 1


class Shaky(us.Actor):
    """Fails in its own start."""

    @us.handles(us.Started)
    def started(self, turn: us.Turn[us.State], msg: us.Started) -> None:
        raise RuntimeError("not today")


class Calls(us.Actor):
    @us.handles(Go)
    def go(self, turn: us.Turn[us.State], msg: Go) -> None:
        turn.call(stubborn)

    @us.settles(us.ANY_TOOL)
    def over(self, turn: us.Turn[us.State], outcome: us.Outcome[object]) -> None:
        """Nobody waits for it."""


@us.tool(effect="once", timeout=3_600.0)
async def stubborn() -> str:
    """Hears no cancellation."""
    Path(sys.argv[1]).with_suffix(".running").touch()
    while True:
        with suppress(BaseException):  # that is what is wrong with it
            await anyio.sleep(3_600)


def cpu() -> float:
    """Seconds of this process so far, in all of its threads."""
    times = os.times()
    return times.user + times.system


async def start(journal: Path, seconds: float) -> Seen:
    shaky = us.Child(
        "shaky", Shaky, restart="permanent", budget=us.Intensity(1_000, 60.0), backoff=us.Backoff(0.1, 1.0)
    )
    async with us.System(shaky, us.Supervisor("team", [us.Child("good", Good)]), journal=journal) as system:
        await system.ask("good", Hello())
        looks = list[ChildInfo]()
        before, began, answered = cpu(), time.monotonic(), 0
        while time.monotonic() < began + seconds:
            answered += await system.ask("good", Hello(), timeout=10.0)
            looks += [child for child in await system.supervisor("root").which() if child.id == "shaky"]
            await anyio.sleep(0.25)
        return Seen(cpu() - before, time.monotonic() - began, answered=answered, children=tuple(looks))


async def stop(journal: Path) -> Seen:
    team = us.Supervisor("team", [us.Child("deaf", Calls, tools=[stubborn], shutdown=0.2), us.Child("good", Good)])
    other = us.Supervisor("others", [us.Child("mute", Calls, tools=[stubborn], shutdown=None)])
    async with us.System(team, other, journal=journal, drain=0.5) as system:
        running = journal.with_suffix(".running")
        for name in ("deaf", "mute"):
            running.unlink(missing_ok=True)
            await system.tell(name, Go())
            while not running.exists():  # noqa: ASYNC110
                await anyio.sleep(0.01)
        began = time.monotonic()
        await system.supervisor("team").stop("deaf")
        stopped = time.monotonic() - began
        answered = await system.ask("good", Hello(), timeout=10.0)
        began = time.monotonic()
    return Seen(wall=stopped, closing=time.monotonic() - began, answered=answered)


def main() -> None:
    journal = Path(sys.argv[1])
    seen = anyio.run(start, journal, float(sys.argv[3])) if sys.argv[2] == "start" else anyio.run(stop, journal)
    print(msgspec.json.encode(seen).decode(), flush=True)


if __name__ == "__main__":
    main()
