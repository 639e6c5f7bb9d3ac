"""All that a person needs to answer one question: the question, and what the rows of its run say. A fold; nothing of it is stored.

What only the one who asked knew at that moment stands in the question itself (``Question.unsure``, ``failure``, ``options``).
"""

from __future__ import annotations

from msgspec import Struct

from ..protocols.failures import Failure
from ..protocols.model import Usage
from ..protocols.tasks import Task
from .inbox import InboxItem
from .story import Line, Story

LATEST = 8
"""Lines of what happened last."""

EARLIER = 50
"""Lines of each kind of what happened before, the newest."""


class Cost(Struct, frozen=True, omit_defaults=True):
    """What the run has cost so far: model calls, tool calls, tokens, US dollars where known, attempts made again, seconds."""

    thinks: int = 0
    calls: int = 0
    usage: Usage = Usage()
    cost: float = 0.0
    retries: int = 0
    seconds: float = 0.0


class Dossier(Struct, frozen=True, omit_defaults=True):
    """One question, with what led to it.

    Attributes:
        item: the question: who asks, what, whom, until when, which answers it takes.
        task: what the run was asked for; None where it is no run of a team or an agent.
        status: where the run stands.
        cost: what it has cost so far.
        state: what happened in it last, the question included.
        chain: the failures that led here, the first one first, with what was decided at each level.
        decided: what its supervisors decided about it, oldest first.
        before: what people were asked and answered before, oldest first; and reminders of this question.
        restarts, lives: how often its actors began again, and how many processes worked on it.
    """

    item: InboxItem
    task: Task | None = None
    status: str = ""
    cost: Cost = Cost()
    state: tuple[Line, ...] = ()
    chain: tuple[Failure, ...] = ()
    decided: tuple[Line, ...] = ()
    before: tuple[Line, ...] = ()
    restarts: int = 0
    lives: int = 1


def dossier(item: InboxItem, told: Story | None) -> Dossier:
    """Put together what is known. ``told``: the run; None where nothing of it is left."""
    chain = _chain(item.failure)
    if told is None:
        return Dossier(item, chain=chain)
    return Dossier(
        item,
        told.task,
        told.status,
        Cost(told.thinks, told.calls, told.usage, told.cost, told.retries, told.seconds),
        told.lines[-LATEST:],
        chain,
        tuple(line for line in told.lines if line.about == "supervision")[-EARLIER:],
        tuple(line for line in told.lines if line.about == "people")[-EARLIER:],
        told.restarts,
        told.lives,
    )


def _chain(failure: Failure | None) -> tuple[Failure, ...]:
    """The first failure first, each without what it holds below it."""
    if failure is None:
        return ()
    return tuple(
        Failure(link.kind, link.code, link.message, link.hint, link.after, link.where)
        for link in reversed(failure.chain())
    )
