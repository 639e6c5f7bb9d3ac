"""Children by name, while the supervisor runs. (OTP: supervisor_SUITE, child_adm, child_specs, extra_return, delete_child)"""

from __future__ import annotations

from typing import Any

import pytest

import understudy as us
from tests.conformance.bench import Opens
from tests.conformance.part import Count, Fail, Finish, Look, Part, World, part, team
from understudy.protocols.children import Strategy
from understudy.protocols.ids import Address
from understudy.supervisor.supervision.live import (
    CountChildren,
    DeleteChild,
    GetChildSpec,
    RestartChild,
    StartChild,
    StopChild,
)
from understudy.testing import FaultPlan

A = Address("a")


async def test_which_and_count_and_spec(open_: Opens, world: World) -> None:
    inner = team(world, "c", name="inner")
    async with open_(team(world, "a", part(world, "b", restart="permanent", shutdown=3.0), inner)) as bench:
        await bench.ask("c", Count())
        known = await bench.which("team")
        assert list(known) == ["a", "b", "inner"]
        assert [(info.kind, info.status, info.restart) for info in known.values()] == [
            ("worker", "running", "transient"), ("worker", "running", "permanent"), ("supervisor", "running", "transient"),
        ]  # fmt: skip
        await bench.stop("team", "a")
        counted = await bench.ask("team", CountChildren())
        assert (counted.specs, counted.active, counted.supervisors, counted.workers) == (3, 2, 1, 2)
        spec = await bench.ask("team", GetChildSpec(Address("b")))
        assert (spec.restart, spec.shutdown) == ("permanent", 3.0)


async def test_stop_restart_and_delete(open_: Opens, world: World) -> None:
    async with open_(team(world, "a", "b")) as bench:
        assert await bench.ask("a", Count()) == 1
        await bench.stop("team", "a")
        assert (await bench.ask("team", RestartChild(A))).status == "running"
        assert await bench.ask("a", Count()) == 2, "its state is kept"
        await bench.stop("team", "a")
        await bench.ask("team", DeleteChild(A))
        assert list(await bench.which("team")) == ["b"]
        assert (await bench.refused("team", RestartChild(A))).code == "not_found"
        assert (await bench.start("team", "a")).status == "running"
        assert list(await bench.which("team")) == ["b", "a"], "it comes last now"


async def test_a_stop_is_idempotent(opens: Opens, world: World) -> None:
    async with opens(team(world, "a", "b")) as bench:
        for _ in range(3):
            await bench.stop("team", "a")
        assert bench.steps("team").count("stopping a") == 1


@pytest.mark.parametrize(
    ("prepare", "request_", "code"),
    [
        ("", StartChild(A), "already_started"),
        ("stop", StartChild(A), "already_present"),
        ("", RestartChild(A), "running"),
        ("", DeleteChild(A), "running"),
        ("wait", RestartChild(A), "restarting"),
        ("wait", DeleteChild(A), "restarting"),
        ("wait", StartChild(A), "already_started"),
        ("", StartChild(Address("nobody")), "not_found"),
        ("", StopChild(Address("nobody")), "not_found"),
        ("", RestartChild(Address("nobody")), "not_found"),
        ("", DeleteChild(Address("nobody")), "not_found"),
        ("", GetChildSpec(Address("nobody")), "not_found"),
        ("", StartChild(Address("jobs/1"), restart="permanent", significant=True), "bad_spec"),
        ("", StartChild(Address("jobs/1"), significant=True), "bad_spec"),
        ("", StartChild(Address("jobs/{key}")), "not_found"),
        ("", StartChild(Address("jobs/")), "not_found"),
        ("", StartChild(Address("")), "not_found"),
    ],
)
async def test_what_cannot_be_done_is_refused_with_a_code_and_leaves_the_tree_as_it_was(
    opens: Opens, world: World, prepare: str, request_: us.Request[Any], code: str
) -> None:
    child = part(world, "a", backoff=us.Backoff(base=1_000.0, cap=1_000.0))
    async with opens(team(world, child, "b", us.Pool("jobs/{key}", Part(world)))) as bench:
        await bench.ask("b", Count())
        if prepare == "stop":
            await bench.stop("team", "a")
        elif prepare == "wait":
            for _ in range(2):
                await bench.tell("a", Fail())
            await bench.until(lambda: bench.status("team")["a"] == "waiting")
        before = await bench.which("team")
        assert (await bench.refused("team", request_)).code == code
        assert await bench.which("team") == before
        assert await bench.ask("b", Count()) == 2


async def test_a_word_that_is_none_is_refused(opens: Opens, world: World) -> None:
    request = StartChild(Address("jobs/1"), restart="sometimes")  # type: ignore[arg-type]
    async with opens(team(world, us.Pool("jobs/{key}", Part(world)))) as bench:
        with pytest.raises((us.AskFailed, us.UnderstudyError), match=r"restart|sometimes"):
            await bench.ask("team", request)
        assert await bench.which("team") == {}


async def test_a_failing_start_by_name_is_told_and_changes_nothing(open_: Opens, world: World) -> None:
    async with open_(team(world, "a", us.Pool("jobs/{key}", Part(world)), strategy="one_for_all")) as bench:
        await bench.ask("a", Count())
        world.fails["jobs/1"] = 1
        failure = await bench.refused("team", StartChild(Address("jobs/1")))
        assert failure.code == "failed_to_start"
        assert "jobs/1 cannot start" in failure.message
        assert list(await bench.which("team")) == ["a"]
        assert bench.incarnation("a") == 0
        assert bench.supervisor("team").window == ()
        assert (await bench.start("team", "jobs/1")).status == "running", "the next try may succeed"


async def test_a_failing_restart_by_name_leaves_it_ended(opens: Opens, world: World) -> None:
    async with opens(team(world, "a", "b")) as bench:
        await bench.stop("team", "a")
        world.fails["a"] = 1
        assert (await bench.refused("team", RestartChild(A))).code == "failed_to_start"
        assert bench.status("team") == {"a": "ended", "b": "running"}
        assert (await bench.refused("a", Count())).code == "stopped"
        assert (await bench.ask("team", RestartChild(A))).status == "running"


async def test_a_child_of_the_definition_that_was_deleted_and_fails_to_start_stays_deleted(
    opens: Opens, world: World
) -> None:
    async with opens(team(world, "a", "b")) as bench:
        await bench.stop("team", "a")
        await bench.ask("team", DeleteChild(A))
        world.fails["a"] = 1
        assert (await bench.refused("team", StartChild(A))).code == "failed_to_start"
        assert list(bench.status("team")) == ["b"]
        assert "a" in bench.supervisor("team").gone


async def test_requests_during_a_restart_wait_for_its_end(open_: Opens, world: World) -> None:
    plan = FaultPlan().delay_effect(1, 0.3)
    children = [part(world, "a", shutdown=20.0), part(world, "b"), part(world, "c")]
    async with open_(team(world, *children, strategy="one_for_all"), plan=plan) as bench:
        await bench.tell("a", Look())
        await bench.until(lambda: bench.cell("a").memory.effects)
        await bench.tell("c", Fail())
        await bench.until(lambda: bench.status("team")["a"] == "stopping")
        await bench.stop("team", "b")
        assert bench.lives()[3:] == ["end b", "end a", "up a", "up b", "up c", "end b"] or bench.lives()[3:][
            -1
        ].endswith("end b")
        assert bench.status("team") == {"a": "running", "b": "ended", "c": "running"}


async def test_a_child_that_was_stopped_by_name_comes_back_with_the_group(opens: Opens, world: World) -> None:
    """As in OTP: "can later be restarted by the supervisor"."""
    async with opens(team(world, "a", "b", strategy="one_for_all")) as bench:
        await bench.stop("team", "a")
        await bench.tell("b", Fail())
        await bench.until(lambda: bench.status("team") == {"a": "running", "b": "running"})


async def test_a_child_that_ended_may_be_restarted_by_name(opens: Opens, world: World) -> None:
    async with opens(team(world, "a", "b")) as bench:
        await bench.tell("a", Finish())
        await bench.until(lambda: bench.status("team")["a"] == "ended")
        assert (await bench.ask("team", RestartChild(A))).status == "running"
        assert await bench.ask("a", Count()) == 1


async def test_requests_before_the_supervisor_has_started_wait_for_it(opens: Opens, world: World) -> None:
    async with opens(team(world, "x", team(world, "a", "b", name="inner"))) as bench:
        assert list(await bench.which("inner")) == ["a", "b"]
        assert {info.status for info in (await bench.which("inner")).values()} == {"running"}


async def test_a_request_to_a_supervisor_that_ends_meanwhile_is_answered(opens: Opens, world: World) -> None:
    inner = team(world, "a", "b", name="inner")
    async with opens(team(world, inner, "x")) as bench:
        await bench.stop("team", "inner")
        assert (await bench.refused("inner", StopChild(A))).code == "stopped"


async def test_a_child_at_a_template_may_be_started_by_name_and_is_then_kept_like_the_others(
    opens: Opens, world: World
) -> None:
    async with opens(team(world, "a", us.Child("t/{key}", Part(world)))) as bench:
        assert (await bench.start("team", "t/1", restart="permanent")).restart == "permanent"
        await bench.tell("t/1", Finish())
        await bench.until(lambda: bench.incarnation("t/1") == 1)
        assert await bench.ask("t/2", Count()) == 1, "others begin with their mail"
        assert list(await bench.which("team")) == ["a", "t/1"]


async def test_a_start_that_fails_for_ever_without_a_wait_leaves_room_for_requests(open_: Opens, world: World) -> None:
    async with open_(team(world, "a", "b", intensity=us.Intensity(1_000_000, 60.0), slow=None)) as bench:
        await bench.ask("b", Count())
        world.fails["a"] = 1_000_000
        await bench.tell("a", Fail())
        await bench.until(lambda: len(bench.events("team", "restarting")) > 5)
        await bench.stop("team", "a")
        assert bench.status("team") == {"a": "ended", "b": "running"}


async def test_a_member_that_was_given_up_and_is_stopped_by_name_is_no_question_any_more(
    opens: Opens, world: World
) -> None:
    inner = us.Supervisor("inner", [us.Pool("jobs/{key}", Part(world))], intensity=us.Intensity(0, 60.0))
    async with opens(us.Supervisor("outer", [inner])) as bench:
        await bench.start("inner", "jobs/1")
        await bench.tell("jobs/1", Fail())
        await bench.until(bench.inbox)
        await bench.stop("inner", "jobs/1")
        await bench.until(lambda: not bench.inbox())
        assert await bench.which("inner") == {}


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_who_is_started_with_one_that_waits_is_not_started_before_it_by_name(
    open_: Opens, world: World, strategy: Strategy
) -> None:
    slow = us.Backoff(base=1_000_000.0, cap=1_000_000_000.0)
    definition = team(world, part(world, "a"), part(world, "b"), strategy=strategy, backoff=slow)
    async with open_(definition) as bench:
        await bench.ask("b", Count())
        for _ in range(2):
            await bench.tell("a", Fail())
        await bench.until(lambda: bench.status("team") == {"a": "waiting", "b": "down"})
        refused = await bench.refused("team", RestartChild(Address("b")))
        assert (refused.code, "started with a" in refused.message) == ("restarting", True)
        await bench.ask("team", DeleteChild(Address("b")))
        anew = await bench.refused("team", StartChild(Address("b")))
        assert (anew.code, "can be started when a is" in anew.message) == ("restarting", True)
        assert bench.status("team") == {"a": "waiting"}, "the tree is as it was"
