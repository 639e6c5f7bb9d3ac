"""``us.Planner``: an agent whose only answer is a plan: which workers do what, in which order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..protocols.errors import DefinitionError
from ..protocols.limits import Limits
from ..protocols.model import Model
from ..protocols.plans import Plan
from .agent import Agent
from .router import first_sentence


class Plannable(Protocol):
    """Who may take a step: a ``us.Agent`` or ``us.Worker``."""

    name: str
    instructions: str
    can: tuple[str, ...]


class Planner(Agent[Plan]):
    """Makes a plan of each task of a team (``us.Supervisor(route=planner)``), which the team checks and takes.

    Args:
        name: its address, one segment.
        instructions: how to cut tasks into steps.
        model: as for an agent.
        to: the workers it plans with.
        retries: how often a plan that was refused goes back to it, with the reason; then a person is asked.

    Raises:
        DefinitionError: no workers, or a negative number of ``retries``.
    """

    def __init__(
        self, name: str, instructions: str, *, model: str | Model | Sequence[str | Model], to: Sequence[Plannable], retries: int = 1
    ) -> None:  # fmt: skip
        if not to:
            raise DefinitionError(f"planner {name!r} has nobody to plan with")
        if not isinstance(retries, int) or isinstance(retries, bool) or retries < 0:
            raise DefinitionError(f"planner {name!r}: retries={retries!r}", hint="a whole number, 0 or more")
        choices = "\n".join(
            f"- {worker.name}: {first_sentence(worker.instructions)}"
            + (f" (can: {', '.join(worker.can)})" if worker.can else "")
            for worker in to
        )
        asked = (
            f"{instructions.strip()}\n\nMake a plan of steps for the task; each is done by one of these workers:\n{choices}\n"
            'Answer with JSON: {"goal": one line, "steps": [{"name": short, letters and digits, "worker": one of the above, '
            '"objective": what it should do, "after": names of steps whose results it needs, "optional": true where the rest can go on '
            'without it}]}. A step gets the results of the steps it comes after; "{name}" in its objective stands for one of them. No step '
            "may come after itself, not by way of others either."
        )
        super().__init__(name, asked, model=model, output=Plan, limits=Limits(steps=4, calls=0))
        self.to = tuple(worker.name for worker in to)
        self.retries = retries
