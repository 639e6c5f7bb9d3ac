"""The other end of the control socket: what a process says that does not own the journal. Synchronous, for the command line."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from stat import S_ISSOCK
from types import TracebackType
from typing import Any, Self

from msgspec import Raw

from ..actors.releases import Switch
from ..protocols import errors
from ..protocols.approvals import Answer
from ..protocols.circuits import Circuit
from ..protocols.codec import NULL, decode, encode
from ..protocols.errors import UnderstudyError
from ..protocols.grants import Grant
from ..protocols.ids import Address
from ..protocols.journal import ActorLine, Row
from ..protocols.tasks import Task
from .control import (
    Actors,
    Ask,
    Breakers,
    Drop,
    Facts,
    Give,
    Inbox,
    Page,
    Reply,
    Resend,
    Retain,
    Rows,
    Standing,
    Status,
    Stop,
    Submit,
    SwitchBreaker,
    TakeBack,
    pointed,
)  # fmt: skip
from .inbox import InboxItem
from .journal.retention import Retained
from .retaining import Step

PATIENCE = 30.0
"""Seconds for an answer."""


class Unanswered(UnderstudyError):
    """The process that owns the journal takes the connection and does not answer."""


class Remote:
    """A connection to the owner of a journal."""

    left = False
    """Somebody owns the journal."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._answers = link.makefile("rb")

    def inbox(self) -> tuple[InboxItem, ...]:
        """What waits for people, oldest first."""
        found: list[InboxItem] = []
        page: tuple[InboxItem, ...] = self._ask(Inbox(), tuple[InboxItem, ...])
        while page:
            found += page
            page = self._ask(Inbox(page[-1].id), tuple[InboxItem, ...])
        return tuple(found)

    def give(self, answer: Answer) -> None:
        """A person's answer; returns when it is durable. Raises as ``System.answer``."""
        self._ask(Give(answer), None)

    def actors(self, prefix: str = "") -> tuple[ActorLine, ...]:
        """Lines of actors at or below an address."""
        found: tuple[ActorLine, ...] = self._ask(Actors(prefix), tuple[ActorLine, ...])
        return found

    def stream(self, actor: Address) -> tuple[Row, ...]:
        """The rows of one actor."""
        rows: list[Row] = []
        while True:
            page: Page = self._ask(Rows(actor, rows[-1].seq if rows else 0), Page)
            rows += page.rows
            if not page.more:
                return tuple(rows)

    def submit(self, to: str, task: Task, id: str) -> str:
        """Hand in a task; gives the address of its run when it is durable."""
        run: str = self._ask(Submit(to, task, id), str)
        return run

    def resend(self, id: str, message: Raw | None, *, by: str, reason: str) -> None:
        """Send a parked message again; returns when it is durable. Raises as ``System.resend``."""
        self._ask(Resend(id, by, reason, NULL if message is None else message), None)

    def drop(self, id: str, *, by: str, reason: str) -> None:
        """Drop a parked message; returns when it is durable. Raises as ``System.drop``."""
        self._ask(Drop(id, by, reason), None)

    def grants(self) -> tuple[Grant, ...]:
        """Standing approvals, oldest first."""
        found: tuple[Grant, ...] = self._ask(Standing(), tuple[Grant, ...])
        return found

    def revoke(self, id: str, *, by: str, reason: str) -> None:
        """Take a standing approval back; returns when it is durable. Raises as ``System.revoke``."""
        self._ask(TakeBack(id, by, reason), None)

    def retain(self, days: float, progress: Callable[[str, int, int], None]) -> Retained:
        """Erase the texts of old runs; returns when all are. Raises as ``System.retain``. Whoever breaks this off leaves each run whole or
        erased."""
        total = Retained(0.0, 0, 0, 0, 0)
        looked = 0
        while True:
            step: Step = self._ask(Retain(days), Step)
            done = step.done
            looked += done.runs
            total = Retained(
                total.before or done.before, total.runs + done.runs, total.rows + done.rows, total.bytes + done.bytes,
                total.kept + done.kept,
            )  # fmt: skip
            progress("runs", looked, looked + step.left)
            if not step.left:
                return total

    def breakers(self) -> tuple[Circuit, ...]:
        """Breakers of tools and models in trouble, by name."""
        found: tuple[Circuit, ...] = self._ask(Breakers(), tuple[Circuit, ...])
        return found

    def switch(self, thing: Switch) -> None:
        """Open or close a breaker; returns when it is durable. Raises as ``System.open_breaker`` and ``close_breaker``."""
        self._ask(SwitchBreaker(thing.name, thing.open, thing.by, thing.reason, thing.seconds), None)

    def facts(self) -> Facts:
        """Who the owner is."""
        found: Facts = self._ask(Status(), Facts)
        return found

    def stop(self) -> None:
        """Ask the owner to drain and end; returns when it was told."""
        self._ask(Stop(), None)

    def ended(self, timeout: float) -> bool:
        """Wait for the owner to hang up, which it does when it has drained."""
        self._link.settimeout(timeout)
        try:
            return not self._answers.read(1)
        except TimeoutError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        """Hang up."""
        self._answers.close()
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, ask: Ask, form: Any) -> Any:  # a type form and its value
        try:
            self._link.sendall(encode(ask) + b"\n")
            line = self._answers.readline()
        except TimeoutError as error:
            raise Unanswered(
                f"the process that owns the journal gave no answer in {self._link.gettimeout():g} s",
                hint="it may be busy or stuck; killing it loses nothing",
            ) from error
        except OSError as error:
            raise _gone() from error
        if not line.endswith(b"\n"):
            raise _gone()
        reply: Reply = decode(line, Reply)
        if reply.error is None:
            return decode(reply.ok, form)
        kind = getattr(errors, reply.error.type, UnderstudyError)
        try:
            raised: Exception = kind(reply.error.message, hint=reply.error.hint)
        except TypeError:  # a class that is made in another way
            raised = UnderstudyError(reply.error.message, hint=reply.error.hint)
        raise raised


def reach(path: str | os.PathLike[str], patience: float = PATIENCE) -> Remote | None:
    """The owner of a journal, or None where nobody listens for it. ``patience``: seconds for each of its answers."""
    db = Path(os.path.realpath(path))
    place: Path | None = db.with_name(db.name + "-sock")
    try:
        assert place is not None
        if not S_ISSOCK(place.stat().st_mode):
            place = pointed(place)
        if place is None:
            return None
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    except OSError:
        return None
    try:
        link.settimeout(patience)
        link.connect(str(place))
    except OSError:  # a dead owner's, or another user's
        link.close()
        return None
    return Remote(link)


def _gone() -> UnderstudyError:
    return Unanswered("the process that owns the journal ended meanwhile", hint="try it again")
