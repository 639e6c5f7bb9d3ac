"""What a memory-only actor does not take is refused to its sender, and costs it and its other askers nothing."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.lowlevel
import pytest

import understudy as us
from tests.actors.crew import Add, Unhandled
from tests.actors.fleet import Listed, Pass, Stop, team
from understudy.actors.cell import read_record
from understudy.protocols.errors import AskFailed, DefinitionError


@pytest.mark.parametrize("thing", [5, "text", None, Add])
async def test_what_is_no_message_is_refused_at_the_door(thing: Any) -> None:
    async with us.System(team()) as system:
        assert await system.ask("m/a", Add(7)) == 7
        with pytest.raises(TypeError, match=r"no us\.Message"):
            await system.tell("m/a", thing)
        with pytest.raises(TypeError, match=r"no us\.Message"):
            await system.ask("m/a", thing)
        assert await system.ask("m/a", Add(0)) == 7


async def test_a_message_that_it_does_not_handle_is_refused_and_wipes_nothing() -> None:
    heard: list[str] = []

    async def keep() -> None:
        heard.append(await system.ask("m/a", Pass("", "keep")))

    async with us.System(team()) as system, anyio.create_task_group() as tasks:
        assert await system.ask("m/a", Add(7)) == 7
        tasks.start_soon(keep)
        await anyio.lowlevel.checkpoint()
        for send in (system.ask, system.tell):
            with pytest.raises(AskFailed) as caught:
                await send("m/a", Unhandled())
            assert caught.value.failure.code == "unhandled"
        assert await system.ask("m/a", Add(0)) == 7
        assert await system.ask("m/a", Pass("", "release")) == "released"
    assert heard == ["at last"]


async def test_one_from_inside_is_a_counted_dead_letter() -> None:
    class Teller(us.Actor):
        durable = False

        @us.handles(Add)
        def add(self, turn: us.Turn[us.State], msg: Add) -> int:
            turn.tell("s/a", Stop())
            return 0

    async with us.System(team(), us.Child("x", Teller)) as system:
        assert await system.ask("s/a", Listed()) == ("started",)
        await system.ask("x", Add(1))
        await system.rest()
        assert await system.ask("s/a", Listed()) == ("started",)
        assert system.stats().dead_letters == {"unhandled": 1}


@pytest.mark.parametrize("how", ["1", "forward"])
async def test_what_it_asks_a_durable_actor_inherits_the_deadline(how: str) -> None:
    async with us.System(team()) as system:
        now = system._shell.clock.now()
        await system.ask("m/a", Pass("d/b", how), timeout=30.0)
        (row,) = await system.rows("d/b")
        message = read_record(row).message
        assert message is not None
        assert message.reply_to is not None
        assert message.reply_to.deadline is not None
        assert now + 30.0 <= message.reply_to.deadline < now + 60.0


def test_one_that_handles_cancel_is_refused_when_it_is_defined() -> None:
    with pytest.raises(DefinitionError, match=r"us\.Cancel"):

        class Told(us.Actor):  # pyright: ignore[reportUnusedClass]
            durable = False

            @us.handles(us.Cancel)
            def cancel(self, turn: us.Turn[us.State], msg: us.Cancel) -> None: ...
