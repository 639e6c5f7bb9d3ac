"""What is remembered of one task of a team: its events, and the state that they make."""

from __future__ import annotations

import msgspec

from ...protocols.messages import Event, State
from ...protocols.tasks import Result, Route, Task


class Received(Event, wire="team.received"):
    """A task came in."""

    task: Task
    later: str


class Routed(Event, wire="team.routed"):
    """It was decided who takes the task, by whom and why. ``to`` is ``person`` where nobody could tell."""

    route: Route
    by: str


class Asked(Event, wire="team.asked"):
    """A worker or the front door was asked, for the ``tries``-th time."""

    name: str
    tries: int


class Returned(Event, wire="team.returned"):
    """A worker or the front door came back."""

    by: str
    result: Result


class Closed(Event, wire="team.closed"):
    """The task is answered."""

    result: Result


class TeamState(State):
    """Where one task is.

    Attributes:
        tries: how often each worker was asked; the first one of a worker is its plain address.
        spent: results of everybody asked, for steps, tokens and money.
    """

    task: Task = Task("")
    later: str = ""
    to: str = ""
    tries: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    spent: tuple[Result, ...] = ()
