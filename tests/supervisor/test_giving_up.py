"""Asks from outside on a real system: deadlines, giving up, backpressure, and the counters that a user can read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

import understudy as us
from tests.actors.post import Clerk, Do, Fetch, Say, lookup
from understudy.protocols.ids import Address
from understudy.supervisor import pump


def team(clerk: type[Clerk] = Clerk) -> us.Supervisor:
    return us.Supervisor("post", [us.Child("p/{name}", clerk, tools=[lookup])])


async def until(done: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(20):
        while not await done():
            await anyio.lowlevel.checkpoint()


async def held(system: us.System, address: str) -> bool:
    return bool(system._shell.kernel._cells[Address(address)].memory.askers)


@pytest.mark.parametrize("how", ["timeout", "cancelled"])
async def test_when_the_caller_gives_up_the_chain_is_cancelled_and_a_late_answer_is_counted(
    tmp_path: Path, how: str
) -> None:
    async with us.System(team(), journal=tmp_path / "a.db") as system:
        if how == "timeout":
            with pytest.raises(us.AskFailed, match="timeout"):
                await system.ask("p/ada", Do("ask", "p/bob"), timeout=0.2)
        else:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(system.ask, "p/ada", Do("ask", "p/bob"))

                async def asked() -> bool:
                    cells = system._shell.kernel._cells
                    return Address("p/bob") in cells and await held(system, "p/bob")

                await until(asked)
                tasks.cancel_scope.cancel()

        async def over() -> bool:
            return not await held(system, "p/ada") and not await held(system, "p/bob")

        await until(over)
        assert system.stats().late_replies == 0
        await system.ask("p/bob", Do("answer", text="late"))
        stats = system.stats()
        assert stats.late_replies == 1
        assert stats.late_by_actor == {"p/bob": 1}
        assert stats.actors >= 2


async def test_an_ask_with_a_key_goes_on_without_its_caller_and_is_answered_when_it_comes_back(tmp_path: Path) -> None:
    async with us.System(team(), journal=tmp_path / "a.db") as system:
        with pytest.raises(us.AskFailed, match="timeout"):
            await system.ask("p/ada", Do("ask", "p/bob"), timeout=0.1, key="k")
        await system.ask("p/bob", Do("answer", text="here"))
        assert await system.ask("p/ada", Do("ask", "p/bob"), key="k", timeout=20) == "here"


async def test_every_path_fails_at_once_with_a_typed_reason() -> None:
    async with us.System(
        us.Supervisor("post", [us.Child("p/{name}", Clerk, tools=[lookup])], intensity=us.Intensity(max_restarts=0))
    ) as system:

        async def code(to: str, request: us.Request[str]) -> str:
            with anyio.fail_after(10), pytest.raises(us.AskFailed) as failed:
                await system.ask(to, request, timeout=None)
            return failed.value.failure.code

        assert await code("nobody/there", Fetch("x")) == "no_such_actor"
        assert await code("p/eve", Do("raise")) == "crashed"
        (item,) = system.inbox()
        await system.reject(item.id, "enough")
        assert await code("p/eve", Fetch("x")) == "stopped"
        await system.ask("p/ada", Do("stop"))
        assert await code("p/ada", Fetch("x")) == "finished"
        assert await system.ask("p/ada", Do("stop")) == "stop", "the recorded answer"


async def test_a_sender_outside_waits_for_room_and_all_is_taken_in_order() -> None:
    class Small(Clerk):
        mailbox = us.MailboxPolicy(bound=2)

    async with us.System(team(Small)) as system:
        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(system.tell, "p/ada", Say(str(number)))
        rows = await system.rows("p/ada")
        assert sum(row.kind == "turn" for row in rows) + len(system._shell.kernel.sets.mail) >= 50
        await system.rest()
        state = system._shell.kernel._cells[Address("p/ada")].state
        assert isinstance(state, Clerk.State)
        assert state.heard == tuple(map(str, range(50)))


async def test_priorities_and_bad_ones() -> None:
    async with us.System(team()) as system:
        await system.tell("p/ada", Say("x"), priority=3)
        assert await system.ask("p/ada", Fetch("y"), priority=-2) == "here is y"
        with pytest.raises(TypeError, match="whole number"):
            await system.ask("p/ada", Fetch("y"), priority=0.5)  # type: ignore[arg-type]


async def test_the_loop_has_its_turn_after_five_milliseconds_of_slow_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    time = [0.0]

    class Slow(Clerk):
        @us.handles(Say)
        def say(self, turn: us.Turn[Clerk.State], msg: Say) -> None:
            time[0] += 0.002

    monkeypatch.setattr(pump, "perf_counter", lambda: time[0])
    async with us.System(team(Slow)) as system:
        step, longest = system._shell.kernel.step, [0.0]

        def timed(now: float, turns: int = 32, enough: Callable[[], bool] | None = None) -> bool:
            began = time[0]
            more = step(now, turns, enough)
            longest[0] = max(longest[0], time[0] - began)
            return more

        monkeypatch.setattr(system._shell.kernel, "step", timed)
        await system.ask("p/eve", Do("flood", "p/ada", priority=100))
        await system.rest()
    assert time[0] == pytest.approx(0.2)
    assert longest[0] == pytest.approx(0.006), "not all of them in one go"
