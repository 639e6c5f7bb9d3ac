"""What is remembered of one task of a team: its events, and the state that they make."""

# ruff: noqa: RUF012 - msgspec copies the empty ones, and leaves them out of the JSON

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from ...protocols.codec import NULL
from ...protocols.messages import Event, State
from ...protocols.plans import Plan
from ...protocols.provenance import Provenance, Vouched, values_of, words_of
from ...protocols.tasks import Part, Result, Route, Task

TASK = ""
"""The work of a run that takes no steps: the task itself. Steps are known by their names."""


class Received(Event, wire="team.received", omit_defaults=True):
    """A task came in. ``provenance``: where it comes from."""

    task: Task
    later: str
    provenance: Provenance | None = None


class Routed(Event, wire="team.routed"):
    """It was decided who takes the task, by whom and why. ``to`` is ``person`` where nobody could tell."""

    route: Route
    by: str


class Asked(Event, wire="team.asked", omit_defaults=True):
    """A worker or the front door was asked, for the ``tries``-th time; about a step, or the task. ``at``: when, where that
    has to be known: it is a step, or somebody else may have to take it over. ``seat``: with others, and the
    answer goes to the ``panel``."""

    name: str
    tries: int
    step: str = TASK
    at: float | None = None
    seat: bool = False


class Returned(Event, wire="team.returned", omit_defaults=True):
    """A worker or the front door came back. ``provenance``: where what it says comes from."""

    by: str
    result: Result
    step: str = TASK
    provenance: Provenance | None = None


class Retasked(Event, wire="team.retasked", omit_defaults=True):
    """A person changed the task. ``said``: their own words, as JSON, where the task itself came from elsewhere."""

    task: Task
    by: str
    said: str = ""


class Closed(Event, wire="team.closed"):
    """The task is answered."""

    result: Result


class Queued(Event, wire="team.queued", omit_defaults=True):
    """Work waits for a place with one of these workers, or (``together``) for one with each of them, since then."""

    names: tuple[str, ...]
    at: float
    step: str = TASK
    together: bool = False


class PutBack(Event, wire="team.put_back"):
    """A step had asked for a place, and does not want it now: nothing more may begin, or it is skipped."""

    step: str


class HandedOver(Event, wire="team.handed_over", omit_defaults=True):
    """A worker was given up; another one takes its work."""

    name: str
    why: str
    step: str = TASK


class LeftToPerson(Event, wire="team.left_to_person", omit_defaults=True):
    """A worker was given up and nobody else can do its work: who was asked about the worker decides. Its place is free meanwhile."""

    name: str
    why: str
    step: str = TASK


class Planned(Event, wire="team.planned", omit_defaults=True):
    """The team takes a plan; ``by`` says who made it, ``provenance`` what they had read."""

    plan: Plan
    by: str
    provenance: Provenance | None = None


class PlanRefused(Event, wire="team.plan_refused"):
    """The team does not take a plan, and why."""

    by: str
    why: str


class StepOver(Event, wire="team.step_over", omit_defaults=True):
    """A step is done, has failed or is skipped. ``output``: where somebody else than its worker gave it. ``over`` of ``steps`` are
    over now."""

    step: str
    part: Part
    over: int
    steps: int
    output: Raw = NULL


class StepChanged(Event, wire="team.step_changed", omit_defaults=True):
    """A person changed what a step is told: its words and inputs, as a task. ``said``: as in ``Retasked``."""

    step: str
    task: Task
    by: str
    said: str = ""


class Overspent(Event, wire="team.overspent"):
    """The plan has spent what it may: nothing more of it begins before a person has answered."""

    why: str


class Lifted(Event, wire="team.lifted"):
    """A person lets it spend more, or not: then what has not begun is skipped."""

    by: str


class Undoing(Event, wire="team.undoing"):
    """The plan is given up; its task is answered with this when what can be undone of it is."""

    result: Result


class Work(Struct, frozen=True, omit_defaults=True):
    """Work that is with a worker: whose it is, which of its runs for it, since when, and why it was given up, if it was."""

    name: str
    tries: int
    at: float = 0.0
    given_up: str = ""


class Queue(Struct, frozen=True):
    """Work that waits for a place: who may take it, or who all do, and since when."""

    names: tuple[str, ...]
    at: float
    together: bool = False


class TeamState(State, omit_defaults=True):
    """Where one task is. Work is the task (``TASK``) or a step, by name.

    Attributes:
        tries: how often each worker was asked; the first one of a worker is its plain address.
        spent: results of everybody asked, for steps, tokens and money; those of steps as one sum, without what they gave.
        work: what is with a worker, where it is a step, or somebody else may have to take it over.
        queued: what waits for a place.
        tried: workers that were given up, by work.
        plan: the steps it takes, if it takes any; ``parts``, ``outputs``: of those that are over; ``runs``: how often each was begun.
        refused: why plans were refused so far.
        paused: why nothing more begins; ``lifted``: a person let it go on.
        changed: steps that a person changed, by name.
        closing: what the task is answered with once what can be undone is.
        seats: how many of those asked answered to a panel.
        origin, plan_from: where the task and the plan come from; None where nothing is to be feared of them.
        outputs_from: the same of what steps gave, or said of their failure, by name.
        said: what people changed, as JSON.
    """

    # A field that is always there has a factory, so that its default is written: older states keep their digests.
    task: Task = msgspec.field(default_factory=lambda: Task(""))
    later: str = msgspec.field(default_factory=str)
    to: str = msgspec.field(default_factory=str)
    tries: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    spent: tuple[Result, ...] = msgspec.field(default_factory=tuple[Result, ...])
    work: dict[str, Work] = {}
    queued: dict[str, Queue] = {}
    tried: dict[str, tuple[str, ...]] = {}
    plan: Plan | None = None
    parts: dict[str, Part] = {}
    outputs: dict[str, Raw] = {}
    runs: dict[str, int] = {}
    refused: tuple[str, ...] = ()
    paused: str = ""
    lifted: bool = False
    seats: int = 0
    changed: dict[str, Task] = {}
    closing: Result | None = None
    origin: Provenance | None = None
    plan_from: Provenance | None = None
    outputs_from: dict[str, Provenance] = {}
    said: tuple[str, ...] = ()


def vouched(state: TeamState) -> Vouched:
    """Values that came from trusted sources: words of the task and of the plan, what people said, what clean steps gave."""
    free: list[frozenset[str]] = []
    if state.origin is None:
        free += _said(state.task.objective, state.task.inputs)
    if state.plan is not None and state.plan_from is None:
        for step in state.plan.steps:
            free += _said(step.objective, step.inputs)
    free += (words_of(value) for told in state.said for value in values_of(told))
    free += (values_of(bytes(given)) for name, given in state.outputs.items() if name not in state.outputs_from)
    return Vouched(free)


def _said(objective: str, inputs: dict[str, Raw]) -> list[frozenset[str]]:
    return [words_of(objective), *(values_of(bytes(value)) for value in inputs.values())]
