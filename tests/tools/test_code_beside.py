"""Code that a tool brings beside its function: its transformer and its reconcile function. Whatever they raise, and if they never end,
it is one call that suffers."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import anyio
import pytest

import understudy as us
from tests.tools import apart
from tests.tools.test_perform import perform
from understudy.testing import Simulated
from understudy.tools.models.scripted import call
from understudy.tools.tool import Tool


class Last(BaseException):
    """No Exception at all."""


RAISED = pytest.mark.parametrize(
    "error", [SystemExit(3), Last("last"), asyncio.CancelledError("x"), GeneratorExit("x")], ids=repr
)
EVERYWHERE = pytest.mark.parametrize("isolation", ["thread", "task", "process"])


async def here() -> str:
    """Say."""
    return "said"


def acting(isolation: Any, transform: Any) -> Tool[..., Any]:
    function: Any = {"thread": apart.said, "task": here, "process": apart.said}[isolation]
    make: Any = us.tool(effect="once", isolation=isolation, transform=transform, name="acting")
    made: Tool[..., Any] = make(function)
    return made


@EVERYWHERE
@RAISED
async def test_whatever_a_transformer_raises_the_call_has_happened(isolation: str, error: BaseException) -> None:
    def bad(text: str) -> str:
        raise error

    attempt = await perform(acting(isolation, bad))
    assert attempt.failure is not None
    assert (attempt.failure.code, attempt.unknown) == ("transform_failed", False)


async def test_the_transformer_of_a_call_in_a_process_does_not_hold_the_loop() -> None:
    where: list[bool] = []

    def looks(text: str) -> str:
        where.append(threading.current_thread() is threading.main_thread())
        return text.upper()

    assert (await perform(acting("process", looks))).value == b'"SAID"'
    assert where == [False]


async def test_a_transformer_that_blocks_the_loop_is_broken_off_with_its_call() -> None:
    def spins(text: str) -> str:
        while True:
            pass

    @us.tool(effect="read", transform=spins, retry=us.Retry(attempts=1))
    async def look() -> str:
        """Look."""
        return "seen"

    with us.Scripted(call("look"), "done") as model:
        agent = us.Agent("looker", "Look.", model=model, tools=[look])
        async with us.System(agent, watchdog=0.2) as system:
            with anyio.fail_after(60):
                assert (await system.run(agent, "look")).output == "done"
    assert '"code":"blocked"' in model.requests[1].messages[-1].text


@pytest.mark.parametrize("plain", [True, False], ids=["plain", "async"])
@RAISED
async def test_whatever_a_reconcile_function_raises_nothing_is_known(error: BaseException, plain: bool) -> None:
    @us.tool(effect="reconcilable")
    def act() -> str:
        """Act."""
        raise AssertionError

    if plain:

        @act.reconcile
        def found(key: str) -> str:
            raise error

    else:

        @act.reconcile
        async def found_later(key: str) -> str:
            raise error

    attempt = await perform(act, attempt=2)
    assert attempt.failure is not None
    assert (attempt.failure.kind, attempt.unknown) == ("retry_later", True)
    assert type(error).__name__ in attempt.failure.message


async def test_a_reconcile_function_that_swallows_its_cancellation_holds_nobody() -> None:
    end = anyio.Event()

    @us.tool(effect="reconcilable", timeout=0.1)
    def act() -> str:
        """Act."""
        raise AssertionError

    @act.reconcile
    async def found(key: str) -> str:
        while not end.is_set():
            try:
                await end.wait()
            except asyncio.CancelledError:
                continue
        return "done"

    with anyio.fail_after(20):
        attempt = await perform(act, attempt=2)
    assert attempt.failure is not None
    assert (attempt.failure.code, attempt.unknown) == ("timeout", True)
    end.set()
    await asyncio.sleep(0)


class Do(us.Request[str]):
    pass


def test_an_async_reconcile_function_is_asked_in_a_simulation_too() -> None:
    done: list[str] = []

    @us.tool(effect="reconcilable")
    async def book(call: us.Call) -> str:
        """Book."""
        done.append(call.key)
        return "booked"

    @book.reconcile
    async def found(key: str) -> str | us.NotDone:
        return "found" if key in done else us.NOT_DONE

    class Clerk(us.Actor):
        @us.handles(Do)
        def do(self, turn: us.Turn[us.State], msg: Do) -> us.Later[str]:
            later = turn.later(msg)
            turn.call(book, tag=later)
            return later

        @us.settles(book)
        def did(self, turn: us.Turn[us.State], outcome: us.Outcome[str]) -> None:
            turn.reply(outcome.tag, outcome.value)

    node = Simulated(us.Child("clerk", Clerk, tools=[book]))
    sent = node.ask("clerk", Do(), key="k")
    while not done:
        assert node.step()
    node.crash()
    node.again(sent)
    node.rest()
    assert sent.reply is not None
    assert (bytes(sent.reply.value), len(done)) == (b'"found"', 1)
