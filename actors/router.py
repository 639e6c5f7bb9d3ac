"""``us.Router``: the front door. An agent whose only answer is who should take the task, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Raw

from ..protocols.codec import decode
from ..protocols.errors import DefinitionError
from ..protocols.limits import Limits
from ..protocols.model import Model
from ..protocols.tasks import Route, Routes
from .agent import Agent


class Router(Agent[Any]):
    """A front-door classifier.

    Args:
        name: its address, one segment.
        instructions: how to tell the workers' cases apart.
        model: as for an agent; a small one will often do.
        to: the workers it chooses from.
        at_least: confidence below which a person decides, from 0 to 1.
        consult: how many workers it may name for one task; several do it side by side, and where they contradict each other the
            team's ``us.Conflicts`` decide.

    Raises:
        DefinitionError: no workers, a worker called ``person``, ``at_least`` out of range, or more to consult than there are.
    """

    def __init__(
        self, name: str, instructions: str, *, model: str | Model | Sequence[str | Model],
        to: Sequence[Agent[Any]], at_least: float = 0.6, consult: int = 1,
    ) -> None:  # fmt: skip
        if not to:
            raise DefinitionError(f"router {name!r} has nobody to route to")
        if any(worker.name == "person" for worker in to):
            raise DefinitionError(
                f"router {name!r}: a worker may not be called 'person', which is how it says that a person should decide"
            )
        if not 0.0 <= at_least <= 1.0:
            raise DefinitionError(f"router {name!r}: at_least={at_least} is not between 0 and 1")
        choices = "\n".join(f"- {worker.name}: {first_sentence(worker.instructions)}" for worker in to)
        if isinstance(consult, bool) or not isinstance(consult, int) or not 1 <= consult <= len(to):
            raise DefinitionError(
                f"router {name!r}: consult={consult!r} is not between 1 and {len(to)}, the number of its workers"
            )
        form = '{"to": name, "confidence": 0 to 1, "why": one line}'
        if consult > 1:
            form = (
                '{"to": [names], "confidence": 0 to 1, "why": one line}. '
                f"Name several, {consult} at most, where one alone could be wrong"
            )
        asked = (
            f"{instructions.strip()}\n\nChoose who takes the task:\n{choices}\n- person: when none of them fits or you are not sure\n"
            f"Answer with JSON: {form}."
        )
        output: Any = Route if consult == 1 else Routes  # a type form
        super().__init__(name, asked, model=model, output=output, limits=Limits(steps=4, calls=0))
        self.at_least = at_least
        self.consult = consult
        self.to = tuple(worker.name for worker in to)

    def read(self, output: Raw) -> tuple[Route, tuple[str, ...]]:
        """What it answered: a route, and, where it names several workers, who they are. Raises msgspec.ValidationError as ``decode``."""
        if self.consult == 1:
            return decode(output, Route), ()
        several: Routes = decode(output, Routes)
        alone = several.to[0] if len(several.to) == 1 else "person"
        return Route(alone, several.confidence, several.why), several.to if len(several.to) > 1 else ()


def first_sentence(text: str) -> str:
    """What a worker is for, in a line."""
    head = text.strip().split("\n")[0]
    return head.split(". ")[0].rstrip(".") + "."
