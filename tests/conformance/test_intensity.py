"""How often children may be restarted before their supervisor gives up. (OTP: supervisor_SUITE, *_escalation, multiple_restarts)"""

from __future__ import annotations

import pytest

import understudy as us
from tests.conformance.bench import Opens
from tests.conformance.part import Count, Fail, World, part, team

TWO = us.Intensity(2, 60.0)


async def test_the_restart_beyond_the_intensity_ends_the_supervisor_with_the_others_stopped_in_reverse(
    open_: Opens, world: World
) -> None:
    async with open_(team(world, "a", "b", "c", intensity=TWO)) as bench:
        await bench.ask("c", Count())
        for _ in range(3):
            await bench.tell("b", Fail())
        await bench.until(lambda: bench.events("root", "restarting"))
        (exhausted,) = bench.events("team", "exhausted")
        assert exhausted["failure"]["code"] == "budget_exhausted"
        assert len(bench.events("team", "restarting")) == 2, "counted before the attempt"
        assert await bench.ask("c", Count()) == 2
        assert bench.lives()[3:] == ["up b", "up b", "end c", "end a", "up a", "up b", "up c"]
        (again,) = bench.events("root", "restarting")
        assert (again["child"], again["failure"]["code"]) == ("team", "budget_exhausted")
        assert bench.supervisor("team").window == (), "its next incarnation counts from zero"


async def test_the_window_slides(open_: Opens, world: World) -> None:
    async with open_(team(world, "a", intensity=us.Intensity(1, 0.25))) as bench:
        await bench.ask("a", Count())
        for _ in range(4):
            await bench.tell("a", Fail())
            assert await bench.ask("a", Count())
            await bench.pass_time(0.3)
        assert not bench.events("team", "exhausted")
        assert len(bench.events("team", "restarting")) == 4


async def test_all_children_share_one_budget(opens: Opens, world: World) -> None:
    async with opens(team(world, "a", "b", "c", intensity=TWO)) as bench:
        await bench.ask("c", Count())
        for name in "abc":
            await bench.tell(name, Fail())
        await bench.until(lambda: bench.events("team", "exhausted"))
        assert (
            "the children of team failed more than 2 times in 60 s"
            in bench.events("team", "exhausted")[0]["failure"]["message"]
        )


async def test_a_restart_of_all_counts_once(opens: Opens, world: World) -> None:
    async with opens(team(world, *"abcdef", strategy="one_for_all", intensity=TWO)) as bench:
        await bench.ask("f", Count())
        for count in (1, 2):
            await bench.tell("a", Fail())
            await bench.until(lambda count=count: bench.incarnation("f") == count)  # type: ignore[misc]
            assert await bench.ask("f", Count())
        assert len(bench.supervisor("team").window) == 2
        assert not bench.events("team", "exhausted")


async def test_failed_restarts_count_until_the_supervisor_gives_up(open_: Opens, world: World) -> None:
    async with open_(team(world, "a", intensity=TWO)) as bench:
        await bench.ask("a", Count())
        world.fails["a"] = 2
        await bench.tell("a", Fail())
        assert await bench.ask("a", Count()) == 2
        (exhausted,) = bench.events("team", "exhausted")
        assert exhausted["failure"]["code"] == "budget_exhausted"


async def test_no_restarts_at_all_may_be_allowed(opens: Opens, world: World) -> None:
    async with opens(team(world, "a", intensity=us.Intensity(0, 1.0))) as bench:
        await bench.ask("a", Count())
        await bench.tell("a", Fail())
        assert await bench.ask("a", Count()) == 2
        assert bench.steps("team").count("restarting a") == 0
        assert bench.steps("root").count("restarting team") == 1


@pytest.mark.parametrize("restart", ["permanent", "transient"])
async def test_a_supervisor_that_gave_up_is_restarted_by_its_parent(opens: Opens, world: World, restart: str) -> None:
    inner = team(world, "a", name="inner", intensity=us.Intensity(0, 1.0), restart=restart)
    async with opens(team(world, "x", inner, name="outer")) as bench:
        await bench.ask("a", Count())
        await bench.tell("a", Fail())
        assert await bench.ask("a", Count()) == 2
        assert bench.status("outer") == {"x": "running", "inner": "running"}
        assert bench.incarnation("inner") == 1
        assert bench.lives() == ["up x", "up a", "up a"]


async def test_a_temporary_supervisor_that_gave_up_is_forgotten_and_whoever_waits_for_its_tree_is_told(
    opens: Opens, world: World
) -> None:
    inner = team(world, "a", "b", name="inner", intensity=us.Intensity(0, 1.0), restart="temporary")
    async with opens(team(world, "x", inner, name="outer")) as bench:
        await bench.ask("b", Count())
        await bench.tell("a", Fail())
        await bench.until(lambda: bench.cell("b").memory.life == "stopped" and bench.cell("a").memory.life == "stopped")
        assert bench.status("outer") == {"x": "running"}
        assert (await bench.refused("a", Count())).code == "stopped"
        assert (await bench.refused("b", Count())).code == "stopped"


async def test_it_climbs_to_the_root_and_a_person_who_may_start_it_again(open_: Opens, world: World) -> None:
    none = us.Intensity(0, 1.0)
    inner = team(world, "a", name="inner", intensity=none)
    outer = team(world, inner, name="outer", intensity=none)
    async with open_(outer) as bench:
        await bench.ask("a", Count())
        for n in range(4):
            await bench.tell("a", Fail(f"no {n}"))
            await bench.until(lambda n=n: len(bench.failures()) == n + 1)  # type: ignore[misc]
            if n < 3:
                await bench.ask("a", Count())
        await bench.until(bench.inbox)
        (item,) = bench.inbox()
        assert item.failure is not None
        where = [failure.where for failure in item.failure.chain()]
        assert where == ["root", "outer", "inner", "a"]
        assert {failure.code for failure in item.failure.chain()} == {"budget_exhausted", "crashed"}
        assert (await bench.refused("a", Count())).code == "parked", "nobody waits for days without knowing"
        await bench.answer(item.id, "approve")
        assert await bench.ask("a", Count()) == 5


async def test_a_person_may_stop_it_and_its_tree_is_over(open_: Opens, world: World) -> None:
    none = us.Intensity(0, 1.0)
    async with open_(
        team(world, team(world, "a", "b", name="inner", intensity=none), name="outer", intensity=none)
    ) as bench:
        await bench.ask("b", Count())
        for n in range(4):
            await bench.tell("a", Fail(f"no {n}"))
            await bench.until(lambda n=n: len(bench.failures()) == n + 1)  # type: ignore[misc]
            if n < 3:
                await bench.ask("b", Count())
        await bench.until(bench.inbox)
        await bench.answer(bench.inbox()[0].id, "reject", reason="enough")
        await bench.until(lambda: bench.cell("outer").memory.life == "stopped")
        for name in ("a", "b"):
            assert (await bench.refused(name, Count())).code == "stopped"


async def test_at_the_root_each_child_stands_for_itself(opens: Opens, world: World) -> None:
    async with opens(*(part(world, name, shutdown=1.0) for name in "abcde")) as bench:
        for name in "abcde":
            await bench.tell(name, Fail())
        for name in "abcde":
            assert await bench.ask(name, Count()) == 1
        assert not bench.inbox()
        for _ in range(3):
            await bench.tell("a", Fail())
        await bench.until(bench.inbox)
        assert (await bench.refused("a", Count())).code == "parked"
        assert await bench.ask("b", Count()) == 2


async def test_the_budget_of_one_child_ends_the_supervisor_before_the_shared_one_does(
    opens: Opens, world: World
) -> None:
    async with opens(team(world, part(world, "a", budget=us.Intensity(1, 60.0)), "b")) as bench:
        await bench.ask("b", Count())
        for name in "bbba":
            await bench.tell(name, Fail())
        assert await bench.ask("a", Count()) == 1
        assert not bench.events("team", "exhausted")
        await bench.tell("a", Fail())
        await bench.until(lambda: bench.events("team", "exhausted"))
        assert "a failed more than 1 times in 60 s" in bench.events("team", "exhausted")[0]["failure"]["message"]


async def test_a_loop_too_slow_for_the_window_trips_the_slow_limit(opens: Opens, world: World) -> None:
    async with opens(team(world, "a", intensity=us.Intensity(1, 0.001), slow=us.Intensity(3, 10_000.0))) as bench:
        for n in range(4):
            assert await bench.ask("a", Count()) == n + 1
            await bench.pass_time(0.01)
            await bench.tell("a", Fail())
        await bench.until(lambda: bench.events("team", "exhausted"))
        assert "more than 3 times in 10000 s" in bench.events("team", "exhausted")[0]["failure"]["message"]


async def test_no_slow_limit_where_there_is_none(opens: Opens, world: World) -> None:
    async with opens(team(world, "a", intensity=us.Intensity(1, 0.001), slow=None)) as bench:
        for n in range(8):
            assert await bench.ask("a", Count()) == n + 1
            await bench.pass_time(0.01)
            await bench.tell("a", Fail())
        assert await bench.ask("a", Count()) == 9
