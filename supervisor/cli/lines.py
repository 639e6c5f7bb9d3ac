"""Input: one JSON object a line. A bad line is told with its number, field and what was expected; the others run."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec
from msgspec import Raw, Struct, field

from ...protocols.bounds import check
from ...protocols.budget import Budget
from ...protocols.codec import NULL, decode
from ...protocols.errors import DefinitionError, NotStorable
from ...protocols.journal import MAX_MESSAGE
from ...protocols.plans import Plan
from ...protocols.tasks import Task

KNOWN = "id, objective, inputs, user, tenant, session, tags, needs, priority, deadline, plan, budget (and expect, which is ignored)"
_UNKNOWN = re.compile(r"unknown field `([^`]*)`")
_MISSING = re.compile(r"missing required field `([^`]*)`")
_WRONG = re.compile(r"Expected `([^`]*)`, got `([^`]*)`(?: - at `\$\.?([^`]*)`)?")


class Entry(Struct, frozen=True):
    """A good line: number, id of the run, task."""

    line: int
    id: str
    task: Task


class BadLine(Struct, frozen=True):
    """A line that was refused.

    Attributes:
        line: its number, from 1.
        field: the field that is wrong; empty where it is the whole line.
        problem: what is wrong with it.
        expected: what would be right.
    """

    line: int
    field: str
    problem: str
    expected: str

    def __str__(self) -> str:
        where = f"line {self.line}, field {self.field!r}" if self.field else f"line {self.line}"
        return f"{where}: {self.problem}; expected {self.expected}"


class _Line(Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    objective: str
    inputs: dict[str, Raw] = field(default_factory=dict[str, Raw])
    user: str = ""
    tenant: str = ""
    session: str = ""
    tags: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    priority: int = 0
    deadline: float | None = None
    plan: Plan | None = None
    budget: Budget | None = None
    expect: Raw = NULL


def read(lines: Iterable[bytes]) -> tuple[list[Entry], list[BadLine]]:
    """Good lines and bad ones, in order. Empty lines are nothing."""
    good: list[Entry] = []
    bad: list[BadLine] = []
    first: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        text = line.removeprefix(b"\xef\xbb\xbf").strip()
        if not text:
            continue
        try:
            check(text, "it", most=MAX_MESSAGE)
            found = decode(text, _Line)
        except NotStorable as error:
            bad.append(BadLine(number, "", str(error.args[0]), "a smaller object"))
            continue
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            bad.append(_wrong(number, error))
            continue
        if not found.id.strip() or not found.objective.strip():
            name = "objective" if found.id.strip() else "id"
            bad.append(BadLine(number, name, "it is empty", "some text"))
        elif found.id in first:
            problem = f"{found.id!r} is the id of line {first[found.id]} already"
            bad.append(BadLine(number, "id", problem, "an id that no other line has (the first one runs)"))
        else:
            try:
                task = Task(
                    found.objective, found.inputs, found.user, found.tenant, found.session, found.tags,
                    found.needs, found.priority, found.deadline, found.plan, found.budget,
                )  # fmt: skip
            except DefinitionError as error:
                bad.append(BadLine(number, "", str(error.args[0]), error.hint))
                continue
            first[found.id] = number
            good.append(Entry(number, found.id, task))
    return good, bad


def _wrong(number: int, error: Exception) -> BadLine:
    text = str(error)
    if found := _UNKNOWN.search(text):
        return BadLine(number, found[1], "there is no such field", KNOWN)
    if found := _MISSING.search(text):
        return BadLine(number, found[1], "it is missing", "some text")
    if found := _WRONG.search(text):
        expected, got, name = found[1], found[2], found[3] or ""
        return BadLine(number, name, f"it is of the type {got}", f"the type {expected}")
    return BadLine(number, "", f"it is no JSON ({text})", "one JSON object a line")
