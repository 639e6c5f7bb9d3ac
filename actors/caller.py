"""Who waits outside, in this process, for the answer of a memory-only actor."""

from __future__ import annotations

from collections.abc import Callable

from ..protocols.envelope import ReplyTo
from ..protocols.failures import Failure


class Asking:
    """Somebody outside who waits for an answer, in this process. ``wake`` is called when it is there.

    Attributes:
        value: the answer, as it is or as JSON (``Raw``).
        failure: why there is none.
        over: one of the two is there.
        deadline: journal time after which nobody waits any more; None for no end.
        token: given the name of the answer's settler, a ``ReplyTo`` under which a durable actor can answer in a memory-only one's place.
    """

    __slots__ = ("deadline", "failure", "over", "token", "value", "wake")

    def __init__(self, token: Callable[[Asking, str], ReplyTo], deadline: float | None = None) -> None:
        self.deadline = deadline
        self.value: object = None
        self.failure: Failure | None = None
        self.over = False
        self.wake: Callable[[], None] | None = None
        self.token = token

    def told(self, value: object, failure: Failure | None) -> None:
        """The answer. The first one counts."""
        if self.over:
            return
        self.value, self.failure, self.over = value, failure, True
        if self.wake is not None:
            self.wake()
