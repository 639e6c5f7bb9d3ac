"""A clerk whose one tool is made of three calls, and whose process kills itself before, in or after one of them: ``composing FOLDER CALL
WHEN``. With ``CALL`` ``in one ...`` the control: the same three functions, called by one plain tool."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import understudy as us
from tests.crash.programs.world import World
from understudy.protocols.model import ModelReply, ModelRequest, ToolCall

FOLDER, DIES_IN, WHEN, HOW = [*sys.argv, ".", "", "", ""][1:5] if __name__ == "__main__" else (".", "", "", "")


def does(what: str, key: str, *, once: bool) -> None:
    if (what, "before") == (DIES_IN, WHEN):
        os.kill(os.getpid(), signal.SIGKILL)
    (World(Path(FOLDER)).change_once if once else World(Path(FOLDER)).change)(what, key)
    if (what, "after") == (DIES_IN, WHEN):
        os.kill(os.getpid(), signal.SIGKILL)


@us.tool(effect="idempotent", kind="money", sinks=[], trusted=True)
def withdraw(call: us.Call, account: str, usd: float) -> str:
    """Take money out."""
    does("withdraw", call.key, once=True)
    return f"slip-{account}"


@withdraw.compensate
@us.tool(effect="idempotent", kind="money", sinks=[])
def put_back(call: us.Call, account: str, result: str) -> None:
    """Put it back."""
    assert result == f"slip-{account}"
    does("put_back", call.key, once=True)


@us.tool(effect="once", kind="money", sinks=["account"], trusted=True)
def deposit(call: us.Call, account: str, usd: float, memo: str) -> str:
    """Put money in."""
    assert memo == "slip-a"
    does("deposit", call.key, once=False)
    return f"{account} has {usd:g}"


@us.tool(effect="idempotent", kind="write", sinks=[], trusted=True)
def note(call: us.Call, text: str) -> str:
    """Note it down."""
    if text.startswith("closed"):
        raise us.Abandon("the book is closed")
    does("note", call.key, once=True)
    return text


@us.composite
def transfer(do: us.Steps, source: str, target: str, usd: float) -> str:
    """Move money from one account to another."""
    slip = do(withdraw, account=source, usd=usd)
    has = do(deposit, account=target, usd=usd, memo=slip)
    return do(note, text=has)


@us.tool(effect="idempotent", kind="money", sinks=["target"], trusted=True, name="transfer")
def in_one(call: us.Call, source: str, target: str, usd: float) -> str:
    """The control: the same, as one plain tool."""
    does("withdraw", call.key, once=False)
    does("deposit", call.key, once=False)
    does("note", call.key, once=False)
    return f"{target} has {usd:g}"


class Obeys:
    """A model that moves the money, unless it has."""

    name = "obeys"

    async def complete(self, request: ModelRequest, on_delta: Callable[[str], None]) -> ModelReply:
        if any(message.role == "tool" for message in request.messages):
            return ModelReply("Done.")
        target = "closed" if HOW == "fails" else "b"
        return ModelReply("", (ToolCall("c1", "transfer", f'{{"source":"a","target":"{target}","usd":5.0}}'),))


agent = us.Agent("clerk", "Move money.", model=Obeys(), tools=[in_one if HOW == "in one" else transfer])


async def main() -> None:
    async with us.System(agent, journal=Path(FOLDER) / "journal.db") as system:
        ended = await system.run(agent, "Move 5 from a to b, or to closed.", id="r", timeout=20)
    print("waits", *(item.kind for item in ended.waiting)) if ended.waiting else None
    if ended.result is not None:
        print(ended.result.status)


if __name__ == "__main__":
    asyncio.run(main())
