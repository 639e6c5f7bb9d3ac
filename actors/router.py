"""``us.Router``: the front door. An agent whose only answer is who should take the task, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..protocols.effects import Limits
from ..protocols.errors import DefinitionError
from ..protocols.model import Model
from ..protocols.tasks import Route
from .agent import Agent


class Router(Agent[Route]):
    """A front-door classifier.

    Args:
        name: its address, one segment.
        instructions: how to tell the workers' cases apart.
        model: as for an agent; a small one will often do.
        to: the workers it chooses from.
        at_least: confidence below which a person decides, from 0 to 1.

    Raises:
        DefinitionError: no workers, a worker called ``person``, or ``at_least`` out of range.
    """

    def __init__(
        self, name: str, instructions: str, *, model: str | Model | Sequence[str | Model],
        to: Sequence[Agent[Any]], at_least: float = 0.6,
    ) -> None:  # fmt: skip
        if not to:
            raise DefinitionError(f"router {name!r} has nobody to route to")
        if any(worker.name == "person" for worker in to):
            raise DefinitionError(
                f"router {name!r}: a worker may not be called 'person', which is how it says that a person should decide"
            )
        if not 0.0 <= at_least <= 1.0:
            raise DefinitionError(f"router {name!r}: at_least={at_least} is not between 0 and 1")
        choices = "\n".join(f"- {worker.name}: {_first_sentence(worker.instructions)}" for worker in to)
        asked = (
            f"{instructions.strip()}\n\nChoose who takes the task:\n{choices}\n- person: when none of them fits or you are not sure\n"
            'Answer with JSON: {"to": name, "confidence": 0 to 1, "why": one line}.'
        )
        super().__init__(name, asked, model=model, output=Route, limits=Limits(steps=4, calls=0))
        self.at_least = at_least
        self.to = tuple(worker.name for worker in to)


def _first_sentence(text: str) -> str:
    head = text.strip().split("\n")[0]
    return head.split(". ")[0].rstrip(".") + "."
