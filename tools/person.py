"""A tool whose calls are questions to people. Nothing is performed: the intent asks, and the answer settles it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..protocols.approvals import Question
from ..protocols.effects import Retry
from ..protocols.errors import DefinitionError
from ..protocols.ids import Address
from ..protocols.people import People
from ..protocols.tool import P
from .declaring import SyncTool
from .tool import R


class PersonTool(SyncTool[P, R]):
    """A tool that is answered by a person."""

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        options: tuple[str, ...],
        deadline: float | None,
        people: People | None,
    ) -> None:
        super().__init__(
            function, name=name, effect="read", timeout=30.0, retry=Retry(), key_ttl=86_400.0, depth=2
        )  # fmt: skip
        self.said = frozenset(("effect", "timeout"))
        # It goes to people of ours and nowhere else, and what they say is their own word.
        self.declare(kind="read", trusted=True, private=False)
        self._options, self._deadline, self._people = options, deadline, people

    def question(self, run: Address, now: float, arguments: dict[str, Any]) -> Question:
        """What a call asks."""
        text = f"{run} asks: {arguments['question']}"
        deadline = None if self._deadline is None else now + self._deadline
        return Question(
            "escalation",
            text,
            deadline=deadline,
            options=self._options,
            takes=("result", "stop"),
            people=self._people,
        )

    def approve_if(self, rule: Callable[P, bool]) -> Callable[P, bool]:
        raise DefinitionError(f"tool {self.spec.name!r} asks a person as it is, and takes no approval rule")
