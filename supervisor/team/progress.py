"""How far a run of a team is: a fold over its rows, the same for a running system, the command line and the story of a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import msgspec
from msgspec import Struct

from ...protocols.effects import Effect
from ...protocols.journal import StoredEvent
from .dispatch import TeamActor
from .events import TASK, TeamState
from .planned import BUDGET

_READ = TeamActor.behaviour
_NOBODY = TeamActor.__new__(TeamActor)  # events are applied by no team in particular


class Current(Struct, frozen=True, omit_defaults=True):
    """Work that is with a worker: the step (empty for the task itself), whose it is, since when (journal time, where it is known)."""

    step: str
    worker: str
    since: float | None = None


class Waits(Struct, frozen=True, omit_defaults=True):
    """Work that waits: the step (empty for the task itself), what for, in words, and since when, where it is known."""

    step: str
    why: str
    since: float | None = None


class Progress(Struct, frozen=True, omit_defaults=True):
    """How far a run is.

    Attributes:
        steps: of its plan; 1 for a task without one.
        done, failed, skipped: how many of them are over, and how.
        current: what is with workers.
        waiting: what waits and why: for a place, a person, or other steps.
    """

    steps: int
    done: int = 0
    failed: int = 0
    skipped: int = 0
    current: tuple[Current, ...] = ()
    waiting: tuple[Waits, ...] = ()

    def __str__(self) -> str:
        """In one line."""
        words = [f"{self.done} of {self.steps} steps done" if self.steps != 1 else f"{self.done} of 1 done"]
        words += [f"{many} {word}" for many, word in ((self.failed, "failed"), (self.skipped, "skipped")) if many]
        if self.current:
            words.append("now: " + ", ".join(f"{c.step} ({c.worker})" if c.step else c.worker for c in self.current))
        if self.waiting:
            words.append("waiting: " + ", ".join(f"{w.step} {w.why}" if w.step else w.why for w in self.waiting))
        return "; ".join(words)


def apply(state: TeamState, stored: StoredEvent) -> TeamState:
    """One event of a run; any other changes nothing."""
    if stored.wire not in _READ.appliers:
        return state
    event = _READ.read(stored)
    return cast("TeamState", _READ.appliers[stored.wire][1](_NOBODY, state, event))


def progress(state: TeamState, effects: Iterable[Effect] = (), ended: str = "") -> Progress:
    """How far it is by its state. ``effects``: what is open of it; ``ended``: how it did, if it did."""
    over = bool(ended)
    asked = _asked(effects)
    work = {} if over else TeamActor.by_state(state)
    current = [Current(step, has.name, has.at or None) for step, has in work.items() if not has.given_up]
    waits: list[Waits] = []
    if not over:
        waits += [
            Waits(step, f"for a place with {' or '.join(queue.names)}", queue.at)
            for step, queue in state.queued.items()
        ]
        waits += [Waits(s, f"for a person: {h.name} was given up", h.at or None) for s, h in work.items() if h.given_up]
        waits += [Waits("" if s == BUDGET else s, "for a person") for s in asked]
    if state.plan is None:
        return Progress(1, int(ended == "done"), int(over and ended != "done"), 0, tuple(current), tuple(waits))
    known = {*work, *state.queued, *asked, *state.parts}
    for step in state.plan.steps if not over else ():
        if step.name not in known:
            left = [name for name in step.after if name not in state.parts]
            waits.append(Waits(step.name, f"for {', '.join(left)}" if left else state.paused or "to begin"))
    status = [part.status for part in state.parts.values()]
    total = len(state.plan.steps)
    skipped = total - status.count("done") - status.count("failed") if over else status.count("skipped")
    return Progress(total, status.count("done"), status.count("failed"), skipped, tuple(current), tuple(waits))


def _asked(effects: Iterable[Effect]) -> Sequence[str]:
    """The work about which people are asked."""
    found: list[str] = []
    for effect in effects:
        if effect.verb == "person" and effect.state == "asking" and effect.answer is None:
            tag: Any = msgspec.json.decode(effect.tag)  # whatever the asker gave
            found.append(tag if isinstance(tag, str) else TASK)
    return found
