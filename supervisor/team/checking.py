"""Whether a plan can be done by a team: pure, the same for plans from code, from callers and from models.

One reason at a time, the first that is found, in words that a model or a person can mend the plan by.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from math import inf

from ...actors.agent import Agent
from ...protocols.plans import STEP_NAME, Plan, Step
from ..supervision.definitions import Supervisor
from .routing import able, unable

REFERENCE = re.compile(r"\{([A-Za-z0-9_-]{1,60})\}")
"""What stands in an objective for the result of a step that came before."""


def refusal(plan: Plan, team: Supervisor, now: float | None = None, deadline: float | None = None) -> str:
    """Why a team does not take a plan; empty where it does. ``now``, ``deadline``: of the task that it is for, journal times."""
    steps, limits = plan.steps, team.plans
    if not steps:
        return "the plan has no steps"
    if len(steps) > limits.steps:
        return f"the plan has {len(steps):,} steps, more than the {limits.steps:,} that {team.name!r} takes"
    names = Counter(step.name for step in steps)
    twice = next((name for name, many in names.items() if many > 1), None)
    if twice is not None:
        return f"the plan has {names[twice]} steps named {twice!r}"
    wrong = next((why for step in steps if (why := _step(step, names, team))), "")
    if wrong:
        return wrong
    if plan.gives and plan.gives not in names:
        return f"the plan gives the result of {plan.gives!r}, which is no step of it"
    if ring := cycle(plan):
        return f"the plan goes in a circle: {' after '.join(map(repr, ring))}"
    if limits.thinks is not None and (worst := _thinks(plan, team)) > limits.thinks:
        return f"the plan may take {worst:,} model calls, more than the {limits.thinks:,} that {team.name!r} allows"
    if now is not None and deadline is not None:
        longest = _longest(plan)
        if longest and now + longest > deadline:
            left = max(0.0, deadline - now)
            return f"the plan may take {longest:g} s one step after the other, and its deadline is in {left:g} s"
    return ""


def _step(step: Step, names: Counter[str], team: Supervisor) -> str:
    """What is wrong with one step, by itself."""
    what = f"step {step.name!r}"
    if not STEP_NAME.match(step.name):
        return f"{what}: a step's name is 1 to 60 letters, digits, '-' and '_'"
    if step.worker and step.worker not in {w.name for w in team.workers}:
        return f"{what}: {step.worker!r} is no worker of {team.name!r}: {', '.join(w.name for w in team.workers)} are"
    if not step.worker and not step.needs:
        return f"{what} names neither a worker nor what it needs"
    if step.needs and not able(team, step.needs):
        return f"{what}: {unable(team, step.needs)}"
    if step.worker and step.worker not in able(team, step.needs):
        return f"{what}: {step.worker!r} cannot {', '.join(step.needs)}"
    if not step.objective.strip() and not step.inputs:
        return f"{what} says nothing of what is wanted: it has no objective and no inputs"
    if step.name in step.after:
        return f"{what} comes after itself"
    if len(set(step.after)) < len(step.after):
        return f"{what} comes twice after {next(n for n in step.after if step.after.count(n) > 1)!r}"
    if stranger := next((name for name in step.after if name not in names), ""):
        return f"{what} comes after {stranger!r}, which is no step of the plan"
    if taken := next((name for name in step.after if name in step.inputs), ""):
        return f"{what} has an input named {taken!r}, and so is the result of the step before it"
    if early := next((n for n in REFERENCE.findall(step.objective) if n in names and n not in step.after), ""):
        return f"{what} speaks of {{{early}}} but does not come after {early!r}"
    within: object = step.within
    if within is None:
        return ""
    if isinstance(within, bool) or not isinstance(within, (int, float)) or not 0 < within < inf:
        return (
            f"{what} may take within={within!r} seconds: more than 0, please, and not for ever "
            "(None is for as long as the task may)"
        )
    return ""


def cycle(plan: Plan) -> tuple[str, ...]:
    """A circle of steps that wait for each other, each after the next one, the first once more at the end; empty for none."""
    left = {step.name: set(step.after) for step in plan.steps}
    behind: dict[str, list[str]] = {}
    for step in plan.steps:
        for before in step.after:
            behind.setdefault(before, []).append(step.name)
    free = deque(name for name, after in left.items() if not after)
    while free:
        done = free.popleft()
        del left[done]
        for name in behind.get(done, ()):
            left[name].discard(done)
            if not left[name]:
                free.append(name)
    if not left:
        return ()
    seen: list[str] = []
    at = next(step.name for step in plan.steps if step.name in left)
    while at not in seen:
        seen.append(at)
        at = min(left[at])  # any one leads into a circle
    return (*seen[seen.index(at) :], at)


def _thinks(plan: Plan, team: Supervisor) -> int:
    """Model calls in the worst case."""
    most = {w.name: w.limits.steps if isinstance(w, Agent) else 0 for w in team.workers}
    return sum(
        most[step.worker] if step.worker else max(most[name] for name in able(team, step.needs)) for step in plan.steps
    )


def _longest(plan: Plan) -> float:
    """Seconds of the longest chain of steps that say how long they may take. The plan has no circle."""
    steps = {step.name: step for step in plan.steps}
    ends: dict[str, float] = {}
    stack = list(steps)
    while stack:
        step = steps[stack[-1]]
        if step.name in ends:
            stack.pop()
            continue
        if open_ := [name for name in step.after if name not in ends]:
            stack += open_
            continue
        ends[step.name] = max((ends[name] for name in step.after), default=0.0) + (step.within or 0.0)
        stack.pop()
    return max(ends.values(), default=0.0)
