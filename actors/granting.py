"""What a run may call at all: the tools that its task names (``us.Task(tools=…)``), and no more for those to whom it hands work on.

It stands in the context of all that the run causes; whoever is given a task by it can only be granted less. It binds models: what an
actor's own code calls (a worker's function, the steps of a composite, what undoes a call) is its author's word.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..protocols.envelope import Context
from ..protocols.tasks import Task
from .cell import Cell
from .drawing import RUN
from .turn import Turn


def grant(cell: Cell, turn: Turn[Any], task: Task) -> None:
    """Do a task with the tools that it names, as far as whoever gave it may call them."""
    assert task.tools is not None
    before = turn.context.granted
    granted = task.tools if before is None else tuple(name for name in task.tools if name in before)
    turn.context = msgspec.structs.replace(turn.context, granted=granted)
    turn.budgeted = turn.budgeted or _is_run(cell)  # it stands in the row, also where that is not the first one


def granting(cell: Cell, context: Context) -> Context:
    """The context of a turn of a run: it keeps what it began with, whatever its mail says."""
    own = cell.memory.context
    if not own.run or own.granted == context.granted or not _is_run(cell):
        return context
    return msgspec.structs.replace(context, granted=own.granted)


def _is_run(cell: Cell) -> bool:
    return cell.mount is not None and RUN in cell.mount.template
