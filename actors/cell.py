"""A cell: one actor in memory. What it knows is a fold over its stream; ``fold`` is used live, after a crash and in replay."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from ..protocols.codec import decode
from ..protocols.counters import Counters
from ..protocols.effects import Effect
from ..protocols.envelope import OUTCOME, Context, Envelope, OutcomeBody, Reply, ReplyTo, without
from ..protocols.failures import Failure
from ..protocols.ids import OUTSIDE, Address
from ..protocols.journal import ActorLine, Record, Row, Schedule, StoredEvent
from ..protocols.lifecycle import Life
from ..protocols.mail import Post
from ..protocols.messages import State
from ..protocols.provenance import Provenance, Vouched, joined
from ..protocols.shadow import by_shadow
from .mailbox import Mailbox
from .postal import Postal
from .registry import Mount

LAST = 16
"""Answers by which a finished actor is remembered, the newest."""

OPEN_STATES = frozenset({"intended", "asking", "waiting", "started", "in_doubt", "inside"})


_LED = Post(led=True)


class Memory(Struct):
    """What an actor remembers besides its state; every field is a fold over its rows.

    Attributes:
        life, incarnation, seq, turns, context: as in ``ActorLine``.
        counters: what the gate remembers of it.
        askers: requests left open, by the id of their mail.
        effects: effects that are not settled, by id.
        started: whether its ``Started`` handler has run in this life of its state.
        timers: its open reminders, by id; what there is to know of those that come again, or may come too late.
        last: answers that it repeats once it has finished, by the digest of the request; the ``LAST`` newest.
        postal: its asks, stash and watches; None for none so far.
        led: its supervisor started it, and is told when it ends itself.
        read: labels of all that it has read; a restart does not take them away.
    """

    life: Life = "absent"
    incarnation: int = 0
    seq: int = 0
    turns: int = 0
    context: Context = Context()
    counters: Counters = Counters()
    askers: dict[str, ReplyTo] = {}
    effects: dict[str, Effect] = {}
    started: bool = False
    timers: dict[str, Schedule | None] = {}
    last: dict[str, Reply] = {}
    postal: Postal | None = None
    led: bool = False
    read: Provenance | None = None

    def answered(self, reply: Reply) -> None:
        """It answered somebody."""
        if not reply.to.said:
            return
        last = self.last
        last.pop(reply.to.said, None)
        last[reply.to.said] = reply
        if len(last) > LAST:
            del last[next(iter(last))]

    def post(self) -> Postal:
        """``postal``, made where there is none yet."""
        if self.postal is None:
            self.postal = Postal()
        return self.postal


class Cell:
    """One actor in memory."""

    __slots__ = (
        "address",
        "at",
        "broken",
        "gid",
        "kept",
        "loaded",
        "mailbox",
        "memory",
        "mount",
        "queued",
        "state",
        "vouched",
        "weight",
    )

    def __init__(self, address: Address, mount: Mount | None) -> None:
        self.address = address
        self.mount = mount
        self.mailbox = Mailbox()
        self.memory = Memory()
        self.state: State | None = mount.actor.behaviour.state() if mount else None
        self.loaded = False
        self.queued = False
        self.at = 0.0
        """Journal time of its last row, or of its load: when it was used last."""
        self.gid = 0
        self.kept = 0
        """Seq of the row of its last snapshot."""
        self.weight = 0
        """At most so many bytes is its state as JSON, as far as anybody knows: what it was at the last look, and all events since."""
        self.vouched: Vouched | None = None
        """What its state was last found to say of values in it, where anybody has asked."""
        self.broken: Failure | None = None
        """Set where a row of this actor cannot be read by this code: the bytes stay, its mail is parked."""

    def fold_plain(self, row: Row, record: Record, state: State | None) -> None:
        """Take the row of a plain turn in (see ``Draft``): as ``fold``, of which most does not concern it."""
        memory = self.memory
        memory.seq = row.seq
        memory.turns += 1
        self.at = row.at
        self.gid = row.gid
        self.state = state
        if record.events:
            self.weight += len(row.payload)

    def fold(self, row: Row, record: Record, state: State | None = None) -> None:
        """Take a row in. ``state``: the state after it, where it is known already; otherwise its events are applied."""
        memory = self.memory
        memory.seq = row.seq
        memory.incarnation = row.incarnation
        self.at = row.at
        self.gid = row.gid
        if row.kind in ("turn", "failed"):
            memory.turns += 1
        if record.incarnation_state == "fresh" and self.mount is not None:
            self.state = self.mount.actor.behaviour.state()
            memory.started = False
        if record.started:
            memory.started = True
        if record.events:
            self.weight += len(row.payload)
        if state is not None:
            self.state = state
        elif record.events and self.mount is not None:
            self.apply(record.events)
        if memory.life == "absent" and row.kind not in (
            "parked",
            "accepted",
            "expired",
        ):  # of mail that it has not begun
            memory.life = "running"
        if record.context is not None:
            memory.context = record.context
        memory.read = joined(memory.read, record.read)
        if record.life is not None:
            memory.life = record.life
        if record.message is not None or record.replies or record.askers or record.answered or record.sends:
            self._fold_requests(record, row.kind)
        if record.post is not None or memory.postal is not None:
            self._fold_post(record)
        if memory.timers or record.timers:
            self._fold_timers(record)
        if record.effects or record.changes:
            self._fold_effects(record)

    def apply(self, events: tuple[StoredEvent, ...]) -> None:
        """Change the state by stored events. Raises what reading or applying them raises."""
        assert self.mount is not None
        actor, behaviour = self.mount.actor, self.mount.actor.behaviour
        for stored in events:
            reads = behaviour.reads.get(stored.wire)
            if reads is not None and reads.version == stored.version:
                self.state = reads.apply(actor, self.state, reads.decode(stored.data))
            else:
                event = behaviour.read(stored)
                self.state = behaviour.appliers[stored.wire][1](actor, self.state, event)

    def _fold_requests(self, record: Record, kind: str) -> None:
        memory = self.memory
        if record.failure is not None and record.failure.code == "no_such_actor":
            return  # nobody was here: the key is still free
        if kind == "expired" and record.failure is not None:
            return
        if record.askers:
            memory.askers.update(record.askers)
        for id in record.answered:
            memory.askers.pop(id, None)
        for reply in record.replies:
            memory.answered(reply)
        for envelope in record.sends:
            if envelope.wire == OUTCOME and envelope.sender == self.address:  # an answer inside the node
                body: OutcomeBody = decode(envelope.body, OutcomeBody)
                back = ReplyTo(envelope.to, body.of, body.settler, said=body.said)
                memory.answered(Reply(back, body.value, body.failure))
            elif envelope.reply_to is not None and envelope.reply_to.token == envelope.id:
                memory.post().asked(envelope)  # an ask of its own; a forwarded one has another's token

    def _fold_post(self, record: Record) -> None:
        if record.post is not None and record.post.led:
            self.memory.led = True
            if record.post == _LED and self.memory.postal is None:  # and stays a plain one
                return
        postal, took = self.memory.post(), record.took
        if not took and record.message is not None:
            took = record.message.id
        kept = record.post is not None and (record.post.stashed or record.post.kept)
        if not kept:
            postal.failures.pop(took, None)
        if record.life is not None:
            postal.begin()
        if record.post is not None and record.post.resumed and self.memory.life == "restarting":
            self.memory.life = "running"
            postal.begin()
        postal.fold(record, took)
        if record.life in ("finished", "stopped"):  # with what this very turn put by
            postal.asks.clear()
            postal.stash.clear()

    def _fold_timers(self, record: Record) -> None:
        timers = self.memory.timers
        timers.update((timer.id, timer.schedule) for timer in record.timers)
        for id in (record.took, *record.dropped):
            timers.pop(id, None)

    def _fold_effects(self, record: Record) -> None:
        memory = self.memory
        for effect in record.effects:
            memory.counters = memory.counters.intended(effect)
            if effect.state in OPEN_STATES:
                memory.effects[effect.id] = effect
        for effect in record.changes:
            before = memory.effects.get(effect.id)
            if before is None:
                continue
            if effect.answer is not None and before.answer is None and _granted(effect):
                memory.counters = memory.counters.granted()
            if effect.cleared and not before.cleared and _first(effect):
                memory.counters = memory.counters.first_allowed(effect.name)
            if effect.name != before.name:
                memory.counters = memory.counters.replaced(before, effect)
            elif effect.digest != before.digest:  # a person gave it other arguments
                memory.counters = memory.counters.changed_into(before, effect)
            memory.counters = memory.counters.changed(effect)
            if effect.state in OPEN_STATES:
                memory.effects[effect.id] = effect
            else:
                del memory.effects[effect.id]

    def line(self) -> ActorLine:
        """Where it stands, for the journal's working set."""
        memory = self.memory
        return ActorLine(
            self.address, memory.life, memory.incarnation, memory.seq, memory.context, self.at, memory.turns
        )


def _granted(effect: Effect) -> bool:
    """Whether a person said yes to going on with what looked like a loop. (In shadow mode nobody does.)"""
    if by_shadow(effect.answer):
        return False
    asked = any(v.check == "limits.loop" and v.verdict == "ask" for v in effect.verdicts)
    return asked and effect.answer is not None and effect.answer.decision in ("approve", "change")


def _first(effect: Effect) -> bool:
    """Whether a person said yes to it because it was the first of its tool. (In shadow mode nobody does.)"""
    return effect.question is not None and effect.question.first and not by_shadow(effect.answer)


def context_for(address: Address, envelope: Envelope) -> Context:
    """The context in which a message is handled: a chain that begins outside begins its run here."""
    context = envelope.context
    if context.run == OUTSIDE:
        run = Context(address, context.user, context.tenant, context.session, context.tags)
        if context.provenance is None:
            return run
        return msgspec.structs.replace(run, provenance=context.provenance)
    return without(context, address) if context.budgets else context


def under(cell: Cell, context: Context) -> Context:
    """The same under the labels of all that the actor has read."""
    if cell.memory.read is None:
        return context
    return msgspec.structs.replace(context, provenance=joined(cell.memory.read, context.provenance))


def read_record(row: Row) -> Record:
    """The record of a row. Raises msgspec.ValidationError where it is none."""
    record: Record = decode(row.payload, Record)
    return record
