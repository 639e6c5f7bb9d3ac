"""What runs now, for whoever watches from another thread, and how it is broken off there.

The kernel notes in one attribute what user code it runs (``Watch.on``), and takes the note back when that is over. A
watchdog that sees the same thing there for too long says so in ``shot`` and raises ``Blocked`` in the thread that runs it. The
exception may come a little late; so whoever took the note back and finds ``shot`` set calls ``over``, which waits until the watchdog
has made up its mind and takes back an exception that has not been raised yet. Nothing outside of user code is ever hit.

    on = thing -> user code -> on = None -> shot? -> over()         (the kernel)
    shot = why -> on is thing? -> raise Blocked there | shot = None  (the watchdog, under a lock that ``over`` takes, too)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from .failures import Failure

T = TypeVar("T")

BLOCKED = "blocked"
"""Code of the failure of what was broken off. Replay does not decide such a turn again: what it did was not to end."""


class Blocked(BaseException):
    """Raised from another thread in user code that runs for too long. No ``Exception``: a loop that swallows those is what it is for."""

    failure = Failure("abandon", BLOCKED, "it blocked the loop")


def saying(failure: Failure) -> type[Blocked]:
    """A class of it that says why: another thread can raise a class only."""
    return type("Blocked", (Blocked,), {"failure": failure})


def _never() -> Failure | None:
    return None


class Watch:
    """The note of one thread. Any floor that runs people's code in the loop writes it.

    Attributes:
        on: what runs: an ``Item`` (its turn), an ``Effect`` (what is asked before it begins), a ``Found`` (an actor that is loaded), or any
            other object of its own (turns of memory-only actors, a step of a coroutine).
        shot: why the watchdog breaks it, or has decided to.
        over: see above; gives why it was broken, None where it was not.
    """

    __slots__ = ("on", "over", "shot")

    def __init__(self) -> None:
        self.on: object | None = None
        self.shot: Failure | None = None
        self.over: Callable[[], Failure | None] = _never

    def run(self, on: object, function: Callable[[], T]) -> T:
        """Call user code. Raises what it raises, and ``Blocked`` where it was broken off, whatever it made of that itself."""
        before, self.on = self.on, on
        try:
            try:
                result = function()
            finally:
                self.on = before
            if self.shot is None:
                return result
            why = self.over()
            if why is None:
                return result
        except Blocked as blocked:
            self.over()
            why = blocked.failure
        except BaseException:
            why = self.end() if self.shot is not None else None
            if why is None:
                raise
        raise saying(why)

    def end(self) -> Failure | None:
        """``over``, also where the exception comes at this very moment."""
        try:
            return self.over()
        except Blocked as blocked:
            self.over()
            return blocked.failure
