"""Conflicts as they are said and kept: claims that contradict each other, what was decided about them, by whom and why.

Four kinds: contradictory *answers* of several workers to one task, contended *entries* of a team's board, *claims* on one resource,
and *delegation* that goes round in a circle. Who decides is declared on the supervisor (``us.Conflicts``).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from .codec import NULL, digest, encode
from .failures import Failure
from .ids import Address
from .messages import Event, Request
from .model import Usage
from .tasks import Result, Task

ConflictKind = Literal["answers", "entries", "claims", "delegation"]

MAX_TOLD = 300_000
"""Bytes of all values of one conflict that stand in its record; where they have more, each is told of by its size and its beginning."""
BEGINNING = 4_000
"""Characters of a value that is too large for the record which stand there."""


class Claim(Struct, frozen=True, omit_defaults=True):
    """One side of a conflict.

    Attributes:
        who: the worker, writer or holder, by the name that resolvers know.
        value: what is claimed, as JSON: the answer; the entry's value; for a resource or a task, who would have it.
        confidence: from 0 to 1, how sure it is of it (of a resource: how much it needs it); None where it was not said.
        run: address of the actor that claims.
        stance: the part that decides whether two claims agree, as canonical JSON.
        reason: in its own words, where it gave any.
        at: journal time at which it was made.
        outside: it was made by a caller that is no actor; resolvers know all of these as ``outside``, too.
        cut: the value was too large for the record, which says how large it is and how it begins; the stance is a digest of what it was.
    """

    who: str
    value: Raw = NULL
    confidence: float | None = None
    run: Address = Address("")
    stance: Raw = NULL
    reason: str = ""
    at: float = 0.0
    outside: bool = False
    cut: bool = False

    @property
    def plain(self) -> Any:  # whatever JSON holds
        """The value as plain Python: dict, list, str, number, bool or None."""
        return msgspec.json.decode(self.value)


class Silent(Struct, frozen=True, omit_defaults=True):
    """Somebody who was asked and has no claim, and why."""

    who: str
    reason: str
    run: Address = Address("")
    failure: Failure | None = None


class Conflict(Struct, frozen=True, omit_defaults=True):
    """Claims that cannot all stand.

    Attributes:
        kind: of what.
        subject: the task's words, the entry's key, the resource's name.
        claims: oldest first; what stood before comes first (an entry as it is, the holder of a lease).
        silent: who was asked too and made no claim.
    """

    kind: ConflictKind
    subject: str
    claims: tuple[Claim, ...]
    silent: tuple[Silent, ...] = ()


class Passed(Struct, frozen=True, omit_defaults=True):
    """A resolver that did not decide, and why; ``failure`` where it was its own fault: it raised, or gave nonsense."""

    resolver: str
    reason: str
    failure: Failure | None = None


class Decided(Struct, frozen=True, omit_defaults=True):
    """How a conflict ended.

    Attributes:
        by: the resolver, or the name of the person.
        reason: why, one line.
        winner: place of the claim that stands, in ``Conflict.claims``; None where none of them does.
        value: what stands in their place, as JSON, where ``made``.
        made: whether it is a value of its own: merged, or given by a person.
        passed: the resolvers that were asked before and did not decide.
        at: journal time.
        steps, usage, cost: what the judges took who were asked, whether they decided or not: steps, tokens, US dollars.
    """

    by: str
    reason: str
    winner: int | None = None
    value: Raw = NULL
    made: bool = False
    passed: tuple[Passed, ...] = ()
    at: float = 0.0
    steps: int = 0
    usage: Usage = Usage()
    cost: float = 0.0


class ConflictFound(Event, wire="conflict.found"):
    """A conflict that a judge or a person has to decide. ``to``: the actor that sees to it."""

    conflict: Conflict
    to: Address
    passed: tuple[Passed, ...] = ()


class ConflictResolved(Event, wire="conflict.resolved"):
    """A conflict is decided: all claims, the losing ones too, who decided and why."""

    conflict: Conflict
    decided: Decided


class Agreed(Event, wire="conflict.agreed"):
    """Several were asked and no two contradict each other."""

    claims: tuple[Claim, ...]
    silent: tuple[Silent, ...] = ()


class Resolve(Request[Decided], wire="conflict.resolve"):
    """Asked of the actor that sees to one conflict: go on with the declared resolvers from number ``at``."""

    conflict: Conflict
    at: int = 0
    passed: tuple[Passed, ...] = ()


class Ruling(Struct, frozen=True, forbid_unknown_fields=True):
    """What a judge says (``us.Agent(..., output=us.Ruling)``).

    Attributes:
        winner: the name of whose claim stands, as it was given.
        why: one line.
    """

    winner: str
    why: str = ""


class Party(Struct, frozen=True):
    """One of those between whom a task goes round: its run, and where the task goes if it does it after all."""

    run: Address
    again: Address


class Knot(Request[Result], wire="conflict.knot"):
    """A task came back to somebody who had handed it on. Asked of the actor that sees to conflicts, in the asker's place.

    ``chain``: from the one who had it before to that one again.
    """

    task: Task
    parties: tuple[Party, ...]
    chain: tuple[Address, ...]


def names(conflict: Conflict) -> tuple[str, ...]:
    """What each claim is called: by who made it, or, where two have one name, by the address of who did."""
    whose = [claim.who for claim in conflict.claims]
    plain = [c.who if whose.count(c.who) == 1 or not c.run else str(c.run) for c in conflict.claims]
    return tuple(name if plain.count(name) == 1 else f"{name}#{n + 1}" for n, name in enumerate(plain))


def told(conflict: Conflict) -> Conflict:
    """A conflict as its record holds it: with only the beginnings of values that are too large. Who agrees with whom stays as it was."""
    if sum(len(bytes(c.value)) + len(bytes(c.stance)) for c in conflict.claims) <= MAX_TOLD:
        return conflict
    return msgspec.structs.replace(conflict, claims=tuple(_short(claim) for claim in conflict.claims))


def _short(claim: Claim) -> Claim:
    value = bytes(claim.value)
    begins = value[: 4 * BEGINNING].decode(errors="replace")[:BEGINNING]
    short = Raw(encode(f"{len(value)} bytes, see {claim.run}; it begins: {begins}"))
    stance = Raw(b'"%s"' % digest(bytes(claim.stance)).encode())
    return msgspec.structs.replace(claim, value=short, stance=stance, cut=True)
