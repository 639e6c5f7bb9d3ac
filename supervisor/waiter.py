"""Somebody outside who waits for one thing."""

from __future__ import annotations

import anyio

from ..protocols.envelope import Reply
from ..protocols.errors import UnderstudyError
from ..protocols.ids import OUTSIDE, Address


class Waiter:
    """Somebody outside who waits for one thing; woken once."""

    def __init__(self, run: Address = OUTSIDE) -> None:
        self.run = run
        self.reply: Reply | None = None
        self.error: UnderstudyError | None = None
        self.asking = False
        self._event = anyio.Event()

    def wake(self) -> None:
        """Whatever there was to tell is told."""
        self._event.set()

    @property
    def woken(self) -> bool:
        """Whether it is over."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Until it is over. Raises the error, if that is how it ended."""
        await self._event.wait()
        if self.error is not None:
            raise self.error
