"""Calls in processes of their own: the one kind of isolation in which a timeout really stops a call.

    thread: start -> send the call -> read the answer, throw away what is printed -> kill the group -> reap
    loop:   waits; a cancel wakes the thread, which kills at once

Each call gets a session (so a process group) of its own and an environment that holds what was granted and nothing else. When the call is
over, however it ended, its whole group is killed, and on Linux also what left the group: it is known by a mark in its environment. When
this process dies, the child sees the end of its line to it and kills its own group. A thread starts and reaps the child, so
no signal handler and no child watcher of the loop is used, and any loop in any thread will do.

This is no sandbox: the child has the rights of its user. What wants to hide from its parent can.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import msgspec
from msgspec import Struct

from ..protocols.effects import Attempt
from ..protocols.errors import DefinitionError
from ..protocols.failures import Failure
from ..protocols.secrets import Secret, hidden
from ..protocols.tool import Call
from ..protocols.tool_log import Line, level
from .process_end import MARK, end, exit_of
from .process_job import Answered, Job

STUCK = 5.0
"""Seconds that a killed process may take to be gone before its caller goes on without it (it hangs in the kernel)."""

SAID = 2_000
"""Characters of stderr that are kept for the moment a process dies; they go to the program's own stderr, never into the journal."""

SLACK = 100_000
"""Bytes an answer may have beyond the largest result: the words of a failure and its causes."""

PATH = "/usr/local/bin:/usr/bin:/bin"

CHILD = Path(__file__).with_name("process_child.py")


class Ended(Struct, frozen=True):
    """How a process ended.

    Attributes:
        answer: what it answered; None where it died, or was killed, before it had.
        entered: the tool's function had been entered: it may have acted.
        code: exit code, negative for the signal that killed it; None where it was never begun.
        why: why it was never begun, or what was wrong with its answer.
        said: end of what it wrote to stderr.
    """

    answer: Answered | None
    entered: bool
    code: int | None
    why: str = ""
    said: str = ""


def importable(function: Callable[..., Any], name: str) -> tuple[str, str]:
    """Module and name under which another process finds a function.

    Raises:
        DefinitionError: it cannot: it is local, a lambda, or belongs to a program that has no name to import.
    """
    if os.name != "posix":
        raise DefinitionError(
            f'tool {name!r}: isolation="process" needs process groups, which this system does not have',
            hint='take isolation="thread" there; a timeout does not stop it',
        )
    module, qualname = function.__module__, function.__qualname__
    if "<" in qualname:
        raise DefinitionError(
            f'tool {name!r}: isolation="process" needs a function that another process can import, and {qualname} is local',
            hint="define it at the top of a module",
        )
    spec = getattr(sys.modules.get(module), "__spec__", None)
    if spec is None:
        raise DefinitionError(
            f'tool {name!r}: isolation="process" needs a function that another process can import, and {module!r} is not imported '
            "from a module",
            hint="move it into a module of its own and import it from there",
        )
    return spec.name, qualname


Environ = Sequence[str] | Mapping[str, str | Secret]
"""What a process sees: variables of ours by name, or names and values."""


def environment(granted: Environ, mark: str) -> dict[str, str]:
    """What a process sees: the variables that were granted, a plain ``PATH`` and locale, and its mark."""
    found = {"PATH": PATH, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
    if isinstance(granted, Mapping):
        found |= {name: value.reveal() if isinstance(value, Secret) else value for name, value in granted.items()}
    else:
        found |= {name: os.environ[name] for name in granted if name in os.environ}
    return found | {MARK: mark}


async def in_process(
    job: Job,
    granted: Environ,
    name: str,
    on_beat: Callable[[str], None],
    on_late: Callable[[Ended], None],
    on_left: Callable[[], None],
    on_log: Callable[[Line], None],
) -> Ended:
    """Run a job in a process of its own; gives how that ended.

    When its caller is cancelled the process and all its children are killed before the cancel goes on.

    Args:
        job: what is called.
        granted: environment variables that it sees.
        name: of the thread that looks after it.
        on_beat: told its heartbeats, in that thread.
        on_late: told how it ended where an answer had come in the moment of the cancel, or where it could not be killed in time.
        on_left: told that it could not be killed in time; ``on_late`` follows.
        on_log: told what it logs, in that thread.
    """
    loop, done, results = asyncio.get_running_loop(), anyio.Event(), list[Ended]()
    try:
        wake, woken = socket.socketpair()
    except OSError as error:  # no descriptors are left
        return Ended(None, entered=False, code=None, why=f"no process could be started: {error}")
    left = False

    def deliver(ended: Ended) -> None:
        results.append(ended)
        done.set()
        if left:
            on_late(ended)

    def body() -> None:
        with woken:
            try:
                ended = _run(job, granted, woken, on_beat, on_log)
            except BaseException as error:  # noqa: BLE001 - a thread that just ended would keep its caller until its time is over
                ended = Ended(
                    None, entered=True, code=None, why=f"its process was lost: {type(error).__name__}: {error}"
                )
        with contextlib.suppress(RuntimeError):  # the loop has ended: the next life finds the effect open
            loop.call_soon_threadsafe(deliver, ended)

    with wake:
        threading.Thread(target=body, name=name, daemon=True).start()
        try:
            await done.wait()
        except anyio.get_cancelled_exc_class():
            with contextlib.suppress(OSError):
                wake.send(b"!")
            with anyio.CancelScope(shield=True), anyio.move_on_after(STUCK):
                await done.wait()
            if not results:
                left = True
                on_left()
            elif results[0].answer is not None:
                on_late(results[0])
            raise
    return results[0]


def _run(
    job: Job,
    granted: Environ,
    woken: socket.socket,
    on_beat: Callable[[str], None],
    on_log: Callable[[Line], None],
) -> Ended:
    """Start the process, get its answer, and see that nothing of it is left. Runs in a thread."""
    if not sys.executable:
        return Ended(
            None, entered=False, code=None, why="this program does not say which Python runs it (sys.executable)"
        )
    mark = uuid.uuid4().hex
    with contextlib.ExitStack() as opened:
        try:
            request = msgspec.json.encode(job)
            ours, theirs = socket.socketpair()
            opened.enter_context(ours)
            with theirs:
                process = subprocess.Popen(
                    [sys.executable, "-I", str(CHILD), str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    env=environment(granted, mark),
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
        except (OSError, UnicodeError, subprocess.SubprocessError) as error:
            return Ended(None, entered=False, code=None, why=f"no process could be started: {error}")
        talk = _Talk(ours, request, job.most + SLACK, on_beat, on_log)
        said = b""
        try:
            said = _listen(process, talk, woken)
        finally:
            with process:
                end(process, mark, at_once=talk.complete)
    return _ended(talk, process.returncode, said)


def _ended(talk: _Talk, code: int, said: bytes) -> Ended:
    text = said[-SAID:].decode("utf-8", "replace")
    if not talk.complete:
        return Ended(None, talk.entered, code, talk.why, text)
    try:
        answer = msgspec.json.decode(talk.body, type=Answered)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Ended(None, talk.entered, code, f"what it answered is no answer: {error}", text)
    return Ended(answer, talk.entered, code, said=text)


class _Talk:
    """The line to a child. The job goes out; in come frames of a letter, a length and a body: E the function is entered, B a heartbeat,
    L a record of its log, A the answer."""

    def __init__(
        self,
        line: socket.socket,
        request: bytes,
        most: int,
        on_beat: Callable[[str], None],
        on_log: Callable[[Line], None],
    ) -> None:
        line.setblocking(False)
        self.line, self.most, self.on_beat, self.on_log = line, most, on_beat, on_log
        self.out = memoryview(len(request).to_bytes(4, "big") + request)
        self.entered = False
        self.complete = False
        self.why = ""
        self.body = b""
        self._data = bytearray()

    def send(self) -> bool:
        """Whether more is to be sent."""
        with contextlib.suppress(BlockingIOError):
            self.out = self.out[self.line.send(self.out) :]
        return bool(self.out)

    def receive(self) -> bool:
        """Whether more is to come."""
        try:
            data = self.line.recv(65_536)
        except BlockingIOError:
            return True
        self._data += data
        while len(self._data) >= 5 and not self.complete:
            kind, length = bytes(self._data[:1]), int.from_bytes(self._data[1:5], "big")
            if length > self.most or kind not in (b"E", b"B", b"L", b"A"):
                self.why = f"it wrote on its own line: a frame {kind!r} of {length:,} bytes"
                return False
            if len(self._data) < 5 + length:
                break
            body = bytes(self._data[5 : 5 + length])
            del self._data[: 5 + length]
            if kind == b"E":
                self.entered = True
            elif kind == b"A":
                self.complete, self.body = True, body
            elif kind == b"L":
                with contextlib.suppress(
                    msgspec.DecodeError, UnicodeDecodeError
                ):  # whoever wrote on its line lost a record
                    self.on_log(msgspec.json.decode(body, type=Line))
            else:
                with contextlib.suppress(asyncio.CancelledError):  # nobody waits any more: it is being killed
                    self.on_beat(body.decode("utf-8", "replace"))
        return bool(data) and not self.complete


def _listen(process: subprocess.Popen[bytes], talk: _Talk, woken: socket.socket) -> bytes:
    """Until there is an answer, the process is gone, or somebody wakes us; gives the end of what it wrote to stderr."""
    errors = process.stderr
    assert errors is not None
    os.set_blocking(errors.fileno(), False)
    said = b""
    with selectors.DefaultSelector() as ready, exit_of(process.pid) as gone:
        ready.register(talk.line, selectors.EVENT_READ | selectors.EVENT_WRITE)
        ready.register(woken, selectors.EVENT_READ)
        ready.register(errors, selectors.EVENT_READ)
        if gone is not None:
            ready.register(gone, selectors.EVENT_READ)
        while True:
            over = False
            for key, events in ready.select(None if gone is not None else 0.05):
                if key.fileobj is talk.line:
                    try:
                        if events & selectors.EVENT_WRITE and not talk.send():
                            ready.modify(talk.line, selectors.EVENT_READ)
                        over |= bool(events & selectors.EVENT_READ) and not talk.receive()
                    except OSError:  # it is gone, or it hung up
                        over = True
                elif key.fileobj is errors:
                    said = (said + (piece := _read(errors.fileno())))[-4 * SAID :]
                    if not piece:
                        ready.unregister(errors)
                else:
                    over = True
            if over or (gone is None and process.poll() is not None):
                with contextlib.suppress(OSError):  # what came in the same moment
                    while not talk.complete and talk.line in ready.get_map() and _waits(talk.line) and talk.receive():
                        pass
                return (said + _read(errors.fileno()))[-4 * SAID :]


def _waits(line: socket.socket) -> bool:
    with selectors.DefaultSelector() as ready:
        ready.register(line, selectors.EVENT_READ)
        return bool(ready.select(0))


def _read(file: int) -> bytes:
    try:
        return os.read(file, 65_536)
    except OSError:
        return b""


def job_of(target: tuple[str, str], name: str, arguments: bytes, call: Call, most: int) -> Job:
    """A call of a function, as it is sent to its process."""
    here = [str(Path(entry or ".").absolute()) for entry in sys.path]
    said = (call.id, call.key, call.attempt, call.run, call.deadline, call.fence, call.at, call.agent)
    return Job(here, target[0], target[1], name, msgspec.Raw(arguments), said, most, level())


def told(ended: Ended, name: str) -> Attempt | None:
    """What a call came to that gave no value; None where there is one to be looked at."""
    answer = ended.answer
    if answer is not None:
        return None if answer.failure is None else Attempt(failure=answer.failure, unknown=answer.unknown)
    if ended.code is None:
        failure = Failure("retry_later", "no_process", f"{name}: {ended.why}", where=name)
        return Attempt(failure=failure, unknown=ended.entered)
    if ended.said:
        import logging

        logging.getLogger("understudy").warning(
            "the process of %s died; the end of its stderr:\n%s", name, hidden(ended.said)
        )
    how = f"was killed by {_named(-ended.code)}" if ended.code < 0 else f"ended with exit code {ended.code}"
    when = "before it gave a result" if ended.entered else "before the call had begun"
    what = ended.why or f"its process {how} {when}"
    return Attempt(failure=Failure("retry_later", "process_died", f"{name}: {what}", where=name), unknown=ended.entered)


def _named(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def variables(environ: Environ, name: str) -> Environ:
    """Granted variables, as a tool declares them.

    Raises:
        DefinitionError: they are no list of names, and no names with values.
    """
    names: object = list(environ) if isinstance(environ, (Sequence, Mapping)) and not isinstance(environ, str) else None
    values = list(environ.values()) if isinstance(environ, Mapping) else []
    if (
        not isinstance(names, list)
        or not all(isinstance(one, str) and one and "=" not in one and "\0" not in one for one in names)
        or not all(isinstance(one, Secret) or (isinstance(one, str) and "\0" not in one) for one in values)
    ):
        shown = f"{sorted(map(str, environ))}" if isinstance(environ, Mapping) else repr(environ)
        hint = 'names of environment variables, such as ["API_KEY"], or {"API_KEY": us.Secret(…)}'
        raise DefinitionError(f"tool {name!r}: environ={shown}", hint=hint)
    return dict(environ) if isinstance(environ, Mapping) else tuple(environ)
