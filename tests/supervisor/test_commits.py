"""Group commit: the kernel runs on while a batch is on its way to the medium, and nothing leaves before it is there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import understudy as us
from tests.actors.crew import Actor, Add
from understudy.protocols.errors import JournalFull
from understudy.protocols.journal import Batch
from understudy.supervisor import commits, pump
from understudy.supervisor.deadlines import Deadlines
from understudy.supervisor.waiter import Waiter

Append = Callable[[Batch], Awaitable[None]]


class Held:
    """Appends that wait until they are let go; those after the first ``free`` ones."""

    def __init__(self, append: Append, free: int = 0) -> None:
        self.batches: list[Batch] = []
        self.gate = anyio.Event()
        self.failing = 0
        self._append, self._free = append, free

    async def __call__(self, batch: Batch) -> None:
        self.batches.append(batch)
        if len(self.batches) > self._free:
            await self.gate.wait()
        if self.failing:
            self.failing -= 1
            raise JournalFull("planted")
        await self._append(batch)


async def _until(true: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not true():
            await anyio.lowlevel.checkpoint()


@pytest.fixture
def system(tmp_path: Path) -> us.System:
    return us.System(us.Child("a/{name}", Actor), journal=tmp_path / "a.db", control=False)


def asking(system: us.System) -> tuple[Callable[[int], Coroutine[Any, Any, None]], list[int]]:
    """Adds a number when it is called, and the answers so far."""
    answers: list[int] = []

    async def ask(n: int) -> None:
        answers.append(await system.ask("a/ada", Add(n), timeout=20))

    return ask, answers


async def test_turns_run_on_while_an_append_is_under_way_and_make_up_the_next_group(
    system: us.System, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with system, anyio.create_task_group() as tasks:
        ask, answers = asking(system)
        held = Held(system._shell.journal.append)
        await system.ask("a/ada", Add(0), timeout=20)  # it is in memory
        monkeypatch.setattr(system._shell.journal, "append", held)
        tasks.start_soon(ask, 1)
        await _until(lambda: len(held.batches) == 1)
        for n in range(2, 5):
            tasks.start_soon(ask, n)
        await _until(lambda: system._shell.kernel.sets.waiting_rows == 3)
        assert answers == [], "nobody is told before it is durable"
        assert len(held.batches) == 1
        held.gate.set()
        await _until(lambda: len(answers) == 4)
        assert [len(batch.rows) for batch in held.batches] == [1, 3]
        assert sorted(answers) == [1, 3, 6, 10]


async def test_what_ran_ahead_of_an_append_that_fails_is_run_again_and_answered_once(
    system: us.System, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with system, anyio.create_task_group() as tasks:
        ask, answers = asking(system)
        held = Held(system._shell.journal.append)
        await system.ask("a/ada", Add(0), timeout=20)
        monkeypatch.setattr(system._shell.journal, "append", held)
        held.failing = 1
        tasks.start_soon(ask, 1)
        await _until(lambda: len(held.batches) == 1)
        tasks.start_soon(ask, 2)
        await _until(lambda: system._shell.kernel.sets.waiting_rows == 1)
        held.gate.set()
        await _until(lambda: len(answers) == 2)
        assert sorted(answers) == [1, 3]
        assert await system.ask("a/ada", Add(0), timeout=20) == 3, "each was added once"


async def test_the_kernel_waits_for_the_journal_when_it_is_too_far_ahead(
    system: us.System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits, "ROWS_AHEAD", 3)
    held = Held(system._shell.journal.append)
    async with system, anyio.create_task_group() as tasks:
        await system.ask("a/ada", Add(0), timeout=20)
        monkeypatch.setattr(system._shell.journal, "append", held)
        tasks.start_soon(system.tell, "a/ada", Add(1))
        await _until(lambda: len(held.batches) == 1)
        for _ in range(9):
            tasks.start_soon(system.tell, "a/ada", Add(1))
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
        assert system._shell.kernel.sets.waiting_rows == 4, "the first turn past the bound is the last"
        held.gate.set()
    assert [row.kind for batch in held.batches for row in batch.rows].count("turn") == 10


async def kinds_of_two_hundred(system: us.System, patch: pytest.MonkeyPatch, taken_in: float) -> list[str]:
    """What rows two hundred messages at once become, in groups of eight, where mail may wait so long for its turn."""
    patch.setattr(pump, "GROUP", 8)
    patch.setattr(pump, "AT_ONCE", 0.0)
    patch.setattr(commits, "TAKEN_IN", taken_in)
    async with system:
        await system.ask("a/ada", Add(0), timeout=20)
        async with anyio.create_task_group() as tasks:
            for _ in range(200):
                tasks.start_soon(system.tell, "a/ada", Add(1))
        await system.rest()
        return [row.kind for row in await system.rows("a/ada")]


async def test_mail_that_a_turn_will_take_soon_gets_no_row_of_its_own(
    system: us.System, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = await kinds_of_two_hundred(system, monkeypatch, taken_in=60.0)
    assert kinds == ["turn"] * 201


async def test_mail_that_waits_too_long_for_its_turn_is_taken_in_and_acknowledged(
    system: us.System, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = await kinds_of_two_hundred(system, monkeypatch, taken_in=0.0)
    assert kinds.count("turn") == 201
    assert kinds.count("accepted") > 0


async def test_a_wait_that_is_cancelled_ends_and_a_message_with_a_key_is_handled_all_the_same(
    system: us.System,
) -> None:
    async with system:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await system.ask("a/ada", Add(1), key="one", timeout=20)
        assert scope.cancelled_caught
        assert system._shell.deadlines._waits == {}
        with pytest.raises(TimeoutError):
            with anyio.fail_after(0):
                await system.ask("a/ada", Add(1), key="two", timeout=20)
        assert await system.ask("a/ada", Add(0), timeout=20) == 2


async def test_an_ask_that_takes_too_long_fails_as_a_timeout_and_others_go_on(
    system: us.System, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with system:
        await system.ask("a/ada", Add(0), timeout=20)
        held = Held(system._shell.journal.append)
        monkeypatch.setattr(system._shell.journal, "append", held)
        with pytest.raises(us.AskFailed) as caught:
            await system.ask("a/ada", Add(1), timeout=0.01)
        assert (caught.value.failure.code, caught.value.failure.kind) == ("timeout", "retry_later")
        with pytest.raises(ValueError, match="is no time"):
            await system.ask("a/ada", Add(1), timeout=float("nan"))
        held.gate.set()
        assert await system.ask("a/ada", Add(2), timeout=20) == 3


async def test_deadlines_expire_in_their_order_whatever_order_they_were_made_in() -> None:
    deadlines, late, waiters = Deadlines(), list[str](), {name: Waiter() for name in "abcd"}

    async def wait(name: str) -> None:
        with pytest.raises(TimeoutError):
            await waiters[name].wait()
        late.append(name)

    async with anyio.create_task_group() as tasks:
        for name, seconds in (("a", 0.03), ("b", 0.01), ("c", 0.02), ("d", 60.0)):
            deadlines.add(seconds, waiters[name])
            if name != "d":
                tasks.start_soon(wait, name)
    assert late == ["b", "c", "a"]
    deadlines.drop(60.0, waiters["d"])
    assert not waiters["d"].woken
    assert deadlines._waits == {}
    deadlines.close()
