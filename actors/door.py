"""The door of full mailboxes: what becomes of messages from outside that find no room (``MailboxPolicy``).

Mail from inside, answers and the control lane pass. Whoever waits here is not acknowledged: nothing of it is durable.
"""

from __future__ import annotations

from collections import deque

from ..protocols.envelope import Envelope
from ..protocols.errors import AskFailed
from ..protocols.failures import Failure
from ..protocols.ids import Address
from ..protocols.mail import MailboxPolicy
from .cell import Cell

Visitor = tuple[Envelope, tuple[str, ...]]
"""A message, and the inputs that brought it."""


class Door:
    """Messages from outside that wait for room, first come first served at each mailbox.

    Attributes:
        waiting: who waits, by the address of the mailbox; no empty queues.
    """

    def __init__(self) -> None:
        self.waiting: dict[Address, deque[Visitor]] = {}

    def full(self, cell: Cell) -> bool:
        """Whether a message from outside finds no room, or others before it."""
        if cell.address in self.waiting:
            return True
        return cell.mount is not None and cell.mailbox.waiting >= cell.mount.actor.mailbox.bound

    def wait(self, envelope: Envelope, inputs: tuple[str, ...]) -> None:
        """Let it wait."""
        self.waiting.setdefault(envelope.to, deque()).append((envelope, inputs))

    def waits(self, envelope: Envelope) -> Visitor | None:
        """The message that waits here under the same id, if one does."""
        return next((visitor for visitor in self.waiting.get(envelope.to, ()) if visitor[0].id == envelope.id), None)

    def join(self, visitor: Visitor, inputs: tuple[str, ...]) -> None:
        """The same message was brought again."""
        queue = self.waiting[visitor[0].to]
        queue[queue.index(visitor)] = visitor[0], visitor[1] + inputs

    def next(self, cell: Cell) -> Visitor | None:
        """Who comes in now; None where there is no room, or nobody waits."""
        queue = self.waiting.get(cell.address)
        if queue is None or cell.mailbox.waiting >= policy(cell).bound:
            return None
        visitor = queue.popleft()
        if not queue:
            del self.waiting[cell.address]
        return visitor

    def turn_away(self, address: Address, id: str) -> Visitor | None:
        """Take one message out, by its id."""
        queue = self.waiting.get(address, deque())
        for visitor in queue:
            if visitor[0].id == id:
                queue.remove(visitor)
                if not queue:
                    del self.waiting[address]
                return visitor
        return None

    def clear(self, address: Address) -> tuple[Visitor, ...]:
        """Take out all who wait at one mailbox."""
        return tuple(self.waiting.pop(address, ()))


def policy(cell: Cell) -> MailboxPolicy:
    """An actor's; nobody's mailbox takes what it is given."""
    return cell.mount.actor.mailbox if cell.mount is not None else MailboxPolicy()


def overloaded(cell: Cell) -> AskFailed:
    """Refused at the door."""
    what = f"{cell.address} has {cell.mailbox.waiting:,} messages waiting, and takes {policy(cell).bound:,}"
    return AskFailed(
        Failure("retry_later", "overloaded", what, hint="nothing was taken: send it again later", where=cell.address)
    )


def gave_way(cell: Cell, envelope: Envelope) -> Failure:
    """Why the oldest message is a dead letter."""
    what = f"{envelope.wire} gave way to a newer message: {cell.address} takes {policy(cell).bound:,}"
    return Failure("retry_later", "dropped", what, where=cell.address)
