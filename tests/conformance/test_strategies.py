"""Who is stopped and started, in which order. (OTP: supervisor_SUITE, one_for_one, one_for_all, rest_for_one)"""

from __future__ import annotations

import pytest

import understudy as us
from tests.conformance.bench import Opens
from tests.conformance.part import Count, Fail, Finish, Part, World, team
from understudy.protocols.children import Strategy
from understudy.testing import Simulated


async def test_children_are_started_left_to_right_each_after_the_one_before_has_acknowledged(
    open_: Opens, world: World
) -> None:
    async with open_(team(world, "a", "b", "c")) as bench:
        await bench.ask("c", Count())
        assert bench.lives() == ["up a", "up b", "up c"]
        assert bench.steps("team") == ["starting a", "up a", "starting b", "up b", "starting c", "up c"]


async def test_mail_to_a_child_that_is_not_started_yet_waits_for_its_start(opens: Opens, world: World) -> None:
    async with opens(team(world, "a", "b")) as bench:
        assert await bench.ask("b", Count()) == 1
        turns = [row.kind for row, _ in bench.records("b") if row.kind == "turn"]
        assert turns
        assert bench.lives() == ["up a", "up b"]


@pytest.mark.parametrize(
    ("strategy", "then"),
    [
        ("one_for_one", ["up b"]),
        ("one_for_all", ["end d", "end c", "end a", "up a", "up b", "up c", "up d"]),
        ("rest_for_one", ["end d", "end c", "up b", "up c", "up d"]),
    ],
)
async def test_who_is_stopped_in_reverse_and_started_forwards(
    open_: Opens, world: World, strategy: Strategy, then: list[str]
) -> None:
    async with open_(team(world, "a", "b", "c", "d", strategy=strategy)) as bench:
        await bench.ask("d", Count())
        before = len(bench.lives())
        await bench.tell("b", Fail())
        await bench.until(
            lambda: len(bench.lives()) >= before + len(then) and set(bench.status("team").values()) == {"running"}
        )
        assert bench.lives()[before:] == then
        assert await bench.ask("b", Count()) == 1


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_untouched_children_keep_their_incarnation(opens: Opens, world: World, strategy: Strategy) -> None:
    async with opens(team(world, "a", "b", "c", strategy=strategy)) as bench:
        await bench.ask("c", Count())
        await bench.tell("b", Fail())
        await bench.until(
            lambda: bench.supervisor("team").kids and bench.incarnation("b") == 1 and not bench.supervisor("team").job
        )
        touched = {"one_for_one": "b", "one_for_all": "abc", "rest_for_one": "bc"}[strategy]
        assert [bench.incarnation(n) for n in "abc"] == [int(n in touched) for n in "abc"]


async def test_the_last_child_under_rest_for_one_is_restarted_alone(opens: Opens, world: World) -> None:
    async with opens(team(world, "a", "b", strategy="rest_for_one")) as bench:
        await bench.ask("b", Count())
        await bench.tell("b", Fail())
        await bench.until(lambda: bench.lives()[2:] == ["up b"])


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_child_that_ended_in_order_comes_back_with_the_others(
    opens: Opens, world: World, strategy: Strategy
) -> None:
    """As in OTP: its spec is known, so it is started with the group."""
    async with opens(team(world, "a", "b", "c", strategy=strategy)) as bench:
        await bench.ask("c", Count())
        await bench.tell("b", Finish())
        await bench.until(lambda: bench.status("team")["b"] == "ended")
        await bench.tell("a", Fail())
        await bench.until(lambda: bench.lives()[-3:] == ["up a", "up b", "up c"])
        assert await bench.ask("b", Count()) == 1


async def test_a_restart_keeps_address_state_and_mail_and_mail_held_meanwhile_is_taken_after(
    opens: Opens, world: World
) -> None:
    async with opens(team(world, "a", "b", strategy="one_for_all")) as bench:
        assert await bench.ask("b", Count()) == 1
        await bench.tell("a", Fail())
        for _ in range(3):
            await bench.tell("b", Count())
        assert await bench.ask("b", Count()) == 5


def test_what_is_written_of_a_restart_of_all_grows_with_their_number_and_not_with_its_square() -> None:
    def written(children: int) -> int:
        names = [f"some/longer/name/of/a/child/{n:04}" for n in range(children)]
        everybody = us.Supervisor("team", [us.Child(name, Part) for name in names], strategy="one_for_all")
        node = Simulated(everybody)
        node.rest()
        before = len(node.journal.rows())
        node.tell(names[0], Fail())
        node.rest()
        assert {line.incarnation for line in node.journal.actors() if line.address in names} == {1}
        return sum(len(row.payload) for row in node.journal.rows(limit=100_000)[before:] if row.stream == "team")

    assert written(160) < 1.5 * 4 * written(40)
