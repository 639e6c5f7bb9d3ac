"""Memory-only children in a group: nothing of them outlives the process, and the group's rules hold for them all the same."""

from __future__ import annotations

from itertools import product

import pytest

import understudy as us
from tests.conformance.bench import Opens, Virtual
from tests.conformance.part import OFTEN, QUICK, Count, Fail, Finish, Fleeting, World, part
from understudy.protocols.children import Strategy
from understudy.supervisor.simulation.node import EPOCH
from understudy.supervisor.supervision.supervisor import SupervisorActor


def group(world: World, strategy: Strategy = "one_for_all", **options: object) -> us.Supervisor:
    children = [part(world, "a"), us.Child("m", Fleeting(world)), part(world, "z")]
    return us.Supervisor("team", children, strategy=strategy, backoff=QUICK, intensity=OFTEN, **options)  # type: ignore[arg-type]


async def test_it_is_started_in_its_turn_and_restarted_with_the_others(open_: Opens, world: World) -> None:
    async with open_(group(world)) as bench:
        await bench.ask("z", Count())
        assert [await bench.ask("m", Count()) for _ in range(2)] == [1, 2]
        assert world.called["m"] == 1
        assert [step for step in bench.steps("team") if step.startswith("up")] == ["up a", "up m", "up z"]
        await bench.tell("z", Fail())
        await bench.until(lambda: bench.lives()[2:] == ["end a", "up a", "up z"])
        assert await bench.ask("m", Count()) == 1, "it has nothing to keep its state in"
        assert world.called["m"] == 2


async def test_its_failure_takes_the_group_down(opens: Opens, world: World) -> None:
    async with opens(group(world)) as bench:
        await bench.ask("z", Count())
        await bench.tell("m", Fail())
        await bench.until(lambda: bench.lives()[2:] == ["end z", "end a", "up a", "up z"])
        assert await bench.ask("m", Count()) == 1
        assert bench.status("team") == {"a": "running", "m": "running", "z": "running"}


async def test_a_start_of_it_that_fails_again_is_seen_and_counted(opens: Opens, world: World) -> None:
    async with opens(group(world, "rest_for_one")) as bench:
        await bench.ask("z", Count())
        world.fails["m"] = 2
        await bench.tell("m", Fail())
        await bench.until(lambda: bench.incarnation("z") == 1)
        assert await bench.ask("m", Count()) == 1
        assert len(bench.supervisor("team").window) == 3


async def test_one_that_ends_itself_is_not_restarted(opens: Opens, world: World) -> None:
    async with opens(group(world)) as bench:
        await bench.ask("z", Count())
        await bench.tell("m", Finish())
        await bench.until(lambda: bench.status("team")["m"] == "ended")


async def test_it_is_started_anew_in_the_next_life_of_the_process_and_its_failures_are_heard(
    reopens: Opens, world: World
) -> None:
    async with reopens(group(world)) as bench:
        for _ in range(2):
            await bench.tell("m", Fail())
            await bench.ask("m", Count())
        assert await bench.ask("z", Count()) == 1
    async with reopens(group(world)) as bench:
        assert await bench.ask("m", Count()) == 1  # its mail may begin it before its supervisor knows that it was lost
        await bench.until(lambda: any(down["how"] == "lost" for down in bench.events("team", "down")))
        await bench.until(lambda: set(bench.status("team").values()) == {"running"})
        before = bench.incarnation("z")
        await bench.tell("m", Fail())
        await bench.until(lambda: bench.incarnation("z") == before + 1)
        assert await bench.ask("m", Count()) == 1


async def test_one_that_goes_on_after_a_failure_does_not_begin_again(opens: Opens, world: World) -> None:
    async with opens(group(world, decide={"RuntimeError": "resume"})) as bench:
        await bench.ask("z", Count())
        assert await bench.ask("m", Count()) == 1
        world.fails["m"] = 1
        await bench.tell("m", Fail())
        assert await bench.ask("m", Count()) == 2
        assert world.fails["m"] == 1, "its Started handler did not run again"


async def crashed_in_the_middle(world: World, seed: int, step: int) -> Virtual:
    """The failure of a sibling, and a crash so many steps later."""
    bench = Virtual(group(world), world=world, seed=seed)
    await bench.ask("z", Count())
    await bench.tell("z", Fail())
    for _ in range(step):
        bench.board.step()
    bench.board.crash(down=0.0)
    bench.board.rest()
    return bench


async def test_a_crash_in_the_middle_of_its_restart_leaves_nothing_undone() -> None:
    for seed, step in product(range(8), range(20)):
        bench = await crashed_in_the_middle(World(), seed, step)
        assert set(bench.status("team").values()) == {"running"}, f"seed {seed}, after a crash at step {step}"
        started = [event for event in bench.events("team", "starting") if event["child"] == "m"]
        assert len(started) >= 2, "in this life, too"
        assert bench.board.now < EPOCH + 5.0, "nobody waited for word of it"
        assert await bench.ask("m", Count()) == 1


async def test_the_control_a_supervisor_that_does_not_look_after_it_waits_for_word_of_the_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nothing(self: SupervisorActor, turn: object) -> None:
        """As if nothing were lost."""

    monkeypatch.setattr(SupervisorActor, "_look_after_lost", nothing)
    late = False
    for seed, step in product(range(8), range(20)):
        bench = await crashed_in_the_middle(World(), seed, step)
        late = late or bench.board.now > EPOCH + 5.0
    assert late
