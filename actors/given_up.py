"""Requests to an actor on which its supervisor gave up: nobody knows when a person will decide, so they fail at once.

What was told waits for the person, and so does a task (a run is told that a person is asked, and waits for days if need be). A run
that is cancelled meanwhile ends: nobody needs to be asked what is to become of work that nobody wants.
"""

from __future__ import annotations

from ..protocols.codec import decode
from ..protocols.envelope import Envelope
from ..protocols.failures import Failure
from ..protocols.mail import Suspended
from ..protocols.tasks import Cancel, Task
from .cell import Cell


def given_up(cell: Cell, order: Suspended) -> Failure:
    """What requests are answered until then."""
    hint = f"a person is asked about it (item {order.item}); ask again when that is answered"
    what = f"{cell.address} failed too often and takes nothing until a person has decided"
    return Failure("retry_later", "parked", what, hint, where=cell.address, cause=order.failure)


def turned_away(cell: Cell, envelope: Envelope) -> Failure | None:
    """Why a message gets no turn; None where it may wait for one."""
    if envelope.reply_to is None or envelope.lane != "work" or envelope.wire == Task.__wire__:
        return None
    postal = cell.memory.postal
    return postal.given_up if postal is not None and cell.memory.life in ("restarting", "absent") else None


def called_off(cell: Cell, envelope: Envelope) -> Failure | None:
    """Why a run that was given up is over for good: it is cancelled, and takes no mail to be told so. None for any other message."""
    postal = cell.memory.postal
    if envelope.wire != Cancel.__wire__ or cell.mount is None or postal is None or postal.given_up is None:
        return None
    handlers = cell.mount.actor.behaviour.handlers
    if Cancel.__wire__ not in handlers or not (Task.__wire__ in handlers or cell.mount.actor.inner):
        return None  # no run: what a cancel means is its own to say
    word: Cancel = decode(envelope.body, Cancel)
    if word.request:
        return None
    return Failure(
        "abandon", "cancelled", word.reason or "the run was cancelled", where=cell.address, cause=postal.given_up
    )
