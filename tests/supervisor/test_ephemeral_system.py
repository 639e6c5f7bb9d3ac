"""Memory-only actors in a running system: the door from outside."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

import understudy as us
from tests.actors.crew import Add, Note
from tests.actors.fleet import Break, Listed, Memory, Mixed, Pass, team
from understudy.protocols.errors import AskFailed, NotStorable, SystemStopped
from understudy.supervisor.door import BOUND


async def test_it_is_told_and_asked_and_leaves_nothing_in_the_file(tmp_path: Path) -> None:
    async with us.System(team(), journal=tmp_path / "j.db") as system:
        await system.tell("m/a", Note("hello"))
        assert await system.ask("m/a", Add(2)) == 2
        assert await system.ask("m/a", Listed()) == ("hello", "2")
        assert not await system.actors("m")
    async with us.System(team(), journal=tmp_path / "j.db") as system:
        assert await system.ask("m/a", Add(1)) == 1


async def test_it_works_with_durable_ones_both_ways() -> None:
    async with us.System(team()) as system:
        assert await system.ask("m/a", Pass("d/b", "5")) == "got 5"
        assert await system.ask("d/b", Pass("m/a", "3")) == "got 3"
        assert await system.ask("m/a", Pass("d/b", "forward")) == "I am d/b, asked by m/a for m/a"
        assert await system.ask("d/b", Pass("m/a", "forward")) == "I am m/a, asked by d/b for d/b"
        assert await system.ask("m/a", Pass("d/b", "tell")) == "told"
        await system.rest()
        assert await system.ask("d/b", Listed()) == ("from m/a", "5")


async def test_every_ask_ends_with_a_typed_reason() -> None:
    async with us.System(team(intensity=us.Intensity(max_restarts=0))) as system:
        for to, request, code in (
            ("m/a", Add(-1), "rejected"),
            ("m/a", Pass("m/b", "unhandled"), "unhandled"),
            ("m/b", Break(), "crashed"),
            ("m/c/too/deep", Add(1), "no_such_actor"),
        ):
            with pytest.raises(AskFailed) as caught:
                await system.ask(to, request)
            assert caught.value.failure.code == code
        with pytest.raises(AskFailed) as caught:
            await system.ask("m/b", Add(1), timeout=0.01)  # held: its supervisor has given up
        assert caught.value.failure.code == "timeout"
        with pytest.raises(AskFailed) as caught:
            await system.ask("m/a", Pass("", "keep"), timeout=0.0)
        assert caught.value.failure.code == "timeout"
        with pytest.raises(AskFailed) as caught:
            await system.tell("m/a", Note("x"), key="k")
        assert caught.value.failure.code == "no_keys"
        with pytest.raises(NotStorable):
            await system.tell("m/a", Note(5))  # type: ignore[arg-type]


async def test_who_waits_when_the_system_ends_is_told() -> None:
    ended: list[str] = []

    async def wait(system: us.System) -> None:
        try:
            await system.ask("m/a", Pass("", "keep"), timeout=None)
        except SystemStopped:
            ended.append("stopped")

    async with anyio.create_task_group() as tasks, us.System(team()) as system:
        tasks.start_soon(wait, system)
        await system.ask("m/a", Add(1))
        while "m/a" not in system._shell.kernel.memory.cells or not system._shell.memory_door._waiting:
            await anyio.lowlevel.checkpoint()
    assert ended == ["stopped"]
    with pytest.raises(SystemStopped):
        await system.tell("m/a", Note("x"))


async def test_a_teller_that_is_faster_than_the_actor_waits_for_it() -> None:
    async with us.System(team()) as system:
        most = 0
        for _ in range(5 * BOUND):
            await system.tell("m/a", Note("x"))
            most = max(most, len(system._shell.kernel.memory.cells["m/a"].mail or ()))
        assert most == BOUND
        assert len(await system.ask("m/a", Listed())) == 5 * BOUND + 1


async def test_a_caller_that_never_waits_lets_others_run() -> None:
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await anyio.lowlevel.checkpoint()

    async with us.System(team()) as system, anyio.create_task_group() as tasks:
        tasks.start_soon(beat)
        for _ in range(1_000):
            await system.ask("m/a", Add(1))
        assert beats >= 10
        tasks.cancel_scope.cancel()


async def test_what_outsiders_hand_in_and_get_back_is_their_own() -> None:
    async with us.System(team()) as system:
        message = Mixed([1])
        assert await system.ask("m/a", message) == [1, 0]
        assert message.values == [1]


async def test_one_mounted_alone_answers_to_the_root() -> None:
    async with us.System(us.Child("alone", Memory)) as system:
        assert await system.ask("alone", Add(1)) == 1
        with pytest.raises(AskFailed):
            await system.ask("alone", Break())
        assert await system.ask("alone", Add(1)) == 1
