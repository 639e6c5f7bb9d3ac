"""What kills the process, wherever it comes from.

    python -m tests.crash.programs.lethal JOURNAL reminder | outcome | outside | answer [--unmarked] [--resent]

``box/bad`` gets a reminder, the outcome of a call, a message from outside (each life brings it again, under one key) or a person's
answer (each life gives it again), and its turn ends the process with SIGKILL. Beside it ``box/good`` has a reminder that does no
harm. When nothing of this kills any more, what a person is asked is printed, and how often ``box/good`` was reminded.
``--unmarked``: the control, in which nothing is suspected after a death. ``--resent``: what was put aside is sent again, with
another content.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import anyio
import anyio.lowlevel

import understudy as us
from understudy.actors import arrivals, kernel
from understudy.supervisor.parked import of_file


class Ready(us.Request[bool]):
    """Sets the reminders, makes the call, or asks the person."""

    how: str


class Deadly(us.Message):
    """Ends the process, unless it is edited."""

    deadly: bool = True


class Tidy(us.Message):
    """Harmless."""


class Tidied(us.Event):
    """It was reminded."""


class Count(us.Request[int]):
    """How often."""


@us.tool(effect="read")
def glance() -> str:
    """Looks."""
    with Path(os.environ["WITNESS"]).open("a") as file:
        file.write("looked\n")
    return "seen"


class Box(us.Actor):
    class State(us.State):
        tidied: int = 0

    @us.handles(Ready)
    def ready(self, turn: us.Turn[State], msg: Ready) -> bool:
        if msg.how == "reminder":
            turn.remind(Deadly(), after=0.01)
        elif msg.how == "outcome":
            turn.call(glance)
        elif msg.how == "answer":
            turn.escalate(us.Question("escalation", "dare?"))
        elif msg.how == "tidy":
            turn.remind(Tidy(), after=0.01)
        return True

    @us.handles(Deadly)
    def deadly(self, turn: us.Turn[State], msg: Deadly) -> None:
        if msg.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        turn.emit(Tidied())

    @us.handles(Tidy)
    def tidy(self, turn: us.Turn[State], msg: Tidy) -> None:
        turn.emit(Tidied())

    @us.handles(Count)
    def count(self, turn: us.Turn[State], msg: Count) -> int:
        return turn.state.tidied

    @us.settles(glance)
    def glanced(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    @us.settles(us.PERSON)
    def dared(self, turn: us.Turn[State], outcome: us.Outcome[object]) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    @us.applies(Tidied)
    def has_tidied(self, state: State, event: Tidied) -> State:
        return state.evolve(tidied=state.tidied + 1)


TEAM = us.Supervisor("team", [us.Child("box/{name}", Box, tools=[glance])], intensity=us.Intensity(max_restarts=0))


def _never(*_: object) -> bool:
    return False


async def main(journal: str, how: str, *, resent: bool) -> None:
    async with us.System(TEAM, journal=journal) as system:
        await system.ask("box/good", Ready("tidy"), key="ready")
        await system.ask("box/bad", Ready(how), key="ready")
        if how == "outside":
            try:
                await system.tell("box/bad", Deadly(), key="deadly")
            except us.AskFailed as refused:
                print(refused, flush=True)
        with anyio.fail_after(20.0):
            while not any("failed" in item.text for item in system.inbox()):
                for item in system.inbox():
                    if item.text == "dare?":
                        await system.answer(item.id, "retry")
                await anyio.lowlevel.checkpoint()
        print(system.inbox()[0].text, flush=True)
        print(await system.ask("box/good", Count()), flush=True)
        if resent:
            (put,) = of_file(Path(journal))
            await system.approve(system.inbox()[0].id)
            await system.resend(put.id, Deadly(deadly=False))
            print(await system.ask("box/bad", Count()), flush=True)


if __name__ == "__main__":
    if "--unmarked" in sys.argv:
        for module, name, unsuspecting in ((arrivals, "may_be_marked", _never), (kernel, "WARY", 0.0)):
            setattr(module, name, unsuspecting)
    anyio.run(lambda: main(sys.argv[1], sys.argv[2], resent="--resent" in sys.argv))
