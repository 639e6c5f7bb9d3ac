"""The kernel: mail in, rows and releases out. Synchronous and pure: no await, clock, randomness, thread or I/O.

Who calls whom. The shell calls, in any order:

* inputs: ``deliver`` (a message from outside), ``settle`` (the outcome of an attempt), ``answer`` (a person's), ``tick``
  (time has passed), ``loaded`` or ``unloaded`` (what became of a load that was asked for in ``loads``);
* ``step(now)``: run turns; true while there is more to do;
* ``cut()``: the rows made since the last cut and the change of the working sets, for one append to the journal;
* ``committed(gid)``: everything up to this row is durable; gives what may be done in the world because of it;
* ``rest(now)``: let who is idle leave memory, at ``residents.due()`` at the latest.

Turns run ahead of commits inside the node (the journal's order is the order in which they ran, so every committed prefix
is a consistent world). What leaves the node is held back until its row is durable. When a commit fails the kernel is thrown
away and a new one is built from the journal; the inputs that the old one had not made durable come first, in their order.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable

from ..protocols.approvals import Answer
from ..protocols.books import Entry
from ..protocols.effects import Effect
from ..protocols.hooks import NO_CALENDAR, Calendar, Gate, Rng
from ..protocols.ids import Address
from ..protocols.journal import Batch, Opened, Record, RowKind, Timer, Want
from ..protocols.mail import CancelAsk
from ..protocols.watch import Blocked, Watch
from .alarms import Alarms
from .arrivals import Arrivals
from .aside import left_out, put_aside, sure_of_a_turn
from .cell import Cell
from .door import Door, policy
from .draft import Draft
from .ephemeral import Ephemeral
from .ephemerals import Ephemerals
from .execute import broken_off, execute
from .flights import Flights
from .given_up import called_off, turned_away
from .intake import Intake
from .mailbox import Item
from .mailroom import Mailroom
from .orders import begins_in_order
from .outlook import Outlook
from .registry import Directory
from .releases import (
    Answered,
    Keep,
    Release,
    Resolve,
    Settlement,
    Start,
)
from .reminders import missed_since
from .residents import IDLE, IN_MEMORY, Residents
from .rows import Rows
from .sizes import batched
from .snapshots import EVERY, Aging
from .suspects import WARY, Suspects
from .taken import Taken
from .undelivered import word_for
from .working_sets import WorkingSets

TURNS_IN_A_ROW = 16
"""Turns one actor may take before the next has its turn."""

MEMORY_TURNS = 32
"""Turns of memory-only actors that take about as long as a durable one."""


class Kernel(Rows, Intake, Arrivals, Alarms, Mailroom, Outlook):
    """One life of one node's actors.

    Args:
        directory: which definition owns which address.
        gate: the deciding half of the gate.
        opened: what the journal holds open.
        rng: randomness for backoff; turns never see it.
        now: journal time at the start.
        note: facts for the row that says the journal was taken over.
        flying: attempts that the shell is still performing for a kernel before this one, by effect.
        idle: seconds without a row after which an actor leaves memory.
        in_memory: actors in memory above which idle ones leave at once.
        calendar: when reminders with ``cron`` come due.
        snapshot_every: rows of an actor after which a snapshot is due.
        watch: where it notes what runs.
    """

    def __init__(
        self,
        directory: Directory,
        gate: Gate,
        opened: Opened,
        *,
        rng: Rng,
        now: float,
        note: dict[str, str] | None = None,
        flying: dict[str, int] | None = None,
        idle: float = IDLE,
        in_memory: int = IN_MEMORY,
        calendar: Calendar = NO_CALENDAR,
        snapshot_every: int = EVERY,
        watch: Watch | None = None,
    ) -> None:
        self.watch = watch or Watch()
        self.now = max(now, opened.at)
        self.gid = opened.last
        self.sets = WorkingSets(opened)
        self.loads: list[Want] = []
        self.residents = Residents(idle, in_memory)
        self._directory, self._gate, self._seed = directory, gate, opened.seed
        self._cells = self.residents.cells
        self._ready: deque[Cell | Ephemeral] = deque()
        self.acked = opened.last
        self.memory = Ephemerals(self, directory, self._ready, opened.seed, opened.epoch + 1)
        self._aging = Aging(snapshot_every)
        self._suspects = Suspects()
        self._unsaved: dict[str, tuple[Cell, Item, RowKind]] = {}
        self._held: dict[Address, list[Settlement | tuple[Answer, str, Resolve | None] | Effect]] = {}
        self._outbox: deque[tuple[int, Release | tuple[str, ...]]] = deque()
        self._alarms: list[tuple[float, str]] = []
        self._mail_of: dict[Address, int] = {}
        self._suspended: dict[Address, Cell] = {}
        self._unheard: list[tuple[Cell, str]] = []
        self._retiring: deque[tuple[int, Cell]] = deque()
        self._system_seq = opened.system_seq
        self.died = not opened.clean
        self._wary = self.now + WARY if self.died else 0.0
        self.late = Counter[Address]()
        self._word = word_for(self._handles)
        self._door = Door()
        self._taken = Taken()
        self._calendar = calendar
        self._missed: set[str] = set()
        self._rung: set[str] = set()
        self._resolved: set[int] = set()
        self.flights = Flights(self, gate, rng, dict(flying or {}))
        self.note({"epoch": str(opened.epoch + 1), **(note or {})})
        self._recover(clean=opened.clean)
        self._attend(opened.epoch + 1)

    def step(self, now: float, turns: int = 32, enough: Callable[[], bool] | None = None) -> bool:
        """Run up to so many turns (32 take a few milliseconds: the loop is shared). True while there is more to do.

        ``enough`` is asked after each durable turn, and now and then between memory-only ones, whether the loop has waited long enough:
        turns may be slow, and the kernel has no clock.
        """
        self.tick(now)
        if self._unheard:
            self._turn_away()
        while self._ready and turns > 0:
            cell = self._ready[0]
            if isinstance(cell, Ephemeral):
                turns -= 1 + self.memory.run(turns * MEMORY_TURNS, enough) // MEMORY_TURNS
                if enough is not None and enough():
                    break
                continue
            self._ready.popleft()
            cell.queued = False
            for _ in range(min(TURNS_IN_A_ROW, turns)):
                item = self._head(cell)
                if item is None:
                    break
                if item.suspect:
                    if item.durable:
                        self._suspects.hold(cell, item)
                        break
                    if cell.mount is not None and cell.broken is None:  # somebody's code takes it
                        self._take_in(item.envelope.id)
                        break
                self._turn(cell, item)
                turns -= 1
                if enough is not None and enough():
                    turns = 0
                    self._wake(cell)
                    break
            else:
                self._wake(cell)
        if self._unheard:
            self._turn_away()
        for ids in batched(self._suspects.choose()):
            if marked := tuple(id for id in ids if id not in self._suspects.early):
                self._write_system("attempt", Record(marked=marked))
            self._outbox.append((self.gid, ids))
        return bool(self._ready)

    def cut(self, *, take_in: bool = True) -> Batch | None:
        """The rows made since the last cut. With ``take_in``, mail from outside that no turn has taken yet gets its own row first."""
        for id, (cell, _, _) in list(self._unsaved.items()) if take_in else ():
            if cell.loaded:
                self._take_in(id)
        if self.memory.taken:  # what memory-only actors took is open no more
            taken, self.memory.taken = self.memory.taken, []
            for ids in batched(taken):
                self._write_system("system", Record(dropped=ids))
        return self.sets.cut()

    def committed(self, gid: int) -> list[Release]:
        """Everything up to row ``gid`` is durable. Gives what may happen now, in order."""
        self.acked = gid
        self._taken.forget(gid)
        out: list[Release] = []
        while self._outbox and self._outbox[0][0] <= gid:
            release = self._outbox.popleft()[1]
            if isinstance(release, tuple):
                for cell in self._suspects.marked(release):
                    self._wake(cell)
            elif isinstance(release, Start) and not self.flights.stands(release.effect):
                continue  # withdrawn, or its outcome came from a kernel before this one
            else:
                out.append(release)
        while self._retiring and self._retiring[0][0] <= gid:
            _, cell = self._retiring.popleft()
            if not cell.mailbox and not cell.memory.effects and cell.gid <= gid:
                self.residents.gone(cell)
                self._aging.cells.pop(cell.address, None)
        if self.residents.crowded:
            self.rest(self.now)
        return out

    def rest(self, now: float) -> None:
        """Let who is idle leave memory, and more of them where there are too many."""
        for cell in self.residents.leave(now, self.acked):
            self._suspended.pop(cell.address, None)
            if (kept := self._aging.leaving(cell)) is not None:
                self.after(Keep(kept))

    def take_snapshots(self) -> None:
        """Take some of those that are due; they come as ``Keep`` when their rows are durable. For moments without hurry."""
        for kept in self._aging.take():
            self.after(Keep(kept))

    def look_since(self, gid: int) -> None:
        """Looks into the journal that are under way show all rows up to this one; what is later is kept in mind for them."""
        self._taken.floor = gid

    def after(self, release: Release) -> None:
        """Release something once every row made so far is durable."""
        self._outbox.append((self.gid, release))

    def put(self, cell: Cell | Ephemeral, item: Item, kind: RowKind) -> None:
        """Deliver mail."""
        if isinstance(cell, Ephemeral):
            self.memory.take(cell, item)
            return
        envelope = item.envelope
        if not item.durable:
            if envelope.id in self._unsaved:
                self._unsaved[envelope.id][1].inputs += item.inputs
                return
            self._unsaved[envelope.id] = (cell, item, kind)
        self._more(cell, item)
        self._arrive(cell, item)
        if item.settles and cell.memory.postal is not None and cell.memory.postal.halting is not None:
            self._take_in(envelope.id)  # nobody takes it before the next incarnation, and the end waits for it

    def _arrive(self, cell: Cell, item: Item) -> None:
        """Put mail that is counted into its mailbox."""
        envelope = item.envelope
        cell.mailbox.put(item)
        if self._suspended and (turned_away(cell, envelope) is not None or called_off(cell, envelope) is not None):
            self._unheard.append((cell, envelope.id))
        if envelope.expires is not None:
            self.alarm(envelope.expires, envelope.id)
        if not cell.queued:
            self._wake(cell)

    def addressee(self, address: Address) -> Cell | Ephemeral:
        """Who takes the mail of an address."""
        cell = self._cells.get(address)
        if self._directory.memory_only and (cell is None or cell.mount is None):
            return self.memory.find(address) or self._cell(address)
        return cell or self._cell(address)

    def effect(self, id: str) -> Effect | None:
        """An open effect."""
        return self.sets.effects.get(id)

    def alive(self, id: str) -> Effect | None:
        """An open effect that goes on by itself, or when people say so: not one of another program, or of an actor that cannot be read."""
        effect = self.sets.effects.get(id)
        if effect is None or self._directory.find(effect.stream) is None:
            return None
        cell = self._cells.get(effect.stream)
        return None if cell is not None and cell.broken is not None else effect

    def timers(self, cell: Cell) -> list[Timer]:
        """An actor's open timers."""
        return [timer for id in cell.memory.timers if (timer := self.sets.timers.get(id)) is not None]

    @property
    def books(self) -> dict[str, Entry]:
        """The gate's books."""
        return self.sets.books

    def _wake(self, cell: Cell) -> None:
        if cell.loaded and not cell.queued and self._head(cell) is not None:
            cell.queued = True
            self._ready.append(cell)

    def _head(self, cell: Cell) -> Item | None:
        life, mailbox = cell.memory.life, cell.mailbox
        waits = life != "running" and (life == "restarting" or (life == "absent" and begins_in_order(cell)))
        if waits or mailbox.control or mailbox.rare is not None:
            head = mailbox.head(waits)
        elif mailbox.work:  # as most are
            head = mailbox.work[0]
        else:
            return None
        held = self._suspects.held
        return None if head is None or (held and head.envelope.id in held) else head

    def _turn(self, cell: Cell, item: Item) -> None:
        mailbox, envelope = cell.mailbox, item.envelope
        mailbox.pop()
        if self._suspects.alone is not None:
            self._suspects.taken(item)
        if not item.durable:
            self._unsaved.pop(envelope.id, None)
        if envelope.lane == "control" and envelope.wire == CancelAsk.__wire__:
            self._cancel(cell, item)
        gid, now = self.gid + 1, self.now
        aside: Draft | Answered | None = None
        if self._missed and envelope.id in self._missed:
            self._missed.discard(envelope.id)
            aside = left_out(cell, item, gid, now, self._calendar)
        elif not sure_of_a_turn(cell, item):
            if item.marks and missed_since(cell, item, now):
                aside = left_out(cell, item, gid, now, self._calendar)
            else:
                aside = put_aside(cell, item, gid, now, self._word, self._calendar)
        if isinstance(aside, Answered):
            self._less(cell, item)
            self.after(aside)
        else:
            draft = aside or self._decide(cell, item, gid, now)
            if draft.plain:
                self._plain_row(cell, item, draft)
            else:
                self._less(cell, item)
                self._row(cell, draft, envelope.id)
                if draft.record.post is not None:
                    self._posted(cell, item, draft.record.post)
        if item.inputs or item.closes:
            self._is_in(item)
        if self._door.waiting:
            self._let_in(cell)
        rare = mailbox.rare
        if rare is not None and rare.over and mailbox.waiting <= (policy(cell).max_backlog or 0) // 2:
            rare.over = False

    def _decide(self, cell: Cell, item: Item, gid: int, now: float) -> Draft:
        """Run a turn. One that the watchdog breaks off has failed, also where it swallowed that and returned."""
        watch = self.watch
        watch.on = item
        try:
            draft = execute(cell, item, self._gate, gid, now, self._seed, self._calendar, self._word, self.books)
            watch.on = None
            if watch.shot is None:
                return draft
            why = watch.over()
            if why is None:
                return draft
        except Blocked as blocked:
            watch.on = None
            watch.over()
            why = blocked.failure
        finally:
            watch.on = None
        return broken_off(cell, item, why, gid, now, self._calendar)
