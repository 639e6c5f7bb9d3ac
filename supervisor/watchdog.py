"""The watchdog: a thread that looks what the loop's thread is doing, and breaks off user code that does not come to an end.

    look, four times a second: is the same thing running as at the last looks? -> for ``limit`` seconds: name it, show its stack, break it
                               is the loop there? (a callback that it has to run) -> if not, how long was it away (``Lag``)

Nothing of this costs a turn anything: the kernel notes what runs (``protocols.watch``), the rest is read off the frames of the
thread. Code that the exception cannot reach (a sleep, a driver's wait) is named all the same, on the log and on stderr, and broken off
when it comes back. Code in C that also keeps the interpreter to itself (a regular expression) keeps this thread from running, too;
``overslept`` tells of it afterwards.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from time import perf_counter
from types import FrameType

from msgspec import Struct

from ..actors.ephemerals import Ephemerals
from ..actors.execute import execute
from ..actors.flights import Flights
from ..actors.mailbox import Item
from ..actors.residents import take_in
from ..protocols.effects import Effect
from ..protocols.failures import Failure
from ..protocols.journal import Found
from ..protocols.watch import BLOCKED, Watch, saying
from ..tools.steps import Step, Steps
from .lag import Lag
from .log import log

LIMIT = 5.0
"""Seconds that a turn, or anything else that holds the loop, may take, by default."""

LOOK_EVERY = 0.25
"""Seconds between two looks; a fifth of the limit where that is less."""

REACHED = 1.0
"""Seconds in which the exception comes where it can come at all."""

FRAMES = 12
"""Frames of a stack that are shown, the innermost ones."""

_OURS = "understudy."
_DEBUGGERS = ("bdb", "pdb", "pydevd", "_pydevd_bundle", "debugpy")
_CALLS_THEIRS: tuple[Callable[..., object], ...] = (
    execute, Flights._asked, take_in, Steps[object].drive,
    Ephemerals._run, Ephemerals._unusual, Ephemerals.begin, Ephemerals._order,
)  # fmt: skip
_BOUNDS = frozenset(function.__code__ for function in _CALLS_THEIRS)
"""Where the kernel calls people's code: what lies within is shown."""


class Block(Struct, frozen=True):
    """What held the loop.

    Attributes:
        actor: address; empty where it is nobody's of this system.
        what: in words.
        at: function, file and line of the innermost frame that is not ours.
        stack: the frames within, the innermost last.
        instead: what would be right.
    """

    actor: str
    what: str
    at: str
    stack: str
    instead: str = "what takes long is a tool's work"

    def failure(self, seconds: float, *, reached: bool) -> Failure:
        """As the failure of what did it."""
        text = f"{self.what} held the loop for {seconds:.1f} s, in {self.at}"
        if not reached:
            text += "; no exception reached it there"
        hint = f"{self.instead}; System(watchdog=…) says how many seconds are allowed"
        stack = Failure("abandon", "stack", self.stack, where=self.actor)
        return Failure("abandon", BLOCKED, text, hint, where=self.actor, cause=stack)


class Watchdog:
    """Watches one loop.

    Args:
        watch: where the kernel notes what runs.
        limit: seconds that it may.
        lag: told how long the loop was away.

    Attributes:
        found: how often each actor was found; empty for code that is not this system's.
    """

    def __init__(self, watch: Watch, limit: float, lag: Lag) -> None:
        self.found: Counter[str] = Counter()
        self._watch, self._limit, self._lag = watch, limit, lag
        self._every = min(LOOK_EVERY, limit / 5)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = 0
        self._seen: object | None = None
        self._age = 0.0
        self._shot: tuple[object, Block, float, float] | None = None
        """What is broken off: what ran, who it was, its age and the time, when that was tried first."""
        self._tried = 0.0
        """When it was tried last."""
        self._hit = 0.0
        """When the last one that is over was broken off."""
        self._hopeless: object | None = None
        self._asked: float | None = None
        """When the loop was asked whether it is there, and has not answered yet."""
        self._answered = perf_counter()
        self._told = False
        watch.over = self._over

    def start(self) -> None:
        """Begin, in a daemon thread. Called in the loop that is to be watched."""
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self._runs = threading.Thread(target=self._run, name="understudy watchdog", daemon=True)
        self._runs.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._runs.join(1.0)

    def overslept(self, actor: str, began: float, ended: float) -> None:
        """Turns have taken so long, as the pump saw. Tells of what no look has seen: nothing else could run meanwhile."""
        if ended - began < self._limit or self._hit >= began:
            return
        self.found[actor] += 1
        who = f"a turn of {actor}" if actor else "a turn of a memory-only actor"
        text = f"{who} held the loop and the interpreter for {ended - began:.1f} s: it was in C code that lets nothing else run"
        log().error(text, actor=actor)

    # -- in the thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        before = perf_counter()
        while not self._stop.wait(self._every):
            now = perf_counter()
            # A process that was stopped, or a machine that slept, blocked nobody: a look is worth two intervals at most.
            self._look(now, min(now - before, 2 * self._every))
            before = now

    def _look(self, now: float, passed: float) -> None:
        on = self._watch.on
        if on is None or on is not self._seen:
            self._seen, self._age, self._hopeless = on, 0.0, None
        else:
            self._age += passed
            self._judge(on, now)
        self._ask(now, on)

    def _judge(self, on: object, now: float) -> None:
        shot = self._shot
        if shot is not None and shot[0] is on:
            if now - shot[3] > REACHED and self._hopeless is not on:
                self._hopeless = on
                self._cry(shot[1], self._age)
            if now - self._tried < self._limit:  # then once more: it may have swallowed this one
                return
        if self._age < self._limit:
            return
        block = self._name(on)
        if block is not None and self._break(on, block, now) and (shot is None or shot[0] is not on):
            self.found[block.actor] += 1
            log().error(
                f"{block.what} held the loop for {self._age:.1f} s, in {block.at}\n{block.stack}", actor=block.actor
            )

    def _break(self, on: object, block: Block, now: float) -> bool:
        with self._lock:
            self._watch.shot = block.failure(self._age, reached=True)
            if self._watch.on is not on:  # it has come to its end meanwhile
                self._watch.shot = None
                return False
            if self._shot is None or self._shot[0] is not on:
                self._shot = (on, block, self._age, now)
            self._tried = now
            _raise_in(self._thread, saying(self._watch.shot))
            return True

    def _over(self) -> Failure | None:
        """Called by the thread that is watched: it has come to its end, or been hit."""
        with self._lock:
            why, self._watch.shot = self._watch.shot, None
            if why is None or self._shot is None:
                return None
            _raise_in(self._thread, None)
            _, block, age, at = self._shot
            self._shot, self._seen, self._hit = None, None, at  # the same mail may come again: that is another turn
            late = perf_counter() - at
            return block.failure(age + late, reached=late <= REACHED)

    def _cry(self, block: Block, age: float) -> None:
        """No exception reaches it: there is nothing left but to say so, where somebody may read it while nothing else goes on."""
        text = f"{block.what} has held the loop for {age:.1f} s and cannot be broken off there, in {block.at}\n{block.stack}"
        sys.stderr.write(f"understudy: {text}\n")
        sys.stderr.flush()
        log().critical(text, actor=block.actor)

    def _ask(self, now: float, on: object | None) -> None:
        asked = self._asked
        if asked is None:
            self._told = False
            self._asked = now
            try:
                self._loop.call_soon_threadsafe(self._here, now)
            except RuntimeError:  # the loop was closed with the system open
                self._stop.set()
        elif now - asked > self._limit and not self._told and on is None:
            self._told = True
            block = self._name(None)
            if block is not None:
                self.found[block.actor] += 1
                log().error(f"{block.what} holds the loop, in {block.at}\n{block.stack}", actor=block.actor)

    def _here(self, asked: float) -> None:
        """Run by the loop."""
        now = perf_counter()
        # Since the answer before this one it may have been away from the beginning.
        self._lag.lost(asked if now - asked < 4 * self._every else self._answered, now)
        self._answered, self._asked = now, None

    def _name(self, on: object | None) -> Block | None:
        """Who it is; None where somebody looks at it with a debugger."""
        frames = _frames(self._thread)
        if any(frame.f_globals.get("__name__", "").split(".")[0] in _DEBUGGERS for frame in frames):
            return None
        within: list[FrameType] = []
        for frame in frames:
            if frame.f_code in _BOUNDS:
                break
            within.append(frame)
        bound = frames[len(within)] if len(within) < len(frames) else None
        actor, what = _whose(on, bound)
        theirs = [f for f in within if not f.f_globals.get("__name__", "").startswith(_OURS)] or within
        at = "?"
        if theirs:
            code = theirs[0].f_code
            at = f"{code.co_qualname if sys.version_info >= (3, 11) else code.co_name} ({code.co_filename}:{theirs[0].f_lineno})"
        lines = traceback.StackSummary.extract(
            ((f, f.f_lineno) for f in reversed(within[:FRAMES])), capture_locals=False
        )
        stack = "".join(lines.format()).rstrip()
        if isinstance(on, Step):
            return Block(actor, what, at, stack, "a plain function runs in a thread; a coroutine must await")
        return Block(actor, what, at, stack)


def _frames(thread: int) -> list[FrameType]:
    """The frames of a thread, the innermost first."""
    frame, frames = sys._current_frames().get(thread), list[FrameType]()
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames


def _whose(on: object | None, bound: FrameType | None) -> tuple[str, str]:
    """Address, and what it is in words."""
    if isinstance(on, Item):
        return on.envelope.to, f"the turn of {on.envelope.to} with {on.envelope.wire}"
    if isinstance(on, Step):
        return on.effect.stream, f"{on.effect.name} of {on.effect.stream}"
    if isinstance(on, Effect):
        return on.stream, f"what is asked before {on.name} of {on.stream} begins"
    if isinstance(on, Found):
        return on.address, f"bringing {on.address} into memory"
    if bound is not None and "cell" in bound.f_locals:
        address, post = bound.f_locals["cell"].address, bound.f_locals.get("post")
        wire = getattr(post[0], "__wire__", None) or getattr(post[0], "wire", "") if post else ""
        return address, f"the turn of {address}" + (f" with {wire}" if wire else "")
    return "", "code outside of every actor"


def _raise_in(thread: int, error: Callable[[], BaseException] | None) -> None:
    """Let a thread raise an exception as soon as it runs Python code again; None takes one back that has not been raised yet."""
    thing = ctypes.py_object(error) if error is not None else ctypes.c_void_p(None)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), thing)
