"""The mail of memory-only actors: who they are, how mail comes to them, and how their answers leave."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from msgspec import Raw

from ..protocols.codec import NULL, encode
from ..protocols.envelope import Context, Envelope, Reply
from ..protocols.errors import AskFailed, NotStorable
from ..protocols.failures import Failure
from ..protocols.ids import OUTSIDE, Address
from .caller import Asking
from .cell import Cell
from .ephemeral import Arrived, Back, Ephemeral, Inside, Kind, Owed, Post, Pump, ephemeral
from .mailbox import Item
from .outcome import outcome_envelope
from .registry import Directory, Mount
from .releases import Answered, Done, Handed, Refused
from .spawn import place
from .undelivered import word_for
from .where import Where

LONG = 64
"""Turns a memory-only actor may take before the next has its turn. Mail beyond it waits in a deque."""


class EphemeralMail:
    """All memory-only actors of one kernel.

    Attributes:
        cells: by address; an actor is here from its first mail on.
        ready: the kernel's ready queue, shared with the durable ones.
        taken: ids of open mail that was taken here since the last cut: the next batch closes it.
        dead: mail that nobody took, by why.
    """

    def __init__(self, pump: Pump, directory: Directory, ready: deque[Any], seed: str, epoch: int) -> None:
        self.cells: dict[str, Ephemeral] = {}
        self.ready = ready
        self.taken: list[str] = []
        self.dead: Counter[str] = Counter()
        self.pump, self.seed, self.epoch = pump, seed, epoch
        self.running = False
        self.watch = pump.watch
        self.clock: Callable[[], float] | None = None
        """Journal time as the shell counts it, for turns that are run between its steps."""
        self._directory = directory
        self._word = word_for(self._handles)
        self._kinds: dict[str, Kind] = {}
        self._places: dict[Where, tuple[str, str, Kind]] = {}
        self.paths: dict[str, Kind] = {}
        """Kinds that are mounted at ``path/{key}``, by path."""
        self._count = 0

    # -- mail in ------------------------------------------------------------------------------------------------

    def find(self, address: Address) -> Ephemeral | None:
        """The memory-only actor of an address, made where it is new; None where none is mounted there."""
        cell = self.cells.get(address)
        if cell is not None:
            return cell
        mount = self.mounted(address)
        if mount is None:
            return None
        kind = self.kind(mount)
        path, _, key = mount.template.rpartition("/")
        if "{" not in path and key.startswith("{"):
            self.paths[path] = kind
        cell = self.cells[address] = ephemeral(address, kind)
        return cell

    def known(self, where: Where, key: str) -> Ephemeral | None:
        """The actor that a known place and a key come to, made where it is new; None where there is more to look at."""
        found = self._places.get(where)
        if found is None or not key.isalnum() or len(key) > 200:
            return None
        before, after, kind = found
        to = before + key + after
        cell = self.cells.get(to)
        if cell is None:
            cell = self.cells[to] = ephemeral(to, kind)
        return cell

    def learn(self, where: Where, to: Address) -> None:
        """Remember a place for the short way: a template with one hole, where memory-only actors are mounted."""
        mount = self.mounted(to)
        parts = place(mount.among, where).parts if mount is not None else ()
        if mount is not None and len(parts) == 2:
            self._places[where] = (*parts, self.kind(mount))

    def mounted(self, address: Address) -> Mount | None:
        """The mount of a memory-only actor; None where none is."""
        mount = self._directory.find(address)
        return mount if mount is not None and not mount.actor.durable else None

    def kind(self, mount: Mount) -> Kind:
        """What the memory-only actors of a mount share."""
        kind = self._kinds.get(mount.template)
        if kind is None:
            kind = self._kinds[mount.template] = Kind(self, mount)
        return kind

    def put(self, cell: Ephemeral, post: Post) -> None:
        """Behind everything else."""
        box = cell.mail
        if box is None:
            cell.mail = [post]
            self.ready.append(cell)
            return
        box.append(post)
        if len(box) == LONG + 1 and type(box) is list:
            cell.mail = deque(box)

    def take(self, cell: Ephemeral, item: Item) -> None:
        """Mail in an envelope: from a durable actor, or from outside through the kernel's door."""
        envelope = item.envelope
        back = Owed(envelope.reply_to, envelope.id if item.durable else "")
        post: Post = (envelope, envelope.sender, envelope.context if envelope.context.run else None, back)
        if envelope.key:  # only durable actors remember keys
            why = Failure(
                "change_arguments", "no_keys", f"{cell.address} keeps nothing, so it knows no keys", hint="send it without a key",
                where=cell.address,
            )  # fmt: skip
            for brought in item.inputs:
                self.pump.after(Refused(brought, AskFailed(why)))
            return
        for brought in item.inputs:
            self.pump.after(Done(brought))
        if envelope.lane == "control":
            cell.rare().control.append(post)
            cell.odd = 1
            if cell.mail is None:
                cell.mail = []
                self.ready.append(cell)
        else:
            self.put(cell, post)

    def undelivered(self, envelope: Envelope, failure: Failure) -> None:
        """Mail of a memory-only actor that its addressee cannot be given now: whoever asked is told."""
        sender = self.cells.get(envelope.sender)
        if sender is None:
            return
        self.dead[failure.code] += 1
        back = envelope.reply_to
        asker = self.cells.get(back.address) if back is not None else None
        if back is not None and asker is not None:
            self.put(asker, (Arrived(back.token, NULL, failure), envelope.to, envelope.context, None))

    def refuse(self, cell: Ephemeral, post: Post, why: Failure) -> None:
        """A dead letter: whoever asked is told, and who told, if it wants to know."""
        message, sender, context, back = post[:4]
        self.dead[why.code] += 1
        if not waits(back) and sender and type(message) is not Arrived:
            for mail in self._word(self._enveloped(cell, post), why, self.fresh_id(), self.now()):
                told = self.pump.addressee(mail.to)
                self.pump.put(told, Item(mail, durable=False), "accepted")
        self.answer(cell, back, NULL, why, context)

    def _enveloped(self, cell: Ephemeral, post: Post) -> Envelope:
        message: Any = post[0]  # of any class
        if type(message) is Envelope:
            return message
        try:
            body = Raw(encode(message))
        except NotStorable:  # handed on as it was, and only here it shows that JSON cannot hold it
            body = NULL
        return Envelope(
            self.fresh_id(),
            cell.address,
            message.__wire__,
            body,
            sender=post[1],
            context=post[2] or Context(cell.address),
        )

    def _handles(self, address: Address, wire: str) -> bool:
        mount = self._directory.find(address)
        return mount is not None and wire in mount.actor.behaviour.handlers

    @property
    def any(self) -> bool:
        """Whether any memory-only actor is mounted."""
        return self._directory.memory_only

    def now(self) -> float:
        """Journal time."""
        now = self.pump.now
        return now if self.clock is None else max(now, self.clock())

    def fresh_id(self) -> str:
        """An id that no other life of the node gives out."""
        self._count += 1
        return f"{self.epoch}~{self._count}"

    # -- answers out --------------------------------------------------------------------------------------------

    def answer(
        self, cell: Ephemeral, back: Back, value: object, failure: Failure | None, context: Context | None
    ) -> None:
        """Tell whoever waits. Where they are outside, not before everything made so far is durable."""
        pump = self.pump
        if type(back) is Asking:
            if pump.gid <= pump.acked:
                back.told(value, failure)
            else:
                pump.after(Handed(back, value, failure))
        elif type(back) is Inside:
            self.put(back.cell, (Arrived(back.token, value, failure), cell.address, context, None))
        elif type(back) is Owed:
            self._pay(cell, back, value if type(value) is Raw else NULL, failure, context)

    def _pay(self, cell: Ephemeral, owed: Owed, value: Raw, failure: Failure | None, context: Context | None) -> None:
        to, pump = owed.to, self.pump
        told: Cell | Ephemeral | None = None
        if to is not None and to.address == OUTSIDE:
            pump.after(Answered(Reply(to, value, failure)))
        elif to is not None:
            on_behalf = context or Context(cell.address)
            mail = outcome_envelope(self.fresh_id(), to, value, failure, cell.address, on_behalf, pump.now)
            told = pump.addressee(to.address)
            item = Item(mail, durable=False)
            if isinstance(told, Cell):
                item.closes = owed.mail
            pump.put(told, item, "accepted")
        if owed.mail and not isinstance(told, Cell):
            self.taken.append(owed.mail)


def box_of(posts: list[Post]) -> list[Post] | deque[Post]:
    """Mail as a mailbox keeps it."""
    return posts if len(posts) <= LONG else deque(posts)


def waits(back: Back) -> bool:
    """Whether somebody waits for an answer."""
    return back is not None and not (type(back) is Owed and back.to is None)
