"""The mailroom of the kernel: full mailboxes, mail that is put by, called back, expired or cancelled, and who is told of it.

Nothing here takes part in an ordinary turn: the kernel comes here only where a mailbox, a row or an alarm says so.
"""

from __future__ import annotations

from msgspec import Raw

from ..protocols.codec import decode, encode
from ..protocols.envelope import Envelope
from ..protocols.errors import AskFailed
from ..protocols.failures import Failure
from ..protocols.ids import OUTSIDE, Address, item_id
from ..protocols.journal import Record
from ..protocols.lifecycle import Started
from ..protocols.mail import CancelAsk, Overloaded, Post
from .cell import Cell
from .door import gave_way, overloaded, policy
from .ephemeral import Ephemeral
from .failing import failed
from .given_up import called_off, turned_away
from .holdings import Holdings
from .mailbox import Item
from .orders import word_to_stop
from .releases import Refused
from .undelivered import expired, unhandled


class Mailroom(Holdings):
    """What the kernel does with mail beside giving it turns."""

    def _at_door(self, cell: Cell, item: Item) -> None:
        """A message from outside finds no room."""
        how = policy(cell).overflow
        oldest = cell.mailbox.oldest_outside() if how == "drop_oldest" else None
        if how == "wait" or (how == "drop_oldest" and not cell.loaded):
            self._door.wait(item.envelope, item.inputs)
        elif oldest is None:
            for brought in item.inputs:
                self.after(Refused(brought, overloaded(cell)))
        else:
            self._drop(cell, oldest.envelope.id, gave_way(cell, oldest.envelope))
            self.put(cell, item, "accepted")

    def _come_again(self, cell: Cell) -> None:
        """It is in memory now: who waited only for that finds the mailbox as it is."""
        for envelope, inputs in self._door.clear(cell.address) if policy(cell).overflow == "drop_oldest" else ():
            item = Item(envelope, durable=False)
            item.inputs = inputs
            if self._door.full(cell):
                self._at_door(cell, item)
            else:
                self.put(cell, item, "accepted")

    def _let_in(self, cell: Cell) -> None:
        """There may be room again."""
        while (visitor := self._door.next(cell)) is not None:
            item = Item(visitor[0], durable=False)
            item.inputs = visitor[1]
            self.put(cell, item, "accepted")

    def _overloaded(self, sender: Cell, cell: Cell) -> None:
        """A backlog has crossed its limit: the supervisor of whoever sends still more is told."""
        cell.mailbox.side.over = True
        supervisor = sender.mount.supervisor if sender.mount is not None else OUTSIDE
        if not supervisor:
            return
        word = Overloaded(cell.address, sender.address, cell.mailbox.waiting)
        id, wire, context = item_id(self.gid + 1, 0), Overloaded.__wire__, sender.memory.context
        mail = Envelope(id, supervisor, wire, Raw(encode(word)), sender=cell.address, context=context, at=self.now)
        self._write_system("system", Record(sends=(mail,), note={"overloaded": cell.address}))
        self.put(self.addressee(supervisor), Item(mail, durable=True), "turn")

    def _posted(self, cell: Cell, item: Item, post: Post) -> None:
        """What a row says about mail, done in memory."""
        if post.late:
            self.late[cell.address] += post.late
        if post.given_up is not None:
            self._turn_all_away(cell)
        if post.unstashed:
            self._come_back(cell)
        if post.stashed or post.kept:
            item.durable, item.settles = True, ""
            if post.stashed and cell.memory.life not in ("finished", "stopped"):
                cell.mailbox.stash(item)
            else:
                cell.mailbox.put_back(item)
                self._more(cell, item)
                self._wake(cell)

    def _turn_away(self) -> None:
        """Answer the requests that came for actors on which their supervisor gave up."""
        unheard, self._unheard = self._unheard, []
        for cell, id in unheard:
            postal = cell.memory.postal
            if postal is None or postal.given_up is None:
                continue
            item = next((item for item in cell.mailbox.items() if item.envelope.id == id), None)
            if item is None or not self._called_off(cell, item.envelope):
                self._drop(cell, id, postal.given_up)

    def _called_off(self, cell: Cell, envelope: Envelope) -> bool:
        """Whether a message has ended a run that was given up."""
        why = called_off(cell, envelope)
        if why is not None:
            self.put(cell, Item(word_to_stop(cell, envelope.id, why, self.now), durable=False), "accepted")
        return why is not None

    def _turn_all_away(self, cell: Cell) -> None:
        """An actor was given up, or was loaded as one that is: answer the requests that wait."""
        visitors = self._door.waiting.get(cell.address, ())
        waiting = [item.envelope for item in (*cell.mailbox.items(), *cell.mailbox.stashed())]
        for envelope in (*waiting, *(envelope for envelope, _ in visitors)):
            if self._called_off(cell, envelope):
                return
            if (why := turned_away(cell, envelope)) is not None:
                self._drop(cell, envelope.id, why)

    def _come_back(self, cell: Cell) -> None:
        for item in cell.mailbox.unstash():
            self._more(cell, item)
        self._wake(cell)

    def _put_by(self, cell: Cell) -> None:
        """An actor was loaded: what it had stashed is stashed."""
        postal = cell.memory.postal
        for id in postal.stash if postal is not None else ():
            item = cell.mailbox.remove(id)
            if item is not None:
                self._less(cell, item)
            elif id in self.sets.mail:
                item = Item(self.sets.mail[id].envelope, durable=True, marks=self.sets.mail[id].marks)
            if item is not None:
                cell.mailbox.stash(item)

    def _expire(self, id: str) -> None:
        """The time of a message is over: if it still waits, it is a dead letter now."""
        mail = self.sets.mail.get(id)
        envelope = mail.envelope if mail is not None else None
        cell = self._cells.get(envelope.to) if envelope is not None else None
        if cell is not None and envelope is not None and cell.loaded:
            self._drop(cell, id, expired(envelope))

    def _cancel(self, cell: Cell, item: Item) -> None:
        """Nobody waits any more for a request: if it still waits for its turn, it will not get it."""
        order: CancelAsk = decode(item.envelope.body, CancelAsk)
        self._drop(cell, order.of, order.failure, answer=order.answer)

    def _drop(self, cell: Cell, id: str, failure: Failure, *, answer: bool = True) -> None:
        """Make a dead letter of a message that waits, if it does."""
        put_by = any(item.envelope.id == id for item in cell.mailbox.stashed())
        item = cell.mailbox.remove(id)
        if item is None:
            visitor = self._door.turn_away(cell.address, id)
            for brought in visitor[1] if visitor is not None else ():
                self.after(Refused(brought, AskFailed(failure)))
            return
        if not put_by:
            self._less(cell, item)
        self._suspects.forget(item)
        self._unsaved.pop(id, None)
        gid, now = self.gid + 1, self.now
        self._row(cell, failed(cell, item, failure, gid, now, "expired", word=self._word, silent=not answer), id)
        self._is_in(item)
        if self._door.waiting:
            self._let_in(cell)

    def _handles(self, address: Address, wire: str) -> bool:
        mount = self._directory.find(address)
        return mount is not None and wire in mount.actor.behaviour.handlers

    def _no_turn(self, cell: Cell | Ephemeral, envelope: Envelope) -> Failure | None:
        """Why a message from outside is refused before it is written: it would be a dead letter, as the definition shows, or it is
        a request to an actor on which its supervisor gave up."""
        if not isinstance(cell, Cell) or cell.mount is None or envelope.lane != "work":
            return None
        if envelope.reply_to is not None:
            return turned_away(cell, envelope) if self._suspended else None
        found = cell.mount.actor.behaviour.handlers.get(envelope.wire)
        return unhandled(found, envelope) if envelope.wire != Started.__wire__ else None

    def _crosses(self, cell: Cell) -> bool:
        most = policy(cell).max_backlog
        rare = cell.mailbox.rare
        return most is not None and cell.mailbox.waiting > most and (rare is None or not rare.over)
