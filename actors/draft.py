"""What a turn, or what is made instead of one, comes to: a row before it has a number."""

from __future__ import annotations

import msgspec

from ..protocols.codec import decode
from ..protocols.effects import Effect
from ..protocols.envelope import OUTCOME, Envelope, OutcomeBody
from ..protocols.journal import Record, RowKind
from ..protocols.messages import State
from .cell import Cell
from .mailbox import Item
from .sizes import lean


class Draft(msgspec.Struct):
    """What a turn came to.

    Attributes:
        kind, record: of the row.
        state: after it.
        payload: the record as JSON.
        plain: it took a message that has no key to be remembered, and all that it made are events and messages that ask nothing: what
            most turns are. Memory has nothing else to learn from it.
    """

    kind: RowKind
    record: Record
    state: State | None
    payload: bytes
    plain: bool = False


def settled(cell: Cell, item: Item) -> list[Effect]:
    """The effect that this mail settles, as it stands in the ledger afterwards."""
    if item.settles:
        effect = cell.memory.effects.get(item.settles)
    elif item.envelope.wire == OUTCOME and cell.memory.effects:
        effect = done_inside(cell, item.envelope)
    else:
        return []
    if effect is None:
        return []
    body: OutcomeBody = decode(item.envelope.body, OutcomeBody)
    verdicts = effect.verdicts + body.checked
    after = msgspec.structs.replace(
        effect, state="settled", failure=body.failure, due=None, verdicts=verdicts, came=body.came
    )
    return [lean(after, item.envelope.body)]


def done_inside(cell: Cell, envelope: Envelope) -> Effect | None:
    """The open call of which this mail is the outcome, because another actor has done it; None for any other mail."""
    if envelope.wire != OUTCOME or not envelope.sender:
        return None
    effect = cell.memory.effects.get(decode(envelope.body, OutcomeBody).of)
    return effect if effect is not None and effect.state == "inside" else None
