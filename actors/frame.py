"""What surrounds a turn. Live, in replay and in tests a turn sees the world through this and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ..protocols.books import Entry
from ..protocols.effects import Effect, Intent
from ..protocols.envelope import Context, ReplyTo
from ..protocols.hooks import Admission, Calendar
from ..protocols.ids import Address
from ..protocols.journal import Schedule
from ..protocols.messages import Event
from ..protocols.people import People
from ..protocols.provenance import Known, Provenance
from .where import Where


class Frame(Protocol):
    """What surrounds a turn: facts that come in with the input, and the gate."""

    gid: int
    now: float
    me: Address
    context: Context
    sender: Address
    seed: str

    @property
    def turns(self) -> int:
        """Turns of the actor before this one."""
        ...

    def admit(self, intent: Intent) -> Admission:
        """Ask the gate about an intent, with what this turn has already intended counted in."""
        ...

    def apply(self, state: Any, event: Event) -> Any:  # the actor's own State
        """Run the ``@applies`` method."""
        ...

    def open_effects(self) -> Mapping[str, Effect]:
        """Effects of this actor that are not settled."""
        ...

    calendar: Calendar

    def reminders(self) -> Mapping[str, Schedule | None]:
        """Open reminders of the actor."""
        ...

    def place(self, where: Where, key: str | tuple[str, ...]) -> Address:
        """The address that a definition and a key come to."""
        ...

    def asks(self) -> Mapping[str, Address]:
        """Whom the actor has asked and not heard of yet, by the ask."""
        ...

    def asker(self, id: str) -> ReplyTo | None:
        """Who waits for the request that was left open under this id."""
        ...

    def remembered(self, asker: ReplyTo) -> ReplyTo:
        """Whoever waits for this turn's request, with what an actor that has finished knows the request by."""
        ...

    def answer(self, asker: ReplyTo, value: object) -> Any:  # a type form
        """The type form of an answer: as the request's class says it where the actor handles that, else what fits the value."""
        ...

    provenance: Provenance | None
    """Where the message of this turn comes from."""
    read: Provenance | None
    """What of it the actor had not read before."""

    def take_on(self, besides: Provenance | None = None) -> None:
        """The message says of itself where some of it comes from."""
        ...

    def known(self, state: Any, said: frozenset[str], around: Provenance | None) -> Known:  # the actor's own State
        """The values of trusted sources that this turn knows. ``said``: those of which the actor's code says so; ``around``: the labels
        under which it stands, with those that are known in spite of them."""
        ...

    entries: tuple[Entry, ...]
    """What the turn changes in the gate's books."""

    def intended(self, effect: Effect) -> None:
        """Count an effect that the gate let through."""
        ...

    def handles(self, wire: str) -> bool:
        """Whether the actor handles messages of this wire name."""
        ...

    def watches(self, address: Address) -> bool:
        """Whether the actor watches another."""
        ...

    @property
    def agent(self) -> str:
        """The name under which the gate knows the actor."""
        ...

    def people(self, about: str) -> People | None:
        """Whom a question of this actor goes to, where it does not say so: its own people, else those of the actor that it is about."""
        ...

    @property
    def stashable(self) -> bool:
        """Whether the message of this turn can come back."""
        ...

    @property
    def stashes(self) -> bool:
        """Whether something is stashed."""
        ...
