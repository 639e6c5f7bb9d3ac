"""A simulated node: the production kernel, gate and in-memory journal under a seeded scheduler and a virtual clock.

What the shell does with tasks and threads happens here one step at a time, in an order drawn from the seed, with faults:

    feed an input | load an actor | run turns | cut | append what was cut | let out what is committed
    begin an attempt at an effect | bring its outcome | let time pass | crash (kernel and attempts gone, journal opened anew)

The rules are those of ``shell.Shell``: one append at a time, and the kernel runs on while it is under way; an input is kept until
its row is durable; after a commit that failed the kernel is rebuilt and the inputs whose rows are not found are fed again. The
same seed gives the same steps. Effects are performed by calling the tools' functions in place, so the world that they change is
the test's own objects, and those can count.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from ...actors.asking import cancellation
from ...actors.cell import Cell, read_record
from ...actors.releases import (
    Resolve,
    Revoke,
    Switch,
)
from ...protocols.approvals import Answer, Scope
from ...protocols.codec import encode
from ...protocols.decisions import Decision
from ...protocols.envelope import Envelope
from ...protocols.errors import WrongAnswer
from ...protocols.grants import Grant, grants
from ...protocols.ids import Address
from ...protocols.mail import Resolution
from ...protocols.messages import Message, Request
from ..inbox import InboxItem, inbox
from ..parked import Letters, ParkedMessage, edited, find, parked
from ..verdicts import acts, verdict
from .sent import Sent
from .steps import Steps


class Simulated(Steps):
    """One node under one seed.

    Args:
        *definitions: what is mounted.
        seed: everything that is drawn follows from it.
        faults: may be changed at any time.
        journal: one that a test made or has used before.
        idle: seconds of virtual time without a row after which an actor leaves memory.
        in_memory: actors in memory above which idle ones leave at once.
        snapshot_every: rows of an actor after which a snapshot of it is due.
        plan: faults by number, besides those by chance.
        rates, breakers: as of ``us.System``.
        spending, prices, shadow: as of ``us.System``.
        skip: checks of the gate that are left out, to see what they keep out.

    Attributes:
        now: virtual time.
        hits: how often each fault hit, by (fault, what was going on).
        steps: how many steps of each kind were made.
        crashes: how often the process died.
    """

    def ask(
        self, to: str, request: Request[Any], *, key: str = "", priority: int = 0, timeout: float | None = None
    ) -> Sent:
        """Bring a request; ``reply`` follows in some later step. ``timeout``: seconds after which nobody waits any more."""
        return self._bring(to, request, key, asks=True, priority=priority, timeout=timeout)

    def tell(self, to: str, message: Message, *, key: str = "", priority: int = 0) -> Sent:
        """Bring a message; ``accepted`` follows in some later step."""
        return self._bring(to, message, key, asks=False, priority=priority)

    def give_up(self, sent: Sent) -> Sent:
        """Wait no more for the answer to a request, and say so, as a caller does whose time is over."""
        assert isinstance(sent.thing, Envelope)
        assert sent.thing.reply_to is not None
        self._callers.pop(sent.thing.reply_to.token, None)
        self._count += 1
        word = Sent(cancellation(sent.thing, "the caller waits no more", f"cancel {self._count}"))
        self._take(word)
        return word

    def again(self, sent: Sent) -> None:
        """Bring the same once more, as a caller does who lost its connection."""
        sent.lost = False
        sent.accepted = False
        self._take(sent)

    def answer(
        self, item: str, decision: Decision, *, by: str = "ada", reason: str = "", value: object = None, digest: str = "",
        scope: Scope = "once", same: tuple[str, ...] = (), expires: float | None = None,
    ) -> Sent:  # fmt: skip
        """Bring a person's answer; ``error`` is set at once where what it says of a parked message does not fit."""
        answer = Answer(item, decision, by, reason, Raw(encode(value)), digest, scope, same, expires)
        effect, sent = self.kernel.effect(item), Sent(answer)
        question = effect.question if effect is not None else None
        if question is not None and acts(question):
            pages = Letters(self.journal.rows(limit=10_000_000))
            try:
                sent = Sent(verdict(pages, question, answer, self.tree.directory))
            except WrongAnswer as error:
                sent.error = error
                return sent
        self._take(sent)
        return sent

    def parked(self) -> tuple[ParkedMessage, ...]:
        """Messages that were put aside and about which nobody has decided."""
        return parked(Letters(self.journal.rows(limit=10_000_000)))

    def resend(self, id: str, message: object = None, *, by: str = "ada", reason: str = "") -> Sent:
        """Send a parked message again, edited or as it was. Raises as ``System.resend``."""
        mail = edited(find(Letters(self.journal.rows(limit=10_000_000)), id), message, self.tree.directory)
        return self._resolve(Resolve(Resolution(int(id), "resend", by, reason), mail))

    def drop(self, id: str, *, by: str = "ada", reason: str = "") -> Sent:
        """Drop a parked message. Raises as ``System.drop``."""
        find(Letters(self.journal.rows(limit=10_000_000)), id)
        return self._resolve(Resolve(Resolution(int(id), "drop", by, reason)))

    def grants(self) -> tuple[Grant, ...]:
        """Standing approvals."""
        return tuple(grants(self.kernel.books))

    def revoke(self, id: str, *, by: str = "ada", reason: str = "") -> Sent:
        """Take a standing approval back."""
        sent = Sent(Revoke(id, by, reason))
        self._take(sent)
        return sent

    def switch(self, name: str, *, open: bool, by: str = "ada", reason: str = "", seconds: float | None = None) -> Sent:
        """Open or close a breaker by hand."""
        sent = Sent(Switch(name, open, by, reason, seconds))
        self._take(sent)
        return sent

    def _resolve(self, thing: Resolve) -> Sent:
        sent = Sent(thing)
        self._take(sent)
        return sent

    def inbox(self) -> tuple[InboxItem, ...]:
        """What waits for people."""
        return inbox(tuple(self.kernel.sets.effects.values()))

    def actor(self, address: str) -> Cell:
        """An actor as its committed rows say."""
        cell = Cell(Address(address), self.tree.directory.find(Address(address)))
        for row in self.journal.stream(cell.address):
            cell.fold(row, read_record(row))
        return cell
