"""Bringing actors into memory while the pump goes on: their mail waits, everybody else's turns run.

    kernel.loads -> want -> (one hop for all that wait, over a connection of its own) -> arrived -> kernel.loaded

A hop that fails is tried again, first for all, then for each actor alone. What cannot be read of one actor is told in its
``Found``; only when the journal cannot be read at all, ``Unloaded`` says so, and the kernel asks again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

import anyio
from msgspec import Struct

from ..protocols.errors import JournalDamaged, JournalError
from ..protocols.failures import Failure, of_exception
from ..protocols.ids import Address
from ..protocols.journal import Found, Want
from .journal.writer import AsyncJournal
from .log import log

AT_ONCE = 32
"""Actors read in one hop: those of one are folded while those of the next are read."""

HOPS = 4
"""Hops under way at the same time."""

TRIES = 3
FIRST_WAIT = 0.05
"""Seconds before the second try; four times as many before the third."""

BEHIND_EVERYTHING = 1 << 62
"""A seq after which no actor has rows: only where it stands is read."""


class Unloaded(Struct, frozen=True):
    """An actor that could not be read for now."""

    address: Address
    failure: Failure


class Loading:
    """All loads of one node.

    Args:
        journal: what is read.
        nudge: called when something arrived.
    """

    def __init__(self, journal: AsyncJournal, nudge: Callable[[], None]) -> None:
        self._journal = journal
        self._nudge = nudge
        self._wanted: list[Want] = []
        self._arrived: list[Found | Unloaded] = []
        self._life = 0
        self._wake = anyio.Event()
        self._room = anyio.Semaphore(HOPS)
        self._out: set[Address] = set()
        self._waiting: list[Want] = []
        """Of actors that are kept out."""

    def want(self, wants: list[Want]) -> None:
        """Ask for actors."""
        if self._out:
            self._waiting += (want for want in wants if want.address in self._out)
            wants = [want for want in wants if want.address not in self._out]
        self._wanted += wants
        self._wake.set()

    @contextmanager
    def keep_out(self, addresses: set[Address]) -> Generator[None]:
        """Nobody of these is read meanwhile: what the journal holds of them is being changed."""
        self._out |= addresses
        try:
            yield
        finally:
            self._out -= addresses
            waiting, self._waiting = self._waiting, []
            self.want(waiting)

    def arrived(self) -> list[Found | Unloaded]:
        """What came since this was asked last."""
        arrived, self._arrived = self._arrived, []
        return arrived

    def forget(self) -> None:
        """The kernel that asked is gone: what is on its way is for nobody."""
        self._life += 1
        self._wanted.clear()
        self._waiting.clear()
        self._arrived.clear()

    async def run(self) -> None:
        """Serve until cancelled."""
        async with anyio.create_task_group() as hops:
            while True:
                if not self._wanted:
                    self._wake = anyio.Event()
                    await self._wake.wait()
                await self._room.acquire()  # one that is slow, or tried again, does not hold up the others
                wants, self._wanted = tuple(self._wanted[:AT_ONCE]), self._wanted[AT_ONCE:]
                hops.start_soon(self._hop, wants)

    async def _hop(self, wants: tuple[Want, ...]) -> None:
        life = self._life
        try:
            found = await self._read(wants)
        finally:
            self._room.release()
        if life == self._life:
            self._arrived += found
            self._nudge()

    async def _read(self, wants: tuple[Want, ...]) -> tuple[Found | Unloaded, ...]:
        try:
            return await self._journal.find(wants)
        except JournalError:
            return tuple([await self._alone(want) for want in wants])

    async def _alone(self, want: Want) -> Found | Unloaded:
        """One actor, with patience: a disk that recovers is waited for, one that does not keeps nobody waiting."""
        last: JournalError | None = None
        want = Want(want.address, want.after)  # a snapshot may be what cannot be read
        for time in range(TRIES):
            try:
                (found,) = await self._journal.find((want,))
            except JournalError as error:
                last = error
                if isinstance(error, JournalDamaged):
                    break
                await anyio.sleep(FIRST_WAIT * 4**time)
            else:
                return found
        assert last is not None
        log().warning("an actor's rows could not be read", actor=want.address, error=str(last))
        try:
            (where,) = await self._journal.find((Want(want.address, BEHIND_EVERYTHING),))
        except JournalError as error:
            why = of_exception(error, where=want.address, code="cause")
            text = f"the journal cannot be read, so {want.address} cannot be brought into memory"
            hint = "nothing is lost: send it again when the disk works again"
            return Unloaded(want.address, Failure("retry_later", "unloaded", text, hint, where=want.address, cause=why))
        if where.line is None:
            return where  # it has no rows that could be unreadable
        return Found(want.address, (), line=where.line, last=where.last, damaged=str(last))
