"""``us.run``: one task, from a program that has no event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any, TypeVar, overload

import anyio

from ..actors.agent import Agent
from ..protocols.budget import Budget
from ..protocols.errors import InsideLoop
from ..protocols.plans import Plan
from ..protocols.tasks import Task
from .results import RunResult
from .supervision.definitions import Supervisor
from .system import Runnable, System
from .team.accepting import acceptable
from .worker import Worker

T = TypeVar("T")

DEFAULT_JOURNAL = "understudy.db"
"""Where a run with an id is kept, unless told otherwise."""


@overload
def run(
    who: Agent[T] | Worker[T], task: str | Task, *, id: str | None = None, journal: str | os.PathLike[str] | None = None,
    budget: Budget | None = None, shadow: bool | Sequence[str] = False,
) -> RunResult[T]: ...  # fmt: skip
@overload
def run(
    who: Supervisor, task: str | Task | Plan, *, id: str | None = None, journal: str | os.PathLike[str] | None = None,
    budget: Budget | None = None, shadow: bool | Sequence[str] = False,
) -> RunResult[Any]: ...  # fmt: skip
def run(
    who: Runnable, task: str | Task | Plan, *, id: str | None = None, journal: str | os.PathLike[str] | None = None,
    budget: Budget | None = None, shadow: bool | Sequence[str] = False,
) -> RunResult[Any]:  # fmt: skip
    """Run a task and give what came of it. Synchronous: it brings its own event loop.

    Args:
        who: an agent, worker or supervisor.
        task: what to do; a team also takes a ``us.Plan``.
        id: names the run; with one it is kept in a journal, and the same call again goes on or gives the recorded answer.
        journal: path of the journal; ``./understudy.db`` for a run with an id, memory for one without.
        budget: what may be spent on it, in place of the task's own: ``us.Budget(usd=1.0)``.
        shadow: calls that do more than look are simulated, as of ``us.System``.

    Raises:
        InsideLoop: an event loop is running already; use ``await system.run(…)`` there.
        JournalHeld and the other journal errors; AskFailed as ``System.run``.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise InsideLoop(
            "us.run is synchronous and would block the event loop that is running here",
            hint='use: async with us.System(agent, journal="understudy.db") as system: await system.run(agent, task, id=…)',
        )
    wanted = acceptable(who, task, budget)  # before a journal is opened
    path = journal if journal is not None else DEFAULT_JOURNAL if id is not None else None

    async def main() -> RunResult[Any]:
        async with System(who, journal=path, shadow=shadow) as system:
            return await system.run(who, wanted, id=id)

    return anyio.run(main)
