"""A mailbox: two lanes, control before work; in the work lane higher priorities first, first come first served in each.

FIFO per (sender, lane, priority) follows from FIFO in each queue. Nothing is refused for fullness here: inside the node a tell
is never refused, and senders outside meet the door (``door``). Most mailboxes hold one priority and pay for no other.
"""

from __future__ import annotations

from collections import deque

from msgspec import Struct

from ..protocols.envelope import Envelope


class Item(Struct, eq=False, gc=False):
    """One piece of mail in memory.

    Attributes:
        envelope: the mail.
        durable: whether it stands in an earlier row; it is then consumed by reference, otherwise whole.
        marks: how often the process died while it was pending.
        suspect: it was pending when the process died and its mark is not durable yet.
        settles: id of the effect that this outcome settles; empty for other mail.
        closes: id of mail to a memory-only actor that is open until this is durable.
        inputs: ids of the shell's inputs that brought it; more than one where a caller brought it again before it was durable.
    """

    envelope: Envelope
    durable: bool
    marks: int = 0
    suspect: bool = False
    settles: str = ""
    closes: str = ""
    inputs: tuple[str, ...] = ()


class Side(Struct):
    """What few mailboxes have.

    Attributes:
        ranked: work of any priority but 0, by priority; no empty ones.
        stash: what the actor has put by, in that order.
        over: the backlog was over its limit and is not half gone yet.
    """

    ranked: dict[int, deque[Item]] = {}
    stash: list[Item] = []
    over: bool = False


class Mailbox:
    """Mail of one actor."""

    __slots__ = ("control", "rare", "work")

    def __init__(self) -> None:
        self.control: deque[Item] | None = None
        """The control lane."""
        self.work: deque[Item] | None = None
        """Work of priority 0."""
        self.rare: Side | None = None
        """What few mailboxes have, where this one has it."""

    def put(self, item: Item) -> None:
        """Behind everything of its lane and priority."""
        envelope = item.envelope
        if envelope.lane == "control":
            if self.control is None:
                self.control = deque()
            self.control.append(item)
        elif envelope.priority:
            self.side.ranked.setdefault(envelope.priority, deque()).append(item)
        else:
            if self.work is None:  # an empty deque is 760 bytes, and most actors are idle
                self.work = deque()
            self.work.append(item)

    def put_back(self, item: Item) -> None:
        """Before everything of its lane and priority."""
        self.put(item)
        queue = self._queue(item)
        queue.rotate(1)  # it was put last

    def head(self, control_only: bool = False) -> Item | None:
        """The next item, left where it is."""
        if self.control:
            return self.control[0]
        if control_only:
            return None
        if self.rare is not None and self.rare.ranked:
            return self._first(self.rare.ranked)[0]
        return self.work[0] if self.work else None

    def pop(self) -> Item:
        """Take what ``head`` showed."""
        if self.control:
            return self.control.popleft()
        if self.rare is not None and self.rare.ranked:
            return self._taken(self._first(self.rare.ranked))
        assert self.work
        return self.work.popleft()

    def __len__(self) -> int:
        return len(self.control or ()) + self.waiting

    @property
    def waiting(self) -> int:
        """Messages in the work lane, without what is stashed."""
        work = len(self.work) if self.work is not None else 0
        return work if self.rare is None else work + sum(map(len, self.rare.ranked.values()))

    @property
    def side(self) -> Side:
        """What few mailboxes have; made when it is asked for."""
        if self.rare is None:
            self.rare = Side()
        return self.rare

    def items(self) -> tuple[Item, ...]:
        """All of it but what is stashed, in the order in which it would be taken."""
        work = tuple(self.work or ())
        if self.rare is not None and self.rare.ranked:
            ranked = self.rare.ranked
            above = tuple(item for rank in sorted(ranked, reverse=True) if rank > 0 for item in ranked[rank])
            below = tuple(item for rank in sorted(ranked, reverse=True) if rank < 0 for item in ranked[rank])
            work = (*above, *work, *below)
        return (*(self.control or ()), *work)

    def clear(self) -> tuple[Item, ...]:
        """Take all of it but what is stashed."""
        items = self.items()
        self.control = self.work = None
        if self.rare is not None:
            self.rare.ranked.clear()
        return items

    def remove(self, id: str) -> Item | None:
        """Take one message out of the work lane or the stash, wherever it waits; None where it does not."""
        for item in self.items():
            if item.envelope.id == id and item.envelope.lane == "work":
                self._queue(item).remove(item)
                self._forget_empty()
                return item
        if self.rare is not None:
            for item in self.rare.stash:
                if item.envelope.id == id:
                    self.rare.stash.remove(item)
                    return item
        return None

    def oldest_outside(self) -> Item | None:
        """The message of a caller outside that has waited longest."""
        ranked = self.rare.ranked.values() if self.rare is not None else ()
        firsts = [
            next((item for item in queue if item.envelope.id.startswith("outside:")), None)
            for queue in (self.work or (), *ranked)
        ]
        return min((item for item in firsts if item is not None), key=lambda item: item.envelope.at, default=None)

    def stash(self, item: Item) -> None:
        """Put a message by."""
        self.side.stash.append(item)

    def stashed(self) -> tuple[Item, ...]:
        """What was put by."""
        return tuple(self.rare.stash) if self.rare is not None else ()

    def unstash(self) -> tuple[Item, ...]:
        """Put all that was put by back in front, each before everything of its lane and priority, in order. Gives it."""
        items = self.stashed()
        for item in reversed(items):
            self.put_back(item)
        if items:
            self.side.stash.clear()
        return items

    def _queue(self, item: Item) -> deque[Item]:
        queue = self.control if item.envelope.lane == "control" else self.work
        if item.envelope.lane == "work" and item.envelope.priority:
            queue = self.side.ranked[item.envelope.priority]
        assert queue is not None
        return queue

    def _first(self, ranked: dict[int, deque[Item]]) -> deque[Item]:
        best = max(ranked)
        if best < 0 and self.work:
            return self.work
        return ranked[best]

    def _taken(self, queue: deque[Item]) -> Item:
        item = queue.popleft()
        if not queue:
            self._forget_empty()
        return item

    def _forget_empty(self) -> None:
        if self.rare is not None:
            for rank in [rank for rank, queue in self.rare.ranked.items() if not queue]:
                del self.rare.ranked[rank]
