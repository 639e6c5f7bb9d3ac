"""How actors come into memory: what the journal holds of one is taken in, and what waited for it goes on; and what was open when
this life of the node began."""

from __future__ import annotations

from ..protocols.circuits import free
from ..protocols.effects import Effect
from ..protocols.failures import Failure
from ..protocols.ids import Address
from ..protocols.journal import Found, Want
from ..protocols.lifecycle import ChildFailed
from .cell import Cell
from .holdings import Holdings
from .mailbox import Item
from .orders import attendance
from .releases import (
    Settlement,
)
from .reminders import may_be_marked
from .residents import take_in
from .snapshots import restore, schema_of
from .undelivered import expired


class Arrivals(Holdings):
    """How the kernel comes to know actors."""

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
