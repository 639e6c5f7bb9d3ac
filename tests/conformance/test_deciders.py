"""Deciders and escalation: from a failure to what is done about it, level by level. (Beyond OTP.)"""

from __future__ import annotations

from typing import Any

import pytest

import understudy as us
from tests.conformance.bench import Bench, Opens
from tests.conformance.part import Count, Fail, GiveUp, Part, World, part, team
from understudy.protocols.children import Directive
from understudy.supervisor.supervision.deciders import Decider


def function(directive: Directive) -> Decider:
    def rule(failure: us.Failure) -> Directive | None:
        return directive if "KeyError" in failure.message else None

    return rule


def rules(directive: Directive) -> list[tuple[str, Decider]]:
    return [
        ("KeyError", {"KeyError": directive}),
        ("crashed", {"crashed": directive}),
        ("rule", function(directive)),
    ]


async def fail(bench: Bench, name: str = "a") -> None:
    await bench.tell(name, Fail("gone", raises="KeyError"))


@pytest.mark.parametrize("rule", range(3))
async def test_resume_goes_on_without_the_message(opens: Opens, world: World, rule: int) -> None:
    name, decider = rules("resume")[rule]
    async with opens(team(world, "a", "b", strategy="one_for_all", decide=decider)) as bench:
        assert await bench.ask("a", Count()) == 1
        await fail(bench)
        assert await bench.ask("a", Count()) == 2
        assert bench.lives() == ["up a", "up b"]
        (decided,) = bench.events("team", "decided")
        assert (decided["directive"], decided["rule"]) == ("resume", name)
        assert bench.supervisor("team").window == ()


@pytest.mark.parametrize("rule", range(3))
async def test_stop_ends_the_child_and_the_others_go_on(opens: Opens, world: World, rule: int) -> None:
    name, decider = rules("stop")[rule]
    async with opens(team(world, "a", "b", strategy="one_for_all", decide=decider)) as bench:
        await fail(bench)
        failure = await bench.refused("a", Count())
        assert failure.code == "stopped"
        assert await bench.ask("b", Count()) == 1
        assert bench.status("team") == {"a": "ended", "b": "running"}
        assert bench.events("team", "decided")[0]["rule"] == name


@pytest.mark.parametrize("rule", range(3))
async def test_escalate_ends_the_supervisor_and_the_one_above_decides(opens: Opens, world: World, rule: int) -> None:
    _, decider = rules("escalate")[rule]
    async with opens(team(world, team(world, "a", "b", name="inner", decide=decider), "x")) as bench:
        await bench.ask("b", Count())
        await fail(bench)
        assert await bench.ask("a", Count()) == 1
        await bench.until(lambda: bench.lives()[3:] == ["end b", "up a", "up b"])
        (restarting,) = bench.events("team", "restarting")
        assert restarting["child"] == "inner"
        codes = [restarting["failure"]["code"], restarting["failure"]["cause"]["code"]]
        assert codes == ["escalated", "crashed"]


async def test_what_no_rule_names_is_restarted(opens: Opens, world: World) -> None:
    async with opens(team(world, "a", decide={"ValueError": "stop"})) as bench:
        await fail(bench)
        assert await bench.ask("a", Count()) == 1
        assert bench.incarnation("a") == 1


async def test_the_narrowest_name_decides(opens: Opens, world: World) -> None:
    decider: Decider = {"crashed": "stop", "KeyError": "resume"}
    async with opens(team(world, "a", decide=decider)) as bench:
        await fail(bench)
        assert await bench.ask("a", Count()) == 1


async def test_a_failure_that_an_actor_ends_with_is_decided_about_like_any_other(opens: Opens, world: World) -> None:
    async with opens(team(world, "a", decide={"gave_up": "stop"})) as bench:
        await bench.tell("a", GiveUp())
        assert (await bench.refused("a", Count())).code == "stopped"


def raises(failure: us.Failure) -> Directive | None:
    raise LookupError("the rule itself")


def leaves(failure: us.Failure) -> Directive | None:
    raise SystemExit("the rule leaves")


def nonsense(failure: us.Failure) -> Any:
    return "explode"


def another(failure: us.Failure) -> Any:
    return object()  # whose repr is another one in every life of the process


@pytest.mark.parametrize(
    ("decider", "text"),
    [
        (raises, "the rule itself"),
        (leaves, "the rule leaves"),
        (nonsense, "explode"),
        (another, "another said a object, which is none of"),
    ],
)
async def test_a_decider_that_raises_or_gives_nonsense_escalates_with_both_failures(
    open_: Opens, world: World, decider: Decider, text: str
) -> None:
    async with open_(team(world, team(world, "a", name="inner", decide=decider), "x")) as bench:
        await fail(bench)
        assert await bench.ask("a", Count()) == 1
        (decided,) = bench.events("inner", "decided")
        assert decided["directive"] == "escalate"
        assert decided["failure"]["code"] == "decider_failed"
        assert text in decided["failure"]["message"]
        assert "KeyError" in decided["failure"]["cause"]["message"]
        (restarting,) = bench.events("team", "restarting")
        assert restarting["failure"]["cause"]["code"] == "decider_failed"


async def test_resume_means_nothing_for_a_supervisor_that_has_ended_so_it_is_restarted(
    opens: Opens, world: World
) -> None:
    inner = team(world, "a", name="inner", intensity=us.Intensity(0, 1.0))
    async with opens(team(world, inner, "x", decide={"budget_exhausted": "resume"})) as bench:
        await fail(bench)
        assert await bench.ask("a", Count()) == 1
        assert bench.incarnation("inner") == 1


async def test_a_supervisor_that_a_decider_stops_is_over_with_its_tree(opens: Opens, world: World) -> None:
    inner = team(world, "a", "b", name="inner", intensity=us.Intensity(0, 1.0))
    async with opens(team(world, inner, "x", decide={"budget_exhausted": "stop"})) as bench:
        await bench.ask("b", Count())
        await fail(bench)
        await bench.until(lambda: bench.cell("inner").memory.life == "stopped")
        for name in ("a", "b"):
            assert (await bench.refused(name, Count())).code == "stopped"
        assert await bench.ask("x", Count()) == 1


def levels(world: World, *, top: Decider | None, middle: Decider | None) -> us.Supervisor:
    virtual = us.Child("v/{key}", Part(world))
    low = us.Supervisor("low", [virtual], decide={"KeyError": "escalate"})
    return us.Supervisor("high", [us.Supervisor("mid", [low], decide=middle)], decide=top)


async def test_an_escalation_climbs_level_by_level_until_a_decider_knows_and_each_decision_is_recorded(
    open_: Opens, world: World
) -> None:
    async with open_(levels(world, top={"KeyError": "restart"}, middle=None)) as bench:
        assert await bench.ask("v/1", Count()) == 1
        await fail(bench, "v/1")
        await bench.until(lambda: bench.events("low", "resolved"))
        assert await bench.ask("v/1", Count()) >= 2
        said = [
            (name, event["directive"]) for name in ("low", "mid", "high") for event in bench.events(name, "decided")
        ]
        assert said == [("low", "escalate"), ("mid", "escalate"), ("high", "restart")]
        assert not bench.inbox()


async def test_an_escalation_that_nobody_decides_comes_to_a_person_with_the_cause_chain(
    open_: Opens, world: World
) -> None:
    async with open_(levels(world, top=None, middle=None)) as bench:
        await fail(bench, "v/1")
        await bench.until(bench.inbox)
        (item,) = bench.inbox()
        assert item.actor == "root"
        assert item.failure is not None
        assert [failure.code for failure in item.failure.chain()] == ["escalated", "crashed"]
        levels_above = ("mid", "high", "root")
        await bench.until(lambda: all(bench.events(name, "decided") for name in levels_above))
        assert [event["directive"] for name in levels_above for event in bench.events(name, "decided")] == [
            "escalate"
        ] * 3


async def test_a_level_on_the_way_may_stop_it(opens: Opens, world: World) -> None:
    async with opens(levels(world, top=None, middle={"KeyError": "stop"})) as bench:
        await fail(bench, "v/1")
        await bench.until(lambda: bench.cell("v/1").memory.life == "stopped")
        assert (await bench.refused("v/1", Count())).code == "stopped"
        assert bench.events("high", "decided") == []


async def test_a_pool_member_that_is_escalated_climbs_alone(opens: Opens, world: World) -> None:
    inner = us.Supervisor(
        "inner", [us.Pool("jobs/{key}", Part(world)), part(world, "a")], decide={"KeyError": "escalate"}
    )
    async with opens(us.Supervisor("outer", [inner], decide={"KeyError": "restart"})) as bench:
        await bench.start("inner", "jobs/1")
        await fail(bench, "jobs/1")
        await bench.until(lambda: bench.incarnation("jobs/1") == 1)
        assert bench.incarnation("a") == 0
        assert bench.incarnation("inner") == 0
