"""What a turn makes, before it is a row: events, messages, answers, and the names of what it makes."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Raw

from ..protocols import given
from ..protocols.effects import Effect
from ..protocols.envelope import Context, Envelope, Reply, ReplyTo
from ..protocols.failures import Failure
from ..protocols.ids import Address, item_id
from ..protocols.journal import StoredEvent
from ..protocols.lifecycle import Life
from ..protocols.mail import Post
from ..protocols.messages import State
from ..protocols.provenance import Known, Provenance, vouched
from .derived import Derived
from .frame import Frame
from .rare import Rare, Seldom

S = TypeVar("S", bound=State)


class Makings(Generic[S]):
    """What a turn knows and has made so far. ``Turn`` is what people see of it."""

    # What few turns have is not made for each.
    _uids = 0
    _random: Derived | None = None
    made: Rare | None = None
    """What few turns make, as far as this one has asked for it."""
    changes: Seldom[tuple[Effect, ...]] = Seldom(())
    finished: Seldom[bool] = Seldom(False)
    started: Seldom[bool] = Seldom(False)
    notes: Seldom[dict[str, Any] | None] = Seldom(None)
    life: Seldom[Life | None] = Seldom(None)
    ended_by: Seldom[Failure | None] = Seldom(None)
    budgeted: Seldom[bool] = Seldom(False)
    behalf: str = ""
    """The open request of this actor on whose behalf the turn is made, where it is not the one of its message."""
    attempt: int = 0
    """The order that this end is the answer to."""
    _said: frozenset[str] = frozenset()
    """Values that the actor's code trusts."""

    def __init__(self, frame: Frame, state: S, request: tuple[str, ReplyTo] | None) -> None:
        self._frame = frame
        self._request = request
        self.state: S = state
        self.now = frame.now
        self.me = frame.me
        self.sender = frame.sender
        self.context = frame.context
        self.events: list[StoredEvent] = []
        self.sends: list[Envelope] = []
        self.replies: list[Reply] = []
        self._ordinal = 0

    @property
    def rare(self) -> Rare:
        """What few turns make."""
        if self.made is None:
            self.made = Rare()
        return self.made

    @property
    def provenance(self) -> Provenance | None:
        """Where the message of this turn comes from; None where nothing is to be feared of it."""
        return self._frame.provenance

    def distrust(self, provenance: Provenance) -> None:
        """The message of this turn says of itself where some of it comes from."""
        self._frame.take_on(provenance)
        self.context = self._frame.context

    def under(self, provenance: Provenance | None) -> None:
        """What this turn sends from here on is from there, instead of from its message and what the actor has read."""
        self.context = msgspec.structs.replace(self.context, provenance=provenance)

    def _known(self) -> Known:
        return self._frame.known(self.state, self._said, self.context.provenance)

    def _carried(self, data: Raw) -> Context:
        """The context of a message of this turn, with the values in it that come from trusted sources although the turn has labels."""
        provenance = self.context.provenance
        if provenance is None:
            return self.context
        marks = vouched(data, self._known()) if "untrusted" in provenance.labels else ()
        return msgspec.structs.replace(
            self.context, provenance=Provenance(provenance.labels, provenance.sources, marks)
        )

    def next_id(self) -> str:
        """The id of the next thing that this turn makes."""
        return self._next()

    def _next(self) -> str:
        ordinal = self._ordinal
        self._ordinal = ordinal + 1
        return item_id(self._frame.gid, ordinal)

    def note(self, field: str, value: Any) -> None:  # a field of ``Post``
        """Have the row say something about mail."""
        if self.notes is None:
            self.notes = {}
        self.notes[field] = value

    def post(self) -> Post | None:
        """What the row says about mail."""
        if self.notes is None:
            return None
        if self.notes.get("stashed"):
            self.notes.pop("heard", None)  # it is heard when it comes back
        return Post(**self.notes)

    def _noted(self, field: str) -> tuple[Address, ...]:
        found: tuple[Address, ...] = (self.notes or {}).get(field, ())
        return found

    def _unnote(self, field: str, whom: Address) -> None:
        self.note(field, tuple(one for one in self._noted(field) if one != whom))

    def _until(self, within: float | None) -> float | None:
        if within is None:
            return None
        return self.now + given.seconds("within", within, least=0.0)
