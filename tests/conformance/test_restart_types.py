"""Who is restarted after which end. (OTP: supervisor_SUITE, permanent_normal … temporary_abnormal, temporary_bystander)"""

from __future__ import annotations

from collections.abc import Callable

import pytest

import understudy as us
from tests.conformance.bench import Opens
from tests.conformance.part import Count, Fail, Finish, GiveUp, World, part, team
from understudy.protocols.children import RestartType, Strategy


@pytest.mark.parametrize("end", [Finish, Fail, GiveUp])
async def test_a_permanent_child_is_always_restarted(opens: Opens, world: World, end: Callable[[], us.Message]) -> None:
    async with opens(team(world, part(world, "a", restart="permanent"), "b")) as bench:
        assert await bench.ask("a", Count()) == 1
        await bench.tell("a", end())
        await bench.until(lambda: bench.incarnation("a") == 1)
        assert await bench.ask("a", Count()) == 2
        assert bench.status("team") == {"a": "running", "b": "running"}
        assert len(bench.supervisor("team").window) == 1


async def test_a_transient_child_is_not_restarted_after_it_ended_in_order(open_: Opens, world: World) -> None:
    async with open_(team(world, "a", "b")) as bench:
        await bench.tell("a", Finish())
        await bench.until(lambda: bench.status("team") == {"a": "ended", "b": "running"})
        assert bench.supervisor("team").window == ()
        assert (await bench.refused("a", Count())).code == "finished"


@pytest.mark.parametrize("end", [Fail, GiveUp])
async def test_a_transient_child_is_restarted_after_a_failure(
    opens: Opens, world: World, end: Callable[[], us.Message]
) -> None:
    async with opens(team(world, "a", "b")) as bench:
        await bench.tell("a", end())
        assert await bench.ask("a", Count()) == 1
        assert bench.incarnation("a") == 1


@pytest.mark.parametrize("end", [Finish, Fail, GiveUp])
async def test_a_temporary_child_is_never_restarted_and_its_spec_is_forgotten(
    open_: Opens, world: World, end: Callable[[], us.Message]
) -> None:
    async with open_(team(world, part(world, "a", restart="temporary"), "b", strategy="one_for_all")) as bench:
        await bench.ask("b", Count())
        await bench.tell("a", end())
        await bench.until(lambda: bench.status("team") == {"b": "running"})
        assert (await bench.refused("a", Count())).code in ("finished", "stopped")
        assert bench.supervisor("team").window == ()
        assert bench.incarnation("b") == 0, "nobody goes down with it"


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_temporary_bystander_is_stopped_and_not_brought_back(
    opens: Opens, world: World, strategy: Strategy
) -> None:
    async with opens(team(world, "a", part(world, "b", restart="temporary"), "c", strategy=strategy)) as bench:
        await bench.ask("c", Count())
        await bench.tell("a", Fail())
        await bench.until(lambda: bench.lives()[3:] == ["end c", "end b", "up a", "up c"])
        assert list(bench.status("team")) == ["a", "c"]
        assert (await bench.refused("b", Count())).code == "stopped"


async def test_a_temporary_child_is_started_with_the_next_incarnation_of_its_supervisor_in_its_place(
    opens: Opens, world: World
) -> None:
    """As after ``init``: the definition counts anew."""
    children = [part(world, "a"), part(world, "b", restart="temporary"), part(world, "c")]
    async with opens(team(world, *children, intensity=us.Intensity(0, 1.0))) as bench:
        await bench.ask("c", Count())
        await bench.tell("b", Finish())
        await bench.until(lambda: list(bench.status("team")) == ["a", "c"])
        await bench.tell("a", Fail())
        await bench.until(lambda: bench.lives()[3:] == ["end c", "up a", "up b", "up c"])


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
async def test_pending_asks_of_the_failed_turn_fail_at_once_with_the_cause(
    opens: Opens, world: World, restart: RestartType
) -> None:
    from tests.conformance.part import FailAsked

    async with opens(team(world, part(world, "a", restart=restart))) as bench:
        failure = await bench.refused("a", FailAsked("on purpose"))
        assert (failure.code, failure.where) == ("crashed", "a")
        assert "on purpose" in failure.message
