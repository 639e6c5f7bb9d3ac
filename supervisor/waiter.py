"""Somebody outside who waits for one thing."""

from __future__ import annotations

import asyncio

from ..protocols.envelope import Reply
from ..protocols.errors import UnderstudyError
from ..protocols.ids import OUTSIDE, Address


class Waiter:
    """Somebody outside who waits for one thing; woken once, awaited by one task.

    A future of the loop, made only when it is awaited: an ``anyio.Event`` costs four times as much, and every ask and tell
    has one. Cancel scopes of anyio reach it like any other await.

    Args:
        run: the run whose standing is waited for, too.
        answer: whether it waits for an answer; otherwise for its input to be durable.

    Attributes:
        reply: the answer.
        error: why there is none, and never will be.
        asking: the run waits for people only.
        late: the time to wait was over first.
        woken: it is over.
    """

    __slots__ = ("_future", "answer", "asking", "error", "late", "reply", "run", "woken")

    def __init__(self, run: Address = OUTSIDE, *, answer: bool = False) -> None:
        self.run = run
        self.answer = answer
        self.reply: Reply | None = None
        self.error: UnderstudyError | None = None
        self.asking = False
        self.late = False
        self.woken = False
        self._future: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """Whatever there was to tell is told."""
        self.woken = True
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def expire(self) -> None:
        """The time is over."""
        if not self.woken:
            self.late = True
            self.wake()

    async def wait(self) -> None:
        """Until it is over. Raises the error, if that is how it ended.

        Raises:
            TimeoutError: its time was over first (``Deadlines``).
        """
        if not self.woken:
            self._future = asyncio.get_running_loop().create_future()
            await self._future
        if self.error is not None:
            raise self.error
        if self.late:
            raise TimeoutError
