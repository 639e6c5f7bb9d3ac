"""Shadow mode: calls that would change something are simulated. What stands of it in the journal.

A call's verdict ``simulate`` is given at its start, stands in its ``started`` row (``Effect.simulated``) and is never taken back: what
was simulated is simulated again after a crash, and never made. What people would be asked about a call that will be simulated is answered
at once, as a standing approval answers; such an answer is nobody's yes, and lets no call go that is to be made.
"""

from __future__ import annotations

from .approvals import Answer
from .binding import approves, bound
from .effects import CALL, Effect

SHADOW = "shadow"
"""Who answers then, and the grant that such an answer names: there is none, so that a version that knows nothing of it refuses the call."""


def waved(effect: Effect) -> Answer | None:
    """The answer to an open question about a call that will be simulated; None where it is about something else."""
    if effect.verb != CALL or not approves(effect.question):
        return None
    why = "the call will be simulated, so nobody is asked"
    return Answer(effect.id, "approve", SHADOW, why, digest=bound(effect), grant=SHADOW)


def by_shadow(answer: Answer | None) -> bool:
    """Whether nobody said this."""
    return answer is not None and answer.grant == SHADOW
