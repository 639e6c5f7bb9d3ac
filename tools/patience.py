"""Time limits that can be made longer while they run: what passed while the loop was blocked does not count."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

import anyio

from ..protocols.effects import Attempt

OnLate = Callable[[Attempt], None]
OnDelta = Callable[[str], None]


class Patience:
    """All limits that run now. ``more`` is told of further ones: whoever counts silence."""

    def __init__(self) -> None:
        self.more: set[Callable[[float], None]] = set()
        self._scopes: set[anyio.CancelScope] = set()

    @contextmanager
    def move_on_after(self, seconds: float | None) -> Generator[anyio.CancelScope]:
        """As ``anyio.move_on_after``."""
        with anyio.move_on_after(seconds) as scope:
            self._scopes.add(scope)
            try:
                yield scope
            finally:
                self._scopes.discard(scope)

    @contextmanager
    def fail_after(self, seconds: float) -> Generator[anyio.CancelScope]:
        """As ``anyio.fail_after``. Raises TimeoutError, also where somebody cancels the scope before its time."""
        with anyio.fail_after(seconds) as scope:
            self._scopes.add(scope)
            try:
                yield scope
            finally:
                self._scopes.discard(scope)
        if scope.cancelled_caught:
            raise TimeoutError

    def hold(self, seconds: float) -> None:
        """The last seconds do not count."""
        for scope in self._scopes:
            scope.deadline += seconds
        for more in self.more:
            more(seconds)
