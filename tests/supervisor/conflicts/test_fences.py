"""Tool calls under a lease: each attempt asks when it starts, carries its token, and is refused where the lease is lost."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import understudy as us
from tests.supervisor.conflicts.experts import resolved, state
from understudy.actors.cell import Cell, read_record
from understudy.protocols.codec import NULL
from understudy.protocols.effects import Effect
from understudy.protocols.failures import Failure
from understudy.protocols.ids import Address
from understudy.testing import FaultPlan, Faults, Sent, Simulated
from understudy.tools.models.scripted import call
from understudy.tools.perform import not_entered

WHERE = us.lease_of("desk", "valve 7")


class Turn(us.Request[str]):
    """Turn a valve."""

    valve: str = "valve 7"


class Take(us.Message):
    """Acquire the valve yourself."""


class Give(us.Request[bool]):
    """Give the valve back."""


class Fail(us.Message):
    """Fail."""


class Valve:
    """What is out in the world: it remembers the highest token, and refuses a lower one."""

    def __init__(self) -> None:
        self.turned: list[tuple[str, int]] = []
        self.refused = 0
        self.highest = 0

    def turn(self, call: us.Call) -> None:
        if call.fence < self.highest:
            self.refused += 1
            raise us.Abandon(f"token {call.fence} is old")
        self.highest = call.fence
        self.turned.append((str(call.run), call.fence))


def plant(*, claim: bool = True, effect: Any = "idempotent", hold: float = 20.0) -> tuple[us.Supervisor, Valve]:
    """Workers at a plant with one valve."""
    valve = Valve()

    @us.tool(effect=effect)
    def turn_valve(call: us.Call, valve_name: str) -> str:
        """Turn it."""
        valve.turn(call)
        return f"turned under {call.fence}"

    @turn_valve.under_lease(hold=hold, claim=claim)
    def which(valve_name: str) -> str:
        return valve_name

    class Worker(us.Actor):
        class Told(us.Event, wire="worker.told"):
            said: str

        class State(us.State):
            told: tuple[str, ...] = ()

        @us.handles(Turn)
        def turn(self, turn: us.Turn[State], msg: Turn) -> us.Later[str]:
            later = turn.later(msg)
            turn.call(turn_valve, msg.valve, tag=later)
            return later

        @us.handles(Take)
        def take(self, turn: us.Turn[State], msg: Take) -> None:
            turn.ask(WHERE, us.LeaseAcquire("valve 7", 50.0))

        @us.handles(Give)
        def give(self, turn: us.Turn[State], msg: Give) -> us.Later[bool]:
            later = turn.later(msg)
            turn.ask(WHERE, us.LeaseRelease("valve 7"), tag=later)
            return later

        @us.settles(us.LeaseRelease)
        def given(self, turn: us.Turn[State], outcome: us.Outcome[bool]) -> None:
            turn.reply(outcome.tag, outcome.value)

        @us.handles(Fail)
        def fail(self, turn: us.Turn[State], msg: Fail) -> None:
            raise RuntimeError("broken")

        @us.settles(us.LeaseAcquire)
        def taken(self, turn: us.Turn[State], outcome: us.Outcome[us.Lease]) -> None:
            turn.emit(Worker.Told(str(outcome.value.token)))

        @us.settles(turn_valve)
        def turned(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
            turn.reply(outcome.tag, outcome.value)

        @us.applies(Told)
        def was_told(self, state: State, event: Told) -> State:
            return state.evolve(told=(*state.told, event.said))

    return us.Supervisor("desk", [us.Child("workers/{name}", Worker, tools=[turn_valve])]), valve


def turn(node: Simulated, who: str, seconds: float = 5.0) -> Sent:
    sent = node.ask(f"workers/{who}", Turn())
    node.pass_time(seconds)
    return sent


def code(sent: Sent) -> str:
    assert sent.reply is not None
    assert sent.reply.failure is not None
    return sent.reply.failure.code


def test_a_call_takes_the_lease_when_it_starts_and_carries_its_token() -> None:
    team, valve = plant()
    node = Simulated(team)
    sent = turn(node, "a")
    assert sent.reply is not None
    assert sent.reply.failure is None, sent.reply.failure
    assert valve.turned == [("workers/a", 1)]
    held = state(node, WHERE).lease
    assert (held.holder, held.token) == ("workers/a", 1)


def test_another_ones_call_is_refused_and_the_tool_does_not_run() -> None:
    team, valve = plant(hold=100_000.0)
    node = Simulated(team)
    turn(node, "a")
    refused = turn(node, "b", 10.0)
    assert code(refused) == "lease_held"
    assert refused.reply is not None
    assert "workers/a" in str(refused.reply.failure)
    assert [run for run, _ in valve.turned] == ["workers/a"]


def test_a_call_waits_for_no_judge_and_no_person_and_the_holder_keeps_it() -> None:
    team, valve = plant(hold=100_000.0)
    team.conflicts = us.Conflicts(claims=us.person())
    node = Simulated(team)
    turn(node, "a")
    assert code(turn(node, "b")) == "lease_held"
    assert node.inbox() == ()
    (event,) = resolved(node, WHERE)
    assert (event.decided.by, event.decided.winner) == ("the gate", 0)
    assert len(valve.turned) == 1


def test_who_had_acquired_it_and_lost_it_is_refused_until_it_acquires_it_anew() -> None:
    team, valve = plant()
    node = Simulated(team)
    node.tell("workers/a", Take())
    node.pass_time(1)
    assert turn(node, "a").reply is not None
    node.pass_time(1_000)
    assert state(node, WHERE).lease is None
    assert code(turn(node, "a")) == "lease_lost", "it may think that it has it still"
    node.tell("workers/a", Take())
    node.pass_time(1)
    assert turn(node, "a").reply is not None
    assert [token for _, token in valve.turned] == [1, 2]
    given = node.ask("workers/a", Give())
    node.pass_time(1)
    assert given.reply is not None
    assert state(node, WHERE).lease is None
    assert turn(node, "a").reply is not None
    assert [token for _, token in valve.turned] == [1, 2, 3], "what it gave back it has not lost"


def test_who_acquired_what_a_call_of_its_had_taken_has_acquired_it() -> None:
    team, valve = plant()
    node = Simulated(team)
    assert turn(node, "a", 1).reply is not None
    node.tell("workers/a", Take())
    node.pass_time(1_000)
    assert code(turn(node, "a")) == "lease_lost"
    assert [token for _, token in valve.turned] == [1]


def test_who_was_given_up_has_lost_it_too_and_a_person_who_starts_it_again_gives_it_nothing_back() -> None:
    team, valve = plant()
    node = Simulated(team)
    node.tell("workers/a", Take())
    node.pass_time(1)
    while not node.inbox():
        node.tell("workers/a", Fail())
        node.pass_time(0.5)
    (item,) = node.inbox()
    node.pass_time(1)
    assert state(node, WHERE).lease is None
    assert turn(node, "b").reply is not None
    node.answer(item.id, "retry")
    node.pass_time(60)
    assert code(turn(node, "a")) == "lease_lost", "another may have changed what it believes to know"
    assert [token for _, token in valve.turned] == [2]


def test_without_a_claim_of_its_own_a_call_needs_a_lease_that_was_acquired() -> None:
    team, valve = plant(claim=False)
    node = Simulated(team)
    assert code(turn(node, "a")) == "lease_lost"
    assert valve.turned == []


def test_a_call_that_was_intended_under_a_lease_that_was_lost_is_refused_at_the_start() -> None:
    """The effect waits for its next attempt; meanwhile the lease goes to somebody else."""
    team, valve = plant(hold=1.0)
    plan = FaultPlan().fail_effect(1, us.RetryLater("busy", after=50.0))
    node = Simulated(team, plan=plan)
    sent = node.ask("workers/a", Turn())
    node.pass_time(10)
    node.ask(WHERE, us.LeaseAcquire("valve 7", 1_000_000.0, holder="eve"))
    node.pass_time(100)
    for item in node.inbox():
        node.answer(item.id, "not_happened")
    node.pass_time(10)
    assert valve.turned == []
    assert sent.reply is not None
    assert sent.reply.failure is not None


def test_tokens_that_reach_the_world_never_go_back_under_any_crash() -> None:
    for seed in range(25):
        team, valve = plant(hold=0.5)
        node = Simulated(team, seed=seed, faults=Faults(crash=0.03, commit_fails=0.05, commit_unknown=0.05))
        for n in range(12):
            node.ask(f"workers/{'abc'[n % 3]}", Turn())
            node.pass_time((0.1, 1.0, 5.0)[n % 3])
        node.faults = Faults()
        node.pass_time(1_000)
        tokens = [token for _, token in valve.turned]
        assert tokens == sorted(tokens), f"seed {seed}"
        holder: dict[int, str] = {}
        for run, token in valve.turned:
            assert holder.setdefault(token, run) == run, "two worked under one token"


def test_the_lease_of_a_dead_process_goes_to_another_when_it_expires() -> None:
    team, valve = plant(hold=30.0)
    node = Simulated(team)
    turn(node, "a")
    node.crash(down=60)
    sent = turn(node, "b")
    assert sent.reply is not None
    assert valve.turned == [("workers/a", 1), ("workers/b", 2)]


@pytest.mark.parametrize("named", ["", "x" * 201, 7, None])
def test_a_rule_that_names_no_resource_is_a_refusal(named: Any) -> None:
    team, valve = plant()
    tool = team.children[0].tools[0]
    assert tool.lease is not None

    def nothing(valve_name: str) -> Any:
        return named

    tool.lease.rule = nothing
    assert code(turn(Simulated(team), "a")) == "no_resource"
    assert valve.turned == []


def test_a_rule_that_raises_is_a_refusal() -> None:
    team, valve = plant()
    tool = team.children[0].tools[0]
    assert tool.lease is not None

    def broken(valve_name: str) -> str:
        raise LookupError(valve_name)

    tool.lease.rule = broken
    assert code(turn(Simulated(team), "a")) == "check_failed"
    assert valve.turned == []


def test_what_may_have_happened_is_not_called_undone_because_the_lease_is_lost() -> None:
    held = Failure("retry_later", "lease_held", "eve has it")
    fresh = Effect("1.0", Address("workers/a"), "call", "turn", NULL, "s", effect="idempotent")
    assert not not_entered(fresh, held).unknown
    again = msgspec.structs.replace(fresh, attempt=2, failure=Failure("retry_later", "timeout", "silence"))
    first = not_entered(again, held)
    assert first.unknown
    assert first.failure is not None
    third = msgspec.structs.replace(again, failure=first.failure)
    assert not_entered(third, held).unknown, "also after it was refused once more"
    only_held = msgspec.structs.replace(fresh, attempt=2, failure=held)
    assert not not_entered(only_held, held).unknown
    assert not_entered(msgspec.structs.replace(fresh, interrupted=1), held).unknown


def test_by_default_nobody_else_gets_it_while_an_attempt_may_be_under_way() -> None:
    for timeout, hold in ((30.0, 300.0), (900.0, 900.0)):

        @us.tool(effect="read", timeout=timeout)
        def look(name: str) -> str:
            """Look."""
            return name

        look.under_lease()(lambda name: name)
        assert look.lease is not None
        assert look.lease.hold == hold


def test_a_lease_rule_that_does_not_fit_is_refused_where_it_is_declared() -> None:
    @us.tool(effect="read")
    def look(name: str) -> str:
        """Look."""
        return name

    with pytest.raises(us.DefinitionError, match=r"takes \(other\)"):
        look.under_lease()(lambda other: other)  # type: ignore[arg-type]
    with pytest.raises(us.DefinitionError, match="hold=0"):
        look.under_lease(hold=0)
    look.under_lease()(lambda name: name)
    with pytest.raises(us.DefinitionError, match="has a lease rule already"):
        look.under_lease()


async def test_on_the_real_system_two_runs_never_have_it_at_once_and_the_second_hears_who_has_it() -> None:
    team, valve = plant(hold=1_000.0)
    async with us.System(team) as system:
        assert await system.ask("workers/a", Turn(), timeout=20) == "turned under 1"
        held = await system.ask(WHERE, us.LeaseLook("valve 7"))
        assert held.lease is not None
        assert held.lease.holder == "workers/a"
        assert await system.ask("workers/a", Turn(), timeout=20) == "turned under 1"
    assert valve.turned == [("workers/a", 1)] * 2


# -- board and leases as tools of agents ------------------------------------------------------------------------------


def agent(*script: Any, tools: list[Any] | None = None) -> us.Agent[str]:
    given = tools or [us.board_read, us.board_write, us.board_keys, us.board_drop, us.lease_acquire, us.lease_release]
    return us.Agent("clerk", "Keep the board.", model=us.Scripted(*script), tools=given)


async def test_an_agent_reads_and_writes_the_board_through_the_gate() -> None:
    clerk = agent(
        call("board_read", key="plan"), call("board_write", key="plan", value={"go": 1}, expected=0),
        call("board_write", key="plan", value="old", expected=0), call("board_keys"), "done",
    )  # fmt: skip
    desk = us.Supervisor("desk", [clerk])
    async with us.System(desk) as system:
        assert (await system.run(desk, "Keep it", id="r", timeout=20)).output == "done"
        entry = await system.ask(us.board_of("desk"), us.BoardRead("plan"))
        assert (entry.plain, entry.version, entry.by) == ({"go": 1}, 1, "clerk")
        seen = [line.text for line in (await transcript(system, "desk/r/clerk")) if line.role == "tool"]
        rows = await system.rows("desk/r/clerk")
    assert '"version":0' in seen[0] or "version" not in seen[0]
    assert '"won":true' in seen[1]
    assert '"won":false' in seen[2]
    assert '{"plan":1}' in seen[3]
    assert any(b'"verdicts"' in bytes(row.payload) and b"board_write" in bytes(row.payload) for row in rows)


async def transcript(system: us.System, address: str) -> Any:
    cell = Cell(Address(address), system.tree.directory.find(Address(address)))
    for row in await system.rows(address):
        cell.fold(row, read_record(row))
    return cell.state.transcript  # type: ignore[union-attr]


async def test_a_tool_that_an_agent_was_not_given_is_refused_and_bad_arguments_are_named() -> None:
    clerk = agent(
        call("board_write", key="x", value=1, expected=0),
        call("board_read"),
        call("board_read", key="x"),
        "done",
        tools=[us.board_read],
    )
    desk = us.Supervisor("desk", [clerk])
    async with us.System(desk) as system:
        assert (await system.run(desk, "Keep it", id="r", timeout=20)).output == "done"
        seen = [line.text for line in (await transcript(system, "desk/r/clerk")) if line.role == "tool"]
    assert "board_write" in seen[0]
    assert "failure" in seen[0]
    assert "bad_arguments" in seen[1]
    assert "result" in seen[2]


async def test_reading_the_same_entry_for_ever_is_a_loop_as_with_any_tool() -> None:
    clerk = agent(*[call("board_read", key="x")] * 5, "done")
    desk = us.Supervisor("desk", [clerk])
    async with us.System(desk) as system:
        await system.run(desk, "Keep it", id="r", timeout=20)
        seen = [line.text for line in (await transcript(system, "desk/r/clerk")) if line.role == "tool"]
    assert ["failure" in text for text in seen[:4]] == [False, False, False, True]


async def test_an_agents_lease_ends_with_its_run() -> None:
    clerk = agent(call("lease_acquire", resource="valve 7", seconds=500.0), "done")
    desk = us.Supervisor("desk", [clerk])
    async with us.System(desk) as system:
        assert (await system.run(desk, "Keep it", id="r", timeout=20)).output == "done"
        await system.rest()
        stand = await system.ask(WHERE, us.LeaseLook("valve 7"))
    assert (stand.lease, stand.last) == (None, 1)


async def test_a_lost_race_that_a_person_decides_makes_the_agents_run_wait_not_its_process() -> None:
    clerk = agent(call("board_write", key="plan", value="mine", expected=0), "done")
    desk = us.Supervisor("desk", [clerk], conflicts=us.Conflicts(entries=us.person()))
    async with us.System(desk) as system:
        await system.ask(us.board_of("desk"), us.BoardWrite.of("plan", "theirs", 0))
        waiting = await system.run(desk, "Keep it", id="r", timeout=20)
        assert waiting.status == "waiting"
        (item,) = waiting.waiting
        assert item.options == ("outside", "clerk")
        await system.answer(item.id, "answer", value="clerk")
        assert (await system.run(desk, "Keep it", id="r", timeout=20)).output == "done"
        entry = await system.ask(us.board_of("desk"), us.BoardRead("plan"))
    assert entry.plain == "mine"


def test_board_and_leases_are_not_there_outside_of_a_system() -> None:
    with pytest.raises(us.DefinitionError, match="inside a running system"):
        us.board_read("x")
    with pytest.raises(us.DefinitionError, match="takes no approval rule"):
        us.board_read.approve_if(lambda key: True)
