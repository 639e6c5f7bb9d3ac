"""What the kernel and supervisors say to actors about their lives. Actors may handle ``Started`` and ``Restarted``."""

from __future__ import annotations

from typing import Literal

from .children import RestartPolicy
from .failures import Failure
from .ids import Address
from .messages import Message

Life = Literal["absent", "running", "restarting", "finished", "stopped"]
"""``restarting``: a turn failed and the supervisor has not decided yet; mail is held. ``finished``: it stopped itself,
its answers are kept. ``stopped``: somebody else stopped it; its mail is dead."""


class Started(Message, wire="us.started"):
    """The first turn of an actor, where it handles it; before any other message."""


class Restarted(Message, wire="us.restarted"):
    """The first turn of a new incarnation, where the actor handles it. What it began and nobody finished is its to take up again."""

    incarnation: int
    cause: Failure | None = None


class Restart(Message, wire="us.restart"):
    """A supervisor's order, in the control lane: begin a new incarnation."""

    state: RestartPolicy = "keep"
    cause: Failure | None = None


class Stop(Message, wire="us.stop"):
    """An order in the control lane: end. Open requests are answered with the failure, effects that have not begun are withdrawn."""

    failure: Failure


class ChildFailed(Message, wire="us.child_failed"):
    """Told to the supervisor in the same row in which a child's turn failed.

    Attributes:
        child: whose turn failed.
        item: id of the message that it failed on, now parked.
        run: the run that it belongs to.
    """

    child: Address
    incarnation: int
    failure: Failure
    item: str
    run: Address
