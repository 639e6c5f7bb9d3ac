"""Calls that are made for a plan and can be undone: whoever would undo them is told of each that has happened."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from ..protocols.codec import encode
from ..protocols.effects import CALL, HAPPENED, Effect
from ..protocols.envelope import Envelope
from ..protocols.failures import Failure
from ..protocols.ids import Address
from ..protocols.undoing import Undoable


def happened(effect: Effect, failure: Failure | None) -> bool:
    """Whether a call that comes to this was made, and did what it is for."""
    if effect.simulated:
        return False
    return effect.verb == CALL and effect.attempt > 0 and (failure is None or failure.code in HAPPENED)


def reported(effect: Effect, undoable: Undoable | None, now: float) -> Envelope | None:
    """The word about it; None where it cannot be undone."""
    if undoable is None:
        return None
    body, context = Raw(encode(undoable)), msgspec.structs.replace(effect.context, provenance=None, undo=Address(""))
    cls, to = Undoable, effect.context.undo
    return Envelope(
        f"{effect.id}!undo", to, cls.__wire__, body, effect.stream, context, version=cls.__version__, at=now
    )
