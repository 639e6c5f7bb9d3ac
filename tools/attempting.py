"""One attempt while it is under way: its heart, and what becomes of it when it is given up on.

    beats -> ... -> silence for too long -> given up on (``silent``)
    given up on (its time is over, silence, a withdrawal) -> it ends in a moment | it is left alone, and ``Leak`` says so

What it raises in that moment is not lost: it is the cause of the failure that is told.
"""

from __future__ import annotations

import asyncio
import contextlib

import anyio
from msgspec import Struct

from ..protocols.effects import Attempt, Effect
from ..protocols.failures import Failure, storable
from .patience import OnDelta, OnLate

LONGEST_PROGRESS = 10_000
"""Characters of one heartbeat's text."""


class Leak(Struct, frozen=True):
    """A call that was given up on and goes on.

    Attributes:
        effect: its id.
        tool: its name.
        actor: who intended it.
        how: ``thread`` (which nobody can stop), ``task`` (which swallowed its cancellation) or ``process`` (which could not be killed).
    """

    effect: str
    tool: str
    actor: str
    how: str

    def __str__(self) -> str:
        return f"{self.tool} of {self.actor} was given up on and goes on: {_WHY[self.how]}"


_WHY = {
    "thread": "a thread cannot be stopped",
    "task": "it swallowed its cancellation",
    "process": "its process was killed and is not gone, so it hangs in the kernel",
}


class Attempting:
    """One attempt under way. Made and used in the loop, but for ``beat``.

    Args:
        effect: which.
        scope: cancelled where it is silent for too long.
        leaks: by effect and attempt, where it stands as long as it goes on after it was given up on.
        on_delta: told its progress.
        on_late: told what it came to after it was given up on.
    """

    def __init__(
        self,
        effect: Effect,
        scope: anyio.CancelScope,
        leaks: dict[tuple[str, int], Leak],
        on_delta: OnDelta,
        on_late: OnLate,
    ) -> None:
        self.scope = scope
        self.silent = False
        self._effect, self._leaks = effect, leaks
        self._on_delta, self._on_late = on_delta, on_late
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self._progress = ""
        self._told = True
        self._over = False
        self._longest: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._beside: Failure | None = None
        """What it raised while it was ending."""

    def listen(self, longest: float | None) -> None:
        """Give it up when it has been silent for so long; None: never."""
        if longest is not None:
            self._longest = longest
            self._timer = self._loop.call_later(longest, self._look, longest)

    def beat(self, progress: str) -> None:
        """As ``Call.heartbeat``."""
        if self._over:
            raise asyncio.CancelledError("nobody waits for this call any more")
        if not isinstance(progress, str):
            raise TypeError(f"call.heartbeat({progress!r}): how far it is is said as text, such as '3 of 10'")
        self._heard = self._loop.time()
        if not progress:
            return
        self._progress = progress
        if self._told:  # what is said faster than the loop listens is said once, the newest
            self._told = False
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._tell)

    def hold(self, seconds: float) -> None:
        """The last seconds do not count."""
        self._heard += seconds

    def left(self, how: str) -> Leak:
        """It was cancelled and goes on."""
        effect = self._effect
        leak = self._leaks[effect.id, effect.attempt] = Leak(effect.id, effect.name, effect.stream, how)
        return leak

    def late(self, attempt: Attempt) -> None:
        """It came to this after it was cancelled: at once, or long after."""
        self.gone()
        if attempt.failure is not None and not self._over and self.scope.cancel_called:
            self._beside = attempt.failure
        else:
            self._on_late(attempt)

    def gone(self) -> None:
        """It has ended after it was cancelled, with nothing to tell."""
        self._leaks.pop((self._effect.id, self._effect.attempt), None)

    def close(self) -> None:
        """The attempt is over, as far as anybody waits for it."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()

    def gave_up(self) -> Attempt:
        """What it came to where its time was over, or it was silent for too long."""
        effect, longest = self._effect, self._longest
        cause = self._beside
        leak = self._leaks.get((effect.id, effect.attempt))
        if leak is not None:
            cause = Failure("abandon", "leaked", str(leak), where=effect.name, cause=cause)
        code, why = "timeout", f"no answer within {effect.timeout:g} s"
        if self.silent and longest is not None:
            code, why = "silent", f"no heartbeat for {longest:g} s"
        return Attempt(
            failure=Failure("retry_later", code, f"{effect.name}: {why}", where=effect.name, cause=cause), unknown=True
        )

    def _look(self, longest: float) -> None:
        left = self._heard + longest - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look, longest)
        else:
            self.silent = True
            self.scope.cancel()

    def _tell(self) -> None:
        self._told = True
        if not self._over:
            self._on_delta(storable(self._progress, LONGEST_PROGRESS))
