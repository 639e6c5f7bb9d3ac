"""A message that kills the process.

    python -m tests.crash.programs.poison JOURNAL [--send]

``--send``: the actors ``box/bad`` and ``box/quiet`` fail, and while their supervisor waits for a person the one gets the
message and the other a harmless one; both are thus durable. Every life lets them go on as soon as that person is asked, and
asks ``box/bad`` and another actor something.
"""

from __future__ import annotations

import os
import sys
from functools import partial

import anyio
import anyio.lowlevel

import understudy as us

STATUS = 41


class Stumble(us.Message):
    """Fails its turn."""


class Deadly(us.Message):
    """Ends the process."""


class Note(us.Message):
    """Does nothing."""


class Hello(us.Request[str]):
    """Is answered."""


class Box(us.Actor):
    @us.handles(Stumble)
    def stumble(self, turn: us.Turn[us.State], msg: Stumble) -> None:
        raise RuntimeError("stumbled")

    @us.handles(Deadly)
    def deadly(self, turn: us.Turn[us.State], msg: Deadly) -> None:
        os._exit(STATUS)

    @us.handles(Note)
    def note(self, turn: us.Turn[us.State], msg: Note) -> None:
        pass

    @us.handles(Hello)
    def hello(self, turn: us.Turn[us.State], msg: Hello) -> str:
        return f"hello from {turn.me}"


TEAM = us.Supervisor("team", [us.Child("box/{name}", Box)], intensity=us.Intensity(max_restarts=0))


async def main(journal: str, *, sends: bool) -> None:
    async with us.System(TEAM, journal=journal) as system:
        print(await system.ask("box/good", Hello()), flush=True)
        if sends:
            await system.tell("box/quiet", Stumble())
            await system.tell("box/bad", Stumble())
            await system.tell("box/quiet", Note())
            await system.tell("box/bad", Deadly())
        with anyio.fail_after(30.0):
            while len(system.inbox()) < (2 if sends else 1):
                await anyio.lowlevel.checkpoint()
        async with anyio.create_task_group() as together:
            for item in system.inbox():
                print(item.text, flush=True)
                together.start_soon(system.approve, item.id)
        print(await system.ask("box/bad", Hello()), flush=True)


if __name__ == "__main__":
    anyio.run(partial(main, sends="--send" in sys.argv), sys.argv[1])
