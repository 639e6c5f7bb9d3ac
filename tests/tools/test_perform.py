"""The performing half: one attempt, its timeout, and what it came to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import anyio
import msgspec
import pytest

import understudy as us
from tests.tools.intents import AGENT, call, effect, gate
from understudy.protocols.counters import Counters
from understudy.protocols.effects import Attempt, Effect
from understudy.protocols.tool import MAX_RESULT
from understudy.tools.perform import Performer
from understudy.tools.tool import NotDone, Tool


def started(tool: Tool[..., Any], args: object = None, **more: Any) -> Effect:
    """An effect of this tool that is about to be performed."""
    intent = call(tool.spec.name, args)
    made = effect(intent, gate(tool).admit(intent, Counters(), 0.0))
    return msgspec.structs.replace(made, **{"state": "started", "attempt": 1, **more})


async def perform(tool: Tool[..., Any], args: object = None, on_late: Any = None, **more: Any) -> Attempt:
    performer = Performer({AGENT: {tool.spec.name: tool}}, {})
    return await performer.perform(started(tool, args, **more), None, lambda _: None, on_late or (lambda _: None))


def raising(error: BaseException, *, plain: bool = True) -> Tool[..., Any]:
    """A tool that raises this."""
    if plain:

        @us.tool(effect="idempotent")
        def fails() -> str:
            """Fail."""
            raise error

        return fails

    @us.tool(effect="idempotent")
    async def fails_later() -> str:
        """Fail."""
        raise error

    return fails_later


BOTH = pytest.mark.parametrize("plain", [True, False], ids=["plain", "async"])


async def test_a_plain_function_runs_in_a_thread_and_its_result_is_json() -> None:
    @us.tool(effect="read")
    def where(name: str) -> list[str]:
        """Where."""
        return [name, threading.current_thread().name]

    attempt = await perform(where, {"name": "ada"})
    assert attempt.value is not None
    name, thread = msgspec.json.decode(attempt.value)
    assert name == "ada"
    assert thread != threading.current_thread().name


async def test_an_async_function_runs_in_the_loop() -> None:
    @us.tool(effect="read")
    async def where() -> bool:
        """Where."""
        await asyncio.sleep(0)
        return threading.current_thread() is threading.main_thread()

    assert (await perform(where)).value == b"true"


async def test_it_is_told_its_key_its_attempt_and_its_deadline() -> None:
    @us.tool(effect="idempotent", timeout=7.0)
    def tell(call: us.Call) -> list[str]:
        """Tell."""
        return [call.id, call.key, str(call.attempt), call.run, str(call.deadline)]

    made = started(tell, attempt=3)
    attempt = await perform(tell, attempt=3)
    assert attempt.value is not None
    assert msgspec.json.decode(attempt.value) == [made.id, made.key, "3", "clerk/1", "7.0"]


@BOTH
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (us.RetryNow("x"), "retry_now"),
        (us.RetryLater("x", after=9.0), "retry_later"),
        (us.ChangeArguments("x", hint="y"), "change_arguments"),
        (us.Abandon("x"), "abandon"),
    ],
)
async def test_a_declared_failure_is_known(error: us.Failed, kind: str, plain: bool) -> None:
    attempt = await perform(raising(error, plain=plain))
    assert attempt.failure is not None
    assert attempt.failure.kind == kind
    assert attempt.failure.where
    assert attempt.failure.after == error.failure.after
    assert not attempt.unknown


@BOTH
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("x"), "abandon"),
        (ConnectionResetError("x"), "retry_later"),
        (TimeoutError("x"), "retry_later"),
        (RecursionError("x"), "abandon"),
        (SystemExit(3), "abandon"),
        (asyncio.CancelledError("x"), "abandon"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value,
)
async def test_any_other_exception_ends_the_attempt_only_and_nobody_knows(
    error: BaseException, kind: str, plain: bool
) -> None:
    with anyio.fail_after(5):
        attempt = await perform(raising(error, plain=plain))
    assert attempt.failure is not None
    assert attempt.failure.kind == kind
    assert attempt.unknown
    assert type(error).__name__ in attempt.failure.message


async def test_an_async_tool_that_takes_too_long_is_cancelled() -> None:
    ended: list[str] = []

    @us.tool(effect="once", timeout=0.02)
    async def hang() -> None:
        """Hang."""
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("cancelled")

    attempt = await perform(hang)
    assert attempt.failure is not None
    assert attempt.failure.code == "timeout"
    assert attempt.unknown
    assert ended == ["cancelled"]


async def test_a_thread_that_takes_too_long_is_left_and_its_late_outcome_is_told() -> None:
    let_go, late, told = threading.Event(), list[Attempt](), anyio.Event()

    @us.tool(effect="once", timeout=0.02)
    def hang() -> str:
        """Hang."""
        let_go.wait(10)
        return "done after all"

    def on_late(attempt: Attempt) -> None:
        late.append(attempt)
        told.set()

    attempt = await perform(hang, on_late=on_late)
    assert attempt.failure is not None
    assert attempt.failure.code == "timeout"
    assert late == []
    let_go.set()
    with anyio.fail_after(5):
        await told.wait()
    assert late == [Attempt(value=b'"done after all"')]


async def test_cancelling_an_attempt_from_outside_is_not_an_outcome() -> None:
    @us.tool(effect="read")
    async def hang() -> None:
        """Hang."""
        await anyio.sleep_forever()

    with anyio.move_on_after(0.01) as scope:
        await perform(hang)
        pytest.fail("it was cancelled")
    assert scope.cancelled_caught


async def test_a_result_that_is_not_what_the_tool_declares_is_drift_and_not_tried_again() -> None:
    @us.tool(effect="read")
    def lies() -> int:
        """Lie."""
        return "many"  # type: ignore[return-value]

    @us.tool(effect="read")
    def odd() -> Any:
        """Return what no JSON holds."""
        return object()

    @us.tool(effect="read")
    def pair() -> object:
        """Return what comes back as a list."""
        return (1, 2)

    @us.tool(effect="read")
    def nothing() -> Any:
        """Return what comes back as null."""
        return float("nan")

    for tool in (lies, odd, pair, nothing):
        attempt = await perform(tool)
        assert attempt.failure is not None
        assert (attempt.failure.kind, attempt.failure.code) == ("abandon", "schema_drift")
        assert "ran, but" in attempt.failure.message
        assert not attempt.unknown


async def test_a_result_that_is_too_large_is_refused_with_its_size() -> None:
    @us.tool(effect="read")
    def much(bytes: int) -> str:
        """Say much."""
        return "x" * (bytes - 2)

    assert (await perform(much, {"bytes": MAX_RESULT})).value is not None
    attempt = await perform(much, {"bytes": MAX_RESULT + 1})
    assert attempt.failure is not None
    assert (attempt.failure.kind, attempt.failure.code) == ("change_arguments", "result_too_large")


async def test_a_tool_or_agent_that_this_program_does_not_have_is_named() -> None:
    @us.tool(effect="read")
    def look() -> None:
        """Look."""

    attempt = await Performer({}, {}).perform(started(look), None, lambda _: None, lambda _: None)
    assert attempt.failure is not None
    assert attempt.failure.code == "no_such_tool"


def booking(found: Callable[[str], str | NotDone]) -> tuple[Tool[..., Any], list[str]]:
    """A tool that can be asked what happened, and what was really booked."""
    booked: list[str] = []

    @us.tool(effect="reconcilable")
    def book(call: us.Call) -> str:
        """Book."""
        booked.append(call.key)
        return "booked now"

    book.reconcile(found)
    return book, booked


async def test_a_first_attempt_is_not_asked_about() -> None:
    book, booked = booking(lambda key: pytest.fail("asked"))
    assert (await perform(book)).value == b'"booked now"'
    assert len(booked) == 1


@pytest.mark.parametrize("more", [{"attempt": 2}, {"interrupted": 1}])
async def test_a_later_attempt_asks_what_the_earlier_one_came_to(more: dict[str, int]) -> None:
    book, booked = booking(lambda key: "booked before")
    assert (await perform(book, **more)).value == b'"booked before"'
    assert booked == []
    book, booked = booking(lambda key: us.NOT_DONE)
    assert (await perform(book, **more)).value == b'"booked now"'
    assert len(booked) == 1


async def test_a_reconcile_that_fails_is_asked_again_later_and_the_tool_does_not_run() -> None:
    def down(key: str) -> str:
        raise RuntimeError("down")

    book, booked = booking(down)
    attempt = await perform(book, attempt=2)
    assert attempt.failure is not None
    assert (attempt.failure.kind, attempt.unknown) == ("retry_later", True)
    assert booked == []


async def test_an_async_reconcile_is_awaited() -> None:
    @us.tool(effect="reconcilable")
    async def book() -> str:
        """Book."""
        return "now"

    async def found(key: str) -> str:
        await asyncio.sleep(0)
        return "before"

    book.reconcile(found)
    assert (await perform(book, attempt=2)).value == b'"before"'


async def test_a_reconcilable_tool_without_its_function_is_not_run_again() -> None:
    ran: list[int] = []

    @us.tool(effect="reconcilable")
    def book() -> None:
        """Book."""
        ran.append(1)

    attempt = await perform(book, attempt=2)
    assert attempt.failure is not None
    assert attempt.failure.code == "no_reconcile"
    assert attempt.unknown
    assert ran == []
