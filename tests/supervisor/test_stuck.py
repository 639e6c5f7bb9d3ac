"""What nothing will ever move again is named; whatever waits for mail, a timer, a call, another actor or a person is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import understudy as us
from understudy.actors.kernel import Kernel
from understudy.actors.working_sets import WorkingSets
from understudy.protocols.children import Strategy
from understudy.protocols.envelope import OUTCOME
from understudy.protocols.ids import Address
from understudy.protocols.lifecycle import Restart
from understudy.supervisor.cli.app import app
from understudy.supervisor.simulation.simulated import Simulated


class Wait(us.Request[str]):
    """Answered later: ``for_`` says by what."""

    for_: str


class Go(us.Message):
    pass


class Rang(us.Message):
    pass


class Took(us.Event):
    later: str


@us.tool(effect="read")
def look(where: str) -> str:
    """Look."""
    return f"saw {where}"


@us.tool(effect="once", approve=True)
def pay(to: str) -> str:
    """Pay."""
    return "paid"


class Waits(us.Actor):
    class State(us.State):
        later: str = ""

    @us.handles(Wait)
    def wait(self, turn: us.Turn[State], msg: Wait) -> us.Later[str]:
        later = turn.later(msg)
        turn.emit(Took(later.id))
        match msg.for_:
            case "a call":
                turn.call(look, "it", tag=later)
            case "a person":
                turn.call(pay, "ada", tag=later)
            case "a timer":
                turn.remind(Rang(), after=100.0)
            case "another":
                turn.ask("waits/b", Wait("a person"), tag=later)
            case "raises":
                raise RuntimeError("no")
            case _:
                pass
        return later

    @us.handles(Go)
    def go(self, turn: us.Turn[State], msg: Go) -> None:
        turn.reply(us.Later[str](turn.state.later), "went")

    @us.handles(Rang)
    def rang(self, turn: us.Turn[State], msg: Rang) -> None:
        turn.reply(us.Later[str](turn.state.later), "rang")

    @us.settles(us.ANY_TOOL)
    def came(self, turn: us.Turn[State], outcome: us.Outcome[Any]) -> None:
        turn.reply(outcome.tag, outcome.value)

    @us.settles(Wait)
    def heard(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
        turn.reply(outcome.tag, outcome.value)

    @us.applies(Took)
    def took(self, state: State, event: Took) -> State:
        return state.evolve(later=event.later)


def desk() -> us.Supervisor:
    return us.Supervisor("desk", [us.Child("waits/{key}", Waits, tools=[look, pay])])


WAITING = ("a call", "a person", "a timer", "another", "raises")


@pytest.mark.parametrize("for_", WAITING)
@pytest.mark.parametrize("seed", range(5))
def test_at_no_step_is_anything_stuck_that_waits_for_something(for_: str, seed: int) -> None:
    node = Simulated(desk(), seed=seed, idle=0.5)
    node.ask("waits/a", Wait(for_))
    for _ in range(400):
        if not node.step(until=node.now + 200.0):
            break
        assert node.stuck() == ()
    node.crash()
    node.rest()
    assert node.stuck() == ()


@pytest.mark.parametrize("idle", [0.5, 1e6], ids=["passive", "in memory"])
def test_who_owes_an_answer_that_nothing_brings_is_stuck_until_somebody_says_go(idle: float) -> None:
    node = Simulated(desk(), idle=idle)
    asked = node.ask("waits/a", Wait("nothing"))
    node.ask("waits/b", Wait("a person"))
    node.rest()
    node.pass_time(10.0)
    (one,) = node.stuck()
    assert one.actor == "waits/a"
    assert "owes somebody outside an answer" in one.why
    node.tell("waits/a", Go())
    node.rest()
    assert node.stuck() == ()
    assert asked.reply is not None


def tree(strategy: Strategy) -> us.Supervisor:
    parts = [us.Child(f"waits/{name}", Waits, tools=[look, pay]) for name in "abc"]
    below = us.Supervisor(
        "below", [*parts[1:], us.Child("waits/d", Waits)], strategy=strategy, intensity=us.Intensity(2, 60)
    )
    return us.Supervisor("above", [parts[0], below], strategy=strategy)


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
@pytest.mark.parametrize("seed", range(5))
def test_who_was_stopped_with_another_and_waits_for_its_restart_is_not_stuck(strategy: Strategy, seed: int) -> None:
    node = Simulated(tree(strategy), seed=seed)
    waited = False
    for _ in range(8):
        node.ask("waits/c", Wait("a call"))
        node.ask("waits/b", Wait("raises"))
        while node.step(until=node.now + 60.0):
            lines = {line.address: line.life for line in node.journal.actors()}
            waited = waited or lines.get(Address("waits/d")) == "restarting"
            assert node.stuck() == ()
    assert waited


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("for_", ["a call", "a person"])
def test_who_waits_for_a_call_that_is_taken_back_when_its_actor_is_stopped_with_another_is_told(
    for_: str, seed: int
) -> None:
    parts = [us.Child(f"waits/{name}", Waits, tools=[look, pay], shutdown=0.0) for name in "ab"]
    node = Simulated(us.Supervisor("above", parts, strategy="one_for_all"), seed=seed)
    asked = node.ask("waits/b", Wait(for_))
    while not node.kernel.sets.effects:
        assert node.step()
    node.ask("waits/a", Wait("raises"))
    node.rest()
    assert asked.reply is not None
    if asked.reply.failure is None:
        assert for_ == "a call"  # it was there in time
    else:
        assert asked.reply.failure.code == "restarted"
        assert asked.reply.failure.cause is not None
        assert "RuntimeError: no" in asked.reply.failure.cause.message


def test_who_was_stopped_with_another_is_stuck_when_the_wait_for_its_restart_is_lost() -> None:
    node = Simulated(us.Supervisor("above", [us.Child(f"waits/{name}", Waits) for name in "ab"], strategy="one_for_all",
                                   backoff=us.Backoff(30.0, 30.0)))  # fmt: skip
    for _ in range(2):
        node.ask("waits/a", Wait("raises"))
        while node.step(until=node.now):
            pass
    assert node.stuck() == ()
    (alarm,) = node.kernel.sets.timers
    del node.kernel.sets.timers[alarm]
    assert [one.actor for one in node.stuck()] == ["waits/a", "waits/b"]


def test_a_suspended_actor_is_not_stuck_while_a_person_is_asked_and_is_when_the_order_is_lost() -> None:
    node = Simulated(desk())
    for _ in range(6):
        node.ask("waits/a", Wait("raises"))
        node.rest()
    (item,) = node.inbox()
    node.tell("waits/a", Go())  # held
    node.rest()
    assert node.stuck() == ()

    def forget(kernel: Kernel) -> None:
        del kernel.sets.effects[item.id]

    forget(node.kernel)
    assert [one.actor for one in node.stuck()] == ["waits/a"]
    assert "nobody is to decide" in node.stuck()[0].why


# -- planted bugs: each must be seen ------------------------------------------------------------------------------------


def _outcome_forgotten(patch: pytest.MonkeyPatch) -> None:
    settle = Kernel.settle
    seen: list[bool] = []

    def forgetful(self: Kernel, settlement: Any) -> None:
        if seen:
            settle(self, settlement)
        seen.append(True)

    patch.setattr(Kernel, "settle", forgetful)


def _timers_never_ring(patch: pytest.MonkeyPatch) -> None:
    def deaf(self: Kernel, due: float, id: str) -> None:
        pass

    patch.setattr(Kernel, "alarm", deaf)


def _answers_are_lost(patch: pytest.MonkeyPatch) -> None:
    open_mail = WorkingSets._open_mail

    def forgetful(self: WorkingSets, mail: Any) -> None:
        if mail.envelope.wire != OUTCOME:
            open_mail(self, mail)

    patch.setattr(WorkingSets, "_open_mail", forgetful)
    put = Kernel.put

    def drop(self: Kernel, cell: Any, item: Any, kind: Any) -> None:
        if item.envelope.wire != OUTCOME:
            put(self, cell, item, kind)

    patch.setattr(Kernel, "put", drop)


def _orders_are_lost(patch: pytest.MonkeyPatch) -> None:
    put = Kernel.put

    def drop(self: Kernel, cell: Any, item: Any, kind: Any) -> None:
        if item.envelope.wire != Restart.__wire__:
            put(self, cell, item, kind)

    patch.setattr(Kernel, "put", drop)


PLANTED: dict[str, tuple[str, Callable[[pytest.MonkeyPatch], None], str]] = {
    "an outcome is forgotten": ("a call", _outcome_forgotten, "nobody performs it"),
    "timers never ring": ("a timer", _timers_never_ring, "nothing will ring"),
    "answers are lost": ("another", _answers_are_lost, ""),
    "orders are lost": ("raises", _orders_are_lost, ""),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_leaves_something_stuck(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for_, plant, why = PLANTED[bug]
    plant(monkeypatch)
    node = Simulated(desk())
    node.ask("waits/a", Wait(for_))
    for _ in range(2_000):
        if not node.step():
            break
    for item in node.inbox():
        node.answer(item.id, "approve")
    for _ in range(2_000):
        if not node.step():
            break
    found = node.stuck()
    assert found, bug
    assert any(why in one.why for one in found)


# -- a real system, its file, and the command line ----------------------------------------------------------------------


async def test_a_system_says_what_is_stuck_and_so_does_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "us.db"
    async with us.System(desk(), journal=path) as system:
        assert await system.stuck() == ()
        with pytest.raises(us.AskFailed, match="no answer"):
            await system.ask("waits/a", Wait("nothing"), timeout=0.2, key="k")
        with pytest.raises(us.AskFailed, match="no answer"):
            await system.ask("waits/b", Wait("a person"), timeout=0.2, key="k")
        (one,) = await system.stuck()
        assert one.actor == "waits/a"
    run = CliRunner().invoke(app, ["stuck", "--journal", str(path), "--json"], standalone_mode=False)
    assert run.return_value == 1
    (said,) = json.loads(run.output)
    assert said["actor"] == "waits/a"
    assert "owes somebody outside an answer" in said["why"]
    async with us.System(desk(), journal=path) as system:
        await system.tell("waits/a", Go())
        await system.rest()
        assert await system.stuck() == ()
    run = CliRunner().invoke(app, ["stuck", "--journal", str(path)], standalone_mode=False)
    assert run.return_value == 0
    assert "Nothing is stuck" in run.output


async def test_what_nobody_of_this_program_owns_is_named(tmp_path: Path) -> None:
    path = tmp_path / "us.db"
    async with us.System(desk(), journal=path) as system:
        with pytest.raises(us.AskFailed, match="no answer"):
            await system.ask("waits/a", Wait("a timer"), timeout=0.2, key="k")
    other = us.Supervisor("other", [us.Child("others/{key}", Waits)])
    async with us.System(other, journal=path) as system:
        (one,) = [one for one in await system.stuck() if "mounted" in one.why]
        assert one.actor == "waits/a"


async def test_a_team_at_work_is_never_stuck() -> None:
    agent = us.Agent("agent", "x", model=us.Scripted("done", repeat=True))
    async with us.System(us.Supervisor("team", [agent])) as system:
        for n in range(5):
            await system.submit("team", us.Task("go"), id=f"{n}")
            assert await system.stuck() == ()
        await system.rest()
        assert await system.stuck() == ()
