"""Ports through which the kernel reaches what it must not know: randomness, the calendar and the gate's deciding half."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol

from msgspec import Raw, Struct

from .approvals import Question
from .books import Entry
from .counters import Counters
from .effects import Attempt, Effect, EffectClass, Intent, Retry
from .failures import Failure
from .ids import Address
from .model import ModelRequest
from .provenance import Provenance
from .undoing import Undoable
from .verdicts import Verdict


class Rng(Protocol):
    """Randomness that comes in with the input; seeded in simulation."""

    def random(self) -> float:
        """A number in [0, 1)."""
        ...


class Calendar(Protocol):
    """When a cron expression comes due. Pure: the same arguments give the same answer.

    Both methods raise ValueError for an expression or time zone that is none, or one that never comes, and MissingExtra
    where the library that knows is not installed.
    """

    def next(self, cron: str, tz: str, after: float) -> float:
        """The first time after ``after``; seconds since the epoch, as everything here."""
        ...

    def newest(self, cron: str, tz: str, first: float, until: float, most: int) -> float:
        """The earliest of the newest ``most`` ticks from the tick ``first`` up to ``until``."""
        ...


class NoCalendar:
    """The calendar of a kernel that was given none."""

    def next(self, cron: str, tz: str, after: float) -> float:
        raise ValueError(f"this kernel has no calendar: it cannot say when {cron!r} comes due")

    def newest(self, cron: str, tz: str, first: float, until: float, most: int) -> float:
        return first


NO_CALENDAR: Calendar = NoCalendar()


class Inside(Struct, frozen=True):
    """A call that is done by an actor of the same journal: who is asked, and what (wire name, version and body). ``settles``: the call is
    under way until the answer comes, which is its outcome; it has an actor of its own, below ``to``."""

    to: Address
    wire: str
    version: int
    body: Raw
    settles: bool = False

    def addressee(self, call: str) -> Address:
        """Who is asked. ``call``: id of the call; one that failed and is made again is another one."""
        return Address(f"{self.to}/{call.replace('.', '-')}") if self.settles else self.to


class Admission(Struct, frozen=True):
    """What the gate decided about an intent.

    Attributes:
        decision: run it, refuse it (``failure`` says why), or ask a person first (``question``).
        verdicts: each check's, in order.
        effect, key, digest, timeout, retry, key_ttl: what the ledger needs to know of it.
        resource: what it works on, under a lease; empty for none.
        inside: the request that it is, where it is done inside the node.
        version: of the tool that is called.
    """

    decision: Literal["allow", "deny", "ask"]
    verdicts: tuple[Verdict, ...]
    effect: EffectClass
    key: str
    digest: str
    timeout: float
    retry: Retry
    key_ttl: float = 86_400.0
    failure: Failure | None = None
    question: Question | None = None
    occurrence: int = 0
    resource: str = ""
    inside: Inside | None = None
    version: str = ""


class Instead(Struct, frozen=True):
    """Another tool that does a call in the place of one that failed for good.

    Attributes:
        name: the tool; empty where none of the alternatives was let through.
        admission: what the gate decided about it; None with an empty name.
        verdicts: what it said of each alternative, in order.
    """

    name: str
    admission: Admission | None
    verdicts: tuple[Verdict, ...]


class Clearance(Struct, frozen=True):
    """What the gate said when an effect was to start. It starts unless it is told to wait, asked about or refused.

    Attributes:
        verdicts: each check's, in order; a ``deny`` among them settles the effect.
        books: entries of the books that this changes, such as a reservation. They make a ``started`` row necessary.
        failure: with a ``deny``: what the effect is settled with; None for one that only repeats the reason. With ``due``: what it is
            settled with where it has not so much time.
        due: journal time at which it is to be asked again; None where it need not wait.
        question: what a person is asked first; None for nothing.
        shut: it is the tool that is shut, so that another one in its place need not wait.
        timeout: seconds that this attempt may take, where that is less than the effect's own.
        answer: tokens that the answer of a model may have, where that is bounded.
        simulate: it starts without touching the world (shadow mode). That makes a ``started`` row necessary, too.
        inside: the request that it is, where it is done inside the node.
    """

    verdicts: tuple[Verdict, ...] = ()
    books: tuple[Entry, ...] = ()
    failure: Failure | None = None
    due: float | None = None
    question: Question | None = None
    timeout: float | None = None
    answer: int | None = None
    shut: bool = False
    simulate: bool = False
    inside: Inside | None = None


class Booked(Struct, frozen=True):
    """What an attempt's end means for the books.

    Attributes:
        books: entries that it changes.
        verdicts: what should stand beside the effect, such as an ``alert``.
    """

    books: tuple[Entry, ...] = ()
    verdicts: tuple[Verdict, ...] = ()


class Next(Struct, frozen=True):
    """What becomes of an effect after an attempt failed or was cut off.

    Attributes:
        step: start it again (at ``due``, None for now), ask about the doubt, or settle it with the failure.
    """

    step: Literal["start", "doubt", "settle"]
    due: float | None = None
    question: Question | None = None
    failure: Failure | None = None


class Gate(Protocol):
    """The deciding half of the gate. Pure: the same arguments give the same answer, also in replay."""

    def admit(self, intent: Intent, counters: Counters, now: float) -> Admission:
        """At the intent. Never raises: a check that raises is a refusal that says so."""
        ...

    def hands_on(self, intent: Intent, admission: Admission, handed: int) -> Admission:
        """A call that was let through hands a task on, and the family of its run has handed on so many before."""
        ...

    def start(
        self,
        effect: Effect,
        counters: Counters,
        now: float,
        books: Mapping[str, Entry],
        request: ModelRequest | None = None,
        until: float | None = None,
        known: Callable[[str], Effect | None] | None = None,
    ) -> Clearance:
        """At the start, again after any wait. ``books``: as they stand. ``request``: what a model is to be asked. ``until``: after a
        wait, journal time after which nobody wants it any more; None for no end. ``known``: finds open effects, those that stand in the
        books among them; None where nobody knows them."""
        ...

    def book(self, effect: Effect, attempt: Attempt | None, now: float, books: Mapping[str, Entry]) -> Booked:
        """An attempt that was started came to this; None where the end of the process cut it off. Told once for each attempt."""
        ...

    def pretends(self, effect: Effect) -> bool:
        """Whether a call will be simulated, should it be let out now."""
        ...

    def gives(self, effect: Effect, value: Raw) -> Provenance | None:
        """Where the result of a call comes from; null where it failed, and its words are all that there is."""
        ...

    def failed(self, effect: Effect, failure: Failure, now: float, rng: Rng) -> Next:
        """After an attempt failed with a known failure."""
        ...

    def unknown(self, effect: Effect, failure: Failure, now: float, rng: Rng) -> Next:
        """After an attempt ended without anybody knowing what it did: a timeout, a cancel, an unexpected exception."""
        ...

    def instead(self, effect: Effect, failure: Failure, counters: Counters, now: float) -> Instead | None:
        """Which other tool does it, now that it has failed for good; None where none is declared, or somebody decided against it."""
        ...

    def undoing(self, effect: Effect, value: Raw | None) -> Undoable | None:
        """How a call that has happened is undone, should its plan be given up; None where that is not declared. ``value``: what it gave;
        None where its result is of no use."""
        ...

    def interrupted(self, effect: Effect, now: float) -> Next:
        """An effect that may have begun is to be started again: the process died over it, or it waited for its next attempt."""
        ...
