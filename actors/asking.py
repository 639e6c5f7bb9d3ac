"""Asks inside the node: an answer is heard once, by whoever still waits; the rest is late.

An open ask is part of the asker's memory (``Postal.asks``). It is over when its answer is heard, when its time is over (``turn.ask(…,
within=…)`` sets a timer whose mail is the failure), or when the asker begins a new life. What comes after that is dropped and
counted. An asker that nobody waits for any more cancels what was asked on behalf of that request, down the chain.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from ..protocols.codec import NULL, decode, encode
from ..protocols.effects import Effect
from ..protocols.envelope import OUTCOME, Envelope, OutcomeBody
from ..protocols.failures import Failure
from ..protocols.lifecycle import Restart, Restarted
from ..protocols.mail import CancelAsk, Unwatch
from ..protocols.tasks import Cancel
from .cell import Cell
from .outcome import Later, effect_outcome
from .postal import later_id
from .speaking import time_out_id
from .turn import Turn

NOT_BEGUN = ("intended", "asking", "waiting")
"""States of an effect that can still be taken back."""


def hear(cell: Cell, turn: Turn[Any], envelope: Envelope, body: OutcomeBody) -> bool:
    """An outcome came: whether anybody waits for it. An effect's always is waited for."""
    if not envelope.sender:
        return True
    postal = cell.memory.postal
    asked = postal.asks.get(body.of) if postal is not None else None
    if asked is None:
        turn.note("late", 1)
        return False
    turn.note("heard", (body.of,))
    alarm = time_out_id(body.of)
    if envelope.id == alarm:
        assert body.failure is not None
        turn.order(asked.to, CancelAsk(body.of, body.failure, answer=False))
    elif alarm in cell.memory.timers:
        turn.rare.dropped.append(alarm)
    return True


def heard(cell: Cell, envelope: Envelope) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of mail whose turn failed: the ask that it answered, and its alarm."""
    if envelope.wire != OUTCOME or not envelope.sender or cell.memory.postal is None:
        return (), ()
    of = decode(envelope.body, OutcomeBody).of
    if of not in cell.memory.postal.asks:
        return (), ()
    alarm = time_out_id(of)
    return (of,), (alarm,) if alarm in cell.memory.timers and envelope.id != alarm else ()


def open_request(cell: Cell, envelope: Envelope) -> str:
    """Of an outcome whose turn failed: the open request that waits for it and that nobody would answer any more; empty for none.

    An actor that handles ``Restarted`` takes up its open requests again itself.
    """
    if envelope.wire != OUTCOME or not cell.memory.askers or cell.mount is None:
        return ""
    if Restarted.__wire__ in cell.mount.actor.behaviour.handlers:
        return ""
    body = decode(envelope.body, OutcomeBody)
    of = later_id(bytes(body.tag)) or body.request
    return of if of in cell.memory.askers else ""


def cancellation(asked: Envelope, why: str, name: str) -> Envelope:
    """Word from outside to who was asked that nobody waits any more. ``name`` tells it apart from others."""
    order = CancelAsk(asked.id, Failure("abandon", "cancelled", why, where=asked.to), answer=False)
    id, data = f"outside:{asked.to}#{name}", Raw(encode(order))
    return Envelope(id, asked.to, CancelAsk.__wire__, data, context=asked.context, lane="control")


def cancelled(cell: Cell, turn: Turn[Any], order: CancelAsk) -> None:
    """Nobody waits for a request any more: what was asked and intended on its behalf and has not begun is taken back."""
    assert cell.mount is not None
    memory, of = cell.memory, order.of
    if of not in memory.askers:
        return  # answered already, or never begun here
    if order.answer:
        turn.refuse(Later[Any](of), order.failure)
    else:
        turn.rare.answered.append(of)
    for id, asked in memory.postal.asks.items() if memory.postal is not None else ():
        if asked.request == of:
            turn.order(asked.to, CancelAsk(id, order.failure))  # its answer, now a failure, comes as any other does
    handler = cell.mount.actor.behaviour.handlers.get(Cancel.__wire__)
    if handler is not None:
        handler.method(cell.mount.actor, turn, Cancel(order.failure.message, of))
        return
    for effect in memory.effects.values():
        if effect.state in NOT_BEGUN and later_id(bytes(effect.tag)) == of:
            over = msgspec.structs.replace(effect, state="settled", failure=order.failure, due=None)
            turn.changes = (*turn.changes, over)
            turn.sends.append(effect_outcome(turn.next_id(), over, NULL, order.failure, turn.now))


def begin_anew(cell: Cell, turn: Turn[Any], restart: Restart, changes: list[Effect]) -> None:
    """A new life: stash, watches and pending asks of the one before end. Whoever waited for what that life had asked or intended
    is told, unless the actor handles ``Restarted`` and so takes it up again itself."""
    assert cell.mount is not None
    memory, postal = cell.memory, cell.memory.postal
    lost = {later_id(bytes(effect.tag)) for effect in changes if effect.state == "withdrawn"}
    if postal is not None:
        asks = {id: asked for id, asked in postal.asks.items() if id not in memory.effects}  # calls go on
        lost |= {asked.request for asked in asks.values()}
        if asks:
            turn.note("heard", tuple(asks))
            turn.rare.dropped += [alarm for alarm in map(time_out_id, asks) if alarm in memory.timers]
        if postal.stash:
            turn.note("unstashed", True)
        anew = (turn.notes or {}).get("watches", ())  # the new life's own
        over = tuple(whom for whom in postal.watching if whom not in anew)
        for whom in over:
            turn.order(whom, Unwatch())
        if over:
            turn.note("unwatches", over)
    if restart.state == "fresh":
        lost = set(memory.askers)
    elif takes_up(cell):
        return
    else:
        lost -= {
            later_id(bytes(e.tag)) for e in memory.effects.values() if e.state in ("started", "in_doubt", "inside")
        }
    disappoint(cell, turn, lost, restart.cause)


def takes_up(cell: Cell) -> bool:
    """Whether it takes up again itself what a life before it had intended."""
    assert cell.mount is not None
    return Restarted.__wire__ in cell.mount.actor.behaviour.handlers


def disappoint(cell: Cell, turn: Turn[Any], lost: set[str], cause: Failure | None) -> None:
    """Tell whoever waits for what nothing will bring any more."""
    text = f"{cell.address} was restarted before it had answered"
    why = Failure("retry_later", "restarted", text, where=cell.address, cause=cause)
    for id in cell.memory.askers:
        if id in lost and id not in turn.rare.answered:
            turn.refuse(Later[Any](id), why)
