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

import heapq
from collections import Counter, deque
from collections.abc import Callable

import msgspec
from msgspec import Raw

from ..protocols.approvals import Answer
from ..protocols.books import Entry
from ..protocols.circuits import closed, free, set_free
from ..protocols.codec import digest, encode
from ..protocols.effects import Effect
from ..protocols.envelope import Context, Envelope
from ..protocols.errors import AskFailed, NotStorable, UnknownItem
from ..protocols.failures import Failure
from ..protocols.grants import key
from ..protocols.hooks import NO_CALENDAR, Calendar, Gate, Rng
from ..protocols.ids import SYSTEM, Address
from ..protocols.journal import ActorLine, Batch, Found, Known, Opened, Record, Row, RowKind, Timer, Want
from ..protocols.lifecycle import ChildFailed
from ..protocols.mail import CancelAsk
from ..protocols.watch import Blocked, Watch
from .aside import left_out, put_aside, sure_of_a_turn
from .cell import Cell, context_for
from .door import Door, policy
from .draft import Draft, settled
from .ephemeral import Ephemeral
from .ephemerals import Ephemerals
from .execute import broken_off, execute
from .flights import Flights
from .given_up import called_off, turned_away
from .mailbox import Item
from .mailroom import Mailroom
from .orders import attendance, begins_in_order, flying, word_to_halt
from .outlook import Outlook
from .registry import Directory
from .releases import (
    Abort,
    Answered,
    Done,
    Keep,
    Refused,
    Release,
    Resolve,
    Revoke,
    Settlement,
    Start,
    Switch,
    Withdraw,
    again,
)
from .reminders import is_missed, may_be_marked, missed_since
from .residents import IDLE, IN_MEMORY, Residents, take_in
from .sizes import batched, fitting
from .snapshots import EVERY, Aging, restore, schema_of
from .suspects import WARY, Suspects
from .taken import Taken, no_answer, other_payload
from .undelivered import expired, word_for
from .working_sets import WorkingSets

TURNS_IN_A_ROW = 16
"""Turns one actor may take before the next has its turn."""

MEMORY_TURNS = 32
"""Turns of memory-only actors that take about as long as a durable one."""


class Kernel(Mailroom, Outlook):
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
        """The last row that is known to be durable."""
        self.memory = Ephemerals(self, directory, self._ready, opened.seed, opened.epoch + 1)
        self._aging = Aging(snapshot_every)
        self._suspects = Suspects()
        self._unsaved: dict[str, tuple[Cell, Item, RowKind]] = {}
        self._held: dict[Address, list[Settlement | tuple[Answer, str, Resolve | None] | Effect]] = {}
        self._outbox: deque[tuple[int, Release | tuple[str, ...]]] = deque()
        self._alarms: list[tuple[float, str]] = []
        self._mail_of: dict[Address, int] = {}
        """How much mail each run has; changed by ``_more`` and ``_less``."""
        self._suspended: dict[Address, Cell] = {}
        """Cells whose mail is held until their supervisor, or a person, has decided."""
        self._unheard: list[tuple[Cell, str]] = []
        self._retiring: deque[tuple[int, Cell]] = deque()
        self._system_seq = opened.system_seq
        self.died = not opened.clean
        self._wary = self.now + WARY if self.died else 0.0
        """Until this journal time mail from outside is durable before it is delivered."""
        self.late = Counter[Address]()
        """Answers that came too late in this life, by who should have heard them or gave them."""
        self._word = word_for(self._handles)
        self._door = Door()
        self._taken = Taken()
        self._calendar = calendar
        self._missed: set[str] = set()
        """Reminders that came too late to be delivered, until their row says so."""
        self._rung: set[str] = set()
        """Reminders that may have rung in a life before this one, whose process died."""
        self._resolved: set[int] = set()
        """Rows whose messages people decided about in this life; what was decided before is in the journal."""
        self.flights = Flights(self, gate, rng, dict(flying or {}))
        self.note({"epoch": str(opened.epoch + 1), **(note or {})})
        self._recover(clean=opened.clean)
        self._attend(opened.epoch + 1)

    # -- inputs -------------------------------------------------------------------------------------------------

    def deliver(self, envelope: Envelope, input: str, looked: Known | None = None) -> None:
        """A message from outside. ``Done(input)`` follows when it is durable, or ``Refused(input, error)``. ``looked``: what a
        look into the journal showed of its key; see ``Taken`` for how old that may be."""
        item = Item(envelope, False, inputs=(input,) if input else ())
        if self._was_taken(item, looked):
            return
        if self.now < self._wary:
            item.suspect = envelope.lane == "work"
        cell = self.addressee(envelope.to)
        if (why := self._no_turn(cell, envelope)) is not None:
            self._refuse(item.inputs, why)
        elif envelope.lane == "work" and isinstance(cell, Cell) and self._door.full(cell):
            self._at_door(cell, item)
        else:
            self.put(cell, item, "accepted")

    def settle(self, settlement: Settlement) -> None:
        """The outcome of an attempt at an effect."""
        effect = self.effect(settlement.effect)
        if effect is None:
            self.flights.flying.pop(settlement.effect, None)
            self.after(Done(settlement.id))
            return
        cell = self._cell(effect.stream)
        if cell.loaded:
            self.flights.settle(cell, settlement)
        else:
            self._held.setdefault(cell.address, []).append(settlement)

    def answer(self, answer: Answer, input: str, also: Resolve | None = None) -> None:
        """A person's answer; ``Done(input)`` or ``Refused(input, error)`` follows. ``also``: what it means for a message that was put
        aside, in the same batch."""
        effect = self.effect(answer.item)
        if effect is None:
            self.flights.answer(Cell(SYSTEM, None), answer, input)  # refuses it
            return
        cell = self._cell(effect.stream)
        if cell.loaded:
            self.flights.answer(cell, answer, input, also)
        else:
            self._held.setdefault(cell.address, []).append((answer, input, also))

    def resolve(self, thing: Resolve, input: str) -> None:
        """What a person does about a message that was put aside; ``Done(input)`` or ``Refused(input, error)`` follows."""
        row = thing.resolution.row
        if row in self._resolved:
            self.after(Refused(input, UnknownItem(f"{row} was resolved before", hint="the first decision counts")))
            return
        try:
            self.put_right(thing)
        except NotStorable as error:
            self.after(Refused(input, error))
            return
        self.after(Done(input))

    def put_right(self, thing: Resolve) -> None:
        """Write what a person decided about a message that was put aside, unless somebody did before. Raises NotStorable."""
        if thing.resolution.row in self._resolved:
            return
        sends = again(thing, self.gid + 1, self.now)
        self._write_system("system", Record(parked=thing.resolution, sends=sends))
        self._resolved.add(thing.resolution.row)
        for envelope in sends:
            self.put(self.addressee(envelope.to), Item(envelope, durable=True), "turn")

    def tick(self, now: float) -> None:
        """Time has passed. Journal time never goes back."""
        self.now = max(self.now, now)
        while self._alarms and self._alarms[0][0] <= self.now:
            _, id = heapq.heappop(self._alarms)
            timer = self.sets.timers.get(id)
            if timer is not None:
                item = Item(timer.envelope, durable=True)
                if is_missed(timer, self.now):
                    self._missed.add(id)
                elif self._rung and id in self._rung:
                    item.suspect = True
                self.put(self.addressee(timer.envelope.to), item, "turn")
                continue
            effect = self.effect(id)
            if effect is None:
                self._expire(id)
                continue
            cell = self._cell(effect.stream)
            if cell.loaded:
                self.flights.ring(cell, effect)
            else:
                self._held.setdefault(cell.address, []).append(effect)

    def loaded(self, found: Found) -> None:
        """What the journal holds of an actor that ``loads`` asked for; nothing of one that never was."""
        cell = self._cells[found.address]
        if found.snapshot is not None and not restore(cell, found.snapshot):
            self.loads.append(Want(cell.address, paged=True))  # from its first row, then
            return
        take_in(cell, found, self.watch)
        if found.more and cell.broken is None:
            self.loads.append(Want(cell.address, cell.memory.seq, paged=True))
            return
        address = cell.address
        cell.loaded = True
        self.residents.came(cell, self.now)
        self._suspend(cell)
        mail = cell.mailbox.items()
        self._put_by(cell)
        if cell.address in self._suspended:
            self._turn_all_away(cell)
        for held in self._held.pop(address, ()):
            if isinstance(held, Settlement):
                self.flights.settle(cell, held)
            elif isinstance(held, Effect):
                self.flights.ring(cell, self.effect(held.id))
            else:
                self.flights.answer(cell, *held)
        if cell.broken is None:
            for id in list(self.sets.of.get(address, ())):
                self.flights.resume(cell, self.sets.effects[id], died=self.died)
        for item in mail:
            if item.envelope.expires is not None and item.envelope.expires <= self.now:
                self._drop(cell, item.envelope.id, expired(item.envelope))
        if address in self._door.waiting:
            self._come_again(cell)
        self._wake(cell)

    def unloaded(self, address: Address, failure: Failure) -> None:
        """The journal could not be read. Who waits outside is told; for what is durable it will be tried again."""
        cell = self._cells[address]
        for item in cell.mailbox.clear():
            # Word of a failed memory-only actor stands in no row, and until it is answered nobody brings that actor back.
            if item.durable or item.settles or item.closes or item.envelope.wire == ChildFailed.__wire__:
                cell.mailbox.put(item)
                continue
            self.memory.undelivered(item.envelope, failure)
            self._unsaved.pop(item.envelope.id, None)
            self._less(cell, item)
            self._refuse(item.inputs, failure)
        for _, inputs in self._door.clear(address):
            self._refuse(inputs, failure)
        if cell.mailbox or address in self._held or address in self.sets.of:
            self.loads.append(Want(address, cell.memory.seq, paged=True))
        else:
            self.residents.gone(cell)

    # -- running ------------------------------------------------------------------------------------------------

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

    def due(self) -> float | None:
        """Journal time of the next alarm. One whose timer, effect or message is gone does not ring."""
        while self._alarms and not self._rings(self._alarms[0][1]):
            heapq.heappop(self._alarms)
        return self._alarms[0][0] if self._alarms else None

    def look_since(self, gid: int) -> None:
        """Looks into the journal that are under way show all rows up to this one; what is later is kept in mind for them."""
        self._taken.floor = gid

    def note(self, facts: dict[str, str]) -> None:
        """Write a row about the node itself."""
        self._write_system("system", Record(note=facts))

    def stop(self, reason: str) -> None:
        """Write the row that says that this life ended in order."""
        self.note({"stopped": reason})

    # -- what flights need --------------------------------------------------------------------------------------

    def write(self, cell: Cell, kind: RowKind, record: Record, cause: str) -> None:
        """Make a row without a turn. Raises NotStorable, and then nothing has changed."""
        self._row(cell, Draft(kind, record, None, fitting(encode(record))), cause)

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

    def alarm(self, due: float, id: str) -> None:
        """Ring for a timer or an effect at a journal time."""
        sets = self.sets
        if len(self._alarms) > 2 * (len(sets.timers) + len(sets.effects) + len(sets.mail) + len(self._unsaved)) + 1_000:
            # Without those of dropped timers, settled effects and taken mail; sorted is a heap, too.
            self._alarms = sorted({alarm for alarm in self._alarms if self._rings(alarm[1])})
        heapq.heappush(self._alarms, (due, id))

    def _rings(self, id: str) -> bool:
        """Whether an alarm still is for anything."""
        sets = self.sets
        return id in sets.timers or id in sets.effects or id in sets.mail or id in self._unsaved

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

    def revoke(self, thing: Revoke, input: str) -> None:
        """A person takes a standing approval back; ``Done(input)`` or ``Refused(input, error)`` follows."""
        if key(thing.id) not in self.books:
            hint = "'understudy grants' lists them; one that was taken back is gone"
            self.after(Refused(input, UnknownItem(f"no standing approval {thing.id!r} is in force", hint=hint)))
            return
        self.keep((Entry(key(thing.id)),), input, thing.note)

    def switch(self, thing: Switch, input: str) -> None:
        """A person opens or closes a breaker; ``Done(input)`` or ``Refused(input, error)`` follows."""
        try:
            entry = thing.entry(self.books, self.now)
        except UnknownItem as error:
            self.after(Refused(input, error))
            return
        self.keep((entry,), input, thing.note)
        self._set_free(frozenset((thing.name,)), at_once=True)

    def _set_free(self, names: frozenset[str], *, at_once: bool) -> None:
        """These breakers have changed: who waits for one that is closed goes on."""
        for id, after in set_free(names, self.sets.effects.values(), self.books, at_once=at_once):
            self.alarm(self.now + after, id)

    def keep(self, entries: tuple[Entry, ...], input: str, note: dict[str, str] | None = None) -> None:
        """Change the gate's books by hand; ``Done(input)`` or ``Refused(input, error)`` follows. ``note``: facts for the row."""
        try:
            self._write_system("system", Record(books=entries, note=note or {}))
        except NotStorable as error:
            self.after(Refused(input, error))
            return
        self.after(Done(input))

    # -- inside -------------------------------------------------------------------------------------------------

    def _more(self, cell: Cell, item: Item) -> None:
        run = item.envelope.context.run or cell.address
        self._mail_of[run] = self._mail_of.get(run, 0) + 1

    def _less(self, cell: Cell, item: Item) -> None:
        run = item.envelope.context.run or cell.address
        left = self._mail_of[run] - 1
        if left:
            self._mail_of[run] = left
        else:
            del self._mail_of[run]
        self.sets.changed.add(run)

    def _cell(self, address: Address) -> Cell:
        cell = self._cells.get(address)
        if cell is None:
            mount = self._directory.find(address)
            lost = mount is not None and not mount.actor.durable
            cell = self._cells[address] = Cell(address, None if lost else mount)
            if lost:  # rows and open mail that a life before this one left at the address of a memory-only actor
                cell.broken = Failure(
                    "retry_later", "lost", f"{address} is memory-only, and the life of the node in which it was sent this is over",
                    where=address,
                )  # fmt: skip
            self.residents.loading.add(address)
            self.loads.append(Want(address, schema=schema_of(cell), paged=True))
        return cell

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

    def _is_in(self, item: Item) -> None:
        """Its row was made: who brought it is told when that is durable."""
        if item.closes:
            self.memory.taken.append(item.closes)
            item.closes = ""
        for brought in item.inputs:
            self.after(Done(brought))

    def _plain_row(self, cell: Cell, item: Item, draft: Draft) -> None:
        """``_less`` and ``_row`` for a plain turn (see ``Draft``), as most are: the same without what does not concern it, 0.6 us less.
        Mostly what it took and what it sends are of one run, whose count then changes once."""
        record, memory, taken = draft.record, cell.memory, item.envelope
        self.gid = gid = self.gid + 1
        row = Row(
            gid, cell.address, memory.seq + 1, memory.incarnation, "turn", taken.id, self.now, Raw(draft.payload)
        )  # fmt: skip
        cell.fold_plain(row, record, draft.state)
        self.sets.take_plain(row, record, cell)
        if row.seq - cell.kept >= self._aging.every:
            self._aging.cells[cell.address] = cell
        crossed: Cell | None = None
        cells, least = self._cells, self._directory.least_backlog
        run, more = taken.context.run or cell.address, -1
        for envelope in record.sends:
            to = cells.get(envelope.to)
            if to is None or to.mount is None:
                found = self.addressee(envelope.to)
                if isinstance(found, Ephemeral):
                    self.memory.take(found, Item(envelope, True))
                    continue
                to = found
            sent = Item(envelope, True)
            if envelope.context.run == run:
                more += 1
            else:
                self._more(to, sent)
            self._arrive(to, sent)
            mailbox = to.mailbox
            if (len(mailbox.work or ()) > least or mailbox.rare is not None) and self._crosses(to):
                crossed = to
        if more:
            self._mail_of[run] += more
            if not self._mail_of[run]:
                del self._mail_of[run]
        self.sets.changed.add(run)
        if crossed is not None:
            self._overloaded(cell, crossed)

    def _row(self, cell: Cell, draft: Draft, cause: str) -> None:
        self.gid += 1
        record, memory = draft.record, cell.memory
        incarnation = memory.incarnation
        if record.life == "running" and draft.kind == "turn":  # it was restarted
            incarnation += 1
        row = Row(self.gid, cell.address, memory.seq + 1, incarnation, draft.kind, cause, self.now, Raw(draft.payload))
        cell.fold(row, record, draft.state)
        self._suspend(cell)
        self.sets.take(row, record, cell)
        if row.seq - cell.kept >= self._aging.every:
            self._aging.cells[cell.address] = cell
        crossed: Cell | None = None
        least = self._directory.least_backlog
        for envelope in record.sends:
            known = self._cells.get(envelope.to)
            to = known if known is not None and known.mount is not None else self.addressee(envelope.to)
            self.put(to, Item(envelope, True), "turn")
            if isinstance(to, Cell):
                mailbox = to.mailbox
                if (len(mailbox.work or ()) > least or mailbox.rare is not None) and self._crosses(to):
                    crossed = to
        self._follow(cell, row, record, draft)
        if memory.postal is not None and (record.changes or record.post is not None):
            self._ends(cell, record)
        if crossed is not None:
            self._overloaded(cell, crossed)

    def _follow(self, cell: Cell, row: Row, record: Record, draft: Draft) -> None:
        """What else a row means."""
        for reply in record.replies:
            self.after(Answered(reply))
        if record.message is not None or record.replies or draft.kind == "expired":
            self._taken.take(row, record)
        for timer in record.timers:
            self.alarm(timer.at, timer.id)
        if record.books and (names := closed(record.books)):
            self._set_free(names, at_once=False)
        for effect in record.changes:
            if effect.state == "withdrawn" or (effect.state == "settled" and effect.id in self.flights.flying):
                self.flights.over(effect.id)
                self.after(Withdraw(effect.id))
            elif effect.state == "settled":
                self.flights.over(effect.id)
        for effect in record.effects:
            if effect.state == "intended":
                self.flights.launch(cell, effect)
            elif effect.state == "asking":
                self.flights.asked(cell, effect)
        if cell.memory.life in ("finished", "stopped") or cell.mount is None:
            if cell.mailbox.stashed():
                self._come_back(cell)
            self._retiring.append((self.gid, cell))

    def _take_in(self, id: str) -> None:
        """Give mail from outside that no turn has taken a row of its own."""
        cell, item, kind = self._unsaved.pop(id)
        context = context_for(cell.address, item.envelope) if cell.memory.seq == 0 else None
        record = Record(message=item.envelope, changes=tuple(settled(cell, item)), context=context)
        self.write(cell, kind, record, id)
        item.durable = True
        item.settles = ""
        if item.envelope.expires is not None:
            self.alarm(item.envelope.expires, id)  # an alarm that has rung before found nothing durable to drop
        self._is_in(item)
        if item.suspect:
            self._suspects.enter(cell, item)
            self._outbox.append((self.gid, (id,)))

    def _ends(self, cell: Cell, record: Record) -> None:
        """An actor that is to end in order: go on when its last call has come to its end, and cancel those that outlast it."""
        postal = cell.memory.postal
        assert postal is not None
        if record.post is not None and record.post.down:
            for effect in cell.memory.effects.values():
                if effect.state == "started" and effect.id in self.flights.flying:
                    self.after(Abort(effect.id))
        elif postal.halting is not None and not flying(cell):
            word = word_to_halt(cell, self.gid, self.now)
            self.put(cell, Item(word, durable=False), "accepted")
            self._take_in(word.id)  # in the same batch as the last call's end: nobody else would say it after a crash

    def _suspend(self, cell: Cell) -> None:
        memory = cell.memory
        if memory.life == "restarting" or (
            memory.life == "absent" and memory.postal is not None and memory.postal.given_up is not None
        ):
            self._suspended[cell.address] = cell
        elif self._suspended:
            self._suspended.pop(cell.address, None)

    def _was_taken(self, item: Item, looked: Known | None) -> bool:
        """Whether this outside message was taken before, or waits: its caller is told what was told then, or joins whoever
        waits. ``looked``: what a look into the journal showed of its key."""
        envelope, back = item.envelope, item.envelope.reply_to
        unsaved, waiting = self._unsaved.get(envelope.id), self.sets.mail.get(envelope.id)
        visitor = self._door.waits(envelope) if self._door.waiting else None
        first = unsaved[1].envelope if unsaved else waiting.envelope if waiting else visitor[0] if visitor else None
        known = self._taken.known(envelope, looked) if envelope.key else None
        if first is not None:
            known = Known(digest(first.wire, first.body), first.reply_to is not None)
        if known is None:
            return False
        if digest(envelope.wire, envelope.body) != known.digest:
            self._refuse(item.inputs, other_payload(envelope))
        elif back is not None and known.reply is None and (known.erased or not known.asked):
            self._refuse(item.inputs, no_answer(envelope, known))
        elif unsaved is not None:
            unsaved[1].inputs += item.inputs  # not durable before the first one is
        elif visitor is not None:
            self._door.join(visitor, item.inputs)
        else:
            if back is not None and known.reply is not None:
                self.after(Answered(msgspec.structs.replace(known.reply, to=back)))
            self._is_in(item)
        return True

    def _refuse(self, inputs: tuple[str, ...], why: Failure) -> None:
        for brought in inputs:
            self.after(Refused(brought, AskFailed(why)))

    def _recover(self, *, clean: bool) -> None:
        for mail in list(self.sets.mail.values()):
            address = mail.envelope.to
            if self._directory.find(address) is None:
                continue  # another program's run: left as it is
            item = Item(mail.envelope, durable=True, marks=mail.marks, suspect=not clean)
            self.put(self._cell(address), item, "turn")
        for effect in list(self.sets.effects.values()):
            if self._directory.find(effect.stream) is None:
                continue
            if effect.due is not None:
                self.alarm(effect.due, effect.id)
            if free(effect, self.books):  # its breaker was closed while nobody ran this
                self.alarm(self.now, effect.id)
            if effect.answer is not None or effect.state in ("intended", "started"):
                self._cell(effect.stream)
        for timer in self.sets.timers.values():
            mount = self._directory.find(timer.envelope.to)
            if mount is not None:
                self.alarm(timer.at, timer.id)
                if not clean and timer.at <= self.now and may_be_marked(mount, timer):
                    self._rung.add(timer.id)

    def _attend(self, epoch: int) -> None:
        """Let supervisors see that everything runs that should."""
        for mount in self._directory.mounts():
            if mount.actor.attends:
                attend = attendance(Address(mount.template), epoch, self.now)
                self.put(self._cell(attend.to), Item(attend, durable=False), "accepted")

    def _write_system(self, kind: RowKind, record: Record) -> None:
        payload = Raw(fitting(encode(record)))
        self.gid += 1
        self._system_seq += 1
        row = Row(self.gid, SYSTEM, self._system_seq, 0, kind, "", self.now, payload)
        self.sets.take(row, record, ActorLine(SYSTEM, "running", 0, self._system_seq, Context(), self.now))
