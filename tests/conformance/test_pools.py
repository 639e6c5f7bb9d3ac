"""Pools: members by name, each with a window of its own. (OTP: supervisor_SUITE, simple_one_for_one*)"""

from __future__ import annotations

import pytest

import understudy as us
from tests.conformance.bench import Opens
from tests.conformance.part import QUICK, Count, Fail, Finish, Look, Part, World, look, part, pay, team
from understudy.protocols.ids import Address
from understudy.supervisor.supervision.live import StartChild
from understudy.testing import FaultPlan


def pool(world: World, **options: object) -> us.Pool:
    return us.Pool("jobs/{key}", Part(world), tools=[pay, look], **options)  # type: ignore[arg-type]


async def test_mail_to_a_member_that_was_not_started_is_refused(open_: Opens, world: World) -> None:
    async with open_(team(world, pool(world))) as bench:
        assert (await bench.refused("jobs/1", Count())).code == "not_started"
        await bench.start("team", "jobs/1")
        assert await bench.ask("jobs/1", Count()) == 1
        await bench.stop("team", "jobs/1")
        assert (await bench.refused("jobs/1", Count())).code == "stopped"


async def test_no_more_than_max_children(opens: Opens, world: World) -> None:
    async with opens(team(world, pool(world, max_children=2))) as bench:
        for n in (1, 2):
            await bench.start("team", f"jobs/{n}")
        assert (await bench.refused("team", StartChild(Address("jobs/3")))).code == "max_children"
        await bench.tell("jobs/1", Finish())
        await bench.until(lambda: list(bench.status("team")) == ["jobs/2"])
        assert (await bench.start("team", "jobs/3")).status == "running"


async def test_a_member_that_ended_is_forgotten(opens: Opens, world: World) -> None:
    async with opens(team(world, pool(world))) as bench:
        for n in range(5):
            await bench.start("team", f"jobs/{n}")
            await bench.tell(f"jobs/{n}", Finish())
        await bench.until(lambda: bench.status("team") == {} and len(bench.events("team", "forgotten")) == 5)
        assert bench.supervisor("team").gone == {}, "nothing of it stays"


async def test_a_member_that_fails_is_restarted_alone_whatever_the_strategy(opens: Opens, world: World) -> None:
    async with opens(team(world, "a", pool(world), strategy="one_for_all")) as bench:
        for n in (1, 2):
            await bench.start("team", f"jobs/{n}")
        await bench.tell("jobs/1", Fail())
        assert await bench.ask("jobs/1", Count()) == 1
        assert [bench.incarnation(n) for n in ("a", "jobs/1", "jobs/2")] == [0, 1, 0]


async def test_members_do_not_count_toward_the_intensity_and_one_that_gives_up_does_so_alone(
    open_: Opens, world: World
) -> None:
    async with open_(team(world, "a", pool(world), intensity=us.Intensity(2, 60.0))) as bench:
        for n in (1, 2):
            await bench.start("team", f"jobs/{n}")
        for _ in range(2):
            for n in (1, 2):
                await bench.tell(f"jobs/{n}", Fail())
        for n in (1, 2):
            assert await bench.ask(f"jobs/{n}", Count()) == 1
        await bench.tell("jobs/1", Fail())
        await bench.until(bench.inbox)
        assert bench.status("team") == {"a": "running", "jobs/1": "given_up", "jobs/2": "running"}
        assert await bench.ask("jobs/2", Count()) == 2
        await bench.tell("a", Fail())
        assert await bench.ask("a", Count()) == 1
        (item,) = bench.inbox()
        await bench.answer(item.id, "approve")
        assert await bench.ask("jobs/1", Count()) == 2
        assert len(bench.supervisor("team").window) == 1, "the budget of the others is theirs"


async def test_members_that_count_end_the_supervisor(opens: Opens, world: World) -> None:
    async with opens(team(world, "a", pool(world, counts=True), intensity=us.Intensity(2, 60.0))) as bench:
        for n in (1, 2, 3):
            await bench.start("team", f"jobs/{n}")
        for n in (1, 2, 3):
            await bench.tell(f"jobs/{n}", Fail())
        await bench.until(lambda: bench.events("team", "exhausted"))
        for n in (1, 2, 3):
            assert await bench.ask(f"jobs/{n}", Count()) == 1, "members survive a restart of their supervisor"


async def test_members_are_stopped_side_by_side_under_one_timer(open_: Opens, world: World) -> None:
    plan = FaultPlan()
    for n in range(1, 6):
        plan.hang_effect(n)
    inner = team(world, "a", pool(world, shutdown=0.4), name="inner")
    async with open_(team(world, inner, "x"), plan=plan) as bench:
        for n in range(5):
            await bench.start("inner", f"jobs/{n}")
            await bench.tell(f"jobs/{n}", Look())
        await bench.until(lambda: all(bench.cell(f"jobs/{n}").memory.effects for n in range(5)))
        began = bench.now
        await bench.stop("team", "inner")
        assert bench.now - began < 1.9, "five one after the other would take two seconds"
        steps = bench.steps("inner")
        first_down = steps.index(next(step for step in steps if step.startswith("down jobs/")))
        assert len([step for step in steps[:first_down] if step.startswith("stopping jobs/")]) == 5
        assert steps.index("stopping a") > first_down, "the pool was started after it"


async def test_a_member_that_fails_in_its_restart_is_tried_again_and_the_others_of_the_group_are_started(
    opens: Opens, world: World
) -> None:
    children = [part(world, "a"), pool(world, counts=True), part(world, "z")]
    async with opens(
        us.Supervisor("team", children, strategy="one_for_all", backoff=QUICK, intensity=us.Intensity(9, 60.0))
    ) as bench:
        for n in (1, 2):
            await bench.start("team", f"jobs/{n}")
        world.fails["jobs/1"] = 2
        await bench.tell("a", Fail())
        await bench.until(
            lambda: set(bench.status("team").values()) == {"running"} and bench.incarnation("jobs/1") >= 1
        )
        for name in ("a", "z", "jobs/1", "jobs/2"):
            assert await bench.ask(name, Count()) == 1


@pytest.mark.parametrize("restart", ["transient", "permanent"])
async def test_a_supervisor_that_has_only_a_pool_is_started_and_stopped_with_its_siblings(
    opens: Opens, world: World, restart: str
) -> None:
    inner = us.Supervisor("inner", [pool(world, restart=restart)], backoff=QUICK)
    async with opens(team(world, "a", inner, strategy="rest_for_one")) as bench:
        await bench.start("inner", "jobs/1")
        await bench.tell("a", Fail())
        await bench.until(lambda: bench.incarnation("jobs/1") == 1)
        assert await bench.ask("jobs/1", Count()) == 1
        assert bench.incarnation("inner") == 1
