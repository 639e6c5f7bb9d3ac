"""What an effect comes to that may not go on: it is in doubt where an earlier attempt may have happened; and how long it may go on."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ..protocols.approvals import Question
from ..protocols.effects import Effect
from ..protocols.failures import Failure
from ..protocols.hooks import Next
from ..protocols.journal import Timer
from ..protocols.tasks import Overdue
from .cell import Cell
from .postal import later_id
from .releases import Settlement


def told(effect: Effect, *, unknown: bool) -> Effect:
    """After an attempt that failed. What nobody knows of an attempt stays unknown, until ``reconcile`` has said that it did not happen,
    as it does before every further one. A ``read`` does nothing that could be doubtful."""
    unsure = effect.effect != "read" and (unknown or (effect.unsure and effect.effect != "reconcilable"))
    return effect if unsure == effect.unsure else msgspec.structs.replace(effect, unsure=unsure)


def not_again(effect: Effect, failure: Failure) -> Next:
    """It may not begin again: a failure, or, where an earlier attempt may have happened, a person says whether it did."""
    if not effect.unsure:
        return Next("settle", failure=failure)
    text = f"Did {effect.name} happen? {failure.message}. Nobody knows what an earlier attempt did."
    return Next("doubt", question=Question("in_doubt", text, failure=failure), failure=failure)


def judged(effect: Effect, settlement: Settlement) -> bool:
    """Whether a failure is of an attempt about which was decided before: it is told late, or again, as after an append that failed and
    had stored it. It then moves nothing, such as a turn under a rate, and says nothing of later attempts."""
    if settlement.attempt >= effect.attempt and effect.state == "in_doubt":
        return settlement.attempt == effect.attempt and effect.failure == settlement.failure
    return settlement.attempt < effect.attempt or (
        settlement.attempt == effect.attempt and effect.state in ("waiting", "asking", "intended")
    )


def until(cell: Cell, effect: Effect, timers: Iterable[Timer]) -> float | None:
    """Journal time after which nobody wants it any more: of the request that it answers, or of the task of its run; None for none.

    Args:
        cell: its actor.
        effect: which.
        timers: of its actor.
    """
    dues = [timer.at for timer in timers if timer.envelope.wire == Overdue.__wire__]
    asker = cell.memory.askers.get(later_id(bytes(effect.tag)))
    if asker is not None and asker.deadline is not None:
        dues.append(asker.deadline)
    return min(dues, default=None)


def no_time(effect: Effect, after: float, why: Failure) -> Failure:
    """What it comes to where its next attempt would come too late."""
    text = f"{effect.name} would begin only when nobody waits for it any more: {why.message}"
    return Failure("retry_later", "no_time", text, why.hint, after, effect.name, why)
