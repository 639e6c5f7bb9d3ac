"""A mailbox: two lanes, control before work, first come first served in each.

FIFO per (sender, lane) follows from FIFO per lane. Nothing is refused for fullness here: inside the node a tell is never
refused, and outside senders wait at the shell's door.
"""

from __future__ import annotations

from collections import deque

from ..protocols.envelope import Envelope


class Item:
    """One piece of mail in memory.

    Attributes:
        envelope: the mail.
        durable: whether it stands in an earlier row; it is then consumed by reference, otherwise whole.
        marks: how often the process died while it was pending.
        suspect: it was pending when the process died and its mark is not durable yet.
        inputs: ids of the shell's inputs that brought it; more than one where a caller brought it again before it was durable.
        settles: id of the effect that this outcome settles; empty for other mail.
        closes: id of mail to a memory-only actor that is open until this is durable.
    """

    __slots__ = ("closes", "durable", "envelope", "inputs", "marks", "settles", "suspect")

    def __init__(
        self,
        envelope: Envelope,
        *,
        durable: bool,
        marks: int = 0,
        suspect: bool = False,
        settles: str = "",
        input: str = "",
    ) -> None:
        self.envelope = envelope
        self.durable = durable
        self.marks = marks
        self.suspect = suspect
        self.settles = settles
        self.closes = ""
        self.inputs: tuple[str, ...] = (input,) if input else ()


class Mailbox:
    """Mail of one actor."""

    __slots__ = ("_control", "_work")

    def __init__(self) -> None:
        self._control: deque[Item] | None = None
        self._work: deque[Item] | None = None

    def put(self, item: Item) -> None:
        """Behind everything of its lane."""
        if item.envelope.lane == "control":
            if self._control is None:
                self._control = deque()
            self._control.append(item)
        else:
            if self._work is None:  # an empty deque is 760 bytes, and most actors are idle
                self._work = deque()
            self._work.append(item)

    def head(self, *, control_only: bool = False) -> Item | None:
        """The next item, left where it is."""
        if self._control:
            return self._control[0]
        if self._work and not control_only:
            return self._work[0]
        return None

    def pop(self) -> Item:
        """Take what ``head`` showed."""
        if self._control:
            return self._control.popleft()
        assert self._work
        return self._work.popleft()

    def __len__(self) -> int:
        return len(self._control or ()) + len(self._work or ())

    def items(self) -> tuple[Item, ...]:
        """All of it, in the order in which it would be taken."""
        return (*(self._control or ()), *(self._work or ()))

    def clear(self) -> tuple[Item, ...]:
        """Take all of it."""
        items = self.items()
        self._control = self._work = None
        return items
