"""What a team did about its work, as sentences: lines of a run's story."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct

from ...protocols.journal import StoredEvent
from ...protocols.upcasting import lift
from .events import (
    HandedOver,
    LeftToPerson,
    Lifted,
    Overspent,
    Planned,
    PlanRefused,
    PutBack,
    Queued,
    StepChanged,
    StepOver,
)
from .planned import short

Told = tuple[str, Literal["plain", "good", "bad", "person", "quiet"]]


def line(stored: StoredEvent) -> Told:
    """What an event says."""
    form, say = LINES[stored.wire]
    told: Told = say(lift(stored.data, form, stored.version))
    return told


def _queued(event: Queued) -> Told:
    return f"{_what(event.step)} waits for a place with {' or '.join(event.names)}", "quiet"


def _put_back(event: PutBack) -> Told:
    return f"step {event.step} waits for no place any more", "quiet"


def _handed(event: HandedOver) -> Told:
    return f"{event.name} was given up, and somebody else takes {_what(event.step)}: {event.why}", "bad"


def _left(event: LeftToPerson) -> Told:
    why = f"{event.name} was given up and nobody else can do {_what(event.step)}"
    return f"{why}: it waits for the person who was asked about {event.name}", "person"


def _planned(event: Planned) -> Told:
    steps = [
        f"{step.name} ({step.worker or 'who can ' + ' and '.join(step.needs)})"
        + (f" after {' and '.join(step.after)}" if step.after else "")
        for step in event.plan.steps
    ]
    many = f"{len(steps)} steps" if len(steps) > 1 else "1 step"
    return f"takes the plan that {event.by} gave, {many}: {short('; '.join(steps))}", "plain"


def _refused(event: PlanRefused) -> Told:
    return f"refuses the plan that {event.by} made: {event.why}", "bad"


def _step(event: StepOver) -> Told:
    part, count = event.part, f"{event.over} of {event.steps} over"
    if part.status == "done":
        return f"step {event.step} is done ({count})", "good"
    word = "has failed" if part.status == "failed" else "is skipped"
    return f"step {event.step} {word} ({count}): {part.reason}", "bad"


def _changed(event: StepChanged) -> Told:
    return f"{event.by} changes step {event.step}: {short(event.task.objective)}", "person"


def _overspent(event: Overspent) -> Told:
    return f"begins nothing more before a person has answered: {event.why}", "bad"


def _lifted(event: Lifted) -> Told:
    return f"{event.by} decides about what it may spend", "person"


def _what(step: str) -> str:
    return f"step {step}" if step else "the task"


LINES: dict[str, tuple[type[Any], Callable[[Any], Told]]] = {}
"""By wire name: the event's class, and what takes it."""


def _add(form: type[Struct], say: Callable[[Any], Told]) -> None:
    LINES[vars(form)["__wire__"]] = (form, say)


_add(Queued, _queued)
_add(PutBack, _put_back)
_add(HandedOver, _handed)
_add(LeftToPerson, _left)
_add(Planned, _planned)
_add(PlanRefused, _refused)
_add(StepOver, _step)
_add(StepChanged, _changed)
_add(Overspent, _overspent)
_add(Lifted, _lifted)
