"""``us.builtin.delegate``: hand a task to somebody of the team, of those named and nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta

from ...protocols.errors import DefinitionError
from ...protocols.ids import Address, address
from ...protocols.messages import Request
from ...protocols.tasks import Result, Task
from ..inside import InsideTool, only_there

Objective = Annotated[str, Meta(description="What is to be done, in full: nothing else is handed over.", min_length=1)]

Needs = Annotated[
    tuple[str, ...],
    Meta(description="What it takes to do it, where that matters: who cannot all of it refuses. If missing: nothing."),
]


def delegate(to: Sequence[str]) -> InsideTool[..., Result]:
    """A tool ``delegate`` that gives a colleague a task and brings what came of it.

    It is mail of the journal, done once whatever crashes. On whose behalf the task is done goes with it. A task that comes back to
    somebody who handed it on is a circle: it is named, and broken as the team declares (``us.Conflicts(delegation=…)``).

    Args:
        to: names of those who may be given tasks: agents, workers or supervisors of the same team.

    Raises:
        DefinitionError: nobody is named, or a name cannot be one.
    """
    if isinstance(to, str) or not to or not all(isinstance(name, str) and name and "/" not in name for name in to):
        raise DefinitionError(f"delegate(to={to!r})", hint='names of colleagues, such as ["researcher", "writer"]')
    names = tuple(dict.fromkeys(to))
    listed = ", ".join(names)
    Colleague = Annotated[  # noqa: N806 - a type
        str, Meta(description=f"Who is to do it: one of {listed}.", pattern=f"^({'|'.join(map(_literal, names))})$")
    ]

    def ask(team: str, to: str, objective: str, needs: tuple[str, ...]) -> tuple[Address, Request[Any]]:  # noqa: ARG001 - an ``Ask``
        if to not in names:
            raise ValueError(f"{to!r} takes no tasks from here; one of {listed}")
        return address(to), Task(objective, needs=needs)

    def delegate(to: str, objective: Objective, needs: Needs = ()) -> Result:
        """Give a colleague a task and get what came of it. They know nothing of your conversation: say all they need."""
        only_there("delegate", to, objective, needs)

    delegate.__annotations__["to"] = Colleague
    made: InsideTool[..., Result] = InsideTool(delegate, "once", ask)
    made.declare(
        kind="write", sinks=(), payload=["objective"], trusted=False
    )  # it stays in the team, and its labels go with it
    return made


def _literal(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "_-" else f"\\{letter}" for letter in name)
