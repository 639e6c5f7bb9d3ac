"""``us.builtin.ask_person``: a model asks a person, and the answer is the result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from ...protocols.errors import DefinitionError
from ...protocols.people import People
from ..person import PersonTool

LONGEST = 4_000
"""Characters of a question."""

MOST = 50
"""Answers to choose from."""

Words = Annotated[
    str,
    Meta(
        description="The question, for somebody who knows nothing of your conversation: say all they need.",
        min_length=1,
        max_length=LONGEST,
    ),
]


def ask_person(
    *,
    options: Sequence[str] = (),
    deadline: float | None = 86_400.0,
    people: People | None = None,
    name: str = "ask_person",
) -> PersonTool[..., str]:
    """A tool ``ask_person`` by which an agent asks a person a question; what the person says is the result, and trusted.

    The question stands in the inbox like every other, waits through any number of crashes, and holds nobody's process. It is answered
    by ``understudy answer ID "…"`` (or ``--stop --reason …``), or ``system.answer(id, "result", value="…")``. Nobody's answer in time,
    or a ``stop``, is a failure that the agent is told.

    Args:
        options: the answers there are; any other is refused and the question stays open. Without them any words are an answer.
        deadline: seconds until it is known that nobody answers; None waits for ever.
        people: whom it goes to; by default those whom the agent's questions go to.
        name: the tool's name.

    Raises:
        DefinitionError: the options are no list of different texts, or the deadline is no time.
    """
    if isinstance(options, str) or not all(isinstance(one, str) and 0 < len(one) <= 1_000 for one in options):
        raise DefinitionError(f"ask_person(options={options!r})", hint='a list of texts, such as ["yes", "no"]')
    if len({one.strip().casefold() for one in options}) < len(options) or len(options) > MOST or len(options) == 1:
        raise DefinitionError(f"ask_person(options={options!r})", hint=f"2 to {MOST} texts, each once")
    if deadline is not None and (
        isinstance(deadline, bool) or not isinstance(deadline, (int, float)) or not 0 < deadline < math.inf
    ):
        raise DefinitionError(f"ask_person(deadline={deadline!r})", hint="seconds, above 0; None waits for ever")

    def ask(question: Words) -> str:
        """Ask a person a question and wait for the answer. Only for what no tool can tell you: people's time is dear."""
        raise DefinitionError(f"{name}({question!r}) is answered inside a running system", hint="give it to an agent")

    if options:
        ask.__doc__ = f"{ask.__doc__}\n\nThe answer is one of: {', '.join(options)}."
    return PersonTool(ask, name, tuple(options), deadline, people)
