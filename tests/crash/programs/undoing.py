"""A plan that is given up, whose process kills itself while it is undone: ``undoing FOLDER CALL WHEN [stumbles]``, before or after the
world was changed by the call that undoes it. ``stumbles``: it is the team that is given up, and a person stops it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import understudy as us
from tests.crash.programs.world import World
from understudy.supervisor.team.dispatch import TeamActor

FOLDER, DIES_IN, WHEN = [*sys.argv, ".", "", ""][1:4] if __name__ == "__main__" else (".", "", "")


def dies(what: str, when: str) -> None:
    if (what, when) == (DIES_IN, WHEN):
        os.kill(os.getpid(), signal.SIGKILL)


@us.tool(effect="idempotent", kind="write", trusted=True)
def reserve(call: us.Call, objective: str) -> str:
    """Reserve something."""
    World(Path(FOLDER)).change_once(f"reserve {objective}", call.key)
    return f"no. {objective}"


@reserve.compensate
@us.tool(effect="idempotent", kind="write")
def release(call: us.Call, objective: str, result: str) -> None:
    """Give it back."""
    assert result == f"no. {objective}"
    dies(f"release {objective}", "before")
    World(Path(FOLDER)).change_once(f"release {objective}", call.key)
    dies(f"release {objective}", "after")


@us.tool(effect="once", kind="write", trusted=True)
def pay(call: us.Call, objective: str) -> str:
    """Pay something."""
    World(Path(FOLDER)).change(f"pay {objective}", call.key)
    return objective


@pay.compensate
def refund(call: us.Call, objective: str) -> None:
    """Get the money back."""
    dies(f"refund {objective}", "before")
    World(Path(FOLDER)).change(f"refund {objective}", call.key)
    dies(f"refund {objective}", "after")


def fails(task: us.Task) -> str:
    """Fail."""
    raise us.Failed(us.Failure("abandon", "sold_out", "nothing left"))


PLAN = us.Plan(
    (
        us.Step("a", "books", "a"),
        us.Step("b", "pays", "b", after=("a",)),
        us.Step("c", "books", "c", after=("b",)),
        us.Step("d", "fails", "d", after=("c",)),
    )
)

workers = [us.Worker("books", reserve), us.Worker("pays", pay), us.Worker("fails", fails, effect="read")]
desk = us.Supervisor("desk", workers)


async def main() -> None:
    async with us.System(desk, journal=Path(FOLDER) / "journal.db") as system:
        try:
            ended = await system.run(desk, PLAN, id="r", timeout=20)
        except us.AskFailed as failed:
            await system.rest()
            print(failed.failure.code)
            return
        for item in ended.waiting:
            if item.kind == "escalation":
                await system.answer(item.id, "stop", reason="no use")
                if "stumbles" in sys.argv:
                    await system.rest()
                    print("stopped")
                    return
                ended = await system.run(desk, PLAN, id="r", timeout=20)
    print("waits", *(item.kind for item in ended.waiting)) if ended.waiting else None
    if ended.result is not None:
        print(ended.result.status, *(f"{u.call}:{u.status}" for u in ended.result.undone))


def _stumbles(*_: object, **more: object) -> None:
    raise RuntimeError("lost its head")


if __name__ == "__main__":
    if "stumbles" in sys.argv:  # at a step that cannot be done
        TeamActor.person = _stumbles  # type: ignore[method-assign]
    asyncio.run(main())
