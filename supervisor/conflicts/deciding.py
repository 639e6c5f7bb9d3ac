"""Walk a chain of resolvers until one decides. Pure.

    settle(steps, conflict) -> Decided            (one of them did)
                            -> Open(at, passed)   (number ``at`` is a judge or a person: ask, and go on with ``heard``)

A resolver that raises, or gives something that is no decision, has its failure recorded, and the next one is asked. Where nobody
is left a person decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import msgspec
from msgspec import Raw, Struct

from ...protocols.codec import canonical
from ...protocols.conflicts import Claim, Conflict, Decided, Passed, names
from ...protocols.failures import Failure, of_exception
from ...protocols.ids import Address
from .asking import Judge, Person
from .resolver import Makes, Nobody, Resolver, Said, Undecided, Wins

Accept = Callable[[Raw], str]
"""Whether a value may stand in the place of all claims: empty, or why not."""


REASON: Final = 2_000
"""Characters of a reason."""


class Open(Struct, frozen=True):
    """Somebody has to be asked: resolver number ``at``; ``passed`` did not decide."""

    at: int
    passed: tuple[Passed, ...] = ()


def anything(value: Raw) -> str:  # noqa: ARG001 - an ``Accept``
    """Every value may stand."""
    return ""


def settle(
    steps: Sequence[Resolver],
    conflict: Conflict,
    now: float,
    *,
    at: int = 0,
    passed: tuple[Passed, ...] = (),
    accept: Accept = anything,
) -> Decided | Open:
    """Ask the resolvers from number ``at`` on."""
    for n in range(at, len(steps)):
        step = steps[n]
        if isinstance(step, (Judge, Person)):
            return Open(n, passed)
        try:
            said = step.decide(conflict)
        except KeyboardInterrupt:  # of whoever sits at the terminal
            raise
        except BaseException as error:  # noqa: BLE001 - somebody's function: its failure is recorded, and the next one decides
            failure = of_exception(error, where=repr(step), code="resolver_failed")
            passed = (*passed, Passed(repr(step), failure.message, failure))
            continue
        over = heard(step, said, conflict, now, passed, accept)
        if isinstance(over, Decided):
            return over
        passed = (*passed, over)
    return Open(len(steps), passed)


def heard(
    step: Resolver, said: Said, conflict: Conflict, now: float, passed: tuple[Passed, ...], accept: Accept, by: str = ""
) -> Decided | Passed:
    """What a resolver said, as a decision; or as one that it did not make."""
    name = by or repr(step)
    if isinstance(said, Wins) and 0 <= said.claim < len(conflict.claims):
        return Decided(name, brief(said.reason), winner=said.claim, passed=passed, at=now)
    if isinstance(said, Makes):
        if wrong := accept(said.value):
            return Passed(repr(step), wrong, _nonsense(step, wrong))
        return Decided(name, brief(said.reason), value=said.value, made=True, passed=passed, at=now)
    if isinstance(said, Nobody):
        return Decided(name, brief(said.reason), passed=passed, at=now)
    if isinstance(said, Undecided):
        return Passed(repr(step), brief(said.reason))
    why = f"it gave {said!r}, which is no decision"[:500]
    return Passed(repr(step), why, _nonsense(step, why))


def brief(reason: str) -> str:
    """A reason as the decision has it; all of what a judge or a person said stands in the rows of who asked."""
    return reason if len(reason) <= REASON else f"{reason[: REASON - 3]}..."


def named(text: str, conflict: Conflict) -> int | None:
    """The claim that somebody means by a name; None for nobody's."""
    for n, name in enumerate(names(conflict)):
        if text in (name, str(conflict.claims[n].run)):
            return n
    strangers = [n for n, claim in enumerate(conflict.claims) if claim.outside]
    return strangers[0] if text == "outside" and len(strangers) == 1 else None


def _nonsense(step: Resolver, why: str) -> Failure:
    return Failure("abandon", "resolver_nonsense", why, where=repr(step))


def claim(who: str, value: Raw, run: Address, now: float, compare: Callable[..., object] | None = None) -> Claim:
    """A claim from a value: its confidence is its field ``confidence``, if it has one; what counts is the rest of it, or what
    ``compare`` gives.

    Raises:
        Exception: whatever ``compare`` raises, or a value of its that JSON does not hold.
    """
    plain: Any = msgspec.json.decode(value)
    fields = cast("dict[str, Any]", plain) if isinstance(plain, dict) else {}
    confidence = fields.get("confidence")
    sure = float(confidence) if isinstance(confidence, (int, float)) and not isinstance(confidence, bool) else -1.0
    fits = 0.0 <= sure <= 1.0
    if compare is not None:
        counts: object = compare(plain)
    elif fits:
        counts = {name: part for name, part in fields.items() if name != "confidence"}
    else:
        counts = cast("object", plain)
    return Claim(who, value, sure if fits else None, run, stance(counts), at=now)


def stance(value: object) -> Raw:
    """What decides whether two claims agree: canonical JSON, in which equal numbers are equal (3 and 3.0, 0.0 and -0.0).

    Raises:
        ValueError: there is a number in it that is none, or infinite: JSON would call all of those null, and so they would agree.
        NotStorable, TypeError: JSON does not hold it.
    """
    return Raw(canonical(_level(msgspec.to_builtins(value, order="deterministic"))))


def _level(part: Any) -> object:
    if isinstance(part, float):
        if not math.isfinite(part):
            raise ValueError(f"{part} cannot be compared")
        return int(part) if part.is_integer() else part
    if isinstance(part, dict):
        return {key: _level(one) for key, one in cast("dict[str, Any]", part).items()}
    return [_level(one) for one in cast("list[Any]", part)] if isinstance(part, (list, tuple)) else part
