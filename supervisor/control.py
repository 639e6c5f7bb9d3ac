"""The owner's control socket: how every other process speaks to the one that owns a journal.

A Unix socket beside the journal, ``<db>-sock``, that only its user may open. One line of JSON asks, one line answers:

    {"do": "inbox", "after": ""}                                {"ok": [item, …]}, as many as go into an answer; after the last: the next
    {"do": "answer", "answer": {"item": "12.0", …}}             {"ok": null}, when the answer is durable
    {"do": "actors", "prefix": "desk/call-17"}                  {"ok": [line, …]}
    {"do": "rows", "actor": "desk/call-17", "after": 0}         {"ok": {"rows": [row, …], "more": false}}
    {"do": "submit", "to": "desk", "id": "17", "task": {…}}     {"ok": "desk/17"}, when the task is durable
    {"do": "resend", "id": "57", "by": "ada", "message": {…}}   {"ok": null}, when it is durable; without a message as it was
    {"do": "drop", "id": "57", "by": "ada", "reason": "old"}    {"ok": null}, when it is durable
    {"do": "grants"}                                            {"ok": [standing approval, …]}
    {"do": "revoke", "id": "12.0", "by": "ada", "reason": "old"}  {"ok": null}, when it is durable
    {"do": "retain", "days": 30.0}                              {"ok": {"done": {…}, "left": 3}}, after two seconds or so; ask again
    {"do": "breakers"}                                          {"ok": [breaker, …]}
    {"do": "switch", "name": "search", "open": false, "by": "ada"}  {"ok": null}, when it is durable; to open one: "seconds", too
    {"do": "status"}                                            {"ok": {"pid": 4711, …}}
    {"do": "stop"}                                              {"ok": null}, at once; then the process drains
    anything else                                               {"error": {"type": …, "message": …, "hint": …}}

Whatever is sent here, the owner goes on: a request is bounded in bytes, in depth (before it is decoded) and in
time, and what it raises is its answer.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR, S_ISREG, S_ISSOCK
from typing import Protocol

import anyio
import msgspec
from anyio.abc import SocketListener, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream
from msgspec import Raw, Struct

from ..actors.releases import Switch
from ..protocols.approvals import Answer
from ..protocols.bounds import check
from ..protocols.circuits import Circuit
from ..protocols.codec import NULL, decode, digest, encode
from ..protocols.errors import NotStorable, UnderstudyError
from ..protocols.grants import Grant
from ..protocols.journal import ActorLine, Row
from ..protocols.tasks import Task
from .breaking import switch
from .inbox import InboxItem
from .log import log
from .retaining import Step

MAX_REQUEST = 1_000_000
"""Bytes of one request."""

MAX_PAGE = 4_000_000
"""Bytes of rows in one answer, about; a client asks for what follows."""

PATIENCE = 30.0
"""Seconds for a request to arrive, and for its answer to be taken."""

CLIENTS = 16
"""Connections served at once; others wait."""

LONGEST_PATH = 100
"""Bytes of a Unix socket's path that every system takes (Linux 107, macOS 103)."""


class Inbox(Struct, tag="inbox", tag_field="do", forbid_unknown_fields=True):
    """What waits for people, those after an item of this id."""

    after: str = ""


class Give(Struct, tag="answer", tag_field="do", forbid_unknown_fields=True):
    """A person's answer."""

    answer: Answer


class Actors(Struct, tag="actors", tag_field="do", forbid_unknown_fields=True):
    """Lines of the actors at or below an address."""

    prefix: str = ""


class Rows(Struct, tag="rows", tag_field="do", forbid_unknown_fields=True):
    """Rows of one actor with seq > after."""

    actor: str
    after: int = 0


class Submit(Struct, tag="submit", tag_field="do", forbid_unknown_fields=True):
    """A task for an agent or a team."""

    to: str
    task: Task
    id: str = ""


class Resend(Struct, tag="resend", tag_field="do", forbid_unknown_fields=True):
    """A message that was put aside is to be sent again; ``message`` is its new content, null for as it was."""

    id: str
    by: str = "somebody"
    reason: str = ""
    message: Raw = NULL


class Drop(Struct, tag="drop", tag_field="do", forbid_unknown_fields=True):
    """A message that was put aside is to be dropped."""

    id: str
    by: str = "somebody"
    reason: str = ""


class Standing(Struct, tag="grants", tag_field="do", forbid_unknown_fields=True):
    """Standing approvals."""


class TakeBack(Struct, tag="revoke", tag_field="do", forbid_unknown_fields=True):
    """A standing approval is to be taken back."""

    id: str
    by: str = "somebody"
    reason: str = ""


class Retain(Struct, tag="retain", tag_field="do", forbid_unknown_fields=True):
    """Texts of runs that ended so many days ago are to be erased."""

    days: float


class Breakers(Struct, tag="breakers", tag_field="do", forbid_unknown_fields=True):
    """Breakers of tools and models in trouble."""


class SwitchBreaker(Struct, tag="switch", tag_field="do", forbid_unknown_fields=True):
    """A breaker is to be opened (without ``seconds`` until it is closed), or closed."""

    name: str
    open: bool
    by: str = "somebody"
    reason: str = ""
    seconds: float | None = None


class Status(Struct, tag="status", tag_field="do", forbid_unknown_fields=True):
    """Who is there."""


class Stop(Struct, tag="stop", tag_field="do", forbid_unknown_fields=True):
    """Drain and end."""


Ask = (
    Inbox | Give | Actors | Rows | Submit | Resend | Drop | Standing | TakeBack | Retain | Breakers | SwitchBreaker
    | Status | Stop
)  # fmt: skip


class Page(Struct, frozen=True):
    """Rows of one actor; ``more``: there are others behind them."""

    rows: tuple[Row, ...]
    more: bool


class Facts(Struct, frozen=True, omit_defaults=True):
    """Who owns the journal: its process, and how its definitions can be imported."""

    pid: int
    target: str = ""
    model: str = ""


class Refusal(Struct, frozen=True, omit_defaults=True):
    """Why a request was not done: an error's class, message and hint."""

    type: str
    message: str
    hint: str = ""


class Owner(Protocol):
    """What the socket speaks for: a ``System``."""

    def inbox(self, *, after: str = "") -> tuple[InboxItem, ...]: ...
    async def give(self, answer: Answer) -> None: ...
    async def actors(self, prefix: str = "") -> tuple[ActorLine, ...]: ...
    async def rows(self, actor: str, after: int = 0) -> tuple[Row, ...]: ...
    async def submit(self, to: str, task: Task, *, id: str | None = None) -> str: ...
    async def resend(self, id: str, message: object = None, *, by: str = "", reason: str = "") -> None: ...
    async def drop(self, id: str, *, by: str = "", reason: str = "") -> None: ...
    def grants(self) -> tuple[Grant, ...]: ...
    async def revoke(self, id: str, *, by: str = "", reason: str = "") -> None: ...
    async def retain_some(self, days: float) -> Step: ...
    def breakers(self) -> tuple[Circuit, ...]: ...
    async def switch(self, thing: Switch) -> None: ...
    def facts(self) -> Facts: ...
    def ask_to_stop(self) -> None: ...


class Control:
    """The socket of one owner. The journal's lock must be held: a socket that is found there is a dead owner's."""

    def __init__(self, owner: Owner, path: Path) -> None:
        self._owner = owner
        db = Path(os.path.realpath(path))
        self._pointer = db.with_name(db.name + "-sock")
        self._path: Path | None = None
        self._listener: SocketListener | None = None
        self._limit = anyio.CapacityLimiter(CLIENTS)

    async def open(self) -> None:
        """Make it. Where that is not possible the log says so, and the owner works without."""
        try:
            _clear(self._pointer)
            path = _place(self._pointer)
            self._listener = await anyio.create_unix_listener(path, mode=0o600)  # its mode is set before it listens
            self._path = path
            if path != self._pointer:
                _point(self._pointer, path)
        except OSError as error:
            await self.close()
            log().warning(
                "no control socket: other processes cannot answer or look while this one runs", error=str(error)
            )

    async def serve(self) -> None:
        """Answer until cancelled."""
        if self._listener is not None:
            async with self._listener:
                await self._listener.serve(self._client)

    async def close(self) -> None:
        """Take it away. Before the journal's lock is let go, or it could be the next owner's that is removed."""
        if self._listener is not None:
            await self._listener.aclose()
        if self._path is not None:
            for path in {self._path, self._pointer}:
                with suppress(OSError):
                    path.unlink()
        self._path = self._listener = None

    async def _client(self, stream: SocketStream) -> None:
        async with stream, self._limit:
            try:
                await self._talk(stream)
            except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass  # it went away
            except TimeoutError:
                pass  # it sends nothing, or takes nothing: it may come again
            except anyio.DelimiterNotFound:
                with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                    await stream.send(_refused("BadRequest", f"a request is one line of at most {MAX_REQUEST:,} bytes"))
            except Exception:  # noqa: BLE001 - the owner goes on, whatever a client did
                log().exception("the control socket lost a client")

    async def _talk(self, stream: SocketStream) -> None:
        lines = BufferedByteReceiveStream(stream)
        while True:
            with anyio.fail_after(PATIENCE):
                line = await lines.receive_until(b"\n", MAX_REQUEST)
            reply = await self._reply(line)
            with anyio.fail_after(PATIENCE):
                await stream.send(reply)

    async def _reply(self, line: bytes) -> bytes:
        try:
            check(line, "a request", most=MAX_REQUEST)
            ask: Ask = decode(line, Ask)
        except NotStorable as error:
            return _refused(type(error).__name__, str(error.args[0]), error.hint)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            known = "inbox, answer, actors, rows, submit, resend, drop, grants, revoke, retain, breakers, switch, status, stop"
            return _refused("BadRequest", f"not a request: {error}", f'a request is {{"do": one of {known}, …}}')
        try:
            return encode({"ok": await self._do(ask)}) + b"\n"
        except UnderstudyError as error:
            return _refused(type(error).__name__, str(error.args[0]), error.hint)
        except (ValueError, LookupError) as error:
            return _refused("BadRequest", str(error))

    def _shown(self, ask: Inbox | Standing | Breakers | Status) -> object:
        """What is there to look at."""
        match ask:
            case Inbox(after):
                return _some(self._owner.inbox(after=after))
            case Standing():
                return self._owner.grants()
            case Breakers():
                return self._owner.breakers()
            case Status():
                return self._owner.facts()

    async def _do(self, ask: Ask) -> object:
        match ask:
            case Inbox() | Standing() | Breakers() | Status():
                return self._shown(ask)
            case Give(answer):
                await self._owner.give(answer)
            case Actors(prefix):
                return await self._owner.actors(prefix)
            case Rows(actor, after):
                return _page(await self._owner.rows(actor, after))
            case Submit(to, task, id):
                return await self._owner.submit(to, task, id=id or None)
            case Resend(id, by, reason, message):
                await self._owner.resend(id, None if message == NULL else message, by=by, reason=reason)
            case Drop(id, by, reason):
                await self._owner.drop(id, by=by, reason=reason)
            case TakeBack(id, by, reason):
                await self._owner.revoke(id, by=by, reason=reason)
            case Retain(days):
                return await self._owner.retain_some(days)
            case SwitchBreaker(name, to, by, reason, seconds):
                await self._owner.switch(switch(name, open=to, by=by, reason=reason, seconds=seconds))
            case Stop():
                self._owner.ask_to_stop()
        return None


def _some(items: tuple[InboxItem, ...]) -> tuple[InboxItem, ...]:
    """As many items as go into one answer."""
    size = 0
    for n, one in enumerate(items):
        size += len(one.arguments) + len(one.text) + len(one.form)
        if n and size > MAX_PAGE:
            return items[:n]
    return items


def _page(rows: tuple[Row, ...]) -> Page:
    size = 0
    for n, row in enumerate(rows):
        size += len(row.payload)
        if n and size > MAX_PAGE:
            return Page(rows[:n], more=True)
    return Page(rows, more=False)


def _refused(type: str, message: str, hint: str = "") -> bytes:
    return encode({"error": Refusal(type, message.encode("utf-8", "replace").decode(), hint)}) + b"\n"


def _clear(pointer: Path) -> None:
    """Remove what a dead owner left. What is not ours stays, and is in the way."""
    try:
        mode = pointer.lstat().st_mode
    except FileNotFoundError:
        return
    if not S_ISSOCK(mode) and not (S_ISREG(mode) and pointed(pointer) is not None):
        raise FileExistsError(f"{pointer} is there and is no control socket")
    pointer.unlink()


def _place(pointer: Path) -> Path:
    """Where the socket goes: beside the journal, or, where that path is too long, in a private folder of this user."""
    if len(os.fsencode(pointer)) <= LONGEST_PATH:
        return pointer
    name = f"{digest(os.fsencode(pointer))[:16]}.sock"
    folder = Path(tempfile.gettempdir()) / f"understudy-{os.getuid()}"
    if len(os.fsencode(folder / name)) > LONGEST_PATH:
        folder = Path("/tmp") / folder.name
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} is not a private folder of this user")
    return folder / name


def _point(pointer: Path, path: Path) -> None:
    handle = os.open(pointer, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, os.fsencode(path) + b"\n")
    finally:
        os.close(handle)


def pointed(pointer: Path) -> Path | None:
    """Where a text file in the socket's place says that the socket is; None where it is no such file."""
    with pointer.open("rb") as file:
        text = file.read(1_000)
    if not (text.startswith(b"/") and text.endswith(b".sock\n") and text.count(b"\n") == 1):
        return None
    return Path(os.fsdecode(text[:-1]))


class Reply(Struct, frozen=True):
    """An answer as a client reads it: ``error``, or ``ok``."""

    ok: Raw = Raw(b"null")
    error: Refusal | None = None
