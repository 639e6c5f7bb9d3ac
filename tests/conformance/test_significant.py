"""Significant children and automatic shutdown. (OTP: supervisor_SUITE, significant_*, auto_shutdown_*)"""

from __future__ import annotations

from collections.abc import Callable

import pytest

import understudy as us
from tests.conformance.bench import Opens
from tests.conformance.part import Count, Fail, Finish, World, part, team
from understudy.protocols.children import RestartType


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_the_end_of_any_significant_child_ends_the_supervisor_in_order(
    open_: Opens, world: World, strategy: str
) -> None:
    children = [part(world, "a"), part(world, "b", significant=True), part(world, "c", significant=True)]
    inner = team(world, *children, name="inner", auto_shutdown="any_significant", strategy=strategy)
    async with open_(team(world, inner, "x")) as bench:
        await bench.ask("x", Count())  # which is started last
        await bench.tell("b", Finish())
        await bench.until(lambda: bench.status("team") == {"inner": "ended", "x": "running"})
        assert bench.lives()[4:] == ["final end c", "final end a"] or bench.lives()[4:] == ["end c", "end a"]
        assert bench.cell("inner").memory.life == "finished"
        assert (await bench.refused("c", Count())).code == "stopped"


async def test_a_permanent_supervisor_that_ended_so_is_restarted(opens: Opens, world: World) -> None:
    inner = team(
        world,
        part(world, "a", significant=True),
        "b",
        name="inner",
        auto_shutdown="any_significant",
        restart="permanent",
    )
    async with opens(team(world, inner, "x")) as bench:
        assert await bench.ask("b", Count()) == 1
        await bench.tell("a", Finish())
        await bench.until(lambda: bench.incarnation("inner") == 1)
        assert await bench.ask("a", Count()) == 1
        assert await bench.ask("b", Count()) == 2


async def test_all_significant_children_have_to_end(open_: Opens, world: World) -> None:
    children = [part(world, "a", significant=True), part(world, "b"), part(world, "c", significant=True)]
    async with open_(team(world, team(world, *children, name="inner", auto_shutdown="all_significant"), "x")) as bench:
        await bench.ask("c", Count())
        await bench.tell("a", Finish())
        await bench.until(lambda: bench.status("inner")["a"] == "ended")
        assert await bench.ask("b", Count()) == 1
        await bench.tell("c", Finish())
        await bench.until(lambda: bench.status("team")["inner"] == "ended")


@pytest.mark.parametrize("end", [Finish, Fail])
async def test_a_temporary_significant_child_counts_however_it_ends(
    opens: Opens, world: World, end: Callable[[], us.Message]
) -> None:
    inner = team(
        world,
        part(world, "a", significant=True, restart="temporary"),
        "b",
        name="inner",
        auto_shutdown="all_significant",
    )
    async with opens(team(world, inner, "x")) as bench:
        await bench.ask("b", Count())
        await bench.tell("a", end())
        await bench.until(lambda: bench.status("team")["inner"] == "ended")


async def test_a_failure_of_a_transient_significant_child_is_no_end(opens: Opens, world: World) -> None:
    inner = team(world, part(world, "a", significant=True), name="inner", auto_shutdown="any_significant")
    async with opens(team(world, inner, "x")) as bench:
        await bench.tell("a", Fail())
        assert await bench.ask("a", Count()) == 1
        assert bench.status("team") == {"inner": "running", "x": "running"}


async def test_a_stop_by_name_is_no_end_by_itself(open_: Opens, world: World) -> None:
    children = [part(world, "a", significant=True), part(world, "b", significant=True)]
    async with open_(team(world, team(world, *children, name="inner", auto_shutdown="any_significant"), "x")) as bench:
        await bench.stop("inner", "a")
        assert await bench.ask("b", Count()) == 1
        assert bench.status("team") == {"inner": "running", "x": "running"}


async def test_with_all_significant_one_that_was_stopped_by_name_is_not_waited_for(opens: Opens, world: World) -> None:
    children = [part(world, "a", significant=True), part(world, "b", significant=True)]
    async with opens(team(world, team(world, *children, name="inner", auto_shutdown="all_significant"), "x")) as bench:
        await bench.stop("inner", "a")
        await bench.tell("b", Finish())
        await bench.until(lambda: bench.status("team")["inner"] == "ended")


async def test_a_significant_supervisor_ends_the_one_above(opens: Opens, world: World) -> None:
    deep = team(
        world, part(world, "a", significant=True), name="deep", auto_shutdown="any_significant", significant=True
    )
    inner = team(world, "b", deep, name="inner", auto_shutdown="any_significant")
    async with opens(team(world, inner, "x")) as bench:
        await bench.ask("b", Count())
        await bench.tell("a", Finish())
        await bench.until(lambda: bench.status("team") == {"inner": "ended", "x": "running"})
        assert (await bench.refused("b", Count())).code == "stopped"


async def test_a_stopped_child_for_which_a_decider_said_stop_counts(opens: Opens, world: World) -> None:
    inner = team(world, part(world, "a", significant=True), "b", name="inner", auto_shutdown="any_significant",
                 decide={"RuntimeError": "stop"})  # fmt: skip
    async with opens(team(world, inner, "x")) as bench:
        await bench.ask("b", Count())
        await bench.tell("a", Fail())
        await bench.until(lambda: bench.status("team")["inner"] == "ended")


@pytest.mark.parametrize(
    ("restart", "auto", "field"),
    [
        ("permanent", "any_significant", "significant=True with restart='permanent'"),
        ("transient", "never", "auto_shutdown='never'"),
    ],
)
def test_combinations_that_mean_nothing_are_refused(world: World, restart: RestartType, auto: str, field: str) -> None:
    with pytest.raises(us.DefinitionError, match=field):
        team(world, part(world, "a", significant=True, restart=restart), auto_shutdown=auto)
