"""Heartbeats, silence, calls that swallow their cancellation, and real errors beside a cancellation."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import understudy as us
from tests.tools.intents import AGENT
from tests.tools.test_perform import perform, started
from understudy.protocols.effects import Attempt
from understudy.protocols.failures import interruption, leaves, of_exception
from understudy.testing import Simulated
from understudy.tools.perform import Performer
from understudy.tools.tool import Tool


async def until(true: Callable[[], bool]) -> None:
    """What another thread does is waited for in small steps."""
    with anyio.fail_after(5):
        while not true():  # noqa: ASYNC110 - nobody can set an event of this loop from there
            await anyio.sleep(0.01)


# -- heartbeats ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("effect", ["read", "once"])
@pytest.mark.parametrize("plain", [True, False], ids=["plain", "async"])
async def test_silence_is_a_failure_of_its_own(plain: bool, effect: Any) -> None:
    stop = threading.Event()

    @us.tool(effect=effect, timeout=20.0, heartbeat=0.1)
    def quiet(call: us.Call) -> None:
        """Never says a word."""
        stop.wait(10)

    @us.tool(effect=effect, timeout=20.0, heartbeat=0.1)
    async def quiet_too(call: us.Call) -> None:
        """Never says a word."""
        await anyio.sleep(10)

    began = time.perf_counter()
    attempt = await perform(quiet if plain else quiet_too)
    stop.set()
    assert time.perf_counter() - began < 5.0
    assert attempt.failure is not None
    assert (attempt.failure.kind, attempt.failure.code) == ("retry_later", "silent")
    assert attempt.unknown, "nobody knows whether it happened: its effect class decides"
    assert "no heartbeat for 0.1 s" in attempt.failure.message


@pytest.mark.parametrize("plain", [True, False], ids=["plain", "async"])
async def test_a_heart_that_beats_keeps_a_long_call_alive(plain: bool) -> None:
    @us.tool(effect="once", timeout=20.0, heartbeat=0.25)
    def works(call: us.Call) -> int:
        """Half a second, in steps."""
        for _ in range(10):
            time.sleep(0.05)
            call.heartbeat()
        return 1

    @us.tool(effect="once", timeout=20.0, heartbeat=0.25)
    async def works_too(call: us.Call) -> int:
        """Half a second, in steps."""
        for _ in range(10):
            await anyio.sleep(0.05)
            call.heartbeat()
        return 1

    assert (await perform(works if plain else works_too)).value == b"1"


async def test_a_heart_that_beats_does_not_put_off_the_timeout() -> None:
    @us.tool(effect="read", timeout=0.2, heartbeat=10.0)
    async def works(call: us.Call) -> None:
        """For ever."""
        while True:
            await anyio.sleep(0.01)
            call.heartbeat()

    attempt = await perform(works)
    assert attempt.failure is not None
    assert attempt.failure.code == "timeout"


async def test_a_thread_that_was_given_up_on_is_told_at_its_next_heartbeat() -> None:
    told, late = threading.Event(), list[Attempt]()

    @us.tool(effect="once", timeout=0.05)
    def works(call: us.Call) -> None:
        """Until somebody says that it is enough."""
        try:
            while True:
                time.sleep(0.01)
                call.heartbeat()
        finally:
            told.set()

    attempt = await perform(works, on_late=late.append)
    assert attempt.failure is not None
    await until(lambda: bool(late))
    assert told.is_set()
    assert late[0].failure is not None
    assert late[0].unknown


async def test_progress_is_heard_in_the_loop_and_the_newest_counts() -> None:
    heard: list[tuple[str, bool]] = []

    @us.tool(effect="once", timeout=20.0, heartbeat=5.0)
    def works(call: us.Call) -> None:
        """Says much."""
        for n in range(1_000):
            call.heartbeat(f"{n}")
        time.sleep(0.1)

    performer = Performer({AGENT: {"works": works}}, {})
    here = threading.current_thread()
    await performer.perform(
        started(works), None, lambda text: heard.append((text, threading.current_thread() is here)), lambda _: None
    )
    assert heard[-1] == ("999", True)
    assert len(heard) <= 1_000


async def test_watchers_see_the_progress_of_tools_and_workers() -> None:
    async def work(call: us.Call, objective: str) -> str:
        call.heartbeat(f"reading {objective}")
        await anyio.lowlevel.checkpoint()
        return objective

    worker = us.Worker("worker", work, heartbeat=5.0)
    async with us.System(worker) as system, system.watch() as seen:
        result = await system.run(worker, "tides")
        assert result.output == "tides"
        things = [seen.receive_nowait() for _ in range(seen.statistics().current_buffer_used)]
        deltas = [thing for thing in things if isinstance(thing, us.Delta)]
        assert [(delta.text, delta.tool) for delta in deltas] == [("reading tides", "worker")]


async def test_a_heartbeat_whose_text_is_none_fails_its_call_and_nothing_else() -> None:
    @us.tool(effect="once", timeout=20.0)
    def works(call: us.Call) -> None:
        """Says a number."""
        call.heartbeat(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    attempt = await perform(works)
    assert attempt.failure is not None
    assert "call.heartbeat(3)" in attempt.failure.message


def test_a_heartbeat_without_a_call_to_beat_it_with_is_refused() -> None:
    with pytest.raises(us.DefinitionError, match="nothing to beat it with"):

        @us.tool(effect="read", heartbeat=1.0)
        def quiet() -> None:
            """Nothing."""


@pytest.mark.parametrize("bad", [0, -1.0, True, "1"])
def test_a_heartbeat_that_is_no_time_is_refused(bad: Any) -> None:
    with pytest.raises(us.DefinitionError, match="heartbeat"):

        @us.tool(effect="read", heartbeat=bad)
        def quiet(call: us.Call) -> None:
            """Nothing."""


async def test_a_silent_once_call_is_in_doubt() -> None:
    async def work(call: us.Call, objective: str) -> str:
        await anyio.sleep(20)
        return objective

    worker = us.Worker("worker", work, effect="once", heartbeat=0.1)
    async with us.System(worker) as system:
        result = await system.run(worker, "pay")
        (item,) = result.waiting
        assert item.kind == "in_doubt"
        assert item.failure is not None
        assert item.failure.code == "silent"


def test_called_directly_a_heartbeat_is_heard_by_nobody() -> None:
    @us.tool(effect="read", heartbeat=1.0)
    def works(call: us.Call) -> int:
        """Beats."""
        call.heartbeat("half")
        return 1

    assert works() == 1


# -- leaks --------------------------------------------------------------------------------------------------------------


def deaf(release: threading.Event, *, plain: bool) -> Tool[..., Any]:
    """A tool that goes on, whatever it is told."""

    @us.tool(effect="once", timeout=0.05)
    def thread() -> None:
        """Hangs."""
        release.wait(20)

    @us.tool(effect="once", timeout=0.05)
    async def task() -> None:
        """Swallows its cancellation."""
        while not release.is_set():
            with contextlib.suppress(BaseException):
                await anyio.sleep(0.01)

    return thread if plain else task


@pytest.mark.parametrize("plain", [True, False], ids=["thread", "task"])
async def test_what_goes_on_after_its_timeout_is_reported_as_leaked_until_it_ends(plain: bool) -> None:
    release, tool = threading.Event(), None
    tool = deaf(release, plain=plain)
    performer, leaks = Performer({AGENT: {tool.spec.name: tool}}, {}), list[Any]()
    performer.on_leak = leaks.append
    effect = started(tool)
    attempt = await performer.perform(effect, None, lambda _: None, lambda _: None)
    assert attempt.failure is not None
    assert attempt.failure.code == "timeout"
    assert attempt.failure.cause is not None
    assert attempt.failure.cause.code == "leaked"
    assert effect.stream in attempt.failure.cause.message
    assert tool.spec.name in attempt.failure.cause.message
    (leak,) = leaks
    assert (leak.tool, leak.actor, leak.how) == (tool.spec.name, effect.stream, "thread" if plain else "task")
    assert list(performer.leaks.values()) == leaks
    release.set()
    await until(lambda: not performer.leaks)


@pytest.mark.parametrize("plain", [True, False], ids=["thread", "task"])
async def test_a_system_closes_in_time_over_a_call_that_does_not_end_and_says_so(plain: bool, tmp_path: Any) -> None:
    release, begun = threading.Event(), threading.Event()

    async def task(objective: str) -> str:
        begun.set()
        while not release.is_set():
            with contextlib.suppress(BaseException):
                await anyio.sleep(0.01)
        return "late"

    def thread(objective: str) -> str:
        begun.set()
        release.wait(30)
        return "late"

    worker = us.Worker("deaf", thread, effect="once") if plain else us.Worker("deaf", task, effect="once")
    path = tmp_path / "us.db"
    try:
        system = us.System(worker, journal=path, drain=0.1)
        async with system:
            await system.submit("deaf", us.Task("x"), id="1")
            await until(begun.is_set)
            began = time.perf_counter()
        assert time.perf_counter() - began < 4.0
        (leak,) = system.stats().leaked
        assert (leak.actor, leak.tool) == ("deaf/1", "deaf")
        async with us.System(worker, journal=path) as again:
            notes = [row for row in await again.rows("system") if b"leaked" in bytes(row.payload)]
            assert notes
            assert b"deaf of deaf/1 was given up on and goes on" in bytes(notes[0].payload)
            await again.rest()  # until its actor is in memory again
            (item,) = again.inbox()
            assert item.kind == "in_doubt"
    finally:
        release.set()


# -- exception groups ---------------------------------------------------------------------------------------------------


async def test_a_real_error_beside_our_cancellation_is_told() -> None:
    @us.tool(effect="once", timeout=0.1)
    async def grouped() -> None:
        """Two siblings; one raises when it is cancelled."""

        async def hangs() -> None:
            try:
                await asyncio.sleep(20)
            finally:
                raise ValueError("could not roll back")

        async with asyncio.TaskGroup() as group:
            group.create_task(hangs())
            group.create_task(asyncio.sleep(20))

    heard: list[Attempt] = []
    attempt = await perform(grouped, on_late=heard.append)
    assert attempt.failure is not None
    assert attempt.failure.code == "timeout"
    assert any("ValueError: could not roll back" in link.message for link in attempt.failure.chain())
    assert not heard, "one outcome, not two"


async def test_the_errors_in_a_group_are_its_causes_and_cancellations_are_left_out() -> None:
    @us.tool(effect="once")
    async def grouped() -> None:
        """Fails in two ways."""
        inner = ExceptionGroup("inner", [KeyError("one")])
        raise BaseExceptionGroup("outer", [asyncio.CancelledError(), inner, OSError("two")]) from TypeError("below")

    attempt = await perform(grouped)
    assert attempt.failure is not None
    said = [link.message for link in attempt.failure.chain()]
    assert said == [
        "BaseExceptionGroup: outer (3 sub-exceptions)",
        "KeyError: 'one'",
        "OSError: two",
        "TypeError: below",
    ]


def test_causes_of_a_group_are_bounded() -> None:
    many = ExceptionGroup("many", [ValueError(str(n)) for n in range(1_000)])
    assert len(of_exception(many).chain()) <= 17


def test_a_group_of_cancellations_only_is_a_cancellation() -> None:
    only = BaseExceptionGroup("x", [asyncio.CancelledError()])
    assert [type(leaf) for leaf in leaves(only)] == [asyncio.CancelledError]


@pytest.mark.parametrize("grouped", [False, True])
def test_ctrl_c_in_a_coroutine_is_nobodys_failure(grouped: bool) -> None:
    @us.tool(effect="once")
    async def interrupted() -> None:
        """Somebody presses Ctrl-C."""
        raise BaseExceptionGroup("g", [ValueError("x"), KeyboardInterrupt()]) if grouped else KeyboardInterrupt()

    async def run() -> None:
        await perform(interrupted)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(run())


def test_ctrl_c_is_found_in_groups_in_groups() -> None:
    nested = BaseExceptionGroup("a", [ValueError("x"), BaseExceptionGroup("b", [KeyboardInterrupt()])])
    assert isinstance(interruption(nested), KeyboardInterrupt)
    assert interruption(ValueError("x")) is None


def test_ctrl_c_in_a_group_that_a_turn_raises_ends_the_program() -> None:
    class Ping(us.Request[int]):
        pass

    class Interrupted(us.Actor):
        class State(us.State):
            pass

        @us.handles(Ping)
        def ping(self, turn: us.Turn[State], msg: Ping) -> int:
            raise BaseExceptionGroup("g", [ValueError("x"), KeyboardInterrupt()])

    node = Simulated(us.Supervisor("s", [us.Child("one", Interrupted)]))
    node.ask("one", Ping())
    with pytest.raises(KeyboardInterrupt):
        node.rest()


@pytest.mark.parametrize("bad", [0, -1.0, True, "1", None, float("nan")])
def test_a_timeout_that_is_no_time_is_refused(bad: Any) -> None:
    with pytest.raises(us.DefinitionError, match="timeout"):

        @us.tool(effect="read", timeout=bad)
        def quiet() -> None:
            """Nothing."""
