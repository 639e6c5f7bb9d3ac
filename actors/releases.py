"""What the kernel gives the shell to do, each only after the row that it follows from is durable."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from ..protocols import verdicts
from ..protocols.approvals import Answer
from ..protocols.books import Entry
from ..protocols.circuits import closed_by_hand, opened_by_hand
from ..protocols.effects import Effect
from ..protocols.envelope import Envelope, Reply
from ..protocols.errors import UnderstudyError
from ..protocols.failures import Failure
from ..protocols.ids import item_id
from ..protocols.journal import Snapshot
from ..protocols.mail import Resolution
from ..protocols.model import ModelRequest
from .caller import Asking


class Start(Struct, frozen=True):
    """Perform one attempt of an effect.

    ``request``: what a model is asked. ``checked``: what the gate said when it was let out, where no row says so: it comes back with the
    outcome, whichever kernel takes that.
    """

    effect: Effect
    request: ModelRequest | None = None
    checked: tuple[verdicts.Verdict, ...] = ()


class Withdraw(Struct, frozen=True):
    """Stop an effect if it is under way: nobody wants its outcome any more."""

    effect: str


class Abort(Struct, frozen=True):
    """Cancel an effect that is under way; whether it happened is to be found out as after a timeout."""

    effect: str


class Answered(Struct, frozen=True, gc=False):
    """An answer to an outside caller."""

    reply: Reply


class Handed(Struct):
    """An answer of a memory-only actor to an outside caller who waits for it in this process."""

    asking: Asking
    value: object
    failure: Failure | None


class Done(Struct, frozen=True, gc=False):
    """An input is durable: the shell may forget it, and whoever brought it may be told."""

    input: str


class Refused(Struct):
    """An input was not taken, and never will be; ``error`` is for whoever brought it."""

    input: str
    error: UnderstudyError


class Keep(Struct, frozen=True, gc=False):
    """A snapshot may be stored: its row is durable."""

    snapshot: Snapshot


Release = Start | Withdraw | Abort | Answered | Handed | Done | Refused | Keep


class Resolve(Struct, frozen=True):
    """What a person does about a message that was put aside: an input of the kernel. ``mail``: what is sent again, if it is."""

    resolution: Resolution
    mail: Envelope | None = None


class Revoke(Struct, frozen=True):
    """A person takes a standing approval back: an input of the kernel."""

    id: str
    by: str = "somebody"
    reason: str = ""

    @property
    def note(self) -> dict[str, str]:
        """What the row says that strikes it out."""
        return {"revoked": self.id, "by": self.by, "reason": self.reason}


class Switch(Struct, frozen=True):
    """A person opens a breaker, for so many seconds or without an end (None), or closes it: an input of the kernel."""

    name: str
    open: bool
    by: str = "somebody"
    reason: str = ""
    seconds: float | None = None

    @property
    def note(self) -> dict[str, str]:
        """What the row says that changes it."""
        note = {"breaker": self.name, "is": "open" if self.open else "closed", "by": self.by, "reason": self.reason}
        return note if self.seconds is None else {**note, "seconds": f"{self.seconds:g}"}

    def entry(self, books: Mapping[str, Entry], now: float) -> Entry:
        """What it changes in the books. Raises UnknownItem where one that is not open is to be closed."""
        if self.open:
            return opened_by_hand(self.name, self.by, self.reason, self.seconds, now)
        return closed_by_hand(books, self.name)


class Verdict(Struct, frozen=True):
    """A person's answer that also says what becomes of a message that was put aside, both or neither: an input of the kernel."""

    answer: Answer
    resolve: Resolve


class Settlement(Struct, frozen=True):
    """What came of one attempt at an effect: an input of the kernel.

    Attributes:
        effect, attempt: which.
        value: the result as JSON.
        failure: why there is none.
        unknown: nobody knows whether it happened: a timeout, a cancel, an exception that the tool did not declare.
        serial: tells the outcomes of one attempt apart: it may be late and come after its timeout, or come twice.
        checked: as in ``Start``.
    """

    effect: str
    attempt: int
    value: bytes | None = None
    failure: Failure | None = None
    unknown: bool = False
    serial: int = 0
    checked: tuple[verdicts.Verdict, ...] = ()

    @property
    def id(self) -> str:
        """Names this input."""
        return f"settle:{self.effect}:{self.attempt}:{self.serial}"


def again(thing: Resolve, gid: int, now: float) -> tuple[Envelope, ...]:
    """The mail of the row ``gid`` that sends a message again: told, whoever asked was answered long ago."""
    if thing.mail is None:
        return ()
    return (
        msgspec.structs.replace(
            thing.mail, id=item_id(gid, 0), reply_to=None, key="", lane="work", expires=None, at=now
        ),
    )
