"""What is said about mail itself: how much of it an actor takes, what becomes of mail that nobody takes, who watches whom."""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct

from .errors import DefinitionError
from .failures import Failure
from .ids import Address
from .messages import Message

Overflow = Literal["wait", "reject", "drop_oldest"]
"""What becomes of a message from outside for an actor whose mailbox is full: its sender waits until there is room; it is
refused at once (``overloaded``); or the oldest one from outside that waits gives way and becomes a dead letter."""


class MailboxPolicy(Struct, frozen=True):
    """How much mail an actor lets wait. Set as the class attribute ``mailbox``.

    Attributes:
        bound: messages that may wait before those from outside meet ``overflow``. Mail from inside is never refused; answers and
            the control lane are exempt.
        overflow: see there.
        max_backlog: messages waiting above which the supervisor of whoever sends still more is told (``Overloaded``), once until
            half of them are gone; None for never.

    Raises:
        DefinitionError: a bound or backlog below 1, an unknown overflow.
    """

    bound: int = 10_000
    overflow: Overflow = "wait"
    max_backlog: int | None = 100_000

    def __post_init__(self) -> None:
        if not _counts(self.bound):
            why = "a mailbox must have room for one message"
            raise DefinitionError(f"MailboxPolicy(bound={self.bound!r}): {why}", hint="a whole number, 1 or more")
        if self.overflow not in ("wait", "reject", "drop_oldest"):
            raise DefinitionError(
                f"MailboxPolicy(overflow={self.overflow!r})", hint="it is 'wait', 'reject' or 'drop_oldest'"
            )
        if self.max_backlog is not None and not _counts(self.max_backlog):
            why = "a whole number, 1 or more; None for no limit"
            raise DefinitionError(f"MailboxPolicy(max_backlog={self.max_backlog!r})", hint=why)


def _counts(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


class Undelivered(Message, wire="us.undelivered"):
    """Told to an actor that handles it: a message that it sent (told, not asked) was not taken and is a dead letter now.

    Attributes:
        to: the addressee.
        wire, message: what was sent: wire name and JSON.
        reason: code of the failure: ``no_such_actor``, ``stopped``, ``finished``, ``unreadable``, ``expired``, ``dropped`` …
        failure: the same in words.
    """

    to: Address
    wire: str
    reason: str
    message: Raw
    failure: Failure


class Terminated(Message, wire="us.terminated"):
    """Told to whoever watches: the other takes no more messages.

    Attributes:
        address: who.
        reason: ``finished`` (it stopped itself), ``stopped`` (somebody stopped it), ``parked`` (this code cannot read it, or its
            supervisor gave up on it and asked a person), ``no_such_actor`` (nothing is mounted there), ``memory_only`` (it cannot
            be watched).
        failure: what led to it, where something did.
    """

    address: Address
    reason: str
    failure: Failure | None = None


class Overloaded(Message, wire="us.overloaded"):
    """Told to the supervisor of an actor that goes on sending to one whose backlog is over its ``max_backlog``.

    Attributes:
        address: whose mailbox it is.
        sender: who sends.
        backlog: messages that wait there.
    """

    address: Address
    sender: Address
    backlog: int


class CancelAsk(Message, wire="us.cancel_ask"):
    """In the control lane, to whoever was asked: nobody waits for the answer any more.

    Attributes:
        of: id of the request's mail.
        failure: why.
        answer: whether the asker still wants to be told that it is over.
    """

    of: str
    failure: Failure
    answer: bool = True


class Watch(Message, wire="us.watch"):
    """In the control lane: tell the sender when you end."""


class Unwatch(Message, wire="us.unwatch"):
    """In the control lane: the sender need not be told."""


class Suspended(Message, wire="us.suspended"):
    """A supervisor's order in the control lane: it gave up on this actor and asked a person; who watches it is told.

    ``item``: what the person is asked by.
    """

    failure: Failure
    item: str = ""


class Halting(Struct, frozen=True, omit_defaults=True):
    """An actor on its way to its end: whom to tell when it is there, and which timer rings when its time is over. The other fields
    are those of ``lifecycle.Shutdown``."""

    by: Address
    attempt: int
    final: bool = False
    cause: Failure | None = None
    alarm: str = ""


class Resolution(Struct, frozen=True, omit_defaults=True):
    """What a person did about a message that was put aside.

    Attributes:
        row: gid of the row that put it aside.
        decision: sent again (in the row's ``sends``; edited or as it was), or dropped.
        by, reason: who, and why.
    """

    row: int
    decision: Literal["resend", "drop"]
    by: str
    reason: str = ""


class Post(Struct, frozen=True, omit_defaults=True):
    """What a row says about mail beyond taking and sending it. Absent from most rows.

    Attributes:
        heard: asks of this actor that are over: answered, timed out, or ended by a restart.
        late: answers that came too late, or to nobody, and were dropped.
        stashed: the message of this row was stashed: it stays open.
        kept: the message of this failed turn stays open, in front, for another try after the restart.
        unstashed: all that was stashed before is back in the mailbox, in front.
        watches, unwatches: whom this actor watches from now on, or no more.
        watched, unwatched: who watches this actor from now on, or no more.
        given_up: its supervisor gave up on it: what requests are answered until a person has decided.
        led: its supervisor started it, and is told when it ends itself.
        resumed: it goes on after a failed turn as if the message had not come.
        halting: it is to end in order, and calls are under way.
        down: it has ended in order, and waits for its supervisor to start it again.
    """

    heard: tuple[str, ...] = ()
    late: int = 0
    stashed: bool = False
    kept: bool = False
    unstashed: bool = False
    watches: tuple[Address, ...] = ()
    unwatches: tuple[Address, ...] = ()
    watched: tuple[Address, ...] = ()
    unwatched: tuple[Address, ...] = ()
    given_up: Failure | None = None
    led: bool = False
    resumed: bool = False
    halting: Halting | None = None
    down: bool = False
