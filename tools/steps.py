"""Coroutines driven step by step, so that a step that blocks the loop can be named and broken off.

Between two waits a coroutine holds the loop like a turn does. Each of its steps is noted where the watchdog looks (``Watch``); where it
waits, nothing is.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any, Generic, TypeVar

from ..protocols.effects import Effect
from ..protocols.watch import Watch

T = TypeVar("T")


class Step:
    """What runs: one step of a call."""

    __slots__ = ("effect",)

    def __init__(self, effect: Effect) -> None:
        self.effect = effect


class Steps(Generic[T]):
    """Awaited, it runs the coroutine to its end. Raises what it raises, and ``Blocked`` where a step was broken off."""

    def __init__(self, work: Coroutine[Any, Any, T], watch: Watch, effect: Effect) -> None:
        self._work, self._watch, self._effect = work, watch, effect

    def __await__(self) -> Generator[Any, Any, T]:
        return self.drive()

    def drive(self) -> Generator[Any, Any, T]:
        """What awaiting it does."""
        work, watch, effect = self._work, self._watch, self._effect
        step = partial(work.send, None)
        while True:
            try:
                waits_for = watch.run(Step(effect), step)
            except StopIteration as end:
                result: T = end.value
                return result
            try:
                step = partial(work.send, (yield waits_for))
            except GeneratorExit:
                work.close()
                raise
            except BaseException as error:  # noqa: BLE001 - a cancellation above all: it is the coroutine's
                step = partial(work.throw, error)
