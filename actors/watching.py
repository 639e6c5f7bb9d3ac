"""Who watches whom: ``turn.watch`` sends an order, the other remembers it, and says so when it ends.

Both sides are folds over rows: the watcher's ``watching``, the other's ``watchers``. Word of an end that finds no watch on the
watcher's side (it was restarted, or unwatched) is dropped.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from ..protocols.codec import decode, encode
from ..protocols.envelope import Context, Envelope
from ..protocols.failures import Failure
from ..protocols.ids import Address
from ..protocols.mail import CancelAsk, Suspended, Terminated, Unwatch, Watch
from .asking import cancelled
from .cell import Cell
from .given_up import given_up
from .turn import Turn

NOTICES = frozenset({Watch.__wire__, Unwatch.__wire__, CancelAsk.__wire__, Terminated.__wire__, Suspended.__wire__})
"""What actors are told by each other's machinery: nobody misses it where it is not taken, it is no dead letter."""


def obey(cell: Cell, turn: Turn[Any], envelope: Envelope) -> bool:
    """Take an order of the control lane that is about mail. False for any other."""
    if envelope.wire == Watch.__wire__:
        turn.note("watched", (envelope.sender,))
    elif envelope.wire == Unwatch.__wire__:
        turn.note("unwatched", (envelope.sender,))
    elif envelope.wire == CancelAsk.__wire__:
        cancelled(cell, turn, decode(envelope.body, CancelAsk))
    elif envelope.wire == Suspended.__wire__:
        order = decode(envelope.body, Suspended)
        tell_watchers(cell, turn, "parked", order.failure)
        turn.note("given_up", given_up(cell, order))
        assert cell.mount is not None
        handler = cell.mount.actor.behaviour.handlers.get(Suspended.__wire__)
        if handler is not None:  # a supervisor's: its tree waits with it
            handler.method(cell.mount.actor, turn, order)
    else:
        return False
    return True


def tell_watchers(cell: Cell, turn: Turn[Any], reason: str, failure: Failure | None) -> None:
    """This actor takes no more messages: whoever watches it is told. What has ended watches nobody."""
    postal = cell.memory.postal
    if postal is None:
        return
    for watcher in postal.watchers:
        turn.tell(watcher, Terminated(cell.address, reason, failure))
    if postal.watchers:
        turn.note("unwatched", tuple(postal.watchers))
    if reason != "parked" and postal.watching:
        for whom in postal.watching:
            turn.order(whom, Unwatch())
        turn.note("unwatches", tuple(postal.watching))


def hears_of(cell: Cell, turn: Turn[Any], envelope: Envelope) -> bool:
    """Word came that another has ended: whether this actor watches it (still)."""
    whom = decode(envelope.body, Terminated).address
    postal = cell.memory.postal
    if postal is None or whom not in postal.watching:
        return False
    turn.note("unwatches", (whom,))
    return True


def gone(cell: Cell, watcher: Address, context: Context, why: Failure, id: str, now: float) -> Envelope:
    """What a watcher is told of an actor that gets no turn any more."""
    reason = {"unreadable": "parked"}.get(why.code, why.code)
    word = Terminated(cell.address, reason, why if reason in ("parked", "no_such_actor") else None)
    data = Raw(encode(word))
    return Envelope(id, watcher, Terminated.__wire__, data, sender=cell.address, context=context, at=now)
