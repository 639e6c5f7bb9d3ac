"""Threads that were given up on: a timeout does not stop them, and nothing else begins beside them."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import understudy as us
from tests.tools.intents import AGENT
from tests.tools.test_perform import started
from understudy.protocols.effects import Attempt
from understudy.tools.perform import Performer
from understudy.tools.threads import in_thread


class Held:
    """A plain tool whose calls wait until they are let go."""

    def __init__(self, cls: Any) -> None:
        self.began: list[int] = []
        self.let_go = threading.Event()
        self.late = list[Attempt]()
        self._told = anyio.Event()

        @us.tool(effect=cls, timeout=0.02)
        def hold(call: us.Call) -> str:
            """Hold."""
            self.began.append(call.attempt)
            self.let_go.wait(10)
            return f"attempt {call.attempt}"

        if cls == "reconcilable":
            hold.reconcile(lambda key: us.NOT_DONE)
        self.tool = hold
        self._performer = Performer({AGENT: {"hold": hold}}, {})

    async def attempt(self, number: int) -> Attempt:
        """Perform this attempt at one and the same effect."""
        made = started(self.tool, attempt=number)
        return await self._performer.perform(made, None, lambda _: None, self._on_late)

    async def end(self) -> None:
        """Let go, and wait for what is told late."""
        self.let_go.set()
        with anyio.fail_after(5):
            await self._told.wait()

    def _on_late(self, attempt: Attempt) -> None:
        self.late.append(attempt)
        self._told.set()


@pytest.mark.parametrize("cls", ["idempotent", "reconcilable", "once"])
async def test_while_a_thread_that_was_given_up_on_still_runs_no_other_attempt_begins(cls: str) -> None:
    held = Held(cls)
    first, second, third = [await held.attempt(number) for number in (1, 2, 3)]
    assert first.failure is not None
    assert first.failure.code == "timeout"
    assert second == third
    assert second.failure is not None
    assert (second.failure.kind, second.failure.code, second.unknown) == ("retry_later", "still_running", True)
    assert held.began == [1]
    await held.end()
    assert held.late == [Attempt(value=b'"attempt 1"')]


async def test_when_the_thread_that_was_given_up_on_has_ended_the_next_attempt_is_made() -> None:
    held = Held("idempotent")
    await held.attempt(1)
    await held.end()
    assert (await held.attempt(2)).value == b'"attempt 2"'
    assert held.began == [1, 2]


async def test_a_read_that_hangs_does_not_keep_the_next_one_from_being_made() -> None:
    held = Held("read")
    await held.attempt(1)
    held.let_go.set()
    assert (await held.attempt(2)).value == b'"attempt 2"'


async def test_a_thread_that_ends_in_the_moment_of_its_timeout_is_told_late_and_not_remembered() -> None:
    late, left = list[str](), list[str]()
    let_go, ended = threading.Event(), threading.Event()

    def work() -> str:
        let_go.wait(10)
        ended.set()
        return "done"

    async with anyio.create_task_group() as tasks:

        async def call() -> None:
            await in_thread(work, "worker", late.append, lambda: left.append("left"))

        tasks.start_soon(call)
        await anyio.lowlevel.checkpoint()
        (worker,) = [thread for thread in threading.enumerate() if thread.name == "worker"]
        let_go.set()
        worker.join(5)  # its result waits for the loop, which this test holds
        tasks.cancel_scope.cancel()
    assert ended.is_set()
    assert late == ["done"]
    assert left == []
