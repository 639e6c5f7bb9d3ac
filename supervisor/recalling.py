"""Looking up callers' keys before their messages are delivered: all that wait in one look, and messages without keys pay nothing.

A message to an address behind one that is being looked up waits, too: what one caller sends keeps its order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import anyio

from ..actors.taken import NEVER
from ..protocols.envelope import Envelope
from ..protocols.errors import JournalError
from ..protocols.ids import Address
from ..protocols.journal import Known
from .journal.writer import AsyncJournal
from .log import log

WAIT = 0.2
"""Seconds before a look that failed is tried again. Meanwhile its callers wait, as for a commit."""


class Look:
    """One input on its way through.

    Attributes:
        input: its id.
        known: what was found; meaningful once it is ``ready``.
        since: gid of the last row that the look shows for sure.
    """

    __slots__ = ("input", "key", "known", "ready", "since", "to")

    def __init__(self, input: str, envelope: Envelope) -> None:
        self.input, self.to, self.key = input, envelope.to, envelope.key
        self.known: Known | None = None
        self.ready = not envelope.key
        self.since = NEVER


class Recalling:
    """All looks of one node.

    Args:
        journal: what is looked into.
        durable: gives the gid of the last row that is known to be durable.
        nudge: called when something is ready.
    """

    def __init__(self, journal: AsyncJournal, durable: Callable[[], int], nudge: Callable[[], None]) -> None:
        self._journal, self._durable, self._nudge = journal, durable, nudge
        self._behind: dict[Address, deque[Look]] = {}
        self._asked: list[Look] = []
        self._under_way: list[Look] = []
        self._ready: list[Look] = []
        self._life = 0
        self._wake = anyio.Event()

    def __bool__(self) -> bool:
        return bool(self._behind)

    def waits(self, envelope: Envelope) -> bool:
        """Whether a message has to go through here."""
        return bool(envelope.key) or envelope.to in self._behind

    def take(self, input: str, envelope: Envelope) -> None:
        """Let it wait for its look."""
        look = Look(input, envelope)
        self._behind.setdefault(envelope.to, deque()).append(look)
        if not look.ready:
            self._asked.append(look)
            self._wake.set()

    def ready(self) -> list[Look]:
        """Those that may be delivered now, in their order."""
        ready, self._ready = self._ready, []
        return ready

    @property
    def floor(self) -> int:
        """Gid of the last row that every look shows which is not delivered yet."""
        looks = (*self._under_way, *(look for queue in self._behind.values() for look in queue), *self._ready)
        return min((look.since for look in looks), default=NEVER) if looks else NEVER

    def forget(self) -> None:
        """The kernel for which they were is gone; its inputs are fed again."""
        self._life += 1
        self._behind.clear()
        for looks in (self._asked, self._under_way, self._ready):
            looks.clear()

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            if not self._asked:
                self._wake = anyio.Event()
                await self._wake.wait()
            life, looks = self._life, self._asked
            self._asked, self._under_way = [], looks
            durable = self._durable()
            for look in looks:
                look.since = durable
            try:
                found = await self._journal.recall(tuple((look.to, look.key) for look in looks))
            except JournalError as error:
                log().warning("keys could not be looked up; it is tried again", error=str(error))
                await anyio.sleep(WAIT)
                if life == self._life:
                    self._asked, self._under_way = looks + self._asked, []
                continue
            if life == self._life:
                self._under_way = []
                self._came(looks, found)

    def _came(self, looks: list[Look], found: tuple[Known | None, ...]) -> None:
        for look, known in zip(looks, found, strict=True):
            look.known, look.ready = known, True
        for to in {look.to for look in looks}:
            queue = self._behind[to]
            while queue and queue[0].ready:
                self._ready.append(queue.popleft())
            if not queue:
                del self._behind[to]
        self._nudge()
