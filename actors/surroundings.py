"""What surrounds a turn of a durable actor: its cell, the mail that it takes, and the gate. Made for every turn, so it looks things up
only when it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..protocols.books import Entry
from ..protocols.codec import digest
from ..protocols.counters import Counters
from ..protocols.effects import Effect, Intent
from ..protocols.envelope import Context, ReplyTo
from ..protocols.hooks import Admission, Calendar, Gate
from ..protocols.ids import Address
from ..protocols.journal import Schedule
from ..protocols.lifecycle import Restart
from ..protocols.messages import Event
from ..protocols.people import People
from ..protocols.provenance import Known, Provenance, beyond, joined
from ..protocols.tasks import Task
from .cell import Cell, context_for
from .draft import done_inside, settled
from .drawing import drawing, reporting
from .family import CHECK, counted, handed_by, key_of
from .granting import granting
from .mailbox import Item
from .provenance import known
from .spawn import covered
from .where import Where


def surround(
    cell: Cell, item: Item, gate: Gate, gid: int, now: float, seed: str, calendar: Calendar,
    books: Mapping[str, Entry] | None = None,
) -> Surroundings:  # fmt: skip
    """What surrounds the turn that takes this mail. ``books``: the gate's; None where nobody knows them."""
    envelope = item.envelope
    context = envelope.context
    if not context.run:
        context = context_for(cell.address, envelope)
    if cell.memory.context.budgets:
        context = drawing(cell, context)
    if context.granted is not None or cell.memory.context.granted is not None:
        context = granting(cell, context)
    if context.undo != cell.memory.context.undo:
        context = reporting(cell, context)
    around = Surroundings(cell, item, gate, gid, now, seed, calendar, cell.address, envelope.sender, context, books)
    if context.provenance is not None or cell.memory.read is not None:
        around.take_on()
    return around


class Surroundings(msgspec.Struct, eq=False):
    """See ``frame.Frame``. (A struct is made in a third of the time.)"""

    _cell: Cell
    _item: Item
    _gate: Gate
    gid: int
    now: float
    seed: str
    calendar: Calendar
    me: Address
    sender: Address
    context: Context
    _books: Mapping[str, Entry] | None = None
    entries: tuple[Entry, ...] = ()
    _counters: Counters | None = None
    provenance: Provenance | None = None
    read: Provenance | None = None

    def take_on(self, besides: Provenance | None = None) -> None:
        """The turn stands under the labels of its message (and of what is said ``besides`` in it), and of all that its actor has read."""
        cell = self._cell
        self.provenance = carried = joined(self._item.envelope.context.provenance, besides)
        assert cell.mount is not None
        if cell.mount.actor.sticky:
            before = cell.memory.read
            carried = joined(before, carried)
            self.read = beyond(carried, before) if carried is not None and carried is not before else None
        self.context = msgspec.structs.replace(self.context, provenance=carried)

    def known(self, state: Any, said: frozenset[str], around: Provenance | None) -> Known:  # the actor's own State
        cell = self._cell
        assert cell.mount is not None
        cell.vouched = cell.mount.actor.vouches(state, cell.vouched)
        return known(cell.vouched, self._item.envelope, self.provenance, around, said)

    @property
    def turns(self) -> int:
        return self._cell.memory.turns

    @property
    def agent(self) -> str:
        assert self._cell.mount is not None
        return self._cell.mount.agent

    @property
    def stashable(self) -> bool:
        return self._item.envelope.lane == "work"

    @property
    def stashes(self) -> bool:
        return self._cell.memory.postal is not None and bool(self._cell.memory.postal.stash)

    def people(self, about: str) -> People | None:
        mount = self._cell.mount
        if mount is None or mount.people is not None or not about or mount.among is None:
            return mount.people if mount is not None else None
        other = mount.among.find(Address(about))
        return other.people if other is not None else None

    def admit(self, intent: Intent) -> Admission:
        admission = self._gate.admit(intent, self._counted(), self.now)
        inside = admission.inside
        if inside is None or inside.wire != Task.__wire__ or self._books is None:
            return admission
        assert self._cell.mount is not None
        key = key_of(self.context, self.me, self._cell.mount.among)
        handed = handed_by({one.key: one for one in self.entries} if self.entries else self._books, key)
        admission = self._gate.hands_on(intent, admission, handed)
        if admission.verdicts[-1].check == CHECK:
            self.entries = (counted(key, handed + (admission.inside is not None)),)
        return admission

    def intended(self, effect: Effect) -> None:
        self._counters = self._counted().intended(effect)

    def _counted(self) -> Counters:
        """The gate's memory as the turn sees it: with the effect counted that this very mail settles, and those that it intended."""
        if self._counters is None:
            cell, after = self._cell, settled(self._cell, self._item)
            self._counters = cell.memory.counters.changed(after[0]) if after else cell.memory.counters
        return self._counters

    def apply(self, state: Any, event: Event) -> Any:  # the actor's own State
        assert self._cell.mount is not None
        actor = self._cell.mount.actor
        behaviour = actor.behaviour
        found = behaviour.appliers.get(event.__wire__)
        if found is None:
            raise LookupError(f"{type(actor).__name__} has no @us.applies({type(event).__name__})")
        after = found[1](actor, state, event)
        if not isinstance(after, behaviour.state):
            raise TypeError(f"{found[1].__name__} must return a {behaviour.state.__qualname__}, not {after!r}")
        return after

    def open_effects(self) -> Mapping[str, Effect]:
        over = done_inside(self._cell, self._item.envelope)
        settles = over.id if over is not None else self._item.settles
        return {id: e for id, e in self._cell.memory.effects.items() if id != settles}

    def reminders(self) -> Mapping[str, Schedule | None]:
        return self._cell.memory.timers

    def place(self, where: Where, key: str | tuple[str, ...]) -> Address:
        assert self._cell.mount is not None
        return covered(self._cell.mount.among, where, key)

    def asks(self) -> Mapping[str, Address]:
        postal = self._cell.memory.postal
        return {id: asked.to for id, asked in postal.asks.items()} if postal is not None else {}

    def asker(self, id: str) -> ReplyTo | None:
        return self._cell.memory.askers.get(id)

    def remembered(self, asker: ReplyTo) -> ReplyTo:
        envelope = self._item.envelope
        return msgspec.structs.replace(asker, said=digest(envelope.wire, envelope.body))

    def answer(self, asker: ReplyTo, value: object) -> Any:  # a type form
        assert self._cell.mount is not None
        handler = self._cell.mount.actor.behaviour.handlers.get(asker.settler.removeprefix("ask:"))
        if handler is not None and handler.request:
            return handler.answer
        return type(value) if isinstance(value, msgspec.Struct) else Any

    def handles(self, wire: str) -> bool:
        assert self._cell.mount is not None
        return wire in self._cell.mount.actor.behaviour.handlers

    def watches(self, address: Address) -> bool:
        postal = self._cell.memory.postal  # a restart ends them all
        return postal is not None and address in postal.watching and self._item.envelope.wire != Restart.__wire__
