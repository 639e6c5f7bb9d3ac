"""What comes into the kernel from outside: messages, outcomes of attempts, and what people say. Each is an input of the shell,
which is told ``Done`` when it is durable, or ``Refused``."""

from __future__ import annotations

import msgspec

from ..protocols.approvals import Answer
from ..protocols.books import Entry
from ..protocols.circuits import set_free
from ..protocols.codec import digest
from ..protocols.envelope import Envelope
from ..protocols.errors import AskFailed, NotStorable, UnknownItem
from ..protocols.failures import Failure
from ..protocols.grants import key
from ..protocols.ids import SYSTEM
from ..protocols.journal import Known, Record
from .cell import Cell
from .holdings import Holdings
from .mailbox import Item
from .releases import (
    Answered,
    Done,
    Refused,
    Resolve,
    Revoke,
    Settlement,
    Switch,
    again,
)
from .taken import no_answer, other_payload


class Intake(Holdings):
    """What the shell gives the kernel."""

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
