"""A team whose restart takes a while, and death at a moment of it.

    python -m tests.crash.programs.restarting JOURNAL before|after EVENT CHILD

dies before (after) the commit of the batch in which the supervisor says so of the child, after the failure of ``a``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import msgspec

import understudy as us
from tests.conformance.part import Count, Fail, Look, Part, World, part, pay, team
from tests.crash.programs.deadly import deadly_journal, nothing, records
from understudy.protocols.journal import Batch


@us.tool(effect="read", timeout=60.0)
async def look(who: str) -> str:
    """Takes its time."""
    await anyio.sleep(0.15)
    return f"seen by {who}"


def tree(world: World) -> us.Supervisor:
    """Two levels; the last child has a call under way when it is to end."""
    inner = team(world, "b", "c", name="inner", strategy="rest_for_one")
    last = us.Child("z", Part(world), tools=[look, pay], shutdown=20.0)
    return team(world, part(world, "a"), inner, last, strategy="one_for_all")


def main(journal: str, when: str, event: str, child: str) -> None:
    """Run until death."""
    armed = False

    def sees(batch: Batch) -> bool:
        said = [e for record in records(batch) for e in record.events if e.wire == f"supervisor.{event}"]
        return armed and any(msgspec.json.decode(e.data)["child"] == child for e in said)

    async def live() -> None:
        nonlocal armed
        async with us.System(tree(World()), journal=Path(journal)) as system:
            await system.ask("z", Count())
            await system.tell("z", Look())
            armed = True
            await system.tell("a", Fail(), key="once")
            await system.rest()

    with deadly_journal(before=sees if when == "before" else nothing, after=sees if when == "after" else nothing):
        anyio.run(live)


if __name__ == "__main__":
    main(*sys.argv[1:])
