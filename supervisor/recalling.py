"""Looking up callers' keys before their messages are delivered: all that wait in one look, and messages without keys pay nothing.

A message to an address behind one that is being looked up waits, too: what one caller sends keeps its order.

A look that fails is tried again for each key alone, as loads are: one row that cannot be read fails the message with its key, and
a journal that cannot be read at all keeps nobody waiting for ever.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import anyio

from ..actors.taken import NEVER
from ..protocols.envelope import Envelope
from ..protocols.errors import JournalDamaged, JournalError
from ..protocols.failures import Failure, of_exception
from ..protocols.ids import Address
from ..protocols.journal import Known
from .journal.writer import AsyncJournal
from .loading import FIRST_WAIT, TRIES
from .log import log


class Look:
    """One input on its way through.

    Attributes:
        input: its id.
        known: what was found; meaningful once it is ``ready``.
        failure: why nothing could be found out, so that the message is refused.
        since: gid of the last row that the look shows for sure.
    """

    __slots__ = ("failure", "input", "key", "known", "ready", "since", "to")

    def __init__(self, input: str, envelope: Envelope) -> None:
        self.input, self.to, self.key = input, envelope.to, envelope.key
        self.known: Known | None = None
        self.failure: Failure | None = None
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
        self._ready: dict[Address, None] = {}
        """Addresses whose first look is ready."""
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

    @property
    def held(self) -> bool:
        """Whether some are ready and were not let in."""
        return bool(self._ready)

    def ready(self, refuses: Callable[[Address], bool]) -> Iterator[Look]:
        """Those that may be delivered now, in their order; each is to be delivered before the next is asked for.

        ``refuses`` says whether there is no room for an address; what is for it goes on waiting here.
        """
        for to in list(self._ready):
            if refuses(to):
                continue
            queue = self._behind[to]
            while queue and queue[0].ready:
                yield queue.popleft()
            del self._ready[to]
            if not queue:
                del self._behind[to]

    @property
    def floor(self) -> int:
        """Gid of the last row that every look shows which is not delivered yet."""
        if not self._behind:
            return NEVER
        return min((look.since for queue in self._behind.values() for look in queue), default=NEVER)

    def forget(self) -> None:
        """The kernel for which they were is gone; its inputs are fed again."""
        self._life += 1
        self._behind.clear()
        self._asked = []
        self._ready.clear()

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            if not self._asked:
                self._wake = anyio.Event()
                await self._wake.wait()
            life, looks = self._life, self._asked
            self._asked = []
            durable = self._durable()
            for look in looks:
                look.since = durable
            try:
                found = await self._recall(looks)
            except JournalError:
                await self._one_by_one(looks)
            else:
                for look, known in zip(looks, found, strict=True):
                    look.known, look.ready = known, True
            if life == self._life:
                self._came(looks)

    async def _recall(self, looks: list[Look]) -> tuple[Known | None, ...]:
        return await self._journal.recall(tuple((look.to, look.key) for look in looks))

    async def _one_by_one(self, looks: list[Look]) -> None:
        """Each alone, with patience: a disk that recovers is waited for, one that does not keeps nobody waiting."""
        for time in range(TRIES):
            if time:
                await anyio.sleep(FIRST_WAIT * 4 ** (time - 1))
            for look in looks:
                if look.ready:
                    continue
                try:
                    (look.known,) = await self._recall([look])
                except JournalDamaged as error:
                    look.failure = _unreadable(look, error)
                except JournalError as error:
                    if time < TRIES - 1:
                        break  # so it will be for the others
                    look.failure = _unread(look, error)
                look.ready = True

    def _came(self, looks: list[Look]) -> None:
        self._ready.update((look.to, None) for look in looks if self._behind[look.to][0].ready)
        self._nudge()


def _unreadable(look: Look, error: JournalDamaged) -> Failure:
    """What was said with a key cannot be read any more."""
    log().warning("what was said with a key cannot be read", actor=look.to, key=look.key, error=str(error))
    text = f"what {look.to} was told with the key {look.key!r} cannot be read: {error.args[0]}"
    hint = "'understudy journal verify' names every row that is damaged; use a new key for new work"
    return Failure("abandon", "unreadable", text, hint, where=look.to)


def _unread(look: Look, error: JournalError) -> Failure:
    """The journal cannot be read for now."""
    log().warning("a key could not be looked up", actor=look.to, key=look.key, error=str(error))
    text = f"the journal cannot be read, so the key {look.key!r} cannot be looked up"
    hint = "nothing is lost: send it again with the same key when the disk works again"
    why = of_exception(error, where=look.to, code="cause")
    return Failure("retry_later", "unloaded", text, hint, where=look.to, cause=why)
