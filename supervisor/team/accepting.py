"""What is brought to a run from code, before anything of it is written: a plan that cannot be taken is refused at once."""

from __future__ import annotations

from typing import Any

import msgspec

from ...actors.agent import Agent
from ...protocols.budget import Budget
from ...protocols.errors import DefinitionError
from ...protocols.plans import Plan
from ...protocols.tasks import Task
from ..supervision.definitions import Supervisor
from ..worker import Worker
from .checking import refusal


def acceptable(
    who: Agent[Any] | Worker[Any] | Supervisor, task: str | Task | Plan, budget: Budget | None = None
) -> Task:
    """The task that is meant. ``budget``: in place of its own.

    Raises:
        DefinitionError: the budget is none, the plan is none that the team takes, or the agent or worker cannot do what the task needs.
    """
    if isinstance(task, Plan):
        task = Task(task.goal, plan=task)
    elif not isinstance(task, Task):
        return Task(task, budget=budget)
    if budget is not None:
        task = msgspec.structs.replace(task, budget=budget)
    if isinstance(who, Supervisor):
        why = refusal(task.plan, who) if task.plan is not None else ""
    elif task.plan is not None:
        why = f"{who.name!r} takes no plans: a team does (us.Supervisor)"
    else:
        lacks = [what for what in task.needs if what not in who.can]
        why = f"{who.name!r} cannot {lacks[0]!r}, which the task needs" if lacks else ""
    if why:
        raise DefinitionError(why, hint="mend the plan, or give it to a team that can" if task.plan is not None else "")
    return task
