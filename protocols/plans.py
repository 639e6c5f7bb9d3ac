"""What a team is told to do in several steps, and how much of its work may run at once: as data. ``supervisor/team`` runs it.

A plan comes from people and models, too: a field that a step does not have (``depends_on``) is refused, or its order would be lost.
"""

from __future__ import annotations

import re
from typing import Any, Final

from msgspec import Raw, Struct
from msgspec.structs import force_setattr

from .errors import DefinitionError

STEP_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,60}\Z")
"""What a step may be called: its name is part of an address, and stands in ``{name}`` for its result."""


MOST_STEPS: Final = 2_000
"""Steps that a plan may have at most: what became of each stands in the row that ends it."""


class WrongField(DefinitionError, ValueError):
    """A field of something declared is of no use; what decodes it from JSON takes it for one that does not fit."""


def texts(what: str, given: object) -> tuple[str, ...]:
    """Names that somebody gave as a list or tuple.

    Raises:
        DefinitionError: it is one text, which would be taken letter by letter, or holds something else than text.
    """
    if isinstance(given, str) or not isinstance(given, (list, tuple)):
        raise WrongField(f"{what}={given!r} is no tuple of names", hint=f"{what}=({given!r},)")
    names: tuple[Any, ...] = tuple(given)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    wrong = [name for name in names if not isinstance(name, str) or not name.strip()]
    if wrong:
        raise WrongField(f"{what} names {wrong[0]!r}", hint="each is a text that is not empty")
    return names


class Step(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One step of a plan: who does what, and after which others.

    Attributes:
        name: letters, digits, ``-`` and ``_``; no other step has it.
        worker: who does it; empty where ``needs`` says who can.
        objective: what is wanted, in words. ``{other}`` stands for what the step ``other`` gave, which must be in ``after``.
        after: names of steps that must be over before. What they gave is in the task's ``inputs``, under their names.
        optional: whether the steps after it go on where it fails; without its result, then.
        needs: what its worker must be able to do (``can=``). Of several the one with the least under way takes it, and another one takes
            it over from one that was given up.
        inputs: data that belongs to it; any JSON.
        within: seconds it may take from when its worker is asked; None for as long as the task may.

    Raises:
        DefinitionError: ``after`` or ``needs`` is one text instead of a tuple.
    """

    name: str
    worker: str = ""
    objective: str = ""
    after: tuple[str, ...] = ()
    optional: bool = False
    needs: tuple[str, ...] = ()
    inputs: dict[str, Raw] = {}
    within: float | None = None

    def __post_init__(self) -> None:
        for of in ("after", "needs"):
            given = getattr(self, of)
            if given != () or not isinstance(given, tuple):
                force_setattr(self, of, texts(f"step {self.name!r}: {of}", given))


class Plan(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Steps that a team takes, each as soon as those before it are over, side by side where nothing orders them.

    Whether it can be done (known workers, no cycle, within the team's ``us.PlanLimits``) is checked by the team that is given it.

    Attributes:
        steps: all of them, in any order.
        goal: what they are for, in words.
        gives: the step whose result is the result of the plan; by default the result is a dictionary of all steps' results.
    """

    steps: tuple[Step, ...]
    goal: str = ""
    gives: str = ""

    def __post_init__(self) -> None:
        given: object = self.steps
        if isinstance(given, list):
            force_setattr(self, "steps", tuple(self.steps))


class PlanLimits(Struct, frozen=True):
    """How large a plan may be, and how much it may spend. No configuration means these, not none.

    Attributes:
        steps: steps of one plan, 2,000 at most; one with more is refused.
        thinks: model calls that its agents may make in the worst case (the sum of their ``us.Limits.steps``); a plan that might make
            more is refused. None for no limit.
        tokens, usd: what a run may have spent, its planner included. What is under way when it is reached ends; before anything more
            begins a person is asked. None for no limit.

    Raises:
        DefinitionError: one of them is negative, or no number.
    """

    steps: int = 100
    thinks: int | None = None
    tokens: int | None = None
    usd: float | None = None

    def __post_init__(self) -> None:
        if _at_least(self.steps, MOST_STEPS + 1):
            raise WrongField(
                f"PlanLimits(steps={self.steps})", hint=f"{MOST_STEPS:,} at most: cut it into several plans"
            )
        for name, least in (("steps", 1), ("thinks", 0), ("tokens", 0), ("usd", 0)):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if (value is None and name != "steps") or ((whole or name == "usd") and _at_least(value, least)):
                continue
            raise WrongField(f"PlanLimits({name}={value!r})", hint=f"a number, {least} or more")


class Parallel(Struct, frozen=True):
    """How much of a team's work runs at once. One piece of work is one worker's work on one task, or on one step of a plan.

    Attributes:
        tasks: of the whole team; None for no limit.
        each: of each worker; None for no limit.
        workers: of single workers, by name, in place of ``each``.

    Raises:
        DefinitionError: one of them is below 1.
    """

    tasks: int | None = None
    each: int | None = None
    workers: dict[str, int] = {}

    def __post_init__(self) -> None:
        for name, value in (("tasks", self.tasks), ("each", self.each), *self.workers.items()):
            if value is None and name in ("tasks", "each"):
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise WrongField(f"parallel: {name}={value!r}", hint="a whole number, 1 or more; None for no limit")

    def of(self, worker: str) -> int | None:
        """The limit of one worker."""
        return self.workers.get(worker, self.each)


def work_limits(
    parallel: int | Parallel | None, plans: PlanLimits | None, workers: tuple[str, ...]
) -> tuple[Parallel | None, PlanLimits]:
    """What ``parallel=`` and ``plans=`` of a team mean.

    Raises:
        DefinitionError: they are none, name somebody who is no worker, or the team takes no tasks at all.
    """
    given: list[tuple[str, object]] = [("parallel", parallel), ("plans", plans)]
    for name, value in given:
        if value is not None and not workers:
            raise WrongField(f"{name}= without agents or workers", hint="it is about tasks, and this team takes none")
    bounds: object = plans
    if bounds is not None and not isinstance(bounds, PlanLimits):
        raise WrongField(f"plans={bounds!r}", hint="a us.PlanLimits")
    if parallel is None or isinstance(parallel, Parallel):
        limits = parallel
    elif isinstance(parallel, int):
        limits = Parallel(parallel)
    else:
        raise WrongField(f"parallel={parallel!r}", hint="a whole number, a us.Parallel, or None for no limit")
    strangers = sorted(set(limits.workers) - set(workers)) if limits is not None else []
    if strangers:
        raise WrongField(f"parallel: {strangers[0]!r} is no worker here", hint=f"workers: {', '.join(workers)}")
    return limits, plans or PlanLimits()


def _at_least(value: Any, least: int) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= least
