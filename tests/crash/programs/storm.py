"""The incident desk on all its calls, as a program that may be killed at any moment and started again.

    python -m tests.crash.programs.storm JOURNAL [--settle]

A dispatcher approves whatever needs an approval. What is in doubt stays so, until ``--settle``: then it *happened* if the
dispatcher's board says so, and is run again if not. When nothing moves any more it says where each call stands, as JSON.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
import msgspec
from msgspec import Raw, Struct

import examples.incident_desk as example
import understudy as us
from examples.incident_desk.tools import Proposal
from tests.crash.standing import Question, Standing

SIDE_BY_SIDE = 3
"""Calls that are taken at the same time."""

DISPATCHER = "dispatcher"
journal, settle = sys.argv[1], "--settle" in sys.argv


class Call(Struct, frozen=True):
    """A line of ``calls.jsonl``, as far as the desk is told."""

    id: str
    objective: str
    inputs: dict[str, Raw]


def calls() -> list[Call]:
    """Every call of the example."""
    data = Path(example.__file__).with_name("calls.jsonl").read_bytes()
    return [msgspec.json.decode(line, type=Call) for line in data.splitlines()]


def on_the_board(key: str) -> Proposal | None:
    """The proposal that this call left on the dispatcher's board."""
    board = Path(os.environ["DESK_BOARD"])
    lines = board.read_bytes().splitlines() if board.exists() else []
    proposals = [msgspec.json.decode(line, type=Proposal) for line in lines]
    return next((p for p in proposals if p.id == f"P-{key[:10]}"), None)


async def decide(system: us.System, item: us.InboxItem) -> bool:
    """Answer one question, if this program can."""
    if item.kind == "approval":
        await system.approve(item.id, by=DISPATCHER)
        return True
    if item.kind == "in_doubt" and settle:
        proposal = on_the_board(item.key)
        if proposal is not None:
            await system.answer(item.id, "happened", by=DISPATCHER, value=proposal)
        else:
            await system.answer(item.id, "run_again", by=DISPATCHER)
        return True
    return False


async def take(system: us.System, call: Call) -> Standing:
    """One call, to its end or to a question that this program cannot answer."""
    while True:
        result = await system.run(example.desk, us.Task(call.objective, inputs=call.inputs), id=call.id)
        if not [item for item in result.waiting if await decide(system, item)]:
            break
    questions = tuple(Question(i.kind, i.text, i.tool, i.arguments, i.key) for i in result.waiting)
    output = result.result.output if result.result is not None else Raw(b"null")
    return Standing(str(result.status), output, questions)


async def main() -> None:
    """All of them."""
    found: dict[str, Standing] = {}
    door = anyio.Semaphore(SIDE_BY_SIDE)
    async with us.System(example.desk, journal=journal) as system:

        async def one(call: Call) -> None:
            async with door:
                found[call.id] = await take(system, call)

        async with anyio.create_task_group() as tasks:
            for call in calls():
                tasks.start_soon(one, call)
    print(msgspec.json.encode(found, order="sorted").decode(), flush=True)


if __name__ == "__main__":
    anyio.run(main)
