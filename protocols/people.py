"""Whom a question goes to, and when: people as data. ``actors.patience`` decides over it, the kernel keeps the time.

asked -> the first person -> reminded every ``remind`` s -> the next person after ``next_after`` s -> ... -> ``deadline``: ``default``
"""

from __future__ import annotations

import math
from typing import Any, cast

import msgspec
from msgspec import Struct

from .decisions import Decision
from .errors import DefinitionError

LONGEST_NAME = 200
"""Characters of a person's name."""

MOST = 100
"""People whom one question may go to."""

UNATTENDED: tuple[Decision, ...] = ("retry", "skip", "stop")
"""What can be decided with nobody there: it needs no value."""


class People(Struct, frozen=True, omit_defaults=True):
    """Whom questions go to, how long each of them has, and what counts when nobody answers.

    The first of ``ask`` is asked at once. Times are journal times and durable: they pass while nobody is connected, and what came due
    while the process was down happens once, at the next start. Anybody may answer; that somebody answered who was not asked is shown.

    Attributes:
        ask: names, in the order in which they are asked; one name alone may be given as text.
        remind: seconds after which whoever is asked is reminded, again and again; None for never.
        next_after: seconds after which the next one is asked, too; the last one stays asked. Needed where ``ask`` names several.
        deadline: seconds until ``default`` is the answer to an escalation. None: it waits for ever. Approvals have ``Limits.approval``,
            after which silence is a no; calls in doubt wait for ever.
        default: ``stop`` (the default), ``retry`` or ``skip``. Where a question does not take it, ``stop``.
        quorum: how many different people must say yes to an approval (four eyes: 2). The first no decides. A rule may ask for more.

    Raises:
        DefinitionError: one of these is of no use; it names the field.
    """

    ask: tuple[str, ...]
    remind: float | None = None
    next_after: float | None = None
    deadline: float | None = None
    default: Decision = "stop"
    quorum: int = 1

    def __post_init__(self) -> None:
        given: Any = self.ask  # callers who run no type checker
        if isinstance(given, (str, list)):
            names = (given,) if isinstance(given, str) else tuple(cast("list[object]", given))
            msgspec.structs.force_setattr(self, "ask", names)
        _check_names(self.ask)
        for field, seconds in (("remind", self.remind), ("next_after", self.next_after), ("deadline", self.deadline)):
            _check_seconds(field, seconds)
        check_quorum("people", self.quorum)
        if self.default not in UNATTENDED:
            what = f"{self.default!r} cannot be decided with nobody there"
            raise _wrong("default", what, f"one of {', '.join(UNATTENDED)}")
        if self.deadline is None and self.default != "stop":
            what = f"{self.default!r} would never count: there is no deadline"
            raise _wrong("default", what, "give deadline=, in seconds")
        if self.deadline is not None and self.remind is not None and self.remind >= self.deadline:
            what = f"the first reminder, after {self.remind:g} s, is not before the deadline"
            raise _wrong("remind", what, "make it shorter")
        others = self.ask[1:]
        if self.next_after is None:
            if others:
                raise _wrong("next_after", f"it is not said when {others[0]!r} is asked", "give it, in seconds")
            return
        if not others:
            raise _wrong("next_after", "there is no next person: ask names one", "name another one in ask")
        last = len(others) * self.next_after
        if self.deadline is not None and last >= self.deadline:
            what = f"{others[-1]!r} would be asked after {last:g} s, not before the deadline"
            raise _wrong("next_after", what, "make it shorter")


def _check_names(names: object) -> None:
    if not isinstance(names, tuple) or not names:
        raise _wrong("ask", "it names nobody", "give one name or more")
    known = cast("tuple[object, ...]", names)
    for name in known:
        if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
            raise _wrong("ask", f"{name!r} is no name", f"one line of text, at most {LONGEST_NAME} characters")
    if len(known) > MOST or len(set(known)) < len(known):
        raise _wrong("ask", "somebody is named twice, or too many are named", f"each once, at most {MOST}")


def _check_seconds(field: str, seconds: object) -> None:
    if seconds is None:
        return
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not math.isfinite(seconds) or seconds <= 0:
        raise _wrong(field, f"{seconds!r} is no time to wait", "seconds, more than 0")


def check_quorum(who: str, quorum: object) -> None:
    """Raises DefinitionError where it is no number of people."""
    if isinstance(quorum, bool) or not isinstance(quorum, int) or not 1 <= quorum <= MOST:
        hint = f"a whole number, 1 to {MOST}: how many different people must say yes"
        raise DefinitionError(f"{who}: quorum: {quorum!r} is no number of people", hint=hint)


def _wrong(field: str, what: str, hint: str) -> DefinitionError:
    return DefinitionError(f"people: {field}: {what}", hint=hint)


class Addressed(Struct, frozen=True, omit_defaults=True):
    """How far a question has come.

    Attributes:
        to: which of ``People.ask`` it is addressed to now, from 0.
        since: journal time since which it is.
        told: journal time of the last word to that person: when it was asked or reminded.
        reminded: how often that person was reminded.
    """

    to: int = 0
    since: float = 0.0
    told: float = 0.0
    reminded: int = 0
