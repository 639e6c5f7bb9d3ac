"""An agent whose one tool needs an approval, and death around it.

    python -m tests.crash.programs.approval FOLDER ask       runs until a person is needed, then dies
    python -m tests.crash.programs.approval FOLDER lost      a person approves; dies before that is durable
    python -m tests.crash.programs.approval FOLDER approve   a person approves; it runs to its end

It says the ids that wait for a person, then the run's status, each on a line.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

import understudy as us
from tests.crash.programs.deadly import deadly_journal, die, nothing, starts
from tests.crash.programs.world import World

folder, action = Path(sys.argv[1]), sys.argv[2]
world = World(folder)


@us.tool(effect="once", approve=True)
def pay(call: us.Call, to: str) -> str:
    """Pay somebody."""
    world.ran("pay", call.key)
    world.change("pay", call.key)
    return "paid"


MODEL = us.Rules(
    "payer", [us.Rule(us.Use("pay", {"to": "ada"}), before=("pay",)), us.Rule(us.Say("done"), after=("pay",))]
)
AGENT = us.Agent("payer", "Pay.", model=MODEL, tools=[pay])


async def main() -> None:
    async with us.System(AGENT, journal=folder / "journal.db") as system:
        result = await system.run(AGENT, "Pay ada.", id="run")
        print(*[item.id for item in result.waiting], flush=True)
        if action == "ask":
            die()
        for item in result.waiting:
            await system.approve(item.id, by="bob")
        result = await system.run(AGENT, "Pay ada.", id="run")
        print(result.status, flush=True)


if __name__ == "__main__":
    with deadly_journal(before=lambda batch: action == "lost" and starts(batch, "pay"), after=nothing):
        anyio.run(main)
