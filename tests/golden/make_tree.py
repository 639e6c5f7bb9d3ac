"""How ``format-2.journal`` was made, when supervision trees, plans and boards were new (version 0.1.0):

    python -m tests.golden.make_tree tests/golden/format-2

Two lives of one tree (``ensemble``): the first is killed while a child waits for its backoff, and others with it; the second stops that
child, goes on, and is killed, too. The file is never made again.
"""

from __future__ import annotations

import os
from pathlib import Path

import anyio

import understudy as us
from tests.golden.ensemble import ensemble
from tests.golden.lives import made
from tests.golden.troupe import Break, Deposit
from understudy.protocols.board import BoardWrite
from understudy.protocols.tasks import Task

TARGET = "tests.golden.ensemble:ensemble"
PLAN = us.Plan(
    (us.Step("facts", "fetcher", "tides"), us.Step("brief", "writer", "on {facts}", after=("facts",))), gives="brief"
)


def system(journal: Path) -> us.System:
    """The tree on this journal."""
    return us.System(ensemble, journal=journal, target=TARGET, control=False)


async def broken(node: us.System, who: str) -> None:
    """It fails its turn."""
    try:
        await node.ask(who, Break())
    except us.AskFailed as error:
        print(error)


async def first(journal: Path) -> None:
    """A plan, a board, a pool, a group that is restarted, a child that waits."""
    async with system(journal) as node:
        await node.run(ensemble, Task("tides", plan=PLAN), id="planned")
        await node.ask("ensemble/shared/board", BoardWrite.of("tide", 3, expected=0))
        await node.supervisor("back").start("jobs/1")
        await node.ask("jobs/1", Deposit(7), key="job")
        await broken(node, "oven")
        await node.ask("sink", Deposit(2), key="sink")
        for _ in range(2):
            await broken(node, "till")
        with anyio.move_on_after(1.0):
            await node.tell("till", Deposit(1), key="waits")
        os._exit(9)


async def second(journal: Path) -> None:
    """Carries on."""
    async with system(journal) as node:
        await node.supervisor("ensemble").stop("till")  # which lets those after it begin again
        await node.supervisor("back").start("jobs/2")
        await node.supervisor("back").stop("jobs/1")
        for _ in range(2):
            await broken(node, "jobs/2")
        os._exit(9)


if __name__ == "__main__":
    made("tests.golden.make_tree", ensemble, first, second)
