"""A call that is done inside the node and about which a person was asked first: now that it may, the actor that does it is told.

Where nobody had to be asked the request goes out with the turn that intended the call (``Turn._inside``).
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from ..protocols.codec import decode
from ..protocols.effects import Effect
from ..protocols.envelope import Context, Envelope, ReplyTo
from ..protocols.hooks import Clearance
from ..protocols.journal import Record
from ..protocols.provenance import MOST_TRUSTED, Provenance, mark, values_of
from ..protocols.shadow import by_shadow
from .cell import Cell
from .postal import later_id

PROVENANCE = "provenance"
"""The check whose question is about where values come from."""


def handed_in(cell: Cell, effect: Effect, clear: Clearance, now: float) -> Record:
    """The row in which the request leaves: its id is the call's, so that its answer is the call's outcome."""
    inside = clear.inside
    assert inside is not None
    asker = cell.memory.askers.get(later_id(bytes(effect.tag)))
    back = ReplyTo(effect.stream, effect.id, effect.settler, effect.tag, asker.deadline if asker is not None else None)
    request = Envelope(
        effect.id, inside.addressee(effect.id), inside.wire, inside.body, sender=effect.stream, context=_context(effect), reply_to=back,
        version=inside.version, at=now,
    )  # fmt: skip
    after = msgspec.structs.replace(effect, state="inside", due=None, verdicts=effect.verdicts + clear.verdicts)
    return Record(changes=(after,), sends=(request,))


def _context(effect: Effect) -> Context:
    """The call's, with the values in it that are not to be feared: what a trusted source gave, what a person wrote, and all of it where
    a person was asked about where it comes from and said yes."""
    around = effect.context.provenance
    if around is None:
        return effect.context
    asked = any(v.check == PROVENANCE and v.verdict == "ask" for v in effect.verdicts)
    allowed = asked and not by_shadow(effect.answer)  # nobody's yes
    labelled = () if allowed else effect.labels
    given: dict[str, Raw] = {} if "" in labelled else decode(effect.args, dict[str, Raw])
    found = {mark(v) for name, value in given.items() if name not in labelled for v in values_of(bytes(value))}
    marks = tuple(sorted(found))[:MOST_TRUSTED]
    return msgspec.structs.replace(effect.context, provenance=Provenance(around.labels, around.sources, marks))
