"""What a team is asked to do and what came of it."""

from __future__ import annotations

import math
from typing import Literal

import msgspec
from msgspec import Raw, Struct, field
from msgspec.structs import force_setattr

from .budget import EXHAUSTED, Budget
from .budget import budget as checked
from .codec import decode
from .failures import Failure
from .given import as_float
from .messages import Message, Request
from .model import Usage
from .plans import Plan, WrongField, texts
from .undoing import Undone

RunStatus = Literal["done", "cannot", "failed"]
"""Done: the output is there. Cannot: the agent says that it can't complete this. Failed: something else ended it."""


class Part(Struct, frozen=True, omit_defaults=True):
    """What became of one step of a plan.

    Attributes:
        status: done, failed, or skipped: it never began, because of what became of others.
        by: who did it: a worker's address, or a person.
        reason: why there is no result; one line.
    """

    status: Literal["done", "failed", "skipped"]
    by: str = ""
    reason: str = ""


class Result(Struct, frozen=True, omit_defaults=True):
    """How a run ended.

    Attributes:
        status: done, cannot or failed.
        output: the output as JSON; with ``cannot`` the partial results.
        reason: why there is no output; one line.
        by: address of the worker that made it, or who answered in its place.
        steps: model calls it took.
        usage: tokens they took.
        cost: US dollars they cost, where known.
        failure: what ended it, with its causes.
        parts: of a plan, what became of each step, by name. Where one failed, ``output`` holds what the others gave, by name.
        undone: of a plan that was given up, what became of the calls that could be undone, in that order; the first 200.
    """

    status: RunStatus
    output: Raw = Raw(b"null")
    reason: str = ""
    by: str = ""
    steps: int = 0
    usage: Usage = Usage()
    cost: float = 0.0
    failure: Failure | None = None
    parts: dict[str, Part] = {}
    undone: tuple[Undone, ...] = ()


class Task(Request[Result], wire="us.task", omit_defaults=True):
    """A piece of work.

    Attributes:
        objective: what is wanted, in words.
        inputs: data that belongs to it; any JSON.
        user, tenant, session, tags: on whose behalf; inherited by everything that it causes.
        needs: what its worker must be able to do (``can=``); who of a team takes it follows from that.
        priority: of the tasks that wait for a place in a team (``parallel=``) higher ones go first.
        deadline: journal time, seconds since the epoch, at which it is over with the failure ``deadline``, done or not; of the tasks that
            wait with one priority the earlier one goes first. None for no end.
        plan: the steps to take, for a team.
        budget: what may be spent on it, by all who work on it; besides the budgets of those whom it is given to.
        untrusted: names of inputs that strangers wrote (a mail, a page). Whoever takes the task has then read what is not trusted
            (docs/provenance.md); its words, and the other inputs, are trusted all the same.
        tools: names of the tools that may be called for it by models: by the agent that takes it, and by all to whom that hands it on. None
            for all that they have; nobody gets a tool by being named here.

    Raises:
        DefinitionError: ``untrusted`` names no input, ``needs`` is one text, ``priority`` no whole number, ``deadline`` no time,
            ``budget`` none.
    """

    # A field that is always there has a factory, so that its default is written: recorded tasks keep their digests.
    objective: str
    inputs: dict[str, Raw] = field(default_factory=dict[str, Raw])
    user: str = field(default_factory=str)
    tenant: str = field(default_factory=str)
    session: str = field(default_factory=str)
    tags: tuple[str, ...] = field(default_factory=tuple[str, ...])
    needs: tuple[str, ...] = ()
    priority: int = 0
    deadline: float | None = None
    plan: Plan | None = None
    budget: Budget | None = None
    untrusted: tuple[str, ...] = ()
    tools: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        checked("Task", self.budget)
        if self.needs != () or not isinstance(self.needs, tuple):
            force_setattr(self, "needs", texts("needs", self.needs))
        if self.priority != 0 and (not isinstance(self.priority, int) or isinstance(self.priority, bool)):
            raise WrongField(f"Task: priority={self.priority!r}", hint="a whole number, higher goes first")
        if self.untrusted != () or not isinstance(self.untrusted, tuple):
            force_setattr(self, "untrusted", texts("untrusted", self.untrusted))
            if unknown := [name for name in self.untrusted if name not in self.inputs]:
                hint = f"one of {', '.join(self.inputs)}" if self.inputs else "it has none: put the text into inputs"
                raise WrongField(f"Task: untrusted names {unknown[0]!r}, which is no input", hint=hint)
        if self.tools is not None:
            force_setattr(self, "tools", texts("tools", self.tools))
        due = self.deadline
        if due is not None and (
            isinstance(due, bool) or not isinstance(due, (int, float)) or not math.isfinite(as_float(due)) or due < 0
        ):
            raise WrongField(f"Task: deadline={due!r} is no time", hint="seconds since the epoch: time.time() + 60")


class Overdue(Message, wire="us.overdue"):
    """The deadline of a task is here. A reminder of whoever works on it: it ends what is left and nobody waits for it.

    Attributes:
        limit: which limit of the agent's it is (``run``, ``step``) and how many seconds that was; empty for the task's own deadline.
            ``budget``: whose, and how many.
        mark: of a step: where in the conversation it began.
    """

    limit: str = ""
    mark: int = -1


BUDGET = "budget of "
"""How the reminder of a budget's time begins: ``budget of <account> <seconds>``."""


def overdue(where: str, waited: str = "", limit: str = "") -> Failure:
    """Why a task is over whose deadline has passed. ``waited``: what it still waited for. ``limit``: as in ``Overdue``."""
    still = f" while it waited for {waited}" if waited else ""
    if limit.startswith(BUDGET):
        account = limit.removeprefix(BUDGET).partition(" ")[0]
        return Failure("abandon", EXHAUSTED, f"the {limit} s is over{still}", "give it more time", where=account)
    if limit:
        which = limit.partition(" ")[0]
        hint = f"us.Limits({which}=…) says how long one may take"
        return Failure("abandon", f"{which}_timeout", f"the {limit} is over{still}", hint, where=where)
    return Failure("abandon", "deadline", f"the task's deadline passed{still}", where=where)


def changed_task(before: Task, value: Raw) -> Task:
    """A task as a person changed it: another objective (a text), or an object with ``objective``, ``inputs`` or both; what it does
    not name stays. On whose behalf it is cannot be changed.

    Raises:
        msgspec.DecodeError: it is none of these.
    """
    is_text = bytes(value).lstrip().startswith(b'"')
    change = _Change(decode(value, str)) if is_text else decode(value, _Change)
    objective = before.objective if change.objective is None else change.objective
    if not objective.strip():
        raise msgspec.ValidationError("a task needs an objective")
    if change.inputs is None:
        return msgspec.structs.replace(before, objective=objective)
    return msgspec.structs.replace(before, objective=objective, inputs=change.inputs, untrusted=())


class _Change(Struct, frozen=True, forbid_unknown_fields=True):
    objective: str | None = None
    inputs: dict[str, Raw] | None = None


class Cancel(Message, wire="us.cancel"):
    """Ends a run: open asks fail, effects that have not begun are withdrawn.

    An actor that handles it is also told, in its place, when nobody waits any more for a request that it left open.

    Attributes:
        reason: why, one line.
        request: id of that request, as in its ``Later``; empty for all that the actor does.
    """

    reason: str = ""
    request: str = ""


class Route(Struct, frozen=True, omit_defaults=True):
    """What a front door says: who should take a task.

    Attributes:
        to: name of the worker, or ``person``.
        confidence: from 0 to 1; below the router's ``at_least`` a person decides.
        why: one line.
    """

    to: str
    confidence: float = 1.0
    why: str = ""


class Routes(Struct, frozen=True, omit_defaults=True):
    """What a front door says that may name several (``us.Router(consult=…)``): they do the task side by side.

    Attributes:
        to: names of workers, or ``person`` alone.
        confidence, why: as in ``Route``.
    """

    to: tuple[str, ...]
    confidence: float = 1.0
    why: str = ""
