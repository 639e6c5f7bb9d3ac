"""How children end. (OTP: supervisor_SUITE, child_adm, simple_one_for_one_shutdown, nested supervisors)"""

from __future__ import annotations

import anyio
import pytest

import understudy as us
from tests.conformance.bench import Bench, Opens, Real
from tests.conformance.part import Count, Fail, Finish, Look, Pay, World, part, team
from understudy.protocols.ids import Address
from understudy.supervisor.supervision.live import RestartChild
from understudy.testing import FaultPlan


async def under_way(bench: Bench, child: str) -> None:
    """Until its call has left."""
    await bench.until(
        lambda: any(e.state in ("intended", "started") for e in bench.cell(child).memory.effects.values())
    )


def down(bench: Bench, child: str) -> tuple[str, list[str]]:
    """How its supervisor says that it ended."""
    (event,) = [event for event in bench.events("team", "down") if event["child"] == child]
    return event["how"], event.get("left", [])


async def test_a_child_without_calls_ends_at_once(open_: Opens, world: World) -> None:
    async with open_(team(world, "a", "b")) as bench:
        await bench.stop("team", "a")
        assert down(bench, "a") == ("shutdown", [])
        assert bench.lives() == ["up a", "up b", "final end a"] or bench.lives() == ["up a", "up b", "end a"]
        assert bench.cell("a").memory.life == "stopped"
        assert await bench.ask("b", Count()) == 1


async def test_a_call_under_way_gets_the_time_that_it_needs(open_: Opens, world: World) -> None:
    plan = FaultPlan().delay_effect(1, 0.2)
    async with open_(team(world, part(world, "a", shutdown=20.0)), plan=plan) as bench:
        await bench.tell("a", Pay())
        await under_way(bench, "a")
        await bench.stop("team", "a")
        assert down(bench, "a") == ("shutdown", [])
        effects = [e for _, record in bench.records("a") for e in record.changes]
        assert effects[-1].state == "settled"
        assert not bench.inbox(), "nothing is in doubt"


@pytest.mark.parametrize(("shutdown", "bound"), [(0.3, 5.0), (0.0, 1.0)])
async def test_a_call_that_outlasts_it_is_cancelled_and_a_once_call_is_then_in_doubt(
    open_: Opens, world: World, shutdown: float, bound: float
) -> None:
    plan = FaultPlan().hang_effect(1)
    async with open_(team(world, part(world, "a", shutdown=shutdown)), plan=plan) as bench:
        await bench.tell("a", Pay())
        await under_way(bench, "a")
        began = bench.now
        await bench.stop("team", "a")
        assert bench.now - began < shutdown + bound
        assert down(bench, "a") == ("killed", ["pay"])
        await bench.until(bench.inbox)
        (item,) = bench.inbox()
        assert item.kind == "in_doubt"


async def test_infinity_waits_for_as_long_as_it_takes(open_: Opens, world: World) -> None:
    plan = FaultPlan().delay_effect(1, 0.4)
    async with open_(team(world, part(world, "a", shutdown=None)), plan=plan) as bench:
        await bench.tell("a", Look())
        await under_way(bench, "a")
        await bench.stop("team", "a")
        assert down(bench, "a") == ("shutdown", [])


async def test_the_outcome_of_a_call_that_ended_during_the_stop_is_the_next_incarnation_s(
    open_: Opens, world: World
) -> None:
    plan = FaultPlan().delay_effect(1, 0.2)
    children = [part(world, "a", shutdown=20.0), part(world, "b")]
    async with open_(team(world, *children, strategy="one_for_all"), plan=plan) as bench:
        await bench.tell("a", Pay())
        await under_way(bench, "a")
        await bench.tell("b", Fail())
        await bench.until(lambda: bench.settled("a"))
        assert bench.settled("a") == ["paid for a"]
        assert bench.incarnation("a") == 1


async def test_mail_that_comes_during_a_stop_is_taken_by_the_next_incarnation(opens: Opens, world: World) -> None:
    plan = FaultPlan().delay_effect(1, 0.2)
    async with opens(team(world, part(world, "a", shutdown=20.0), "b", strategy="one_for_all"), plan=plan) as bench:
        await bench.tell("a", Look())
        await under_way(bench, "a")
        await bench.tell("b", Fail())
        await bench.until(lambda: bench.status("team")["a"] == "stopping")
        assert await bench.ask("a", Count()) == 1
        assert bench.incarnation("a") == 1


async def test_a_child_that_fails_when_it_is_to_end_has_ended_and_whoever_waits_is_told(
    open_: Opens, world: World
) -> None:
    world.stubborn |= {"a"}
    async with open_(team(world, "a", "b")) as bench:
        await bench.stop("team", "a")
        assert down(bench, "a") == ("failed", [])
        assert (await bench.refused("a", Count())).code == "stopped"


async def test_a_child_that_fails_when_it_is_to_end_is_restarted_with_the_others(opens: Opens, world: World) -> None:
    world.stubborn |= {"a"}
    async with opens(team(world, "a", "b", strategy="one_for_all")) as bench:
        await bench.ask("a", Count())
        await bench.tell("b", Fail())
        assert await bench.ask("a", Count()) == 2
        assert bench.status("team") == {"a": "running", "b": "running"}
        assert len(bench.supervisor("team").window) == 1


async def test_a_supervisor_ends_when_its_tree_has_and_each_level_in_reverse(open_: Opens, world: World) -> None:
    left = team(world, "a", "b", name="left")
    right = team(world, "c", team(world, "d", "e", name="deep"), name="right")
    async with open_(team(world, left, "x", right, strategy="one_for_all")) as bench:
        await bench.ask("e", Count())
        assert bench.lives() == [f"up {name}" for name in ("a", "b", "x", "c", "d", "e")]
        await bench.tell("x", Fail())
        ends = [f"end {name}" for name in ("e", "d", "c", "b", "a")]
        starts = [f"up {name}" for name in ("a", "b", "x", "c", "d", "e")]
        await bench.until(lambda: bench.lives()[6:] == [*ends, *starts])
        assert bench.incarnation("deep") == bench.incarnation("left") == 1


async def test_a_supervisor_that_is_stopped_by_name_stops_its_tree_for_good_and_may_be_started_again(
    open_: Opens, world: World
) -> None:
    inner = team(world, "a", "b", name="inner")
    async with open_(team(world, inner, "x")) as bench:
        await bench.ask("b", Count())
        await bench.stop("team", "inner")
        assert [bench.cell(n).memory.life for n in ("a", "b", "inner")] == ["stopped"] * 3
        assert (await bench.refused("a", Count())).code == "stopped"
        assert (await bench.ask("team", RestartChild(Address("inner")))).status == "running"
        assert await bench.ask("b", Count()) == 2


async def test_a_tree_is_stopped_for_good_also_where_some_of_it_waits_for_its_backoff(
    opens: Opens, world: World
) -> None:
    inner = team(world, "a", "b", name="inner", backoff=us.Backoff(base=1_000.0, cap=1_000.0))
    async with opens(team(world, inner, "x")) as bench:
        for _ in range(2):
            await bench.tell("a", Fail())
        await bench.until(lambda: bench.status("inner").get("a") == "waiting")
        await bench.stop("team", "inner")
        assert (await bench.refused("a", Count())).code == "stopped"


async def test_a_supervisor_whose_time_is_over_ends_its_tree_at_once(open_: Opens, world: World) -> None:
    plan = FaultPlan().hang_effect(1)
    inner = team(world, part(world, "a", shutdown=None), "b", name="inner", shutdown=0.3)
    async with open_(team(world, inner, "x"), plan=plan) as bench:
        await bench.tell("a", Pay())
        await under_way(bench, "a")
        began = bench.now
        await bench.stop("team", "inner")
        assert bench.now - began < 4.0
        (killed,) = [event for event in bench.events("inner", "down") if event["child"] == "a"]
        assert (killed["how"], killed["left"]) == ("killed", ["pay"])


async def test_a_supervisor_with_no_time_at_all_ends_its_tree_at_once(opens: Opens, world: World) -> None:
    plan = FaultPlan().hang_effect(1)
    inner = team(world, part(world, "a", shutdown=None), name="inner", shutdown=0.0)
    async with opens(team(world, inner, "x"), plan=plan) as bench:
        await bench.tell("a", Pay())
        await under_way(bench, "a")
        began = bench.now
        await bench.stop("team", "inner")
        assert bench.now - began < 4.0


async def test_a_stop_that_is_longer_than_the_window_does_not_escape_the_limit(open_: Opens, world: World) -> None:
    """Each restart of all takes longer than the window, because one child takes its time to end."""
    plan = FaultPlan()
    for n in (1, 2, 3):
        plan.delay_effect(n, 0.3)
    children = [part(world, "a", shutdown=20.0), part(world, "b")]
    limits = us.Intensity(2, 0.2)
    async with open_(team(world, *children, strategy="one_for_all", intensity=limits), plan=plan) as bench:
        await bench.ask("b", Count())
        for count in range(1, 4):
            await bench.tell("a", Look())
            await under_way(bench, "a")
            await bench.tell("b", Fail())
            if count < 3:
                await bench.until(lambda count=count: bench.incarnation("b") == count)  # type: ignore[misc]
        await bench.until(lambda: bench.events("team", "exhausted"))


async def test_a_tool_that_swallows_its_cancellation_does_not_hold_up_the_stop_and_is_named(world: World) -> None:
    """On the real node: a task that will not end."""
    let_go = anyio.Event()

    @us.tool(effect="once", timeout=60.0)
    async def stubborn() -> str:
        """Ends when it wants to."""
        while not let_go.is_set():
            with anyio.CancelScope(shield=True):
                await let_go.wait()
        return "late"

    class Calls(us.Actor):
        @us.handles(Finish)
        def go(self, turn: us.Turn[us.State], msg: Finish) -> None:
            turn.call(stubborn)

        @us.settles(stubborn)
        def over(self, turn: us.Turn[us.State], outcome: us.Outcome[str]) -> None:
            """Nothing."""

    child = us.Child("a", Calls, tools=[stubborn], shutdown=0.05)
    async with Real(us.Supervisor("team", [child, part(world, "b")]), world=world) as bench:
        await bench.tell("a", Finish())
        await under_way(bench, "a")
        with anyio.fail_after(5.0):
            await bench.stop("team", "a")
        assert down(bench, "a") == ("killed", ["stubborn"])
        assert await bench.ask("b", Count()) == 1
        let_go.set()
