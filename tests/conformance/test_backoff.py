"""Waits before restarts: exponential, with full jitter, per child. (Beyond OTP.)"""

from __future__ import annotations

import understudy as us
from tests.conformance.bench import Opens, Virtual
from tests.conformance.part import OFTEN, Count, Fail, World, part, team
from understudy.protocols.ids import Address
from understudy.supervisor.supervision.live import RestartChild

LONG = us.Backoff(base=1_000.0, cap=10_000.0, reset=100_000.0)


async def test_the_first_failure_does_not_wait_and_later_ones_wait_longer_with_jitter(
    opens: Opens, world: World
) -> None:
    backoff = us.Backoff(base=0.02, cap=0.05)
    async with opens(team(world, "a", "b", backoff=backoff)) as bench:
        await bench.ask("b", Count())
        for _ in range(6):
            await bench.tell("a", Fail())
        assert await bench.ask("a", Count()) == 1
        waits = [event["delay"] for event in bench.events("team", "restarting")]
        assert waits[0] == 0.0
        assert all(0.0 < wait <= bound for wait, bound in zip(waits[1:], (0.02, 0.04, 0.05, 0.05, 0.05), strict=True))
        assert len(set(waits)) == 6


async def test_a_wait_does_not_burn_the_intensity(world: World) -> None:
    """Failures further apart than the window, because of the waits, are no loop for it; the slow limit sees them."""
    async with Virtual(team(world, "a", backoff=LONG, intensity=us.Intensity(2, 1.0)), world=world) as bench:
        for _ in range(12):
            await bench.tell("a", Fail())
            bench.board.rest()
        assert not bench.events("team", "exhausted")
        assert len(bench.supervisor("team").slow) == 12
        await bench.pass_time(2_000.0)
    never = us.Backoff(base=0.0)
    async with Virtual(team(world, "a", backoff=never, intensity=us.Intensity(2, 1.0)), world=world) as bench:
        for _ in range(3):
            await bench.tell("a", Fail())
        bench.board.rest()
        assert bench.events("team", "exhausted"), "the control: without waits they are one"


async def test_quiet_begins_a_new_streak(opens: Opens, world: World) -> None:
    backoff = us.Backoff(base=0.05, cap=1.0, reset=0.1)
    async with opens(team(world, "a", backoff=backoff)) as bench:
        for _ in range(2):
            await bench.tell("a", Fail())
            await bench.ask("a", Count())
        await bench.pass_time(0.3)
        await bench.tell("a", Fail())
        await bench.ask("a", Count())
        assert [event.get("streak", 1) for event in bench.events("team", "restarting")] == [1, 2, 1]


async def test_each_child_waits_for_itself_and_the_others_go_on(opens: Opens, world: World) -> None:
    async with opens(team(world, part(world, "a", backoff=LONG), "b")) as bench:
        for _ in range(2):
            await bench.tell("a", Fail())
        await bench.until(lambda: bench.status("team")["a"] == "waiting")
        info = (await bench.which("team"))["a"]
        assert info.status == "waiting"
        assert info.due is not None
        assert info.due > info.since
        assert await bench.ask("b", Count()) == 1
        await bench.tell("b", Fail())
        assert await bench.ask("b", Count()) == 2
        assert bench.status("team") == {"a": "waiting", "b": "running"}


async def test_a_wait_leaves_room_for_a_stop(open_: Opens, world: World) -> None:
    async with open_(team(world, "a", "b", backoff=LONG)) as bench:
        for _ in range(2):
            await bench.tell("a", Fail())
        await bench.until(lambda: bench.status("team")["a"] == "waiting")
        assert (await bench.refused("team", RestartChild(Address("a")))).code == "restarting"
        await bench.stop("team", "a")
        assert bench.status("team")["a"] == "ended"
        assert (await bench.refused("a", Count())).code == "stopped"
        await bench.rest()
        assert bench.status("team")["a"] == "ended", "the end of its wait does not bring it back"


async def test_siblings_wait_with_the_child_that_they_are_restarted_with(opens: Opens, world: World) -> None:
    backoff = us.Backoff(base=0.1, cap=0.1)
    async with opens(team(world, "a", "b", "c", strategy="one_for_all", backoff=backoff)) as bench:
        await bench.ask("c", Count())
        for count in (1, 2):
            await bench.tell("b", Fail())
            await bench.until(lambda count=count: bench.incarnation("c") == count)  # type: ignore[misc]
        assert bench.lives()[3:] == ["end c", "end a", "up a", "up b", "up c"] * 2
        order = bench.steps("team")
        last = len(order) - 1 - order[::-1].index("restarting b")
        assert order[last:] == [
            "restarting b", "stopping c", "down c", "stopping a", "down a",
            "starting a", "up a", "starting b", "up b", "starting c", "up c",
        ]  # fmt: skip


async def test_siblings_go_on_without_a_child_that_is_stopped_while_they_wait_with_it(
    opens: Opens, world: World
) -> None:
    async with opens(team(world, "a", "b", "c", strategy="one_for_all", backoff=LONG)) as bench:
        await bench.ask("c", Count())
        await bench.tell("b", Fail())
        await bench.until(lambda: bench.lives()[-1] == "up c" and bench.incarnation("c") == 1)
        await bench.tell("b", Fail())
        await bench.until(lambda: bench.status("team") == {"a": "down", "b": "waiting", "c": "down"})
        await bench.stop("team", "b")
        assert await bench.ask("c", Count()) == 2
        assert bench.status("team") == {"a": "running", "b": "ended", "c": "running"}


async def test_a_child_that_waits_is_started_with_the_sibling_before_it_and_not_again_later(
    opens: Opens, world: World
) -> None:
    children = [part(world, "a"), part(world, "b", backoff=us.Backoff(base=0.2, cap=0.2))]
    async with opens(team(world, *children, strategy="rest_for_one")) as bench:
        await bench.ask("b", Count())
        for _ in range(2):
            await bench.tell("b", Fail())
        await bench.until(lambda: bench.status("team")["b"] == "waiting")
        await bench.tell("a", Fail())
        await bench.until(lambda: bench.lives()[-2:] == ["up a", "up b"])
        before = bench.incarnation("b")
        await bench.pass_time(0.3)
        assert bench.incarnation("b") == before


async def test_a_child_waits_for_the_one_before_it_that_waits_longer(opens: Opens, world: World) -> None:
    """Its own wait is over first: it is not started before the one that it was started after."""
    first = part(world, "a", backoff=us.Backoff(base=LONG.base, cap=LONG.cap, reset=1e6))
    children = [first, part(world, "b", backoff=us.Backoff(base=0.05, cap=0.05))]
    async with opens(team(world, *children, strategy="rest_for_one")) as bench:
        await bench.ask("b", Count())
        await bench.tell("a", Fail())
        await bench.until(lambda: bench.incarnation("b") == 1 and bench.status("team")["b"] == "running")
        for _ in range(2):
            await bench.tell("b", Fail())
        await bench.until(lambda: bench.status("team")["b"] == "waiting")
        await bench.tell("a", Fail())
        await bench.until(lambda: bench.status("team")["a"] == "waiting")
        await bench.pass_time(0.2)
        assert bench.status("team") == {"a": "waiting", "b": "down"}


async def test_a_child_that_fails_in_its_own_start_for_ever_waits_longer_and_longer(world: World) -> None:
    """On virtual time: the slow limit ends it in the end, not the intensity."""
    world.fails["a"] = 1_000
    slow = us.Intensity(50, 86_400.0)
    child = part(world, "a", backoff=us.Backoff(base=10.0, cap=600.0, reset=1_200.0))
    async with Virtual(team(world, "x", name="team", intensity=OFTEN, slow=slow), child, world=world) as bench:
        await bench.until(bench.inbox)
        waits = [event["delay"] for event in bench.events("root", "restarting") if event["child"] == "a"]
        assert len(waits) == 100, "as often as the root's slow limit of a day allows"
        assert max(waits) > 300.0
        assert await bench.ask("x", Count()) == 1
