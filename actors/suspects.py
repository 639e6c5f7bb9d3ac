"""Mail that was pending when the process died. It may be what killed it, so each delivery is marked in the journal first.

What has a mark already is delivered alone, and its row is committed before the next: so what kills the process kills it
alone, and what was only pending beside it gets through. A reminder that had rung is mail from its first mark on.

What stood in no row when the process died cannot be marked: a message whose sender now brings it again, the outcome of a call
that was under way, a person's answer. After an unclean stop these get a row of their own and are delivered when that is durable
(``enter``), so that they are known if they kill the process once more.
"""

from __future__ import annotations

from .cell import Cell
from .mailbox import Item

WARY = 60.0
"""Seconds of journal time after an unclean stop in which mail from outside is durable before it is delivered."""


class Suspects:
    """Suspect mail at the head of its mailbox, held until its mark is durable."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[Cell, Item]] = {}
        """Mail that waits for its mark, by id; the kernel looks here before each turn."""
        self.alone: tuple[Cell, Item] | None = None
        """What is delivered alone, until its turn is over."""
        self.early: set[str] = set()
        """Ids of mail that was marked in this life, and then something came back before it, and of what was brought in this life: it
        needs no mark when its turn comes."""

    def __bool__(self) -> bool:
        return bool(self.held)

    def __contains__(self, id: str) -> bool:
        return id in self.held

    def hold(self, cell: Cell, item: Item) -> None:
        """Keep it back until it is marked."""
        self.held[item.envelope.id] = (cell, item)

    def enter(self, cell: Cell, item: Item) -> None:
        """What was brought in this life has its own row now: keep it back until that is durable."""
        item.suspect = False
        self.held[item.envelope.id] = (cell, item)
        self.early.add(item.envelope.id)

    def taken(self, item: Item) -> None:
        """It had its turn."""
        if self.alone is not None and self.alone[1] is item:
            self.alone = None

    def forget(self, item: Item) -> None:
        """It will have no turn."""
        self.held.pop(item.envelope.id, None)
        self.early.discard(item.envelope.id)
        self.taken(item)

    def choose(self) -> tuple[str, ...]:
        """Ids to be marked now and delivered when that is durable: all that have no mark yet, else the next one alone."""
        if self.alone is not None and self.alone[0].memory.life != "restarting":
            chosen = self._before(*self.alone)
            if not chosen:
                return ()
        else:
            fresh = [item for _, item in self.held.values() if item.suspect]
            chosen = [item for item in fresh if not item.marks] or fresh[:1]
        for item in chosen:
            item.suspect = False
        ids = tuple(item.envelope.id for item in chosen)
        if chosen:
            self.alone = self.held[ids[0]] if chosen[0].marks else None
        return ids

    def _before(self, cell: Cell, alone: Item) -> list[Item]:
        """Suspect mail that was stashed and has come back before the one that is delivered alone: it goes first, alone too."""
        head = cell.mailbox.head()
        if head is None or head is alone or not head.suspect or head.envelope.id not in self.held:
            return []
        alone.suspect = True
        self.early.add(alone.envelope.id)
        self.held[alone.envelope.id] = cell, alone
        return [head]

    def marked(self, ids: tuple[str, ...]) -> list[Cell]:
        """Their marks are durable: the cells that may go on."""
        cells: list[Cell] = []
        for id in ids:
            cell, item = self.held.get(id, (None, None))
            if cell is None or item is None:
                continue  # it will have no turn
            if item.suspect or id not in self.early:
                item.marks += 1
            if not item.suspect:  # or something came back before it
                del self.held[id]
                self.early.discard(id)
                cells.append(cell)
        return cells
