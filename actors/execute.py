"""One turn, from mail to record. Pure: the kernel runs it live, replay runs it again and compares.

The steps: find the method, decode the message, run it with a ``Turn``, draft the record. A refusal (``Rejected``, a message
nobody handles) is a turn that answers with a failure; an exception is a failed turn, of which only its input and the
failure are left, with word to the supervisor and to whoever asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..protocols.books import Entry
from ..protocols.codec import NULL, decode, digest, encode, roundtrip
from ..protocols.effects import Effect
from ..protocols.envelope import OUTCOME, Envelope, OutcomeBody, ReplyTo
from ..protocols.errors import DefinitionError, Failed, Ignore, Rejected, StateTooLarge, TooLarge
from ..protocols.failures import Failure, interruption, of_exception, said
from ..protocols.hooks import NO_CALENDAR, Calendar, Gate
from ..protocols.journal import MAX_ROW, MAX_STATE, Record, RowKind
from ..protocols.lifecycle import Life, Restart, Restarted, Start, Started, Stop
from ..protocols.mail import Terminated
from ..protocols.secrets import KNOWN, refuse_secrets
from ..protocols.tasks import Task
from ..protocols.upcasting import lift
from .actor import Behaviour, Handler
from .asking import begin_anew, hear
from .cell import Cell
from .delegation import closes, tie
from .draft import Draft, settled
from .drawing import draw
from .failing import failed
from .granting import grant
from .mailbox import Item
from .orders import ANSWERED, begins_in_order, ignores, ordered, restart_of, tell_end, up
from .outcome import Later, Outcome, Tag, read_outcome, tag_value
from .postal import later_id
from .provenance import distrusted
from .reminders import series_of, tick
from .snapshots import weigh
from .surroundings import surround
from .turn import Turn
from .undelivered import Untaken, Word, unhandled
from .watching import NOTICES, hears_of, obey, tell_watchers

_STOP, _RESTART, _STARTED, _TERMINATED = Stop.__wire__, Restart.__wire__, Started.__wire__, Terminated.__wire__
_OWN = frozenset({_STOP, _RESTART, _STARTED, _TERMINATED, OUTCOME})
"""What is said by the machinery of actors, and what it does about it."""


def execute(
    cell: Cell, item: Item, gate: Gate, gid: int, now: float, seed: str, calendar: Calendar = NO_CALENDAR,
    word: Word | None = None, books: Mapping[str, Entry] | None = None,
) -> Draft:  # fmt: skip
    """Run the turn of one piece of mail against a loaded, mounted cell. Changes neither. ``word``: as in ``failed``; ``books``: as in
    ``surround``."""
    assert cell.mount is not None
    frame = surround(cell, item, gate, gid, now, seed, calendar, books)
    envelope = item.envelope
    request = None if envelope.reply_to is None else (envelope.id, envelope.reply_to)
    restart = restart_of(cell, envelope) if envelope.lane == "control" else None
    fresh = restart is not None and restart.state == "fresh"
    turn: Turn[Any] = Turn(frame, cell.mount.actor.behaviour.state() if fresh else cell.state, request)
    try:
        try:
            if cell.memory.timers:
                _remind_again(cell, item, turn, calendar)
            if envelope.lane == "work" and envelope.wire not in _OWN:
                _take(cell, turn, envelope, request)
            else:
                _run(cell, turn, envelope, request, restart)
        except Rejected as refused:  # a refusal leaves nothing but its answer
            tag: Tag = tag_value(decode(envelope.body, OutcomeBody).tag) if envelope.wire == OUTCOME else None
            ordered = envelope.lane == "control" and envelope.wire in ANSWERED
            if ordered or (envelope.wire == OUTCOME and not _is_later(tag)):
                raise  # nobody is there to be refused
            turn = Turn(surround(cell, item, gate, gid, now, seed, calendar, books), cell.state, request)
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
    except Ignore as ignored:
        if envelope.wire != Start.__wire__:  # a message began it, and waits for it
            return failed(cell, item, of_exception(ignored, where=cell.address), gid, now, calendar=calendar)
        turn = Turn(surround(cell, item, gate, gid, now, seed, calendar), cell.state, None)
        ignores(cell, turn, envelope, ignored)
        return _draft(cell, item, turn, "turn", None)
    except Untaken as mail:
        return failed(cell, item, mail.failure, gid, now, "parked", word=word, calendar=calendar)
    except BaseException as error:  # noqa: BLE001 - whatever it was, it becomes a failure that somebody is told
        if (interrupt := interruption(error)) is not None:  # of whoever sits at the terminal
            raise interrupt from None
        code = "state_too_large" if isinstance(error, StateTooLarge) else "crashed"
        why = of_exception(error, where=cell.address, code=code)
        if _again(cell, item):
            return failed(cell, item, why, gid, now, again=True, calendar=calendar)
        return failed(cell, item, why, gid, now, calendar=calendar)


def broken_off(cell: Cell, item: Item, why: Failure, gid: int, now: float, calendar: Calendar) -> Draft:
    """The record of a turn that the watchdog broke off, whatever it made of that itself."""
    return failed(cell, item, why, gid, now, again=_again(cell, item), calendar=calendar)


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
    if (series := series_of(cell, item)) is not None:
        turn.rare.timers.append(tick(series, item, turn._next(), turn.now, calendar))


def _run(
    cell: Cell, turn: Turn[Any], envelope: Envelope, request: tuple[str, ReplyTo] | None, restart: Restart | None
) -> None:
    """What the machinery of actors says; and any message in the control lane."""
    assert cell.mount is not None
    actor, behaviour = cell.mount.actor, cell.mount.actor.behaviour
    if envelope.wire == _STOP:
        actor.is_stopped(turn, decode(envelope.body, Stop).failure)
        return
    if restart is not None:
        handler = behaviour.handlers.get(Restarted.__wire__)
        incarnation = cell.memory.incarnation + 1
        if restart.state == "fresh" or not cell.memory.started:
            _begin(cell, turn)
        if handler is not None:
            handler.method(actor, turn, Restarted(incarnation, restart.cause, restart.attempt))
        up(cell, turn, restart.attempt, incarnation)
        return
    if envelope.lane == "control" and (ordered(cell, turn, envelope, _start) or obey(cell, turn, envelope)):
        if cell.memory.life == "absent" and begins_in_order(cell) and envelope.wire in NOTICES:
            turn.life = "absent"  # its mail waits for its start still
        return
    if envelope.wire == _STARTED:  # it was spawned, and has begun now or before
        _start(cell, turn)
        if request is not None:
            turn.respond(request[1], NULL, None)
    elif envelope.wire == OUTCOME:
        _start(cell, turn)
        outcome = decode(envelope.body, OutcomeBody)
        if hear(cell, turn, envelope, outcome):
            _settle(actor, behaviour, turn, outcome)
    elif envelope.wire != _TERMINATED:
        _take(cell, turn, envelope, request)
    else:
        _start(cell, turn)
        if hears_of(cell, turn, envelope):
            _take(cell, turn, envelope, request)


def _start(cell: Cell, turn: Turn[Any]) -> None:
    """Run the ``Started`` handler, where there is one and no turn that counts has run it yet."""
    if not cell.memory.started and not turn.started:
        _begin(cell, turn)


def _begin(cell: Cell, turn: Turn[Any]) -> None:
    assert cell.mount is not None
    handler = cell.mount.actor.behaviour.handlers.get(_STARTED)
    if handler is not None:
        handler.method(cell.mount.actor, turn, Started())
        turn.started = True


def _take(cell: Cell, turn: Turn[Any], envelope: Envelope, request: tuple[str, ReplyTo] | None) -> None:
    """A message for a handler."""
    assert cell.mount is not None
    actor = cell.mount.actor
    handlers = actor.behaviour.handlers
    if _STARTED in handlers:
        _start(cell, turn)
    found = handlers.get(envelope.wire)
    try:
        if found is not None and found.version == envelope.version:
            message = found.decode(envelope.body)
        else:
            refusal = unhandled(found, envelope)
            if refusal is not None:
                _refuse(turn, request, refusal)
                return
            assert found is not None
            message = lift(envelope.body, found.message, envelope.version)
    except (msgspec.ValidationError, RecursionError) as error:
        why = "it is nested too deeply to be decoded" if isinstance(error, RecursionError) else error
        _refuse(turn, request, Failure("change_arguments", "bad_message", f"{envelope.wire}: {why}", where=envelope.to))
        return
    if found.message is Task:
        if (chain := closes(cell, envelope)) is not None:
            tie(cell, turn, envelope, request, chain)
            return
        draw(cell, turn, message, envelope.id)
        if message.tools is not None:
            grant(cell, turn, message)
    if found.message is Task and message.untrusted:
        turn.distrust(distrusted(message))
    answer = found.method(actor, turn, message)
    if request is not None:
        _answer(turn, found, envelope, request, answer)


def _refuse(turn: Turn[Any], request: tuple[str, ReplyTo] | None, why: Failure) -> None:
    """Nobody takes this message: whoever asked is answered; one that was told is put aside."""
    if request is None:
        raise Untaken(why)
    turn.respond(request[1], NULL, why)


def _answer(
    turn: Turn[Any], handler: Handler, envelope: Envelope, request: tuple[str, ReplyTo], answer: object
) -> None:
    """Give the answer of a handler to whoever asked."""
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
    envelope, memory, sends = item.envelope, cell.memory, turn.sends
    # Few turns do more than this: a record with all its fields costs four times as much.
    record = Record(
        envelope.id if item.durable else "",
        None if item.durable else envelope,
        tuple(turn.events),
        tuple(sends),
        tuple(turn.replies),
    )
    if (
        turn.made is None
        and turn._frame.read is None
        and restart is None
        and memory.seq
        and not item.settles
        and not item.marks
        and envelope.wire != _STOP
    ):
        plain = (
            not turn.replies
            and (item.durable or not envelope.key)
            and memory.life == "running"
            and memory.postal is None
            and not memory.timers
        )
        for sent in sends:
            if sent.reply_to is not None or sent.wire == OUTCOME:
                plain = False
    else:
        plain = False
        record = _whole(cell, item, turn, restart, record)
    payload = encode(record)
    if KNOWN.any:
        refuse_secrets(payload, "the turn's row")
    if len(payload) > MAX_ROW:
        raise TooLarge(
            f"the turn's row is {len(payload):,} bytes, more than {MAX_ROW:,}",
            hint="keep large values elsewhere and store their names",
        )
    if turn.events and cell.weight + len(payload) > MAX_STATE:
        weigh(cell, turn.state)
    return Draft(kind, record, turn.state, payload, plain)


def _whole(cell: Cell, item: Item, turn: Turn[Any], restart: Restart | None, record: Record) -> Record:
    """The record of a turn that did, or may have done, more than ``record`` says."""
    envelope, rare = item.envelope, turn.rare
    ending = envelope.wire == _STOP
    life: Life | None = (
        "stopped" if ending else "finished" if rare.finished else "running" if restart is not None else rare.life
    )
    changes = settled(cell, item) if item.settles or envelope.wire == OUTCOME else []
    changes += rare.changes
    if rare.finished or rare.ended_by is not None:
        tell_end(cell, turn)
    if life is not None and life not in ("restarting", "absent"):  # what is open there is the next incarnation's
        failure = decode(envelope.body, Stop).failure if ending else rare.ended_by
        changes += _end(cell, turn, life, failure, {e.id for e in changes})
        if restart is not None:
            begin_anew(cell, turn, restart, changes)
        else:
            tell_watchers(cell, turn, life, failure)
    first = cell.memory.seq == 0
    return msgspec.structs.replace(
        record,
        sends=tuple(turn.sends),
        replies=tuple(turn.replies),
        effects=tuple(rare.effects),
        changes=tuple(changes),
        timers=tuple(rare.timers),
        dropped=tuple(rare.dropped),
        started=rare.started,
        askers={} if life in ("stopped", "finished") else rare.askers,
        answered=tuple(rare.answered),
        attempts=item.marks,
        life=life,
        context=turn.context if first or rare.budgeted else None,
        incarnation_state=restart.state if restart is not None else "keep",
        post=turn.post() if rare.notes is not None else None,
        read=turn._frame.read,
        books=turn._frame.entries,
    )


def _end(cell: Cell, turn: Turn[Any], life: str | None, failure: Failure | None, settled: set[str]) -> list[Effect]:
    """Withdraw what has not begun; on the last row of a life also answer every open request."""
    withdrawn = [
        msgspec.structs.replace(effect, state="withdrawn", due=None)
        for effect in cell.memory.effects.values()
        if effect.id not in settled and effect.state not in ("started", "in_doubt")
        if effect.state != "inside" or life != "running"  # who does it goes on, and the next incarnation hears of it
    ]
    if life == "running":
        return withdrawn
    turn.rare.effects[:] = [
        msgspec.structs.replace(e, state="withdrawn" if e.state in ("intended", "asking") else "sent")
        if e.state in ("intended", "asking", "inside")
        else e
        for e in turn.rare.effects
    ]
    turn.rare.timers.clear()
    turn.rare.dropped += [id for id in cell.memory.timers if id not in turn.rare.dropped]
    why = failure or Failure("abandon", "stopped", f"{cell.address} ended without answering", where=cell.address)
    open_requests = {**cell.memory.askers, **turn.rare.askers}
    for id in list(open_requests):
        if id not in turn.rare.answered:
            turn.refuse(Later[Any](id), why)
    if life == "stopped":
        turn.call_off(why)
    return withdrawn
