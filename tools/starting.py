"""Checks that look beyond one actor: shadow mode, budgets, rates, breakers. They are asked when an effect starts, and told when an
attempt ended.

What they know of each other's effects is in the gate's books. A check reads and writes entries under keys of its own; where one says
that the effect has to wait, that a person is to be asked, or no, it does not start, and of what was written only that check's counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from ..protocols.books import Books, Entry
from ..protocols.effects import Attempt, Effect
from ..protocols.failures import of_exception
from ..protocols.hooks import Booked, Clearance
from ..protocols.limits import Limits
from ..protocols.model import ModelRequest
from ..protocols.verdicts import Verdict
from .checks.case import Ruling, deny
from .fallback import SHUT
from .tool import Tool


class Starting(Struct):
    """An effect that is about to start.

    Attributes:
        effect: as it stands; its attempt comes after ``effect.attempt``.
        now: journal time.
        books: what stands in the gate's books, and what this check has written so far.
        tool: the tool that is called; None for a model, or where it is not found.
        request: what a model is asked.
        limits: of the agent.
        timeout, answer: as in ``Clearance``; a check may make them less.
        known: finds open effects; None where nobody knows which there are.
    """

    effect: Effect
    now: float
    books: Books
    tool: Tool[..., Any] | None
    request: ModelRequest | None
    limits: Limits
    timeout: float | None = None
    answer: int | None = None
    known: Callable[[str], Effect | None] | None = None


class Ending(Struct):
    """An attempt that came to its end; ``attempt`` as in ``Gate.book``."""

    effect: Effect
    attempt: Attempt | None
    now: float
    books: Books
    tool: Tool[..., Any] | None


class StartCheck(Protocol):
    """One of these checks. Pure: what it knows stands in the books."""

    @property
    def name(self) -> str:
        """As in its verdicts."""
        ...

    def concerns(self, effect: Effect) -> bool:
        """Whether it has anything to say about effects like this one; cheap, for most it has not."""
        ...

    def start(self, starting: Starting) -> Ruling | None:
        """Whether it may start; None where there is nothing to say. One that raises is a refusal that says so."""
        ...

    def book(self, ending: Ending) -> tuple[Verdict, ...]:
        """The attempt ended: settle what was reserved. Told only for effects that it concerns; what is to stand beside the effect."""
        ...


def started(
    checks: Sequence[StartCheck], clear: Clearance, starting: Starting, standing: Mapping[str, Entry]
) -> Clearance:
    """Ask those whom it concerns in order, after what the gate said so far (verdicts, and nothing that keeps it from starting); the first
    that does not let the effect start decides."""
    verdicts, entries = list(clear.verdicts), list[Entry]()
    for check in checks:
        starting.books = Books(standing)
        try:
            ruling = check.start(starting)
        except Exception as error:  # noqa: BLE001 - a check that raises is a refusal that says so
            starting.books = Books(standing)
            ruling = deny(check.name, of_exception(error, where=check.name, code="check_failed"))
        if ruling is None:
            continue
        verdict = ruling.verdict if ruling.verdict.at else said_at(ruling.verdict, starting.now)
        verdicts.append(verdict)
        if verdict.verdict == "simulate":  # nothing that it would need or cost
            return Clearance(tuple(verdicts), simulate=True)
        if verdict.verdict in ("deny", "wait", "ask"):
            shut = ruling.failure is not None and ruling.failure.code == SHUT
            books = starting.books.changes
            return Clearance(tuple(verdicts), books, ruling.failure, ruling.due, ruling.question, shut=shut)
        entries += starting.books.changes
    return Clearance(tuple(verdicts), tuple(entries), timeout=starting.timeout, answer=starting.answer)


def said_at(verdict: Verdict, at: float) -> Verdict:
    """A verdict with its time. (``replace`` takes three times as long.)"""
    return Verdict(verdict.check, verdict.verdict, verdict.reason, at)


def booked(checks: Sequence[StartCheck], ending: Ending, standing: Mapping[str, Entry]) -> Booked:
    """Tell those whom it concerns that an attempt ended. What it came to counts, whatever happens here."""
    verdicts, entries = list[Verdict](), list[Entry]()
    for check in checks:
        ending.books = Books(standing)
        try:
            verdicts += check.book(ending)
            entries += ending.books.changes
        except Exception as error:  # noqa: BLE001 - entries that cannot be read, say
            why = of_exception(error, where=check.name).message
            verdicts.append(Verdict(check.name, "alert", f"its books could not be written: {why}", ending.now))
    return Booked(tuple(entries), tuple(verdicts))
