"""What a specialist answers with."""

from msgspec import Struct


class Advice(Struct, frozen=True):
    """How one call ends.

    Attributes:
        service: medical, fire or police.
        priority: the protocol's, 1 (life at risk now) to 4 (can wait).
        advice: what the caller is told, in the caller's language.
        unit: the unit proposed; None where advice is enough, or where the dispatcher said no.
        proposal: its line on the dispatcher's board; None where there is none.
        summary: one line for the log of the desk.
    """

    service: str
    priority: int
    advice: str
    unit: str | None
    proposal: str | None
    summary: str
