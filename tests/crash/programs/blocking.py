"""A real process in which one actor's turn never ends while others are asked. Prints JSON: what the others got, what became of it."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time

import understudy as us


class Count(us.Request[int]):
    pass


class Hang(us.Request[int]):
    pass


class Match(us.Request[int]):
    pass


class Sleeper(us.Actor):
    class State(us.State):
        pass

    @us.handles(Hang)
    def hang(self, turn: us.Turn[State], msg: Hang) -> int:
        while True:
            pass

    @us.handles(Match)
    def match(self, turn: us.Turn[State], msg: Match) -> int:
        return int(re.match(r"(a+)+$", "a" * 25 + "b") is not None)  # seconds in C, with the interpreter to itself

    @us.handles(Count)
    def count(self, turn: us.Turn[State], msg: Count) -> int:
        return 1


async def main(journal: str) -> None:
    desk = us.Supervisor("desk", [us.Child("culprit", Sleeper), us.Child("others/{key}", Sleeper)])
    async with us.System(desk, journal=journal, watchdog=1.0) as system:

        async def culprit() -> dict[str, str]:
            try:
                await system.ask("culprit", Hang())
            except us.AskFailed as error:
                return {"code": error.failure.code, "message": error.failure.message}
            return {}

        hanging = asyncio.create_task(culprit())
        await asyncio.sleep(0)
        began = time.perf_counter()
        answers = await asyncio.gather(*(system.ask(f"others/{n}", Count(), timeout=1.0) for n in range(20)))
        took = time.perf_counter() - began
        failure = await hanging
        matching = await system.ask("culprit", Match())
        stats = system.stats()
    print(
        json.dumps({"answers": sum(answers), "took": took, "matching": matching, **failure, "blocked": stats.blocked})
    )


asyncio.run(main(sys.argv[1]))
