"""Who is in memory. An actor comes in by a ``load`` and leaves when it has been idle for long, or when others need the room.

It leaves only at a committed row and only without mail. Mail that stays (its actor is suspended, or has put it by) can be there
for days, until a person decides; such actors do not count, and others come and go as if they were not there. What is open besides
(effects, timers, askers) is known to the working sets: a settlement, a ring or an answer brings it in again, its mail held
meanwhile. Nobody can tell from outside.

Least recently used goes by the gid of an actor's last row, which costs a turn nothing: a heap holds for each actor the gid
at which it was looked at last, and who has made rows since then is put back when its time comes.
"""

from __future__ import annotations

import heapq

import msgspec
from msgspec import Struct

from ..protocols.errors import UnderstudyError
from ..protocols.failures import Failure, of_exception
from ..protocols.ids import Address
from ..protocols.journal import Found
from ..protocols.watch import Blocked, Watch
from .cell import Cell
from .plain_rows import Unreadable, remember, remember_page

IDLE = 60.0
"""Seconds of journal time without a row after which an actor leaves memory, by default."""

IN_MEMORY = 10_000
"""Actors in memory above which idle ones leave at once, by default. Twice as many, and messages from outside wait."""

LOOKS = 2_048
"""Actors that are looked at in one go, a few milliseconds of work: the pump is shared."""

LOOK_EVERY = 1.0
"""Seconds between two looks for the idle, at least."""


class Counts(Struct, frozen=True):
    """How many actors are where.

    Attributes:
        in_memory: loaded.
        loading: asked for, their mail held.
        passivated: how often one has left memory since the start.
        bound: actors in memory above which idle ones leave at once.
    """

    in_memory: int
    loading: int
    passivated: int
    bound: int


class Residents:
    """All cells of one kernel.

    Attributes:
        cells: loaded, or about to be.
        loading: those about to be.
    """

    def __init__(self, idle: float, in_memory: int) -> None:
        self.cells: dict[Address, Cell] = {}
        self.loading: set[Address] = set()
        self._idle, self._most = idle, in_memory
        self._line: list[tuple[int, Address]] = []
        self._stay: set[Address] = set()
        """Those who had mail that nobody will take soon when they were looked at last."""
        self._again = 0.0
        self._left = 0

    def came(self, cell: Cell, now: float) -> None:
        """It is loaded, which is a use of it."""
        cell.at = max(cell.at, now)
        self.loading.discard(cell.address)
        if len(self._line) > 2 * len(self.cells) + LOOKS:  # those who ended left their places behind
            self._line = [(c.gid, c.address) for c in self.cells.values() if c.loaded and c is not cell]
            heapq.heapify(self._line)
        heapq.heappush(self._line, (cell.gid, cell.address))

    def gone(self, cell: Cell) -> None:
        """It has ended, or could not be loaded: no need to look at it again."""
        self.cells.pop(cell.address, None)
        self.loading.discard(cell.address)
        self._stay.discard(cell.address)

    @property
    def crowded(self) -> bool:
        """Whether somebody has to leave as soon as possible."""
        return len(self.cells) - len(self._stay) > self._most

    @property
    def full(self) -> bool:
        """Whether nobody else is brought in for a message from outside."""
        return len(self.cells) - len(self._stay) >= 2 * self._most

    def refuses(self, address: Address) -> bool:
        """Whether a message from outside to this actor has to wait at the door."""
        return self.full and address not in self.cells

    def due(self) -> float | None:
        """Journal time at which to look for the idle; None for never."""
        if not self._line:
            return None
        if self.crowded:
            return self._again
        cell = self.cells.get(self._line[0][1])
        return max(self._again, cell.at + self._idle if cell is not None else 0.0)

    def leave(self, now: float, durable: int) -> list[Cell]:
        """Those who leave memory now. ``durable``: gid of the last committed row."""
        self._again = now + LOOK_EVERY
        gone: list[Cell] = []
        held: list[Cell] = []
        line, stay, before = self._line, self._stay, len(self._stay)
        excess = len(self.cells) - before - self._most
        for _ in range(LOOKS):
            if not line:
                break
            looked, address = line[0]
            cell = self.cells.get(address)
            if cell is None or not cell.loaded:
                heapq.heappop(line)
            elif cell.gid > looked:
                stay.discard(address)
                heapq.heapreplace(line, (cell.gid, address))
            elif excess <= 0 and cell.at + self._idle > now:
                break
            else:
                heapq.heappop(line)
                if cell.queued or cell.gid > durable or cell.mailbox or cell.mailbox.stashed():
                    held.append(cell)
                    if cell.queued or cell.gid > durable:  # there will be a row of it soon
                        stay.discard(address)
                    elif address not in stay:
                        stay.add(address)
                        excess -= 1
                else:
                    stay.discard(address)
                    del self.cells[address]
                    gone.append(cell)
                    excess -= 1
        for cell in held:  # looked at again after everybody who is in line now
            heapq.heappush(line, (max(durable, cell.gid), cell.address))
        self._left += len(gone)
        if (
            gone or len(stay) > before
        ) and self.crowded:  # there may be more to leave at once, and somebody may wait for their room
            self._again = now
        return gone

    def counts(self) -> Counts:
        """How many there are."""
        return Counts(len(self.cells) - len(self.loading), len(self.loading), self._left, self._most)


def take_in(cell: Cell, found: Found, watch: Watch | None = None) -> None:
    """Fold what the journal holds of an actor. Where this code cannot read it, the cell is ``broken``: its mail is parked. ``watch``:
    where to note that its code runs."""
    where = cell.address
    try:
        (watch or Watch()).run(found, lambda: _remember_all(cell, found))
    except Blocked as blocked:
        hint = "mend the @applies method or the upcaster that blocks; the rows are untouched"
        why = msgspec.structs.replace(blocked.failure, hint=hint)
        cell.broken = Failure(
            "abandon", "unreadable", f"{where} cannot be read: {why.message}", hint, where=where, cause=why
        )
    except Unreadable as one:  # the actor's own code raised, or it is an event that this code cannot read
        raised = one.__cause__
        assert isinstance(raised, Exception)
        why = of_exception(raised, where=where, code="unreadable")
        said, hint = why.message, "mend the @applies method or the upcaster that raised"
        if isinstance(raised, UnderstudyError):
            said, hint = str(raised.args[0]), raised.hint
        message = f"row {one.gid} (number {one.seq} of {where}): {said}"
        hint += "; the rows are untouched, and what is parked meanwhile can be sent again"
        cell.broken = Failure("abandon", "unreadable", message, hint, where=where, cause=why.cause)
    if cell.broken is None and found.damaged:
        hint = "'understudy journal verify' names every row that is damaged"
        cell.broken = Failure("abandon", "unreadable", f"{where}: {found.damaged}", hint, where=where)
    elif cell.broken is None and found.erased:
        message = f"rows of {where} were erased by retention"
        hint = "the archive that retention wrote still holds them"
        cell.broken = Failure("abandon", "erased", message, hint, where=where)
    if cell.broken is not None:
        _stand(cell, found)


def _remember_all(cell: Cell, found: Found) -> None:
    if found.page is not None:
        remember_page(cell, found.page)
    for row in found.rows:
        try:
            remember(cell, row)
        except Exception as error:
            raise Unreadable(row.seq, row.gid) from error


def _stand(cell: Cell, found: Found) -> None:
    """Let an actor that cannot be read stand where its line says, so that rows about its mail can follow."""
    memory, line = cell.memory, found.line
    if line is not None:
        memory.seq, memory.incarnation, memory.turns = line.seq, line.incarnation, line.turns
        memory.context, cell.at, cell.gid = line.context, line.at, found.last
        memory.life = "running" if line.life == "restarting" else line.life
    elif found.rows:
        memory.seq, cell.gid, cell.at = found.rows[-1].seq, found.rows[-1].gid, found.rows[-1].at
