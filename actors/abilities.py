"""Whether somebody can do what a task needs. A team looks before it gives a task away; whoever gets one from a colleague looks himself."""

from __future__ import annotations

from collections.abc import Sequence

from ..protocols.failures import Failure
from ..protocols.ids import Address
from ..protocols.tasks import Task

UNABLE = "unable"
"""The code of a task that was not begun, since it needs what its worker cannot."""


def unable(who: Address, can: Sequence[str], task: Task) -> Failure | None:
    """Why this worker does not begin this task; None where it can all that the task says it needs."""
    lacks = [what for what in task.needs if what not in can]
    if not lacks:
        return None
    has = f"can {', '.join(can)}" if can else "says of nothing that it can do it"
    why = f"{who} cannot {' and '.join(lacks)}, which this task needs: it {has}"
    return Failure("change_arguments", UNABLE, why, "give it to a colleague who can, or say that you can't", where=who)
