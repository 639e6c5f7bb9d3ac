"""Requests to an actor on which its supervisor gave up: nobody knows when a person will decide, so they fail at once.

What was told waits for the person, and so does a task (a run is told that a person is asked, and waits for days if need be).
"""

from __future__ import annotations

from ..protocols.envelope import Envelope
from ..protocols.failures import Failure
from ..protocols.mail import Suspended
from ..protocols.tasks import Task
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
