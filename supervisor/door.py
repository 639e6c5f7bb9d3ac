"""The door to memory-only actors: no envelope, no row, no hop. Mail is put into their mailboxes as it is.

A request is run at once, in its caller's time, as long as nothing durable is to run before it; so most answers are there when the
caller looks. A caller that never waits for anything is made to let others run now and then, and one that tells faster than the
actors take it waits for them.
"""

from __future__ import annotations

import uuid
from time import perf_counter
from typing import Any, Protocol, TypeVar, cast

import anyio
import anyio.lowlevel
from msgspec import Raw

from ..actors.caller import Asking
from ..actors.ephemeral import Ephemeral
from ..actors.ephemeral_mail import LONG
from ..actors.ephemerals import Ephemerals, Torn, unhandled
from ..actors.kernel import Kernel
from ..actors.where import Where
from ..protocols.envelope import ReplyTo
from ..protocols.errors import AskFailed, UnderstudyError
from ..protocols.failures import Failure
from ..protocols.handover import hand_on
from ..protocols.ids import OUTSIDE, Address, address
from ..protocols.lifecycle import Started
from ..protocols.messages import Message, Request, answer_type
from ..tools.patience import Patience
from .clock import Clock
from .results import in_its_type
from .unopened import Unopened
from .waiter import Waiter

R = TypeVar("R")

BOUND = 1_000
"""Mail that may wait for one memory-only actor before who tells it more from outside has to wait."""

AT_ONCE = 1_024
"""Turns that may be run in a caller's time."""

SECONDS_AT_ONCE = 0.005
"""Seconds of turns that may be run in a caller's time."""

IN_A_ROW = 64
"""Answers that a caller may get without letting others run."""


class _StandIn(Waiter):
    """Takes the answer of a durable actor that a memory-only one has forwarded a request to."""

    def __init__(self, asking: Asking) -> None:
        super().__init__()
        self._asking = asking

    def wake(self) -> None:
        super().wake()
        if self.reply is not None:
            self._asking.told(self.reply.value, self.reply.failure)


class House(Protocol):
    """What a door is in: the shell."""

    clock: Clock
    kernel: Kernel
    patience: Patience

    def nudge(self) -> None:
        """There is something for the pump to do."""
        ...

    def tear(self, torn: Torn) -> None:
        """Memory-only actors were broken off between two turns."""
        ...

    def refusing(self) -> UnderstudyError | None:
        """Why nothing is taken in, if so."""
        ...

    def stand_in(self, token: str, waiter: Waiter) -> None:
        """Who takes the answer that a durable actor gives in a memory-only one's place."""
        ...

    def forget(self, token: str, waiter: Waiter) -> None:
        """Nobody waits for it any more."""
        ...


class Door:
    """Asks and tells from outside to the memory-only actors of one shell."""

    def __init__(self, shell: House) -> None:
        self.memory = cast("Ephemerals", Unopened())
        """Those of the present kernel."""
        self._shell = shell
        self._shut = False
        self._waiting: dict[Asking, anyio.Event] = {}
        self._standing_in: dict[Asking, tuple[str, Waiter]] = {}
        self._room: anyio.Event | None = None
        self._done = 0

    def find(self, to: str) -> Ephemeral | None:
        """The memory-only actor at an address; None where there is none. Raises ValueError for no address."""
        memory = self.memory
        return memory.cells.get(to) or (memory.find(address(to)) if memory.any else None)

    def put(self, to: str, message: Message) -> bool:
        """The short way of ``tell``: whether the message is in its mailbox. Where anything is out of the ordinary it is not."""
        memory = self.memory
        cell = memory.cells.get(to)
        if cell is None or cell.more is not None or self._shut:
            return False
        check = cell.kind.checks.get(message.__class__)
        if check is None or not check(message):
            return False
        box = cell.mail
        if box is None:
            if len(memory.ready) >= BOUND:
                return False
            cell.mail = [(message, OUTSIDE, None, None)]
            memory.ready.append(cell)
            self._shell.nudge()
        elif len(box) < LONG:
            box.append((message, OUTSIDE, None, None))
        elif len(box) < BOUND:
            memory.put(cell, (message, OUTSIDE, None, None))
        else:
            return False
        return True

    async def tell(self, cell: Ephemeral, message: Message, key: str = "") -> None:
        """Put mail into a mailbox. Raises TypeError, NotStorable, AskFailed (``no_keys``, ``unhandled``), SystemStopped."""
        shell = self._shell
        self._check(cell, key)
        _takes(cell, message)
        if len(self.memory.ready) >= BOUND:  # who tells many, one message each, lets them have their turns
            shell.nudge()
            await anyio.lowlevel.checkpoint()
            self._check(cell, key)
            cell = self.memory.find(cell.address) or cell
        if cell.mail is not None or cell.more is not None:
            while _full(cell):
                self._room = self._room or anyio.Event()
                shell.nudge()
                await self._room.wait()
                # There is room again before a cancellation gets to who waits: it would go on and on.
                await anyio.lowlevel.checkpoint_if_cancelled()
                self._check(cell, key)
                cell = self.memory.find(cell.address) or cell
        if cell.mail is None:
            shell.nudge()
        cell.kind.fleet.put(cell, (hand_on(message), OUTSIDE, None, None))

    async def ask(self, cell: Ephemeral, request: Request[R], timeout: float | None, key: str = "") -> R:
        """Ask, and run what is ready. Raises TypeError, NotStorable, AskFailed, SystemStopped."""
        self._check(cell, key)
        _takes(cell, request)
        deadline = None if timeout is None else self._shell.clock.now() + timeout
        asking = Asking(self._token, deadline)
        self.memory.put(cell, (hand_on(request), OUTSIDE, None, asking))
        value = await self._answer(asking, cell.address, timeout)
        return in_its_type(value, answer_type(type(request))) if type(value) is Raw else value  # type: ignore[no-any-return]

    def spawn(self, where: Where, key: str) -> Ephemeral | None:
        """The short way to a memory-only actor that is to begin; None where anything is out of the ordinary."""
        self._done += 1
        return None if self._shut or not self._done % IN_A_ROW else self.memory.known(where, key)

    async def begin(self, cell: Ephemeral, timeout: float | None) -> None:
        """Run its ``Started`` handler, if it has not begun. Raises AskFailed, SystemStopped."""
        self._check(cell, "")
        if not self._done % IN_A_ROW:
            await anyio.lowlevel.checkpoint()
        if not cell.odd:
            return
        if cell.mail is None and cell.more is None and not self.memory.running:
            try:
                failure = self.memory.begin_now(cell)
            except Torn as torn:
                self._shell.tear(torn)
                raise AskFailed(torn.failure) from None
            if self._shell.kernel.stirred:
                self._shell.nudge()
            if failure is not None:
                raise AskFailed(failure)
            return
        asking = Asking(self._token)
        self.memory.put(cell, (Started(), OUTSIDE, None, asking))
        await self._answer(asking, cell.address, timeout)

    def turned(self) -> None:
        """Turns were run: there may be room."""
        if self._room is not None:
            self._room.set()
            self._room = None

    def lost(self, memory: Ephemerals) -> None:
        """The kernel was thrown away, and its memory-only actors with it; these are the new one's."""
        self.memory = memory
        for asking in list(self._waiting):
            text = "a commit failed: memory-only actors began anew, and what they had heard is forgotten"
            asking.told(None, Failure("retry_later", "lost", text))
        self.turned()

    def shut(self) -> None:
        """Nothing more is taken in."""
        self._shut = True

    def close(self) -> None:
        """The shell has failed or stopped: nobody waits any more."""
        self._shut = True
        for event in self._waiting.values():
            event.set()
        self.turned()

    def _check(self, cell: Ephemeral, key: str) -> None:
        refusing = self._shell.refusing() if self._shut else None
        if refusing is not None:
            raise refusing
        if key:
            text = f"{cell.address} is memory-only: it keeps nothing, so it knows no keys"
            raise AskFailed(
                Failure("change_arguments", "no_keys", text, hint="send it without a key", where=cell.address)
            )

    async def _answer(self, asking: Asking, where: Address, timeout: float | None) -> Any:  # what the actor answered
        """Run what is ready, and wait if the answer is not there then."""
        try:
            self.memory.hurry(1)
            if not asking.over:
                until = perf_counter() + SECONDS_AT_ONCE
                self.memory.hurry(AT_ONCE, lambda: perf_counter() > until)
        except Torn as torn:  # the kernel after this one tells that it is lost
            self._shell.tear(torn)
        if self._shell.kernel.stirred:
            self._shell.nudge()
        if asking.over:
            self._done += 1
            if not self._done % IN_A_ROW:
                await anyio.lowlevel.checkpoint()
        else:
            await self._wait(asking, timeout, where)
        if asking.failure is not None:
            raise AskFailed(asking.failure)
        return asking.value

    async def _wait(self, asking: Asking, timeout: float | None, where: str) -> None:
        event = self._waiting[asking] = anyio.Event()
        asking.wake = event.set
        try:
            with self._shell.patience.move_on_after(timeout):
                await event.wait()
        finally:
            del self._waiting[asking]
            if asking in self._standing_in:
                self._shell.forget(*self._standing_in.pop(asking))
        if asking.over:
            return
        refusing = self._shell.refusing()
        if refusing is not None:
            raise refusing
        raise AskFailed(Failure("retry_later", "timeout", f"no answer from {where} within {timeout:g} s", where=where))

    def _token(self, asking: Asking, settler: str) -> ReplyTo:
        token, waiter = f"door#{uuid.uuid4().hex}", _StandIn(asking)
        self._shell.stand_in(token, waiter)
        self._standing_in[asking] = token, waiter
        return ReplyTo(OUTSIDE, token, settler, deadline=asking.deadline)


def _takes(cell: Ephemeral, message: Message) -> None:
    """Refuse what the actor takes no message of, before anything is done. Raises TypeError, AskFailed (``unhandled``)."""
    if message.__class__ in cell.kind.checks:
        return
    if not isinstance(message, Message):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers have no type checker
        raise TypeError(f"{cell.address} was sent {message!r:.100}, which is no us.Message")
    if type(message) is not Started:
        raise AskFailed(unhandled(cell.address, type(message).__wire__, type(message).__version__, None))


def _full(cell: Ephemeral) -> bool:
    held = len(cell.more.held) if cell.more is not None else 0
    return len(cell.mail or ()) + held >= BOUND
