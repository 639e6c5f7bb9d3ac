"""One turn of an actor, here and now: what ``take`` hands in and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from ...actors.actor import ANY_TOOL, Actor, settles
from ...actors.cell import Cell
from ...actors.execute import execute
from ...actors.failing import failed
from ...actors.mailbox import Item
from ...actors.outcome import Later, tag_value
from ...actors.registry import Mount
from ...protocols.books import Entry
from ...protocols.codec import NULL, decode, digest, encode, roundtrip
from ...protocols.counters import Counters
from ...protocols.effects import Attempt, Effect, Intent, Retry
from ...protocols.envelope import OUTCOME, Envelope, OutcomeBody, ReplyTo
from ...protocols.errors import DefinitionError
from ...protocols.failures import Failure, of_exception
from ...protocols.hooks import Admission, Booked, Clearance, Gate, Instead, Next, Rng
from ...protocols.ids import OUTSIDE, Address
from ...protocols.journal import Record
from ...protocols.messages import Event, Message, Request, State, answer_type
from ...protocols.model import ModelRequest
from ..calendar import CronCalendar

ME = Address("actor")
ASKED = "asked"
"""Id of the request that ``take`` hands in, as ``turn.later`` gives it."""


class Called(Struct, frozen=True):
    """An effect that a turn intended.

    Attributes:
        verb: ``call``, ``think`` or ``person``.
        name: tool, model or topic.
        arguments: as plain JSON.
        tag: what the actor wants back; a ``Later`` as such.
        state: ``intended``, or ``settled`` where the gate refused it, or ``asking`` where a person must approve.
    """

    verb: str
    name: str
    arguments: Any  # plain JSON
    tag: Any  # plain JSON, or a Later
    state: str


class Taken(Struct, frozen=True):
    """What a turn came to.

    Attributes:
        events: what happened, in order.
        state: the state afterwards; as before, where the turn failed.
        reply: the answer to the message; None where there is none (yet).
        failure: why the message was refused, or the turn failed.
        crashed: the turn raised: nothing of it is kept.
        replies: answers to requests left open before, by the id of their ``Later``.
        calls: effects intended.
        sent: messages sent, with their addressees.
        reminders: messages to itself, with the seconds from now.
        finished: the actor stopped itself.
        record: the row's payload.
    """

    events: tuple[Event, ...]
    state: Any  # the actor's own State
    reply: Any  # of the request's answer type
    failure: Failure | None
    crashed: bool
    replies: dict[str, Any]
    calls: tuple[Called, ...]
    sent: tuple[tuple[str, str, Any], ...]
    reminders: tuple[tuple[float, str, Any], ...]
    finished: bool
    record: Record


class Settled(Struct, frozen=True):
    """An outcome, to be handed to ``take``. Make it with ``outcome``."""

    body: OutcomeBody


def outcome(subject: Any, value: object = None, *, failure: Failure | None = None, tag: Any = None) -> Settled:
    """What came of a call of a tool, an ask, a model or a person.

    Args:
        subject: as for ``@us.settles``.
        value: the result.
        failure: why there is none.
        tag: what the actor gave with it. The request of a ``Later`` counts as open.
    """

    def settler(actor: Any, turn: Any, outcome: Any) -> None:  # marked in order to learn the subject's name
        pass

    name = vars(settles(subject)(settler))["__understudy__"][0][1]
    if subject is ANY_TOOL:
        name = "tool:any"
    raw = NULL if tag is None else Raw(encode({"later": tag.id} if isinstance(tag, Later) else tag))
    return Settled(OutcomeBody("0.0", name, raw, Raw(encode(value)), failure))


class OpenGate:
    """Lets everything through: what ``take`` uses where it is given no gate."""

    def admit(self, intent: Intent, counters: Counters, now: float) -> Admission:
        key = digest(intent.name, bytes(intent.args))
        decision = "ask" if intent.question is not None else "allow"
        return Admission(decision, (), "read", key, key, 30.0, Retry(), question=intent.question)  # type: ignore[arg-type]

    def hands_on(self, intent: Intent, admission: Admission, handed: int) -> Admission:
        return admission

    def start(
        self,
        effect: Effect,
        counters: Counters,
        now: float,
        books: Mapping[str, Entry],
        request: ModelRequest | None = None,
        until: float | None = None,
        known: Callable[[str], Effect | None] | None = None,
    ) -> Clearance:
        return Clearance()

    def book(self, effect: Effect, attempt: Attempt | None, now: float, books: Mapping[str, Entry]) -> Booked:
        return Booked()

    def pretends(self, effect: Effect) -> bool:
        return False

    def gives(self, effect: Effect, value: Raw) -> None:
        return None

    def failed(self, effect: Effect, failure: Failure, now: float, rng: Rng) -> Next:
        return Next("settle", failure=failure)

    def unknown(self, effect: Effect, failure: Failure, now: float, rng: Rng) -> Next:
        return Next("settle", failure=failure)

    def instead(self, effect: Effect, failure: Failure, counters: Counters, now: float) -> Instead | None:
        return None

    def undoing(self, effect: Effect, value: Raw | None) -> None:
        return None

    def interrupted(self, effect: Effect, now: float) -> Next:
        return Next("start")


def take(
    actor: Actor | type[Actor],
    message: Message | Settled,
    *,
    state: State | None = None,
    open_requests: tuple[str, ...] = (),
    sender: str = "",
    now: float = 0.0,
    seed: str = "take",
    gate: Gate | None = None,
    agent: str = "actor",
) -> Taken:
    """Run one turn of an actor, here and now: no loop, no journal, no world.

    Args:
        actor: the class, or an object of it.
        message: what it is told or asked, or an ``outcome``.
        state: what it remembers; its first state by default.
        open_requests: ids of requests that it left open before.
        sender: who sends the message; somebody outside by default.
        now: journal time.
        seed: what ``turn.random`` and ``turn.uid`` follow from.
        gate, agent: checks for what it intends, and under which name; everything is let through by default.
    """
    one = actor() if isinstance(actor, type) else actor
    cell = Cell(ME, Mount(str(ME), one, OUTSIDE, agent))
    cell.loaded = True
    cell.memory.life = "running"
    cell.memory.turns = 1  # `Started` was long ago
    cell.state = state if state is not None else cell.state
    envelope = _envelope(message, Address(sender), now)
    cell.memory.askers = {id: ReplyTo(OUTSIDE, id) for id in (*open_requests, *_tagged(message))}
    item = Item(envelope, durable=False)
    draft = execute(cell, item, gate or OpenGate(), 1, now, seed, CronCalendar())
    if not one.durable and (draft.record.effects or draft.record.timers):
        why = f"{type(one).__name__} is memory-only (durable = False) and has no effects and no timers"
        draft = failed(cell, item, of_exception(DefinitionError(why), where=ME), 1, now)
    return _taken(cell, draft.record, draft.state, draft.kind == "failed", message, now)


def _envelope(message: Message | Settled, sender: Address, now: float) -> Envelope:
    if isinstance(message, Settled):
        return Envelope(ASKED, ME, OUTCOME, Raw(encode(message.body)), sender=sender, at=now)
    cls = type(message)
    data, _ = roundtrip(message, cls)
    back = ReplyTo(OUTSIDE, ASKED) if isinstance(message, Request) else None
    return Envelope(ASKED, ME, cls.__wire__, data, sender=sender, reply_to=back, version=cls.__version__, at=now)


def _tagged(message: Message | Settled) -> tuple[str, ...]:
    tag = tag_value(message.body.tag) if isinstance(message, Settled) else None
    return (tag.id,) if isinstance(tag, Later) else ()


def _taken(
    cell: Cell, record: Record, state: State | None, crashed: bool, message: Message | Settled, now: float
) -> Taken:
    assert cell.mount is not None
    behaviour = cell.mount.actor.behaviour
    answers = {reply.to.token: reply for reply in record.replies}
    mine = answers.pop(ASKED, None) if isinstance(message, Request) else None
    reply = None
    if mine is not None and mine.failure is None:
        reply = decode(mine.value, answer_type(type(message)))  # type: ignore[arg-type]  # a Request, as above
    calls = tuple(
        Called(e.verb, e.name, msgspec.json.decode(e.args), tag_value(e.tag), e.state)
        for e in record.effects
        if not crashed
    )
    return Taken(
        events=tuple(behaviour.read(stored) for stored in record.events),
        state=state,
        reply=reply,
        failure=record.failure or (mine.failure if mine is not None else None),
        crashed=crashed,
        replies={id: r.failure or msgspec.json.decode(r.value) for id, r in answers.items()},
        calls=calls,
        sent=tuple((str(e.to), e.wire, msgspec.json.decode(e.body)) for e in record.sends),
        reminders=tuple((t.at - now, t.envelope.wire, msgspec.json.decode(t.envelope.body)) for t in record.timers),
        finished=record.life == "finished",
        record=record,
    )
