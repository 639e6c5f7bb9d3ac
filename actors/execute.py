"""One turn, from mail to record. Pure: the kernel runs it live, replay runs it again and compares.

The steps: find the method, decode the message, run it with a ``Turn``, draft the record. A refusal (``Rejected``, a message
nobody handles) is a turn that answers with a failure; an exception is a failed turn, of which only its input and the
failure are left, with word to the supervisor and to whoever asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from ..protocols.approvals import Question
from ..protocols.codec import NULL, decode, digest, encode, roundtrip
from ..protocols.effects import Counters, Effect, Intent
from ..protocols.envelope import OUTCOME, Context, Envelope, OutcomeBody, Reply, ReplyTo
from ..protocols.errors import DefinitionError, Failed, Rejected, StateTooLarge, TooLarge
from ..protocols.failures import Failure, of_exception, said
from ..protocols.hooks import NO_CALENDAR, Admission, Calendar, Gate
from ..protocols.ids import OUTSIDE, Address, item_id
from ..protocols.journal import MAX_ROW, MAX_STATE, Record, RowKind, Schedule
from ..protocols.lifecycle import ChildFailed, Life, Restart, Restarted, Started, Stop
from ..protocols.mail import Post, Terminated
from ..protocols.messages import Event, State
from ..protocols.upcasting import lift
from .actor import Behaviour, Handler
from .asking import begin_anew, hear, heard, open_request
from .cell import Cell, context_for
from .mailbox import Item
from .outcome import Later, Outcome, Tag, outcome_envelope, read_outcome, tag_value
from .postal import later_id
from .reminders import series_of, tick, tick_anyway
from .sizes import brief, lean
from .snapshots import weigh
from .spawn import Where, covered
from .turn import Turn
from .undelivered import Untaken, Word, unhandled
from .watching import gone, hears_of, obey, tell_watchers

_TERMINATED = Terminated.__wire__


class Draft(msgspec.Struct):
    """What a turn came to: the row's kind and record, and the state after it."""

    kind: RowKind
    record: Record
    state: State | None
    payload: bytes


class _Frame:
    """The surroundings of one turn, see ``frame.Frame``."""

    def __init__(self, cell: Cell, item: Item, gate: Gate, gid: int, now: float, seed: str, calendar: Calendar) -> None:
        assert cell.mount is not None
        self.gid, self.now, self.seed = gid, now, seed
        self.me: Address = cell.address
        self.sender = item.envelope.sender
        self.turns = cell.memory.turns
        self.context: Context = context_for(cell.address, item.envelope)
        self.agent = cell.mount.agent
        self.calendar = calendar
        self._cell, self._gate = cell, gate
        self._counters: Counters = settled_counters(cell, item) if item.settles else cell.memory.counters
        self._settles = item.settles
        self._lane = item.envelope.lane
        self._envelope = item.envelope

    @property
    def stashable(self) -> bool:
        return self._lane == "work"

    @property
    def stashes(self) -> bool:
        return self._cell.memory.postal is not None and bool(self._cell.memory.postal.stash)

    def admit(self, intent: Intent) -> Admission:
        return self._gate.admit(intent, self._counters, self.now)

    def intended(self, effect: Effect) -> None:
        self._counters = self._counters.intended(effect)

    def apply(self, state: Any, event: Event) -> Any:  # the actor's own State
        assert self._cell.mount is not None
        actor = self._cell.mount.actor
        found = actor.behaviour.appliers.get(type(event).__wire__)
        if found is None:
            raise LookupError(f"{type(actor).__name__} has no @us.applies({type(event).__name__})")
        after = found[1](actor, state, event)
        if not isinstance(after, actor.behaviour.state):
            raise TypeError(f"{found[1].__name__} must return a {actor.behaviour.state.__qualname__}, not {after!r}")
        return after

    def open_effects(self) -> Mapping[str, Effect]:
        return {id: e for id, e in self._cell.memory.effects.items() if id != self._settles}

    def reminders(self) -> Mapping[str, Schedule | None]:
        return self._cell.memory.timers

    def place(self, where: Where, key: str | tuple[str, ...]) -> Address:
        assert self._cell.mount is not None
        return covered(self._cell.mount.among, where, key)

    def asker(self, id: str) -> ReplyTo | None:
        return self._cell.memory.askers.get(id)

    def remembered(self, asker: ReplyTo) -> ReplyTo:
        return msgspec.structs.replace(asker, said=digest(self._envelope.wire, self._envelope.body))

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
        postal = self._cell.memory.postal
        return postal is not None and address in postal.watching


def settled_counters(cell: Cell, item: Item) -> Counters:
    """The gate's memory as a turn sees it: with the effect counted that this very mail settles."""
    counters, after = cell.memory.counters, settled(cell, item)
    return counters.changed(after[0]) if after else counters


def execute(
    cell: Cell, item: Item, gate: Gate, gid: int, now: float, seed: str, calendar: Calendar = NO_CALENDAR,
    word: Word | None = None,
) -> Draft:  # fmt: skip
    """Run the turn of one piece of mail against a loaded, mounted cell. Changes neither. ``word``: as in ``failed``."""
    assert cell.mount is not None
    frame = _Frame(cell, item, gate, gid, now, seed, calendar)
    envelope = item.envelope
    request = (envelope.id, envelope.reply_to) if envelope.reply_to else None
    restart = decode(envelope.body, Restart) if envelope.wire == Restart.__wire__ else None
    fresh = restart is not None and restart.state == "fresh"
    turn: Turn[Any] = Turn(frame, cell.mount.actor.behaviour.state() if fresh else cell.state, request)
    try:
        try:
            _remind_again(cell, item, turn, calendar)
            _run(cell, turn, envelope, request, restart)
        except Rejected as refused:  # a refusal leaves nothing but its answer
            tag: Tag = tag_value(decode(envelope.body, OutcomeBody).tag) if envelope.wire == OUTCOME else None
            if restart is not None or (envelope.wire == OUTCOME and not _is_later(tag)):
                raise  # nobody is there to be refused
            turn = Turn(_Frame(cell, item, gate, gid, now, seed, calendar), cell.state, request)
            _remind_again(cell, item, turn, calendar)
            if envelope.wire == OUTCOME:
                hear(cell, turn, envelope, decode(envelope.body, OutcomeBody))
            _start(cell, turn)
            why = Failure("change_arguments", "rejected", refused.args[0], hint=refused.hint, where=cell.address)
            why = said(why)
            if request is not None:
                turn.respond(request[1], NULL, why)
            elif envelope.wire == OUTCOME:
                turn.refuse(tag, why)
        return _draft(cell, item, turn, "turn", restart)
    except Untaken as mail:
        return failed(cell, item, mail.failure, gid, now, "parked", word=word, calendar=calendar)
    except KeyboardInterrupt:  # of whoever sits at the terminal
        raise
    except BaseException as error:  # noqa: BLE001 - whatever it was, it becomes a failure that somebody is told
        code = "state_too_large" if isinstance(error, StateTooLarge) else "crashed"
        why = of_exception(error, where=cell.address, code=code)
        if _again(cell, item):
            return failed(cell, item, why, gid, now, again=True, calendar=calendar)
        return failed(cell, item, why, gid, now, calendar=calendar)


def _again(cell: Cell, item: Item) -> bool:
    """Whether the message of a failed turn is tried again after the restart, rather than parked."""
    assert cell.mount is not None
    actor, postal, envelope = cell.mount.actor, cell.memory.postal, item.envelope
    if actor.poison_after <= 1 or envelope.lane == "control" or not cell.mount.supervisor or item.settles:
        return False
    failures = postal.failures.get(envelope.id, 0) if postal is not None else 0
    return failures + 1 < actor.poison_after


def _remind_again(cell: Cell, item: Item, turn: Turn[Any], calendar: Calendar) -> None:
    """The row that takes a tick sets the next one."""
    if cell.memory.timers and (series := series_of(cell, item)) is not None:
        turn.timers.append(tick(series, item, turn._next(), turn.now, calendar))


def _run(
    cell: Cell, turn: Turn[Any], envelope: Envelope, request: tuple[str, ReplyTo] | None, restart: Restart | None
) -> None:
    assert cell.mount is not None
    actor, behaviour = cell.mount.actor, cell.mount.actor.behaviour
    if envelope.wire == Stop.__wire__:
        return
    if restart is not None:
        handler = behaviour.handlers.get(Restarted.__wire__)
        if handler is not None:
            handler.method(actor, turn, Restarted(cell.memory.incarnation + 1, restart.cause))
        return
    if envelope.lane == "control" and obey(cell, turn, envelope):
        return
    _start(cell, turn)
    if envelope.wire == Started.__wire__:  # it was spawned, and has begun now or before
        if request is not None:
            turn.respond(request[1], NULL, None)
        return
    if envelope.wire == OUTCOME:
        outcome = decode(envelope.body, OutcomeBody)
        if hear(cell, turn, envelope, outcome):
            _settle(actor, behaviour, turn, outcome)
        return
    if envelope.wire == _TERMINATED and not hears_of(cell, turn, envelope):
        return
    found = behaviour.handlers.get(envelope.wire)
    refusal = unhandled(found, envelope)
    if refusal is not None:
        _refuse(turn, request, refusal)
        return
    assert found is not None
    _handle(actor, turn, found, envelope, request)


def _start(cell: Cell, turn: Turn[Any]) -> None:
    """Run the ``Started`` handler, where there is one and no turn that counts has run it yet."""
    assert cell.mount is not None
    handler = cell.mount.actor.behaviour.handlers.get(Started.__wire__)
    if handler is not None and not cell.memory.started:
        handler.method(cell.mount.actor, turn, Started())
        turn.started = True


def _refuse(turn: Turn[Any], request: tuple[str, ReplyTo] | None, why: Failure) -> None:
    """Nobody takes this message: whoever asked is answered; one that was told is put aside."""
    if request is None:
        raise Untaken(why)
    turn.respond(request[1], NULL, why)


def _handle(
    actor: object, turn: Turn[Any], handler: Handler, envelope: Envelope, request: tuple[str, ReplyTo] | None
) -> None:
    try:
        if envelope.version == handler.message.__version__:
            message = decode(envelope.body, handler.message)
        else:
            message = lift(envelope.body, handler.message, envelope.version)
    except msgspec.ValidationError as error:
        _refuse(
            turn, request, Failure("change_arguments", "bad_message", f"{envelope.wire}: {error}", where=envelope.to)
        )
        return
    answer = handler.method(actor, turn, message)
    if request is None:
        return
    if isinstance(answer, Later):
        if answer.id != request[0]:
            raise DefinitionError(
                f"{handler.message.__name__} was answered with a us.Later that is not its own",
                hint="return what turn.later(msg), turn.forward(…) or turn.stash() gives",
            )
        return
    if turn.notes is not None and "stashed" in turn.notes:
        raise DefinitionError(
            f"{handler.message.__name__} was stashed and answered", hint="return what turn.stash() gives"
        )
    data, _ = roundtrip(answer, handler.answer)
    asker = request[1]
    if turn.finished:
        asker = msgspec.structs.replace(asker, said=digest(envelope.wire, envelope.body))
    turn.respond(asker, data, None)


def _settle(actor: object, behaviour: Behaviour, turn: Turn[Any], body: OutcomeBody) -> None:
    turn.behalf = later_id(bytes(body.tag)) or body.request
    settler = behaviour.settler(body.settler)
    if settler is None:
        raise LookupError(f"nobody settles {body.settler!r}: add a method with @us.settles to {type(actor).__name__}")
    try:
        outcome: Outcome[Any] = read_outcome(body, settler.form)
    except msgspec.ValidationError as error:
        drift = Failure("abandon", "schema_drift", f"{body.settler}: the result does not fit its type: {error}")
        outcome = Outcome(body.of, tag_value(body.tag), None, drift)
    try:
        settler.method(actor, turn, outcome)
    except Failed as error:
        tag: Tag = outcome.tag
        if not _is_later(tag) or outcome.failure is None or error.failure is not outcome.failure:
            raise
        turn.refuse(tag, outcome.failure)


def _is_later(tag: Tag) -> bool:
    return isinstance(tag, Later)


def _draft(cell: Cell, item: Item, turn: Turn[Any], kind: RowKind, restart: Restart | None) -> Draft:
    """The record of a turn that returned."""
    envelope = item.envelope
    ending = envelope.wire == Stop.__wire__
    life: Life | None = (
        "stopped" if ending else "finished" if turn.finished else "running" if restart is not None else None
    )
    changes = settled(cell, item) if item.settles else []
    if turn.changes:
        changes += turn.changes
    if life is not None:
        failure = decode(envelope.body, Stop).failure if ending else None
        changes += _end(cell, turn, life, failure, {e.id for e in changes})
        if restart is not None:
            begin_anew(cell, turn, restart, changes)
        else:
            tell_watchers(cell, turn, "stopped" if ending else "finished", failure)
    record = Record(
        took=envelope.id if item.durable else "",
        message=None if item.durable else envelope,
        events=tuple(turn.events),
        sends=tuple(turn.sends),
        replies=tuple(turn.replies),
        post=turn.post() if turn.notes is not None else None,
    )
    if (
        life is not None
        or changes
        or turn.effects
        or turn.timers
        or turn.dropped
        or turn.askers
        or turn.answered
        or turn.started
        or item.marks
        or cell.memory.seq == 0
    ):  # few turns do more than the five fields above, and a record with all its fields costs four times as much
        record = msgspec.structs.replace(
            record,
            effects=tuple(turn.effects),
            changes=tuple(changes),
            timers=tuple(turn.timers),
            dropped=tuple(turn.dropped),
            started=turn.started,
            askers={} if life in ("stopped", "finished") else turn.askers,
            answered=tuple(turn.answered),
            attempts=item.marks,
            life=life,
            context=turn.context if cell.memory.seq == 0 else None,
            incarnation_state=restart.state if restart is not None else "keep",
        )
    payload = encode(record)
    if len(payload) > MAX_ROW:
        raise TooLarge(
            f"the turn's row is {len(payload):,} bytes, more than {MAX_ROW:,}",
            hint="keep large values elsewhere and store their names",
        )
    if turn.events and cell.weight + len(payload) > MAX_STATE:
        weigh(cell, turn.state)
    return Draft(kind, record, turn.state, payload)


def settled(cell: Cell, item: Item) -> list[Effect]:
    """The effect that this mail settles, as it stands in the ledger afterwards."""
    effect = cell.memory.effects.get(item.settles) if item.settles else None
    if effect is None:
        return []
    body: OutcomeBody = decode(item.envelope.body, OutcomeBody)
    after = msgspec.structs.replace(effect, state="settled", failure=body.failure, due=None)
    return [lean(after, item.envelope.body)]


def _end(cell: Cell, turn: Turn[Any], life: str | None, failure: Failure | None, settled: set[str]) -> list[Effect]:
    """Withdraw what has not begun; on the last row of a life also answer every open request."""
    withdrawn = [
        msgspec.structs.replace(effect, state="withdrawn", due=None)
        for effect in cell.memory.effects.values()
        if effect.id not in settled and effect.state not in ("started", "in_doubt")
    ]
    if life == "running":
        return withdrawn
    turn.effects[:] = [
        msgspec.structs.replace(e, state="withdrawn") if e.state in ("intended", "asking") else e for e in turn.effects
    ]
    turn.timers.clear()
    turn.dropped += [id for id in cell.memory.timers if id not in turn.dropped]
    why = failure or Failure("abandon", "stopped", f"{cell.address} ended without answering", where=cell.address)
    open_requests = {**cell.memory.askers, **turn.askers}
    for id in list(open_requests):
        if id not in turn.answered:
            turn.refuse(Later[Any](id), why)
    return withdrawn


def word_of_failure(cell: Cell, envelope: Envelope, failure: Failure, id: str, now: float) -> tuple[Envelope, ...]:
    """What an actor's supervisor is told; nothing where there is none."""
    supervisor = cell.mount.supervisor if cell.mount else OUTSIDE
    if not supervisor:
        return ()
    context = context_for(cell.address, envelope)
    word = ChildFailed(cell.address, cell.memory.incarnation, failure, envelope.id, context.run)
    data = Raw(encode(word))
    return (Envelope(id, supervisor, ChildFailed.__wire__, data, sender=cell.address, context=context, at=now),)


def failed(
    cell: Cell, item: Item, failure: Failure, gid: int, now: float, kind: RowKind = "failed", *,
    word: Word | None = None, again: bool = False, silent: bool = False, calendar: Calendar = NO_CALENDAR,
    short: bool = False,
) -> Draft:  # fmt: skip
    """The record of a turn that raised, or (``parked``, ``expired``) of mail that is put aside without one.

    ``word``: what its sender is told where nobody waits for an answer. ``again``: the message is to be tried again.
    ``silent``: whoever asked waits no more. ``short``: all that is said of it would be too large, so less is.
    """
    envelope = item.envelope
    if short:
        failure = brief(failure)
    context = context_for(cell.address, envelope)
    sends: list[Envelope] = []
    replies: list[Reply] = []
    supervisor = cell.mount.supervisor if cell.mount else OUTSIDE
    if kind == "failed" or cell.broken:
        sends += word_of_failure(cell, envelope, failure, item_id(gid, 0), now)
    child = decode(envelope.body, ChildFailed).child if envelope.wire == ChildFailed.__wire__ else None
    if child is not None and supervisor:  # whoever is above decides in its place: nobody stays suspended
        sends.append(msgspec.structs.replace(envelope, id=item_id(gid, 3), to=supervisor, sender=cell.address))
    left = open_request(cell, envelope) if kind == "failed" and not again else ""
    asker = cell.memory.askers[left] if left else envelope.reply_to
    if again or silent:
        pass
    elif asker is not None:
        told = msgspec.structs.replace(failure, where=cell.address)
        if asker.address == OUTSIDE:
            replies.append(Reply(asker, NULL, told))
        else:
            sends.append(outcome_envelope(item_id(gid, 1), asker, NULL, told, cell.address, context, now))
    elif word is not None:
        told_of = msgspec.structs.replace(envelope, body=NULL) if short else envelope
        sends += word(told_of, failure, item_id(gid, 1), now)
    over = ((), ()) if again else heard(cell, envelope)
    watchers: tuple[Address, ...] = ()
    if cell.broken is not None and cell.memory.postal is not None and not short:
        watchers = tuple(cell.memory.postal.watchers)
        sends += (gone(cell, w, context, failure, item_id(gid, 4 + n), now) for n, w in enumerate(watchers))
    record = Record(
        took=envelope.id if item.durable else "",
        message=None if item.durable else envelope,
        sends=tuple(sends),
        replies=tuple(replies),
        timers=tick_anyway(cell, item, item_id(gid, 4 + len(watchers)), now, calendar),
        effects=() if supervisor or kind != "failed" else (_last_resort(cell, failure, context, gid, now, child),),
        changes=tuple(settled(cell, item)),
        answered=(left,) if left else (),
        failure=failure,
        attempts=item.marks,
        life="restarting" if kind == "failed" and supervisor else None,
        context=context if cell.memory.seq == 0 else None,
        dropped=tuple(over[1]),
        post=Post(kept=True) if again else Post(heard=over[0], unwatched=watchers) if over[0] or watchers else None,
    )
    payload = encode(record)
    if len(payload) > MAX_ROW and not short:
        return failed(
            cell, item, failure, gid, now, kind, word=word, again=again, silent=silent, calendar=calendar, short=True
        )
    return Draft(kind, record, cell.state, payload)


def _last_resort(cell: Cell, failure: Failure, context: Context, gid: int, now: float, child: Address | None) -> Effect:
    """The failure of an actor above which there is no supervisor goes to a person, with the child it was about, if it was."""
    text = f"{cell.address}, which nobody supervises, failed: {failure.message}"
    if child is not None:
        text += f" Start {child} again, which failed before (approve), or stop it (reject)?"
    question = Question("escalation", text, failure=failure)
    return Effect(
        item_id(gid, 2), cell.address, "person", "failed", Raw(b"{}"), "person", tag=Raw(encode(child)),
        context=context, at=now, state="asking", question=question,
    )  # fmt: skip
