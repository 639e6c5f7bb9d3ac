"""Limits: steps, calls, and loops. A loop forces a new plan; going on with it needs a person."""

from __future__ import annotations

from ...protocols.approvals import Question
from ...protocols.effects import CALL, THINK, Effect, Intent
from ...protocols.failures import Failure
from ...protocols.shapes import shape_of
from ...protocols.tasks import Result
from ..inside import InsideTool
from .case import Case, Ruling, allow, ask, deny

LOOP = "limits.loop"
"""The policy of a question about a loop; a tool's own rule is named after it where both ask."""

FAMILY = "limits.family"

LIMITS = "limits"
"""In the verdicts of a start after a wait."""


def steps(case: Case) -> Ruling:
    """Deny a model call beyond the run's steps."""
    if case.intent.verb == THINK and case.counters.steps >= case.limits.steps:
        return deny(
            "limits.steps",
            Failure("abandon", "step_limit", f"all {case.limits.steps} steps are used", where=case.intent.run),
        )
    return allow("limits.steps", f"{case.counters.steps} of {case.limits.steps}")


def calls(case: Case) -> Ruling:
    """Deny a tool call beyond the run's calls, beyond those of this tool, or one that hands on too many tasks, or one task too often."""
    name, most = case.intent.name, case.limits.per_tool.get(case.intent.name)
    if most is not None and case.counters.tools.get(name, 0) >= most:
        why = f"all {most} calls of {name} are used"
        hint = "go on without it, or say that you can't complete this"
        return deny("limits.calls", Failure("change_arguments", "call_limit", why, hint=hint, where=name))
    if isinstance(case.tool, InsideTool) and case.tool.returns is Result and (why := _handed(case)):
        hint = "do it yourself, or say that you can't complete this"
        return deny("limits.calls", Failure("change_arguments", "spawn_limit", why, hint=hint, where=name))
    if case.counters.calls >= case.limits.calls:
        return deny(
            "limits.calls",
            Failure("abandon", "call_limit", f"all {case.limits.calls} tool calls are used", where=case.intent.run),
        )
    return allow("limits.calls", f"{case.counters.calls} of {case.limits.calls}")


def family(intent: Intent, most: int, handed: int) -> Ruling:
    """Deny the handing on of a task where a run, and all that it has caused by handing tasks on, have handed on enough."""
    if handed < most:
        return allow(FAMILY, f"{handed} of {most}")
    why = f"this task has been handed on in {handed} pieces by all who work on it, and {most} are the most"
    hint = "do it yourself, or say that you can't complete this"
    return deny(FAMILY, Failure("change_arguments", "family_full", why, hint=hint, where=intent.run))


def _handed(case: Case) -> str:
    """Why no further task may be handed on from here; empty where one may."""
    if case.intent.hops >= case.limits.depth:
        return f"the task has come through {case.intent.hops} hands, and may go through {case.limits.depth} at most"
    passing = (name for name, tool in case.tools.items() if isinstance(tool, InsideTool) and tool.returns is Result)
    given = sum(case.counters.tools.get(name, 0) for name in passing)
    return f"all {given} tasks that may be handed on are" if given >= case.limits.handed else ""


def waited(effect: Effect, now: float) -> bool:
    """Whether time has passed since its intent, or a process ended: its limits may be others now."""
    return bool(now != effect.at or effect.cleared or effect.interrupted)


def still(case: Case, effect: Effect, until: float | None) -> Ruling:
    """After a wait: deny what nobody wants any more (``until``), and what the present limits would not have let through.

    It counted itself when it was admitted, and so did what came later; so a call is held against how many there were up to it. A run asks
    its model one thing at a time.
    """
    counters, limits, name = case.counters, case.limits, effect.name
    if until is not None and case.now >= until:
        late = (
            f"{name} would begin only when nobody waits for it any more: its time was over {case.now - until:g} s ago"
        )
        return deny(LIMITS, Failure("abandon", "no_time", late, where=name))
    if case.by_code:
        return allow(LIMITS)
    if effect.verb == CALL:
        number, of_tool = counters.nth.get(effect.id, (0, 0))
        most = limits.per_tool.get(name)
        if most is not None and of_tool > most:
            why = f"it is call {of_tool} of {name}, and {most} are allowed by now"
        elif number > limits.calls:
            why = f"it is tool call {number}, and {limits.calls} are allowed by now"
        else:
            return allow(LIMITS, f"{number} of {limits.calls}" if number else "")
        hint = "go on without it, or say that you can't complete this"
        return deny(LIMITS, Failure("abandon", "call_limit", why, hint=hint, where=name))
    if counters.steps > limits.steps:
        why = f"it is step {counters.steps}, and {limits.steps} are allowed by now"
        return deny(LIMITS, Failure("abandon", "step_limit", why, where=effect.stream))
    return allow(LIMITS, f"{counters.steps} of {limits.steps}")


def loop(case: Case) -> Ruling:
    """The same call too often, two calls in turns, a counter in a text, or always the same result: deny it once (make a new plan), then ask
    a person.

    A ``once`` call that has been done, or is under way, with the same arguments is asked about the second time it is wanted.
    """
    why = _loop(case)
    if why is None:
        return _once_more(case) or allow("limits.loop")
    if case.counters.loops == 0:
        hint = "this call is closed: make another plan, or say that you can't complete this"
        return deny("limits.loop", Failure("change_arguments", "loop", why, hint=hint, where=case.intent.name))
    circles = f"{case.intent.run} goes round in circles ({why}), also after it was made to plan anew."
    text = f"{circles} Let it call {case.shown()} once more?"
    return ask("limits.loop", Question("approval", text, policy=LOOP, deadline=case.deadline()))


def _once_more(case: Case) -> Ruling | None:
    """A ``once`` call that has been done, or is under way, with these very arguments."""
    if case.tool is None or case.tool.spec.effect != "once" or not case.counters.taken.get(case.digest):
        return None
    text = f"{case.intent.run} wants {case.shown()} once more, which it has had done before in this run. Do it again?"
    return ask("limits.loop", Question("approval", text, policy=LOOP, deadline=case.deadline()))


def refused_again(case: Case, digest: str) -> Ruling | None:
    """A call that the checks before refused, and that is made again and again: a loop, too. The agent asks a person in the end."""
    times = case.counters.refused.get(digest, 0)
    if times < case.limits.repeats:
        return None
    why = f"{case.intent.name} was refused {times} times with the same arguments"
    hint = "it will always be refused: make another plan, or say that you can't complete this"
    return deny("limits.loop", Failure("change_arguments", "loop", why, hint=hint, where=case.intent.name))


def _loop(case: Case) -> str | None:
    name, repeats = case.intent.name, case.counters.admitted.get(case.digest, 0)
    if repeats >= case.limits.repeats:
        return f"{name} was asked for {repeats} times with the same arguments"
    length = 2 * case.limits.cycles
    past = case.counters.recent[-length:]
    if len(past) == length and past[0] != past[1] and past[0] == case.digest and past[:2] * case.limits.cycles == past:
        return f"{name} and another call alternated {case.limits.cycles} times with the same arguments"
    shapes = case.counters.shapes
    if shapes and (varied := shapes.get(shape_of(name, case.intent.args), 0)) >= case.limits.varied:
        return f"{name} was asked for {varied} times with arguments that differ only in numbers, spaces or marks inside of texts"
    tool, _, times = case.counters.same
    if tool == name and times >= case.limits.stalled:
        return f"{name} gave the very same {times} times in a row, so nothing comes of asking it again"
    return None
