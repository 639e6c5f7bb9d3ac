"""What is said about the lives of actors: orders of supervisors (in the control lane), and what their children say of it.

    Start    -> ChildStarted | ChildFailed       begin, or begin again after an end
    Restart  -> ChildStarted | ChildFailed       a new incarnation
    Resume                                       go on as if the failed message had not come
    Shutdown -> ChildStopped                     end in order; the mail stays for the next incarnation (``final``: it does not)
    Stop                                         end, now
    Cease                                        end, if it waits for a restart
    a turn failed -> ChildFailed;  it ended itself -> ChildExited

Actors may handle ``Started``, ``Restarted`` and ``Stopping``. ``attempt`` in an order comes back in its answer: an answer to an order that
is of no account any more is known by it. 0 asks for no answer.
"""

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
    """The first turn of a new incarnation, where the actor handles it. What it began and nobody finished is its to take up again.

    ``attempt`` is the order's; only supervisors answer it themselves.
    """

    incarnation: int
    cause: Failure | None = None
    attempt: int = 0


class Stopping(Message, wire="us.stopping"):
    """The last turn of an incarnation that ends in order, where the actor handles it. ``final``: no other one follows."""

    final: bool
    cause: Failure | None = None


class Start(Message, wire="us.start"):
    """A supervisor's order: begin. To one that has ended, or waits for its supervisor, it is a ``Restart``."""

    attempt: int
    state: RestartPolicy = "keep"
    cause: Failure | None = None


class Restart(Message, wire="us.restart"):
    """A supervisor's order, in the control lane: begin a new incarnation."""

    state: RestartPolicy = "keep"
    cause: Failure | None = None
    attempt: int = 0


class Resume(Message, wire="us.resume"):
    """A supervisor's order: the failed message is left aside, nothing else changes."""


class Shutdown(Message, wire="us.shutdown"):
    """A supervisor's order: end in order.

    Attributes:
        within: seconds that calls under way have before they are cancelled; 0 for none, None for as long as they take.
        final: nobody starts it again: what it has not taken is dead, whoever waits is told.
        cause: why.
    """

    attempt: int
    within: float | None
    final: bool = False
    cause: Failure | None = None


class Stop(Message, wire="us.stop"):
    """An order in the control lane: end. Open requests are answered with the failure, effects that have not begun are withdrawn."""

    failure: Failure


class Cease(Message, wire="us.cease"):
    """An order in the control lane: end, if you wait for a restart; nobody will give it. One that runs goes on."""

    failure: Failure


class ChildFailed(Message, wire="us.child_failed", omit_defaults=True):
    """Told to the supervisor in the same row in which a child's turn failed.

    Attributes:
        child: whose turn failed.
        item: id of the message that it failed on, now parked.
        run: the run that it belongs to.
        cost: US dollars that the child has spent so far, as it says (``Actor.spent``).
        attempt: the order that it failed on; 0 for none.
    """

    child: Address
    incarnation: int
    failure: Failure
    item: str
    run: Address
    cost: float = 0.0
    attempt: int = 0


class ChildStarted(Message, wire="us.child_started"):
    """The answer to ``Start`` and ``Restart``. ``ignored``: it said that there is nothing to do (``us.Ignore``), and nothing runs."""

    child: Address
    incarnation: int
    attempt: int
    ignored: bool = False


class ChildStopped(Message, wire="us.child_stopped"):
    """The answer to ``Shutdown``, in the control lane: a supervisor that failed has to hear it, too, when it is ended.

    Attributes:
        how: nothing was under way any more (``shutdown``), or calls that were had to be cancelled (``killed``).
        left: the calls that were cancelled, by name.
    """

    child: Address
    attempt: int
    how: Literal["shutdown", "killed"]
    left: tuple[str, ...] = ()


class ChildExited(Message, wire="us.child_exited"):
    """A child that is started and stopped by its supervisor has ended itself, in order."""

    child: Address
    incarnation: int


class Attend(Message, wire="us.attend"):
    """To a supervisor, at the start of each life of the process: see that everything runs that should."""
