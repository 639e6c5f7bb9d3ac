"""What a simulated caller has brought, and what came of it."""

from __future__ import annotations

from ...actors.releases import (
    Resolve,
    Revoke,
    Switch,
    Verdict,
)
from ...protocols.approvals import Answer
from ...protocols.envelope import Envelope, Reply
from ...protocols.errors import UnderstudyError


class Sent:
    """Something that was brought from outside.

    Attributes:
        thing: the message or answer.
        accepted: it was acknowledged as durable.
        reply: the answer to a request.
        error: it was refused, and why.
        lost: the node crashed while the caller waited; send it again, with its key.
    """

    def __init__(self, thing: Envelope | Answer | Verdict | Resolve | Revoke | Switch) -> None:
        self.thing = thing
        self.accepted = False
        self.reply: Reply | None = None
        self.error: UnderstudyError | None = None
        self.lost = False
