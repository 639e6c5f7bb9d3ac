"""On which budgets a turn draws: those that stand in the context of its message, and what its actor was given for its own run.

A budget that a run was given goes down with all that it sends, and not back up with its answers. A run keeps what it began with, whatever
its mail says.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..protocols.budget import EXHAUSTED, LADDER, OF_TASK, WINDOW, Allowance, Budget, Rung
from ..protocols.envelope import Context
from ..protocols.failures import Failure
from ..protocols.tasks import BUDGET, Overdue, Task
from .cell import Cell
from .turn import Turn

RUN = "{run}"
"""In the template of whoever lives for one task."""


def drawing(cell: Cell, context: Context) -> Context:
    """The context of a turn, where its message's or its actor's names budgets."""
    kept = cell.memory.context.budgets
    if not kept or kept == context.budgets or not _is_run(cell):
        return context
    return msgspec.structs.replace(context, budgets=kept)


def reporting(cell: Cell, context: Context) -> Context:
    """The context of a turn of whoever lives for one task: for which plan that is, says its first message, and no answer."""
    own = cell.memory.context
    return msgspec.structs.replace(context, undo=own.undo) if own.run and _is_run(cell) else context


def draw(cell: Cell, turn: Turn[Any], task: Task, id: str) -> None:
    """Do a task under the budget that it brings, and under that of the agent or team that takes it. ``id``: of the task's message."""
    assert cell.mount is not None
    own: Budget | None = cell.mount.actor.budget
    if task.budget is None and own is None:
        return
    run = _is_run(cell)
    name = str(cell.address) if run else f"{cell.address}#{id}"
    wanted = ((name + OF_TASK, task.budget), (name, own))
    known = {one.account for one in turn.context.budgets}
    more = tuple(Allowance(account, b) for account, b in wanted if b is not None and account not in known)
    if more:
        turn.context = msgspec.structs.replace(turn.context, budgets=turn.context.budgets + more)
        if run:
            turn.budgeted = True


def remind(turn: Turn[Any]) -> None:
    """Have the run end when the time of a budget that it was given is over."""
    for one in turn.context.budgets:
        if one.owner == turn.me and one.budget.seconds is not None:
            turn.remind(Overdue(f"{BUDGET}{one.account} {one.budget.seconds:g}"), after=one.budget.seconds)


def ladder(context: Context, failure: Failure) -> tuple[Rung, ...]:
    """What is to be done where this budget has been hit: as it says itself; a window says nothing, then as the narrowest budget says."""
    hit = {one.account: one.budget.hit for one in context.budgets}
    return hit.get(failure.where, next(reversed(hit.values()), LADDER))


def exhausted(turn: Turn[Any], failure: Failure | None) -> bool:
    """Whether work failed because a budget has been hit on which this run draws, too, and not its worker alone: nobody else could go on."""
    if failure is None or failure.code != EXHAUSTED:
        return False
    return failure.where.startswith(WINDOW) or any(one.account == failure.where for one in turn.context.budgets)


def _is_run(cell: Cell) -> bool:
    return cell.mount is not None and RUN in cell.mount.template
