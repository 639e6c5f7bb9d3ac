"""What a team is asked to do and what came of it."""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct, field

from .failures import Failure
from .messages import Message, Request
from .model import Usage

RunStatus = Literal["done", "cannot", "failed"]
"""Done: the output is there. Cannot: the agent says that it can't complete this. Failed: something else ended it."""


class Result(Struct, frozen=True, omit_defaults=True):
    """How a run ended.

    Attributes:
        status: done, cannot or failed.
        output: the output as JSON; with ``cannot`` the partial results.
        reason: why there is no output; one line.
        by: address of the worker that made it, or who answered in its place.
        steps: model calls it took.
        usage: tokens they took.
        cost: US dollars they cost, where known.
        failure: what ended it, with its causes.
    """

    status: RunStatus
    output: Raw = Raw(b"null")
    reason: str = ""
    by: str = ""
    steps: int = 0
    usage: Usage = Usage()
    cost: float = 0.0
    failure: Failure | None = None


class Task(Request[Result], wire="us.task"):
    """A piece of work.

    Attributes:
        objective: what is wanted, in words.
        inputs: data that belongs to it; any JSON.
        user, tenant, session, tags: on whose behalf; inherited by everything that it causes.
    """

    objective: str
    inputs: dict[str, Raw] = field(default_factory=dict[str, Raw])
    user: str = ""
    tenant: str = ""
    session: str = ""
    tags: tuple[str, ...] = ()


class Cancel(Message, wire="us.cancel"):
    """Ends a run: open asks fail, effects that have not begun are withdrawn.

    An actor that handles it is also told, in its place, when nobody waits any more for a request that it left open.

    Attributes:
        reason: why, one line.
        request: id of that request, as in its ``Later``; empty for all that the actor does.
    """

    reason: str = ""
    request: str = ""


class Route(Struct, frozen=True, omit_defaults=True):
    """What a front door says: who should take a task.

    Attributes:
        to: name of the worker, or ``person``.
        confidence: from 0 to 1; below the router's ``at_least`` a person decides.
        why: one line.
    """

    to: str
    confidence: float = 1.0
    why: str = ""


class Routes(Struct, frozen=True, omit_defaults=True):
    """What a front door says that may name several (``us.Router(consult=…)``): they do the task side by side.

    Attributes:
        to: names of workers, or ``person`` alone.
        confidence, why: as in ``Route``.
    """

    to: tuple[str, ...]
    confidence: float = 1.0
    why: str = ""
