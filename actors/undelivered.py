"""Mail that nobody takes: why it is too late, and what its sender is told."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Raw

from ..protocols.codec import encode
from ..protocols.envelope import OUTCOME, Envelope
from ..protocols.failures import Failure
from ..protocols.ids import OUTSIDE, Address
from ..protocols.mail import Undelivered
from ..protocols.upcasting import liftable
from .actor import Handler

Word = Callable[[Envelope, Failure, str, float], tuple[Envelope, ...]]
"""What is sent to the sender of a message that was not taken: (envelope, failure, id, now) -> mail, or nothing."""


class Untaken(Exception):
    """A message that was told and that nobody takes: it is put aside, and its turn leaves nothing else."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def unhandled(found: Handler | None, envelope: Envelope) -> Failure | None:
    """Why the addressee does not take this message; None where it does. ``found``: its handler, if it has one."""
    if found is None:
        what = f"{envelope.to} takes no {envelope.wire!r} messages"
    elif not liftable(found.message, envelope.version):
        what = f"{envelope.to} takes version {found.message.__version__} of {envelope.wire!r}, this is version {envelope.version}"
    else:
        return None
    return Failure("change_arguments", "unhandled", what, where=envelope.to)


def word_for(handles: Callable[[Address, str], bool]) -> Word:
    """``Undelivered`` for senders that handle it. What is undelivered itself, and answers, are not told of: no loops."""

    def word(envelope: Envelope, failure: Failure, id: str, now: float) -> tuple[Envelope, ...]:
        wire, sender = Undelivered.__wire__, envelope.sender
        if sender == OUTSIDE or envelope.wire in (wire, OUTCOME) or envelope.lane != "work":
            return ()
        if not handles(sender, wire):
            return ()
        data = Raw(encode(Undelivered(envelope.to, envelope.wire, failure.code, envelope.body, failure)))
        return (Envelope(id, sender, wire, data, sender=envelope.to, context=envelope.context, at=now),)

    return word


def too_late(envelope: Envelope, now: float) -> Failure | None:
    """Why a message is not begun any more; None where its time is not over."""
    back = envelope.reply_to
    due = envelope.expires if back is None else back.deadline
    if due is None or due > now:
        return None
    return expired(envelope)


def expired(envelope: Envelope) -> Failure:
    """It was not begun in time."""
    what = f"{envelope.wire} for {envelope.to} was not begun in time"
    return Failure("retry_later", "expired", what, where=envelope.to)
