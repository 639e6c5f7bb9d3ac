"""What a check looks at and what it says."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from msgspec import Struct

from ...protocols.approvals import Question
from ...protocols.counters import Counters
from ...protocols.effects import Intent
from ...protocols.failures import Failure
from ...protocols.limits import Limits
from ...protocols.rules import ApprovalRule
from ...protocols.verdicts import Verdict
from ...protocols.visible import cut, visible
from ..tool import Tool

LONGEST = 1_000
"""Characters of one argument in a question; all of it stands in the effect."""


class Case(Struct):
    """One intent on its way through the checks.

    Attributes:
        intent: what is wanted.
        tools: what the agent may call, by name.
        elsewhere: names of tools that other agents of this system may call.
        limits: the agent's limits.
        counters: what it did so far.
        now: journal time.
        tool: the tool, once it is found.
        arguments: its arguments, once they are checked.
        digest: digest of name and canonical arguments.
        resource: what the call works on, under a lease.
        asked: what a check before this one asks a person.
        rules: approval rules that its agent and its teams have.
        by_code: whether an actor's own code makes the call, rather than a model.
    """

    intent: Intent
    tools: dict[str, Tool[..., Any]]
    elsewhere: frozenset[str]
    limits: Limits
    counters: Counters
    now: float
    tool: Tool[..., Any] | None = None
    arguments: dict[str, Any] = {}
    digest: str = ""
    resource: str = ""
    asked: Question | None = None
    rules: tuple[ApprovalRule, ...] = ()
    by_code: bool = False

    def shown(self) -> str:
        """The call with its arguments, for a person: first where it goes, nothing hidden, and the beginning of what is long."""
        values: dict[str, object] = msgspec.to_builtins(self.arguments)
        sinks = self.tool.spec.sinks or () if self.tool is not None else ()
        arguments = ", ".join(
            f"{json.dumps(name)}: {in_a_line(value)}"
            for name, value in sorted(values.items(), key=lambda item: (item[0] not in sinks, item[0]))
        )
        return f"{self.intent.name}({{{arguments}}})"

    def deadline(self) -> float | None:
        """When a person's silence counts as no."""
        return None if self.limits.approval is None else self.now + self.limits.approval


def in_a_line(value: object) -> str:
    """An argument for a person: JSON in one line, in which nothing is hidden; the beginning of what is long."""
    return cut(visible(json.dumps(value, ensure_ascii=False, sort_keys=True)), LONGEST)


class Ruling(Struct, frozen=True):
    """What a check says; ``failure`` with a deny, ``question`` with an ask, with a wait ``due``: when it is to be asked again."""

    verdict: Verdict
    failure: Failure | None = None
    question: Question | None = None
    due: float | None = None


def allow(check: str, reason: str = "") -> Ruling:
    """Nothing against it."""
    return Ruling(Verdict(check, "allow", reason))


def deny(check: str, failure: Failure) -> Ruling:
    """Refused; the failure goes back to whoever intended it."""
    return Ruling(Verdict(check, "deny", failure.message), failure=failure)


def ask(check: str, question: Question) -> Ruling:
    """A person decides."""
    return Ruling(Verdict(check, "ask", question.text), question=question)


def joined(before: Question | None, ruling: Ruling) -> Ruling:
    """One question of two: what a check before this one asks comes first. A refusal, and a check that has put both together, stays."""
    question = ruling.question
    if before is None or question is None or question.policy.startswith(before.policy):
        return ruling
    due = [at for at in (before.deadline, question.deadline) if at is not None]
    both = msgspec.structs.replace(
        before,
        text=f"{before.text} {question.text}",
        policy=f"{before.policy}, {question.policy}",
        deadline=min(due, default=None),
    )
    return msgspec.structs.replace(ruling, question=both)
