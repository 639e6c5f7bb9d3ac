"""A plan of faults: which append and which effect goes wrong, and how. For the real system and for the simulated one.

Appends and effects are counted from 1, from the moment at which the plan is handed over; an append is one group of rows. What the
plan does not name goes right. ``hits`` says what was done, so that a test can see that its fault happened at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import anyio
from msgspec import Struct

from ...protocols.effects import Attempt, Effect
from ...protocols.errors import Failed, JournalError, JournalFull
from ...protocols.failures import Failure, of_exception
from ...protocols.journal import Batch, JournalCore
from ...protocols.model import ModelRequest
from ...tools.perform import Performer


class AppendFault(Struct, frozen=True):
    """What goes wrong with one append.

    Attributes:
        error: what is raised; None for nothing.
        written: whether the rows are on the medium all the same.
        delay: seconds before anything happens.
    """

    error: JournalError | None = None
    written: bool = False
    delay: float = 0.0


class EffectFault(Struct, frozen=True):
    """What goes wrong with one attempt at an effect.

    Attributes:
        error: what it raises in place of being made; None with ``hangs``.
        hangs: it is never made, and nothing comes back within its timeout.
        delay: seconds before it is made, or fails.
    """

    error: Exception | None = None
    hangs: bool = False
    delay: float = 0.0


class FaultPlan:
    """Faults by number. Each method gives the plan back, so that they can be written in a row.

    Attributes:
        appends, effects: how many there were so far.
        hits: what was done: ``("append", 2)``, ``("effect", 1)``.
    """

    def __init__(self) -> None:
        self.appends = 0
        self.effects = 0
        self.hits: list[tuple[str, int]] = []
        self._appends: dict[int, AppendFault] = {}
        self._effects: dict[int, EffectFault] = {}

    def reject_append(self, n: int) -> FaultPlan:
        """The n-th append is refused, as on a full disk: nothing of it is written, and whoever asked is told so."""
        return self._plan(self._appends, n, AppendFault(JournalFull("planned: no space left on the device")))

    def fail_append(self, n: int, *, written: bool = True) -> FaultPlan:
        """The n-th append ends in an error of which nobody knows whether it wrote anything; ``written`` decides it."""
        return self._plan(self._appends, n, AppendFault(JournalError("planned: the append failed"), written))

    def delay_append(self, n: int, seconds: float) -> FaultPlan:
        """The n-th append takes so much longer."""
        return self._plan(self._appends, n, AppendFault(delay=_seconds(seconds)))

    def fail_effect(self, n: int, error: Exception | None = None) -> FaultPlan:
        """The n-th attempt raises, and is not made. By default a ``ConnectionError``, of which nobody knows whether it happened; one of
        ``us.RetryNow``, ``us.RetryLater``, ``us.ChangeArguments`` and ``us.Abandon`` says that it did not."""
        return self._plan(self._effects, n, EffectFault(error or ConnectionError("planned")))

    def hang_effect(self, n: int) -> FaultPlan:
        """The n-th attempt is never made and never answered: its timeout ends it."""
        return self._plan(self._effects, n, EffectFault(hangs=True))

    def delay_effect(self, n: int, seconds: float) -> FaultPlan:
        """The n-th attempt begins so much later."""
        return self._plan(self._effects, n, EffectFault(delay=_seconds(seconds)))

    def on_append(self) -> AppendFault | None:
        """What is to happen to the append that comes now."""
        self.appends += 1
        fault = self._appends.pop(self.appends, None)
        if fault is not None:
            self.hits.append(("append", self.appends))
        return fault

    def on_effect(self) -> EffectFault | None:
        """What is to happen to the attempt that begins now."""
        self.effects += 1
        fault = self._effects.pop(self.effects, None)
        if fault is not None:
            self.hits.append(("effect", self.effects))
        return fault

    @property
    def left(self) -> tuple[tuple[str, int], ...]:
        """Faults whose number has not come."""
        return tuple(("append", n) for n in self._appends) + tuple(("effect", n) for n in self._effects)

    def _plan(self, planned: dict[int, Any], n: int, fault: object) -> FaultPlan:
        if n < 1:
            raise ValueError(f"the first one is number 1, there is no number {n}")
        if n in planned:
            raise ValueError(f"number {n} has a fault already")
        planned[n] = fault
        return self


def _seconds(seconds: float) -> float:
    if not 0.0 <= seconds < float("inf"):
        raise ValueError(f"{seconds!r} is no time to wait")
    return seconds


class FaultyJournal:
    """A core over another one, with a plan. Everything but ``append`` is the other's."""

    def __init__(self, core: JournalCore, plan: FaultPlan, wait: Callable[[float], None] = time.sleep) -> None:
        self._core, self._plan, self._wait = core, plan, wait

    def __getattr__(self, name: str) -> Any:  # whatever the core has
        return getattr(self._core, name)

    def append(self, batch: Batch) -> None:
        """As ``JournalCore.append``, with what the plan says."""
        fault = self._plan.on_append()
        if fault is None:
            self._core.append(batch)
            return
        if fault.delay:
            self._wait(fault.delay)
        if fault.error is None or fault.written:
            self._core.append(batch)
        if fault.error is not None:
            raise fault.error


class FaultyPerformer:
    """A performer over another one, with a plan."""

    def __init__(self, performer: Performer, plan: FaultPlan) -> None:
        self._performer, self._plan = performer, plan

    def __getattr__(self, name: str) -> Any:  # whatever the performer has
        return getattr(self._performer, name)

    async def perform(self, effect: Effect, request: ModelRequest | None, *rest: Any) -> Attempt:
        """As ``Performer.perform``, with what the plan says."""
        fault = self._plan.on_effect()
        if fault is not None:
            await anyio.sleep(effect.timeout if fault.hangs else fault.delay)
            if fault.hangs:
                return silence(effect)
            if fault.error is not None:
                return failed(effect, fault.error)
        return await self._performer.perform(effect, request, *rest)


def silence(effect: Effect) -> Attempt:
    """What an attempt comes to that nobody answered."""
    failure = Failure(
        "retry_later", "timeout", f"{effect.name}: no answer within {effect.timeout:g} s", where=effect.name
    )
    return Attempt(failure=failure, unknown=True)


def failed(effect: Effect, error: Exception) -> Attempt:
    """What an attempt comes to that raised this."""
    if isinstance(error, Failed):
        return Attempt(failure=error.failure)
    return Attempt(failure=of_exception(error, where=effect.name), unknown=True)
