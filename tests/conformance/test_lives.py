"""All of it is state: another life of the process, a crash at any step or a commit that fails goes on where it was."""

from __future__ import annotations

import pytest

import understudy as us
from tests.conformance.bench import Opens, Virtual
from tests.conformance.part import OFTEN, QUICK, Count, Fail, Finish, Look, Part, Pay, World, part, team
from understudy.actors.kernel import Kernel
from understudy.protocols.children import Strategy
from understudy.testing import FaultPlan, Faults, Simulated

LONG = us.Backoff(base=1_000.0, cap=1_000.0)


def tree(world: World, strategy: Strategy = "one_for_all") -> us.Supervisor:
    inner = team(world, "b", "c", name="inner", strategy="rest_for_one")
    return team(world, "a", inner, part(world, "t", restart="temporary"), "z", strategy=strategy)


def left_over(board: Simulated) -> list[str]:
    """What would be waited for for ever, or rings for nothing."""
    sets = board.kernel.sets
    return [*sets.mail, *sets.timers, *sets.effects]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one", "one_for_one"])
@pytest.mark.parametrize("target", ["a", "b", "z"])
async def test_a_crash_at_any_step_of_a_restart_comes_to_the_same_end(strategy: Strategy, target: str) -> None:
    async def run(crash: int, seed: int, down: float) -> tuple[list[str], list[str], dict[str, str]]:
        world = World()
        async with Virtual(tree(world, strategy), world=world, seed=seed) as bench:
            await bench.ask("z", Count())
            sent = bench.board.tell(target, Fail(), key="once")
            step = 0
            for step in range(1_000):
                if step == crash:
                    bench.board.crash(down=down)
                    if not sent.accepted:
                        bench.board.again(sent)
                if not bench.board.step() and step > crash:
                    break
            bench.board.rest()
            assert left_over(bench.board) == []
            return bench.lives(), bench.steps("team"), bench.status("team")

    wanted = await run(-1, 0, 0.0)
    for crash in range(36):
        came = await run(crash, crash, (0.0, 70.0, 3_600.0)[crash % 3])
        assert came == wanted, f"after a crash at step {crash}"


async def test_crashes_at_random_steps_of_many_failures_leave_everything_running() -> None:
    """With faults of the journal and of loads besides, and time that leaps."""
    for seed in range(60):
        world = World()
        strategies: list[Strategy] = ["one_for_all", "rest_for_one", "one_for_one"]
        often = us.Intensity(1_000, 60.0)
        inner = team(world, "b", "c", name="inner", strategy=strategies[seed // 3 % 3], intensity=often)
        outer = team(
            world, "a", inner, "z", us.Pool("jobs/{key}", Part(world)), strategy=strategies[seed % 3], intensity=often
        )
        board = Simulated(outer, seed=seed)
        board.rest()
        board.faults = Faults(crash=0.01, commit_fails=0.02, commit_unknown=0.02, load_fails=0.05)
        for n in range(12):
            board.tell("abcz"[n % 4], Fail(), key=f"m{n}")
            for _ in range(board.random.randrange(40)):
                board.step()
        board.faults = Faults()
        board.rest()
        for name in "abcz":
            sent = board.ask(name, Count())
            board.rest()
            assert sent.reply is not None, f"seed {seed}: {name} does not answer"
            assert sent.reply.failure is None, f"seed {seed}: {name}: {sent.reply.failure}"
        for name in ("team", "inner"):
            state = board.actor(name).state
            assert {kid.status for kid in state.kids.values()} == {"running"}, f"seed {seed}"  # type: ignore[union-attr]
            assert state.job is None  # type: ignore[union-attr]
        assert left_over(board) == [], f"seed {seed}"


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize("n", range(1, 9))
async def test_a_commit_that_fails_in_the_middle_of_a_restart_changes_nothing(
    opens: Opens, world: World, n: int, written: bool
) -> None:
    plan = FaultPlan()
    async with opens(tree(world), plan=plan) as bench:
        await bench.ask("z", Count())
        plan.fail_append(plan.appends + n, written=written)
        await bench.tell("a", Fail())
        for name in "abcz":
            assert await bench.ask(name, Count()) >= 1
        await bench.until(lambda: bench.lives()[5:] == [
            "end z", "end t", "end c", "end b", "up a", "up b", "up c", "up z",
        ])  # fmt: skip


async def test_another_life_finds_the_window_as_it_was(reopens: Opens, world: World) -> None:
    limits = us.Intensity(2, 600.0)
    async with reopens(team(world, "a", "b", intensity=limits)) as bench:
        for _ in range(2):
            await bench.tell("a", Fail())
        await bench.ask("a", Count())
    async with reopens(team(world, "a", "b", intensity=limits)) as bench:
        await bench.tell("b", Fail())
        await bench.until(lambda: bench.events("team", "exhausted"))


async def test_a_wait_goes_on_in_another_life(reopens: Opens, world: World) -> None:
    backoff = us.Backoff(base=0.6, cap=0.6)
    async with reopens(team(world, "a", "b", strategy="one_for_all", backoff=backoff)) as bench:
        await bench.ask("b", Count())
        await bench.tell("a", Fail())
        await bench.until(lambda: bench.incarnation("b") == 1)
        await bench.tell("a", Fail())
        await bench.until(lambda: bench.status("team") == {"a": "waiting", "b": "down"})
    async with reopens(team(world, "a", "b", strategy="one_for_all", backoff=backoff)) as bench:
        assert await bench.ask("b", Count()) == 2
        assert bench.incarnation("b") == 2


async def test_a_child_that_was_given_up_is_so_in_another_life(reopens: Opens, world: World) -> None:
    definition = team(world, us.Pool("jobs/{key}", Part(world)), intensity=us.Intensity(0, 60.0))
    async with reopens(definition) as bench:
        await bench.start("team", "jobs/1")
        await bench.tell("jobs/1", Fail())
        await bench.until(bench.inbox)
    async with reopens(definition) as bench:
        (item,) = bench.inbox()
        await bench.answer(item.id, "approve")
        await bench.until(
            lambda: bench.status("team")["jobs/1"] == "running"
        )  # who asks before is told that it is given up
        assert await bench.ask("jobs/1", Count()) == 1


async def test_a_stop_in_the_middle_goes_on_in_another_life(reopens: Opens, world: World) -> None:
    plan = FaultPlan().hang_effect(1)
    definition = team(world, part(world, "a", shutdown=None), "b", strategy="one_for_all")
    async with reopens(definition, plan=plan) as bench:
        await bench.tell("a", Look())
        await bench.until(lambda: bench.cell("a").memory.effects)
        await bench.tell("b", Fail())
        await bench.until(lambda: bench.status("team")["a"] == "stopping")
    async with reopens(definition) as bench:
        assert await bench.ask("b", Count()) == 1
        assert bench.status("team") == {"a": "running", "b": "running"}
        assert (bench.incarnation("a"), bench.incarnation("b")) == (1, 1)


async def stopped_in_the_middle(world: World, crash: int) -> Virtual:
    """A restart of all in which one child has a call under way and takes as long as that does, with a crash at a step."""
    definition = team(world, part(world, "a", shutdown=None), "b", strategy="one_for_all")
    bench = Virtual(definition, world=world, seed=crash)
    await bench.ask("b", Count())
    board = bench.board
    board.tell("a", Pay())
    await bench.until(lambda: any(effect.state == "started" for effect in bench.cell("a").memory.effects.values()))
    await bench.tell("b", Fail())
    for _ in range(crash):
        board.step()
    board.crash(down=0.0)
    board.rest()
    for item in board.inbox():
        await bench.answer(item.id, "happened")
    board.rest()
    return bench


async def test_a_crash_at_any_step_of_a_stop_with_a_call_under_way_leaves_nothing_undone() -> None:
    for crash in range(60):
        bench = await stopped_in_the_middle(World(), crash)
        assert bench.status("team") == {"a": "running", "b": "running"}, f"after a crash at step {crash}"
        assert bench.supervisor("team").job is None
        assert len(bench.settled("a")) == 1, "somebody was told what came of it"
        assert left_over(bench.board) == []


async def test_the_control_a_word_that_is_not_durable_leaves_a_stop_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The word that the last call has ended, if it stood in no row: lost in a crash, nobody says it again."""
    take_in = Kernel._take_in

    def forgets(self: Kernel, id: str) -> None:
        if not id.startswith("halt:"):
            take_in(self, id)

    monkeypatch.setattr(Kernel, "_take_in", forgets)
    stuck = 0
    for crash in range(60):
        bench = await stopped_in_the_middle(World(), crash)
        stuck += bench.status("team")["a"] == "stopping"
    assert stuck


# -- definitions that change between two lives ----------------------------------------------------------------------


async def test_a_child_that_is_new_is_started_in_its_place(reopens: Opens, world: World) -> None:
    async with reopens(team(world, "a", "c", strategy="rest_for_one")) as bench:
        await bench.ask("c", Count())
    async with reopens(team(world, "a", "b", "c", strategy="rest_for_one")) as bench:
        assert await bench.ask("b", Count()) == 1
        assert list(bench.status("team")) == ["a", "b", "c"]
        before = len(bench.lives())
        await bench.tell("b", Fail())
        await bench.until(lambda: bench.lives()[before:] == ["end c", "up b", "up c"])


async def test_a_child_that_the_definition_has_dropped_is_forgotten(reopens: Opens, world: World) -> None:
    async with reopens(team(world, "a", "b", "c", strategy="one_for_all")) as bench:
        await bench.ask("c", Count())
    async with reopens(team(world, "a", "c", strategy="one_for_all")) as bench:
        await bench.tell("a", Fail())
        await bench.until(lambda: bench.lives()[3:] == ["end c", "up a", "up c"])
        assert list(bench.status("team")) == ["a", "c"]


async def test_siblings_that_waited_with_a_child_that_is_dropped_are_started(reopens: Opens, world: World) -> None:
    async with reopens(team(world, "a", "b", "c", strategy="one_for_all", backoff=LONG)) as bench:
        await bench.ask("c", Count())
        await bench.tell("b", Fail())
        await bench.until(lambda: bench.incarnation("c") == 1)
        await bench.tell("b", Fail())
        await bench.until(lambda: bench.status("team") == {"a": "down", "b": "waiting", "c": "down"})
    async with reopens(team(world, "a", "c", strategy="one_for_all", backoff=LONG)) as bench:
        assert await bench.ask("c", Count()) == 2
        assert bench.status("team") == {"a": "running", "c": "running"}


async def test_a_child_that_is_dropped_while_it_is_waited_for_holds_nobody_up(reopens: Opens, world: World) -> None:
    plan = FaultPlan().hang_effect(1)
    async with reopens(team(world, part(world, "a", shutdown=None), "b", strategy="one_for_all"), plan=plan) as bench:
        await bench.tell("a", Look())
        await bench.until(lambda: bench.cell("a").memory.effects)
        await bench.tell("b", Fail())
        await bench.until(lambda: bench.status("team")["a"] == "stopping")
    async with reopens(team(world, "b", strategy="one_for_all")) as bench:
        assert await bench.ask("b", Count()) == 1
        assert bench.status("team") == {"b": "running"}


async def test_a_child_whose_spec_has_changed_is_kept_by_the_new_one(reopens: Opens, world: World) -> None:
    async with reopens(team(world, "a", "b")) as bench:
        await bench.ask("b", Count())
    async with reopens(team(world, part(world, "a", restart="temporary"), "b")) as bench:
        await bench.ask("b", Count())
        await bench.tell("a", Finish())
        await bench.until(lambda: list(bench.status("team")) == ["b"])


async def test_a_new_child_of_a_nested_supervisor_is_started_too(reopens: Opens, world: World) -> None:
    async with reopens(team(world, "x", team(world, "a", name="inner"))) as bench:
        await bench.ask("a", Count())
    async with reopens(team(world, "x", team(world, "a", "b", name="inner"), team(world, "c", name="late"))) as bench:
        assert await bench.ask("b", Count()) == 1
        assert await bench.ask("c", Count()) == 1


async def test_a_child_that_was_deleted_stays_deleted_and_a_temporary_one_that_ended_stays_ended(
    reopens: Opens, world: World
) -> None:
    from understudy.protocols.ids import Address
    from understudy.supervisor.supervision.live import DeleteChild

    definition = team(world, "a", part(world, "t", restart="temporary"), "z")
    async with reopens(definition) as bench:
        await bench.ask("z", Count())
        await bench.tell("t", Finish())
        await bench.stop("team", "a")
        await bench.ask("team", DeleteChild(Address("a")))
        await bench.until(lambda: list(bench.status("team")) == ["z"])
    async with reopens(definition) as bench:
        assert await bench.ask("z", Count()) == 2
        assert list(bench.status("team")) == ["z"]


async def test_members_and_children_by_name_are_there_in_another_life(reopens: Opens, world: World) -> None:
    definition = us.Supervisor(
        "team", [us.Pool("jobs/{key}", Part(world)), part(world, "a")], backoff=QUICK, intensity=OFTEN
    )
    async with reopens(definition) as bench:
        await bench.start("team", "jobs/1")
        assert await bench.ask("jobs/1", Count()) == 1
    async with reopens(definition) as bench:
        await bench.tell("jobs/1", Fail())
        assert await bench.ask("jobs/1", Count()) == 2
        assert list(bench.status("team")) == ["a", "jobs/1"]
