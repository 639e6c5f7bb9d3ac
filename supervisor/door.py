"""The door to memory-only actors: no envelope, no row, no hop. Mail is put into their mailboxes as it is.

A request is run at once, in its caller's time, as long as nothing durable is to run before it; so most answers are there when the
caller looks. A caller that never waits for anything is made to let others run now and then, and one that tells faster than the
actors take it waits for them.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.lowlevel
from msgspec import Raw

from ..actors.ephemeral import Asking, Ephemeral
from ..protocols.codec import decode
from ..protocols.envelope import ReplyTo
from ..protocols.errors import AskFailed
from ..protocols.failures import Failure
from ..protocols.handover import hand_on
from ..protocols.ids import OUTSIDE, address
from ..protocols.messages import Message, Request, answer_type
from .waiter import Waiter

if TYPE_CHECKING:
    from .shell import Shell

R = TypeVar("R")

BOUND = 1_000
"""Mail that may wait for one memory-only actor before who tells it more from outside has to wait."""

AT_ONCE = 1_024
"""Turns that may be run in a caller's time."""

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


class Door:
    """Asks and tells from outside to the memory-only actors of one shell."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._waiting: dict[Asking, anyio.Event] = {}
        self._standing_in: dict[Asking, tuple[str, Waiter]] = {}
        self._room: anyio.Event | None = None
        self._answers = 0

    def find(self, to: str) -> Ephemeral | None:
        """The memory-only actor at an address; None where there is none. Raises ValueError for no address."""
        memory = self._shell.kernel.memory
        return memory.cells.get(to) or (memory.find(address(to)) if memory.any else None)

    async def tell(self, cell: Ephemeral, message: Message, key: str = "") -> None:
        """Put mail into a mailbox. Raises NotStorable, AskFailed (``no_keys``), SystemStopped."""
        shell = self._shell
        self._check(cell, key)
        if cell.mail is not None or cell.more is not None:
            while _full(cell):
                self._room = self._room or anyio.Event()
                shell.nudge()
                await self._room.wait()
                self._check(cell, key)
                cell = shell.kernel.memory.find(cell.address) or cell
        if cell.mail is None:
            shell.nudge()
        cell.kind.fleet.put(cell, (hand_on(message), OUTSIDE, None, None))

    async def ask(self, cell: Ephemeral, request: Request[R], timeout: float | None, key: str = "") -> R:
        """Ask, and run what is ready. Raises NotStorable, AskFailed, SystemStopped."""
        shell = self._shell
        self._check(cell, key)
        kernel, asking = shell.kernel, Asking(self._token)
        kernel.memory.put(cell, (hand_on(request), OUTSIDE, None, asking))
        kernel.memory.hurry(AT_ONCE)
        if kernel.stirred:
            shell.nudge()
        if asking.over:
            self._answers += 1
            if not self._answers % IN_A_ROW:
                await anyio.lowlevel.checkpoint()
        else:
            await self._wait(asking, timeout, cell.address)
        if asking.failure is not None:
            raise AskFailed(asking.failure)
        value: Any = asking.value
        return decode(value, answer_type(type(request))) if type(value) is Raw else value  # type: ignore[no-any-return]

    def turned(self) -> None:
        """Turns were run: there may be room."""
        if self._room is not None:
            self._room.set()
            self._room = None

    def lost(self) -> None:
        """The kernel was thrown away, and its memory-only actors with it."""
        for asking in list(self._waiting):
            text = "a commit failed: memory-only actors began anew, and what they had heard is forgotten"
            asking.told(None, Failure("retry_later", "lost", text))
        self.turned()

    def close(self) -> None:
        """The shell has failed or stopped: nobody waits any more."""
        for event in self._waiting.values():
            event.set()
        self.turned()

    def _check(self, cell: Ephemeral, key: str) -> None:
        refusing = self._shell.refusing()
        if refusing is not None:
            raise refusing
        if key:
            text = f"{cell.address} is memory-only: it keeps nothing, so it knows no keys"
            raise AskFailed(
                Failure("change_arguments", "no_keys", text, hint="send it without a key", where=cell.address)
            )

    async def _wait(self, asking: Asking, timeout: float | None, where: str) -> None:
        event = self._waiting[asking] = anyio.Event()
        asking.wake = event.set
        try:
            with anyio.move_on_after(timeout):
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
        return ReplyTo(OUTSIDE, token, settler)


def _full(cell: Ephemeral) -> bool:
    held = len(cell.more.held) if cell.more is not None else 0
    return len(cell.mail or ()) + held >= BOUND
