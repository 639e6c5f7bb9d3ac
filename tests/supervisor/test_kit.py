"""The test kit does what it says: each planned fault happens, once, where it was planned; a probe misses nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

import understudy as us
from understudy.protocols.errors import DefinitionError
from understudy.testing import FaultPlan, Faults, Probe, Simulated, system


class Add(us.Request[int]):
    amount: int


class Note(us.Message):
    text: str


class Added(us.Event):
    amount: int


class Fetch(us.Request[str]):
    pass


made: list[str] = []


@us.tool(effect="read", timeout=0.05, retry=us.Retry(attempts=3, base=0.01))
def look(name: str) -> str:
    """Look somebody up."""
    made.append(name)
    return f"found {name}"


@us.tool(effect="once", timeout=0.05)
def pay(name: str) -> str:
    """Pay somebody."""
    made.append(name)
    return f"paid {name}"


class Box(us.Actor):
    class State(us.State):
        total: int = 0

    @us.handles(Add)
    def add(self, turn: us.Turn[State], msg: Add) -> int:
        turn.tell("probe", Note(f"added {msg.amount}"))
        return turn.emit(Added(msg.amount)).total

    @us.handles(Fetch)
    def fetch(self, turn: us.Turn[State], msg: Fetch) -> us.Later[str]:
        later = turn.later(msg)
        turn.call(look, "ada", tag=later)
        return later

    @us.settles(look)
    def fetched(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
        turn.reply(outcome.tag, outcome.value)

    @us.applies(Added)
    def added(self, state: State, event: Added) -> State:
        return state.evolve(total=state.total + event.amount)


def box() -> us.Child:
    return us.Child("box", Box, tools=[look, pay])


PLANS = {
    "rejected": lambda: FaultPlan().reject_append(2),
    "failed and written": lambda: FaultPlan().fail_append(2),
    "failed and not written": lambda: FaultPlan().fail_append(2, written=False),
    "delayed": lambda: FaultPlan().delay_append(2, 0.02),
}


@pytest.mark.parametrize("name", PLANS)
async def test_whatever_happens_to_an_append_a_message_counts_once(name: str, tmp_path: Path) -> None:
    for path in (None, tmp_path / "a.db"):
        plan, probe = PLANS[name](), Probe("probe", Note)
        async with system(box(), probe.child, faults=plan, journal=path) as running:
            assert [await running.ask("box", Add(n), key=f"k{n}") for n in (1, 2, 3)] == [1, 3, 6]
            assert [(await probe.get(running, Note)).text for _ in range(3)] == ["added 1", "added 2", "added 3"]
        assert plan.hits == [("append", 2)]
        assert plan.left == ()


@pytest.mark.parametrize("name", PLANS)
def test_the_simulated_node_follows_the_same_plan(name: str) -> None:
    plan, probe = PLANS[name](), Probe("probe", Note)
    node = Simulated(box(), probe.child, plan=plan, seed=3)
    sent = [node.ask("box", Add(n), key=f"k{n}") for n in (1, 2, 3)]
    assert [probe.expect(node, Note).text for _ in range(3)] == ["added 1", "added 2", "added 3"]
    probe.nothing_more(node)
    assert all(one.reply is not None for one in sent)
    assert plan.hits == [("append", 2)]


async def test_an_attempt_that_fails_or_hangs_is_made_again_where_that_may_be() -> None:
    plan = FaultPlan().fail_effect(1, us.RetryNow("not now")).hang_effect(2)
    made.clear()
    async with system(box(), Probe("probe", Note).child, faults=plan) as running:
        assert await running.ask("box", Fetch(), timeout=10) == "found ada"
    assert plan.hits == [("effect", 1), ("effect", 2)]
    assert made == ["ada"], "neither of the two was made"


def test_a_simulated_attempt_hangs_until_its_timeout_in_virtual_time() -> None:
    plan, made[:] = FaultPlan().hang_effect(1).delay_effect(2, 500.0), []
    node = Simulated(box(), plan=plan)
    begin = node.now
    sent = node.ask("box", Fetch())
    node.rest()
    assert sent.reply is not None
    assert sent.reply.failure is None
    assert node.now - begin > 500
    assert made == ["ada"]


def test_a_plan_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="number 1"):
        FaultPlan().fail_append(0)
    with pytest.raises(ValueError, match="has a fault already"):
        FaultPlan().fail_append(1).reject_append(1)
    with pytest.raises(ValueError, match="no time to wait"):
        FaultPlan().delay_effect(1, float("nan"))
    assert FaultPlan().hang_effect(7).left == (("effect", 7),)


def test_a_probe_answers_as_it_is_told_or_not_at_all() -> None:
    def picky(request: Add) -> int:
        if request.amount < 0:
            raise us.Rejected("no debts")
        return request.amount * 2

    probe = Probe("probe", Fetch, answers={Add: picky})
    node = Simulated(probe.child)
    good, bad, unanswered = node.ask("probe", Add(4)), node.ask("probe", Add(-4)), node.ask("probe", Fetch())
    node.rest()
    assert good.reply is not None
    assert bytes(good.reply.value) == b"8"
    assert bad.reply is not None
    assert bad.reply.failure is not None
    assert bad.reply.failure.code == "rejected"
    assert unanswered.reply is None
    assert [got.sender for got in probe.received(node)] == ["", ""]
    with pytest.raises(DefinitionError):
        Probe("probe", answers={Note: 1})  # type: ignore[dict-item]


def test_a_probe_says_what_came_instead() -> None:
    probe = Probe("probe", Note)
    node = Simulated(box(), probe.child)
    with pytest.raises(AssertionError, match="waits for Note, and nothing moves"):
        probe.expect(node, Note)
    node.ask("box", Add(1))
    with pytest.raises(AssertionError, match=r"waits for Add and got Note\(text='added 1'\)"):
        probe.expect(node, Add)
    with pytest.raises(AssertionError, match="besides"):
        probe.nothing_more(node)


async def test_waiting_for_nothing_ends_in_words() -> None:
    probe = Probe("probe", Note)
    async with system(probe.child) as running:
        with pytest.raises(AssertionError, match=r"waited 0\.01 s for Note"):
            await probe.get(running, Note, timeout=0.01)


@pytest.mark.parametrize("seed", range(10))
def test_a_probe_hears_each_message_once_under_faults(seed: int) -> None:
    probe = Probe("probe", Note)
    node = Simulated(box(), probe.child, seed=seed, faults=Faults(crash=0.01, commit_fails=0.1, commit_unknown=0.1))
    for n in range(5):
        sent = node.ask("box", Add(n), key=f"k{n}")
        while sent.reply is None:
            if sent.lost:
                node.again(sent)
            node.step()
    node.faults = Faults()
    node.rest()
    assert [got.message for got in probe.received(node)] == [Note(f"added {n}") for n in range(5)]
