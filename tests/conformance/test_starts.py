"""Starts that fail, and children that have nothing to do. (OTP: supervisor_SUITE, sup_start_fail, sup_start_ignore_*)"""

from __future__ import annotations

import pytest

import understudy as us
from tests.conformance.bench import Opens, Virtual
from tests.conformance.part import Count, Fail, Finish, Part, World, part, team
from understudy.protocols.ids import Address
from understudy.supervisor.supervision.live import RestartChild, StartChild
from understudy.testing import Simulated


async def test_a_failing_start_stops_those_started_before_in_reverse_and_names_the_child(
    open_: Opens, world: World
) -> None:
    world.fails["c"] = 1
    async with open_(team(world, "a", "b", "c", "d")) as bench:
        assert await bench.ask("d", Count()) == 1
        assert bench.lives()[:4] == ["up a", "up b", "end b", "end a"]
        (exhausted,) = bench.events("team", "exhausted")
        assert exhausted["failure"]["code"] == "failed_to_start"
        assert "team failed to start its child c: RuntimeError: c cannot start" in exhausted["failure"]["message"]
        (again,) = bench.events("root", "restarting")
        assert again["child"] == "team", "the one above restarts it"
        assert bench.status("team") == dict.fromkeys("abcd", "running")


async def test_a_start_that_fails_for_ever_climbs_to_a_person_with_each_level_named(open_: Opens, world: World) -> None:
    world.fails["a"] = 1_000
    inner = team(world, "a", "b", name="inner", backoff=us.Backoff(base=0.0))
    async with open_(team(world, inner, name="outer", backoff=us.Backoff(base=0.0))) as bench:
        await bench.until(bench.inbox)
        (item,) = bench.inbox()
        assert item.actor == "root"
        assert item.failure is not None
        codes = [failure.code for failure in item.failure.chain()]
        assert codes == ["budget_exhausted", "failed_to_start", "failed_to_start", "crashed"]
        assert "RuntimeError: a cannot start" in item.text
        assert len(bench.events("root", "restarting")) == 3, "three restarts are allowed in five seconds"
        for name in ("a", "b"):
            assert (await bench.refused(name, Count())).code == "parked", "nobody waits for days without knowing"
        assert "up b" not in bench.lives()
        world.fails.clear()
        await bench.answer(item.id, "approve")
        for name in ("a", "b"):
            assert await bench.ask(name, Count()) == 1


def test_mail_that_is_turned_away_before_the_first_start_begins_nobody(world: World) -> None:
    world.fails["a"] = 1_000
    node = Simulated(team(world, "a", "b", backoff=us.Backoff(base=0.0)))
    waited = node.ask("b", Count())
    node.rest()
    for asked in (waited, node.ask("b", Count())):
        node.rest()
        assert (asked.reply is not None and "parked" in str(asked.reply.failure)) or "parked" in str(asked.error)
    assert node.actor("b").memory.life == "absent"
    assert not [
        row for row in node.journal.rows(limit=1_000) if row.stream == "b" and b"part.began" in bytes(row.payload)
    ]


async def test_a_failing_restart_is_tried_again_and_counts(opens: Opens, world: World) -> None:
    async with opens(team(world, "a", "b")) as bench:
        await bench.ask("b", Count())
        world.fails["a"] = 2
        await bench.tell("a", Fail())
        assert await bench.ask("a", Count()) == 1
        assert len(bench.supervisor("team").window) == 3
        assert [lived for lived in bench.lives() if lived.endswith("b")] == ["up b"]


async def test_the_started_handler_of_a_child_that_never_started_runs_at_its_next_start(
    opens: Opens, world: World
) -> None:
    world.fails["a"] = 2
    async with opens(us.Child("a", Part(world), shutdown=1.0), us.Child("b", Part(world), shutdown=1.0)) as bench:
        assert await bench.ask("a", Count()) == 1
        assert len(bench.events("root", "restarting")) == 2, "both failed starts were seen, and counted"
        assert await bench.ask("b", Count()) == 1


async def test_a_failing_restart_under_one_for_all_stops_the_siblings_again(open_: Opens, world: World) -> None:
    async with open_(team(world, "a", "b", "c", strategy="one_for_all")) as bench:
        await bench.ask("c", Count())
        world.fails["b"] = 1
        await bench.tell("c", Fail())
        await bench.until(lambda: bench.lives()[3:] == ["end b", "end a", "up a", "end a", "up a", "up b", "up c"])


async def test_a_failing_restart_under_rest_for_one_keeps_the_earlier_ones(open_: Opens, world: World) -> None:
    async with open_(team(world, "a", "b", "c", "d", strategy="rest_for_one")) as bench:
        await bench.ask("d", Count())
        world.fails["c"] = 1
        await bench.tell("b", Fail())
        await bench.until(lambda: bench.lives()[4:] == ["end d", "end c", "up b", "up c", "up d"])
        assert bench.incarnation("a") == 0
        assert bench.incarnation("b") == 1


async def test_ignore_keeps_the_spec_and_runs_nothing(open_: Opens, world: World) -> None:
    world.ignores |= {"b"}
    async with open_(team(world, "a", "b", "c")) as bench:
        await bench.ask("c", Count())
        assert (await bench.which("team"))["b"].status == "ended"
        assert bench.lives() == ["up a", "up c"]
        assert (await bench.refused("b", Count())).code == "stopped"
        world.ignores.clear()
        assert (await bench.ask("team", RestartChild(Address("b")))).status == "running"
        assert await bench.ask("b", Count()) == 1


@pytest.mark.parametrize("again", [True, False])
async def test_ignore_of_a_temporary_child_keeps_no_spec(opens: Opens, world: World, again: bool) -> None:
    world.ignores |= {"b"}
    async with opens(team(world, "a", part(world, "b", restart="temporary"))) as bench:
        await bench.ask("a", Count())
        await bench.until(lambda: bench.status("team") == {"a": "running"})
        if again:
            world.ignores.clear()
            assert (await bench.ask("team", StartChild(Address("b")))).status == "running"


async def test_ignore_of_a_pool_member_keeps_no_spec(opens: Opens, world: World) -> None:
    world.ignores |= {"jobs/1"}
    async with opens(us.Supervisor("team", [us.Pool("jobs/{key}", Part(world), max_children=1)])) as bench:
        gone = await bench.start("team", "jobs/1")
        assert (gone.kind, gone.status, gone.restart) == ("member", "ended", "transient")
        assert await bench.which("team") == {}
        assert (await bench.start("team", "jobs/2")).status == "running"


async def test_a_child_may_ignore_its_restart(opens: Opens, world: World) -> None:
    async with opens(team(world, "a", "b", on_restart="fresh")) as bench:
        await bench.ask("b", Count())
        world.ignores |= {"a"}
        await bench.tell("a", Fail())
        await bench.until(lambda: bench.status("team") == {"a": "ended", "b": "running"})


async def test_fresh_children_forget_and_their_started_handler_runs_again(opens: Opens, world: World) -> None:
    async with opens(
        team(world, "a", part(world, "b", on_restart="keep"), on_restart="fresh", strategy="one_for_all")
    ) as bench:
        assert (await bench.ask("a", Count()), await bench.ask("b", Count())) == (1, 1)
        await bench.tell("a", Fail())
        await bench.until(lambda: bench.incarnation("b") == 1)
        assert (await bench.ask("a", Count()), await bench.ask("b", Count())) == (1, 2)


class Watcher(us.Actor):
    """Watches somebody who is started after it."""

    @us.handles(us.Started)
    def started(self, turn: us.Turn[us.State], msg: us.Started) -> None:
        turn.watch("z")

    @us.handles(us.Terminated)
    def over(self, turn: us.Turn[us.State], msg: us.Terminated) -> None:
        """Nothing."""


@pytest.mark.parametrize("seed", range(10))
async def test_a_watch_does_not_begin_who_is_not_started_yet(world: World, seed: int) -> None:
    async with Virtual(team(world, us.Child("w", Watcher), "a", "b", "z"), world=world, seed=seed) as bench:
        assert await bench.ask("z", Count()) == 1
        assert bench.lives() == ["up a", "up b", "up z"]


async def test_a_watch_of_a_child_that_is_not_started_yet_is_kept(opens: Opens, world: World) -> None:
    async with opens(team(world, us.Child("w", Watcher), "a", "z")) as bench:
        await bench.ask("z", Count())
        assert bench.cell("z").memory.postal is not None
        await bench.tell("z", Finish())
        await bench.until(lambda: any(record.took for row, record in bench.records("w") if row.kind == "turn"))
        await bench.until(lambda: bench.cell("w").memory.postal.watching == {})  # type: ignore[union-attr]
