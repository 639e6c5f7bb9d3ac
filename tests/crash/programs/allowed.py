"""An agent whose one tool needs two people's yes, and death around each of them and around what stands from then on.

    python -m tests.crash.programs.allowed FOLDER ask     runs until people are needed, then dies
    python -m tests.crash.programs.allowed FOLDER ada     ada says yes, for always; dies when that is durable
    python -m tests.crash.programs.allowed FOLDER bob     so does bob, who is the second; dies when that is durable, before the call
    python -m tests.crash.programs.allowed FOLDER other   another run wants the same; dies when it is allowed in advance, before the call
    python -m tests.crash.programs.allowed FOLDER go      runs both to their end

It says who has said yes and how many standing approvals there are, and at the end the status of both runs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

import understudy as us
from tests.crash.programs.deadly import deadly_journal, die, records
from tests.crash.programs.world import World
from understudy.protocols.journal import Batch

folder, action = Path(sys.argv[1]), sys.argv[2]
world = World(folder)


@us.tool(effect="idempotent", kind="money")
def pay(call: us.Call, to: str) -> str:
    """Pay somebody."""
    world.ran("pay", call.key)
    world.change_once("pay", call.key)
    return "paid"


MODEL = us.Rules(
    "payer", [us.Rule(us.Use("pay", {"to": "ada"}), before=("pay",)), us.Rule(us.Say("done"), after=("pay",))]
)
RULE = us.ApprovalRule("payments", kinds=("money",), quorum=2)
AGENT = us.Agent("payer", "Pay.", model=MODEL, tools=[pay], approvals=[RULE])


def answered(batch: Batch) -> bool:
    """Whether somebody's yes becomes durable with it."""
    return any(record.answer is not None for record in records(batch))


async def main() -> None:
    async with us.System(AGENT, journal=folder / "journal.db") as system:
        result = await system.run(AGENT, "Pay ada.", id="one")
        print(*[name for item in result.waiting for name in item.yes], len(system.grants()), flush=True)
        if action == "ask":
            die()
        if action in ("ada", "bob"):
            await system.approve(result.waiting[0].id, by=action, scope="always")
        other = await system.run(AGENT, "Pay ada.", id="two")
        print(result.status, other.status, flush=True)


if __name__ == "__main__":
    with deadly_journal(after=lambda batch: action in ("ada", "bob", "other") and answered(batch)):
        anyio.run(main)
