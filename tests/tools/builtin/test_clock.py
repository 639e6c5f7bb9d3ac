"""``us.builtin.clock`` and ``us.builtin.delegate``: inside an agent."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

import understudy as us
from tests.tools.intents import AGENT
from tests.tools.test_perform import started
from understudy.tools.models.scripted import call
from understudy.tools.perform import Performer


async def asked(zone: str, at: float) -> Any:
    clock = us.builtin.clock()
    made = started(clock, {"zone": zone}, at=at)
    return await Performer({AGENT: {"clock": clock}}, {}).perform(made, None, lambda _: None, lambda _: None)


async def test_the_clock_says_when_it_was_asked_however_often_and_late() -> None:
    for _ in range(2):
        attempt = await asked("Europe/Oslo", 1_000_000_000.0)
        assert msgspec.json.decode(attempt.value) == {
            "text": "2001-09-09T03:46:40+02:00",
            "weekday": "Sunday",
            "unix": 1_000_000_000.0,
        }


@pytest.mark.parametrize("zone", ["Mars/Base", "../../etc/passwd", "/etc/localtime", "", "\0"])
async def test_a_zone_that_is_none_is_refused(zone: str) -> None:
    attempt = await asked(zone, 1.0)
    assert attempt.failure.kind == "change_arguments"


def test_directly_it_says_what_time_it_is_now() -> None:
    assert abs(us.builtin.clock()().unix - time.time()) < 60


async def test_a_task_is_delegated_to_who_is_named_and_nobody_else() -> None:
    counter = us.Agent("counter", "Count.", model=us.Scripted("Seven."))
    other = us.Agent("other", "Never.", model=us.Scripted("Never."))
    script: list[Any] = [
        call("delegate", to="other", objective="Count the sheep"),
        call("delegate", to="counter", objective="Count the sheep"),
        "Seven, says the counter.",
    ]
    writer = us.Agent("writer", "Write.", model=us.Scripted(*script), tools=[us.builtin.delegate(to=["counter"])])
    desk = us.Supervisor("desk", [writer, counter, other], route=lambda _: "writer")
    async with us.System(desk) as system:
        result = await system.run(desk, "How many sheep?", timeout=30)
        actors = [line.address for line in await system.actors("desk")]
    assert result.output == "Seven, says the counter."
    assert any("counter" in address for address in actors)
    assert not any("other" in address for address in actors)


@pytest.mark.parametrize("to", [[], "counter", ["a/b"], [""], [3]])
def test_nobody_and_what_is_no_name_cannot_be_delegated_to(to: Any) -> None:
    with pytest.raises(us.DefinitionError):
        us.builtin.delegate(to=to)


async def test_a_task_that_is_delegated_back_is_named_as_a_circle_and_who_it_is_for_goes_with_it() -> None:
    def agent(name: str, other: str, *script: Any) -> us.Agent[str]:
        model = us.Scripted(call("delegate", to=other, objective="Count the sheep"), *script)
        return us.Agent(name, "Work.", model=model, tools=[us.builtin.delegate(to=[other])])

    writer, counter = agent("writer", "counter", "I could not."), agent("counter", "writer", "It came back.")
    desk = us.Supervisor("desk", [writer, counter], route=lambda _: "writer")
    async with us.System(desk) as system:
        assert (await system.run(desk, us.Task("Sheep", user="ada"), id="r", timeout=30)).output == "I could not."
        (address,) = [line.address for line in await system.actors("desk/r") if "counter" in line.address]
        rows = b"".join(bytes(row.payload) for row in await system.rows(address))
        await system.rest()
    assert b"delegation_cycle" in rows
    assert b'"ada"' in rows
