"""A tool under a rate and a breaker, and death beside it.

    python -m tests.crash.programs.throttled FOLDER half      uses three of four a week, and dies
    python -m tests.crash.programs.throttled FOLDER open      fails until the breaker is open, and dies
    python -m tests.crash.programs.throttled FOLDER probe     the same, and dies inside the probe
    python -m tests.crash.programs.throttled FOLDER doubt     the same, of a tool that may not run twice
    python -m tests.crash.programs.throttled FOLDER asked     the same, and dies while a person is asked before the probe
    python -m tests.crash.programs.throttled FOLDER yes       the same, and dies when they have said yes
    python -m tests.crash.programs.throttled FOLDER hand      takes the tool out of service, and dies
    python -m tests.crash.programs.throttled FOLDER on WHAT   goes on with one of these, in a world that works again

It says the gate's books before it dies, and as they are found; then what came of three more calls, each on a line.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import anyio.lowlevel
import msgspec

import understudy as us
from tests.crash.programs.deadly import die
from tests.crash.programs.world import World

folder, action = Path(sys.argv[1]), sys.argv[2]
case = sys.argv[3] if action == "on" else action
world = World(folder)
WEEK = 604_800.0
RATES = {"look": us.Rate(requests=4, per=WEEK)} if case == "half" else {}
ONCE = case in ("doubt", "asked", "yes", "hand")
COOLDOWN = 0.02 if case not in ("half", "open") else WEEK
BREAKER = us.Breaker(
    failures=3, cooldown=COOLDOWN, longest=COOLDOWN, wait=0.0 if case in ("open", "hand") else 20.0,
    probe="ask" if case in ("asked", "yes") else ONCE,
)  # fmt: skip
probing = anyio.Event()


@us.tool(effect="once" if ONCE else "read", retry=us.Retry(attempts=1))
def look(call: us.Call, what: str) -> str:
    """Look."""
    world.ran("look", call.key)
    if probing.is_set():
        die()
    if action not in ("half", "hand", "on"):
        raise us.RetryLater("down")
    return what


class Look(us.Request[str]):
    what: str


class Looker(us.Actor):
    @us.handles(Look)
    def take(self, turn: us.Turn[us.State], msg: Look) -> us.Later[str]:
        later = turn.later(msg)
        turn.call(look, msg.what, tag=later)
        return later

    @us.settles(look)
    def looked(self, turn: us.Turn[us.State], outcome: us.Outcome[str]) -> None:
        turn.reply(outcome.tag, outcome.value)


def books(system: us.System) -> None:
    found = {entry.key: entry.value for entry in system._shell.kernel.sets.books.values()}
    print(msgspec.json.encode(found, order="sorted").decode(), flush=True)


async def ask(system: us.System, what: str, timeout: float = 20.0) -> str:
    try:
        return await system.ask("looker", Look(what), key=what, timeout=timeout)
    except us.AskFailed as error:
        return error.failure.code


async def main() -> None:
    child = us.Child("looker", Looker, tools=[look])
    async with us.System(child, journal=folder / "journal.db", rates=RATES, breakers={"look": BREAKER}) as system:
        books(system)
        if action != "on":
            for n in range(3):
                await ask(system, f"first {n}")
            books(system)
            if action in ("probe", "doubt"):
                probing.set()
                await ask(system, "probe")
            if action in ("asked", "yes"):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(ask, system, "probe")
                    while not system.inbox():
                        await anyio.lowlevel.checkpoint()
                    while system._shell.commits.acked < system._shell.kernel.gid:
                        await anyio.lowlevel.checkpoint()
                    books(system)
                    if action == "yes":
                        system._shell.kernel.flights.hold = True
                        await system.approve(system.inbox()[0].id, by="ada")
                    die()
            if action == "hand":
                await system.open_breaker("look", by="ada", reason="they move house")
                books(system)
            die()
        if case == "asked":
            await system.approve(system.inbox()[0].id, by="ada")
        if case in ("probe", "asked", "yes"):
            print(await ask(system, "probe"), flush=True)
        for n in range(3):
            print(await ask(system, f"more {n}", timeout=2.0 if case == "half" else 20.0), flush=True)
        books(system)
        die()  # calls that wait for a week are not waited for


if __name__ == "__main__":
    anyio.run(main)
