"""What comes too late, twice or in between: word of an earlier life, orders that cross, a supervisor that fails itself."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

import understudy as us
from tests.conformance.bench import Opens, Steady, Virtual
from tests.conformance.part import Count, Fail, Finish, Look, Part, World, part, team
from understudy.protocols.failures import Failure
from understudy.protocols.ids import Address
from understudy.protocols.lifecycle import ChildExited, ChildFailed, ChildStarted, ChildStopped
from understudy.supervisor.supervision import supervisor as module
from understudy.supervisor.supervision.deciders import decide
from understudy.supervisor.supervision.live import RestartChild, StartChild, StopChild
from understudy.supervisor.supervision.supervisor import SupervisorActor
from understudy.testing import FaultPlan

A = Address("a")
WHY = Failure("abandon", "crashed", "RuntimeError: long ago", where="a")


@pytest.mark.parametrize(
    "word",
    [
        ChildFailed(A, 0, WHY, "", A),
        ChildFailed(A, 7, WHY, "", A, attempt=1),
        ChildFailed(Address("gone"), 0, WHY, "", A),
        ChildFailed(Address("jobs/9"), 0, WHY, "", A),
        ChildExited(A, 0),
        ChildExited(Address("gone"), 3),
        ChildStarted(A, 9, 1),
        ChildStarted(A, 0, 1, ignored=True),
        ChildStarted(Address("gone"), 0, 1),
        ChildStopped(A, 1, "shutdown"),
        ChildStopped(A, 0, "killed", ("pay",)),
    ],
)
async def test_word_of_a_life_that_is_over_changes_nothing(opens: Opens, world: World, word: us.Message) -> None:
    children = [
        part(world, "a"),
        part(world, "gone", restart="temporary"),
        us.Pool("jobs/{key}", Part(world)),
        part(world, "z"),
    ]
    async with opens(team(world, *children, strategy="one_for_all")) as bench:
        await bench.tell("gone", Finish())
        await bench.until(lambda: "gone" not in bench.status("team"))
        await bench.tell("z", Fail())
        await bench.until(lambda: bench.incarnation("z") == 1 and bench.incarnation("a") == 1)
        await bench.ask("z", Count())
        before = bench.supervisor("team")
        await bench.tell("team", word)
        await bench.ask("z", Count())
        assert bench.supervisor("team") == before
        assert bench.cell("gone").memory.life == "finished"


async def test_a_bystander_that_fails_while_it_is_to_end_counts_for_nothing(opens: Opens, world: World) -> None:
    """Its word is stashed or comes late: it was stopped and started with the others anyway."""
    async with opens(team(world, "a", "b", "c", strategy="one_for_all")) as bench:
        await bench.ask("c", Count())
        for name in "abc":
            await bench.tell(name, Fail())
        for name in "abc":
            assert await bench.ask(name, Count()) >= 1
        await bench.until(
            lambda: set(bench.status("team").values()) == {"running"} and not bench.supervisor("team").job
        )
        assert 1 <= len(bench.supervisor("team").window) <= 3


async def test_two_children_that_fail_at_once_are_both_restarted(opens: Opens, world: World) -> None:
    async with opens(team(world, "a", "b", "c", strategy="rest_for_one")) as bench:
        await bench.ask("c", Count())
        await bench.tell("c", Fail())
        await bench.tell("a", Fail())
        for name in "abc":
            assert await bench.ask(name, Count()) >= 1
        assert bench.lives()[-3:] == ["up a", "up b", "up c"]


@pytest.mark.parametrize("seed", range(20))
async def test_orders_that_cross_leave_a_tree_that_answers(world: World, seed: int) -> None:
    """Stops, starts, failures and ends of a nested tree at the same time, in an order drawn from the seed."""
    inner = team(world, "b", "c", us.Pool("jobs/{key}", Part(world)), name="inner", strategy="rest_for_one",
                 intensity=us.Intensity(1_000, 60.0))  # fmt: skip
    outer = team(world, "a", inner, "z", strategy="one_for_all", intensity=us.Intensity(1_000, 60.0))
    async with Virtual(outer, world=world, seed=seed) as bench:
        board = bench.board
        await bench.ask("z", Count())
        asked = list[Any]()
        requests: list[tuple[str, us.Request[Any]]] = [
            ("inner", StopChild(Address("b"))), ("inner", RestartChild(Address("b"))), ("inner", StartChild(Address("jobs/1"))),
            ("team", StopChild(Address("inner"))), ("team", RestartChild(Address("inner"))), ("inner", StopChild(Address("jobs/1"))),
        ]  # fmt: skip
        for n in range(30):
            if board.random.random() < 0.5:
                to, request = board.random.choice(requests)
                asked.append(board.ask(to, request))
            else:
                board.tell(
                    board.random.choice(["a", "b", "c", "z"]),
                    board.random.choice([Fail(), Fail(), Count()]),
                    key=f"m{n}",
                )
            for _ in range(board.random.randrange(8)):
                board.step()
        board.rest()
        assert all(sent.reply is not None or sent.error is not None for sent in asked), "every request is answered"
        for child, top in (("inner", "team"), ("b", "inner")):
            if (await bench.which(top))[child].status != "running":
                await bench.ask(top, RestartChild(Address(child)))
        for name in ("a", "b", "c", "z"):
            assert await bench.ask(name, Count()) >= 1
        board.rest()
        for name in ("team", "inner"):
            assert set(bench.status(name).values()) == {"running"}
            assert bench.supervisor(name).job is None
        assert not board.kernel.sets.timers
        assert not board.kernel.sets.mail


async def test_a_stop_from_above_takes_the_place_of_what_is_going_on_and_whoever_asked_for_that_is_told(
    open_: Opens, world: World
) -> None:
    plan = FaultPlan().delay_effect(1, 0.3)
    inner = team(world, part(world, "a", shutdown=20.0), "b", name="inner")
    async with open_(team(world, inner, "x"), plan=plan) as bench:
        await bench.tell("a", Look())
        await bench.until(lambda: bench.cell("a").memory.effects)
        codes = list[str]()

        async def stop_a() -> None:
            codes.append((await bench.refused("inner", StopChild(A))).code)

        if isinstance(bench, Virtual):
            sent = bench.board.ask("inner", StopChild(A))
            await bench.until(lambda: bench.status("inner")["a"] == "stopping")
            await bench.stop("team", "inner")
            assert sent.reply is not None
            assert sent.reply.failure is not None
            codes.append(sent.reply.failure.code)
        else:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(stop_a)
                await bench.until(lambda: bench.status("inner")["a"] == "stopping")
                await bench.stop("team", "inner")
        assert codes == ["stopped"]
        assert [bench.cell(name).memory.life for name in ("a", "b", "inner")] == ["stopped"] * 3


async def test_a_supervisor_that_fails_itself_is_restarted_with_its_tree(
    opens: Opens, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = [1]

    def broken(decider: Any, failure: Failure, where: str, *more: Any) -> Any:
        if where == "inner" and bad:
            bad.pop()
            raise ValueError("a fault in the supervisor")
        return decide(decider, failure, where, *more)

    monkeypatch.setattr(module, "decide", broken)
    inner = team(world, "a", part(world, "t", restart="temporary"), "b", name="inner")
    async with opens(team(world, "x", inner)) as bench:
        await bench.ask("b", Count())
        await bench.tell("a", Fail())
        await bench.until(lambda: bench.incarnation("inner") == 1 and bench.supervisor("inner").up)
        assert bench.lives()[-3:] == ["up a", "up t", "up b"], "the temporary one, too: it is a new incarnation"
        for name in ("a", "t", "b", "x"):
            assert await bench.ask(name, Count()) >= 1


async def test_a_supervisor_that_fails_while_it_ends_is_asked_again(
    opens: Opens, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, is_down = [1], SupervisorActor.is_down

    def broken(self: SupervisorActor, turn: Any, *more: Any) -> None:
        if turn.me == "inner" and bad:
            bad.pop()
            raise ValueError("a fault in the supervisor")
        is_down(self, turn, *more)

    monkeypatch.setattr(SupervisorActor, "is_down", broken)
    async with opens(team(world, "x", team(world, "a", "b", name="inner"), strategy="one_for_all")) as bench:
        await bench.ask("b", Count())
        await bench.tell("x", Fail())
        await bench.until(lambda: bench.incarnation("inner") == 1 and bench.supervisor("inner").up)
        assert await bench.ask("b", Count()) == 2
        assert bench.lives()[-3:] == ["up x", "up a", "up b"]


class Deaf(Steady):
    """Some actors cannot be brought into memory for a while."""

    def __init__(self, *definitions: Any, **options: Any) -> None:
        self.deaf = set[str]()
        super().__init__(*definitions, **options)

    def _choices(self) -> Any:
        loads = self.kernel.loads
        held = [want for want in loads if want.address in self.deaf]
        loads[:] = [want for want in loads if want.address not in self.deaf]
        choices = super()._choices()
        if not self.deaf:
            return choices
        loads += held
        return [choice for choice in choices if choice[0] != "load" or len(loads) > len(held)]

    def _load(self) -> None:
        loads = self.kernel.loads
        loads.sort(key=lambda want: want.address in self.deaf, reverse=True)
        if loads and loads[-1].address not in self.deaf:
            (found,) = self.journal.find((loads.pop(),))
            self.kernel.loaded(found)


async def test_a_child_that_does_not_start_in_time_has_failed_to_start(world: World) -> None:
    board = Deaf(team(world, "a", part(world, "b", start=5.0), name="team"))
    bench = Virtual(world=world)
    bench.board = board
    board.deaf.add("b")
    board.pass_time(4.0)
    assert bench.status("team") == {"a": "running", "b": "starting"}
    board.pass_time(1.5)
    assert bench.events("team", "exhausted")[0]["failure"]["cause"]["code"] == "start_timeout"
    board.deaf.clear()
    board.rest()
    assert bench.status("team") == {"a": "running", "b": "running"}
    assert await bench.ask("b", Count()) == 1


async def test_a_child_that_does_not_answer_is_left_alone_and_reported(world: World) -> None:
    board = Deaf(team(world, "a", part(world, "b", shutdown=2.0), "c", strategy="one_for_all"), idle=0.0)
    bench = Virtual(world=world)
    bench.board = board
    await bench.ask("b", Count())
    board.rest()
    board.kernel.rest(board.now + 1.0)
    board.deaf.add("b")
    board.tell("a", Fail())
    board.pass_time(6.5)
    assert bench.status("team")["b"] == "stopping"
    board.pass_time(1.0)
    assert [(e["child"], e["how"]) for e in bench.events("team", "down") if e["child"] == "b"] == [("b", "leaked")]
    board.deaf.clear()
    board.rest()
    assert set(bench.status("team").values()) == {"running"}
    assert await bench.ask("b", Count()) == 2


async def test_a_child_that_was_given_up_and_is_restarted_by_name_is_no_question_any_more(
    open_: Opens, world: World
) -> None:
    async with open_(part(world, "a", shutdown=1.0), part(world, "b", shutdown=1.0)) as bench:
        for _ in range(4):
            await bench.tell("a", Fail())
        await bench.until(bench.inbox)
        assert (await bench.ask("root", RestartChild(A))).status == "running"
        assert bench.inbox() == ()
        assert await bench.ask("a", Count()) == 1
