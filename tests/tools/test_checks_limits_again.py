"""Limits at the start, after a wait: what was rightly admitted days ago may be more than the limits of now let through."""

from __future__ import annotations

import msgspec
import pytest

import understudy as us
from tests.tools.intents import call, effect, gate, think
from tests.tools.served import Fetch, Server, settled
from understudy.protocols.counters import Counters
from understudy.protocols.effects import Effect
from understudy.protocols.model import ToolCall
from understudy.testing import Simulated

paid: list[float] = []


@us.tool(effect="once", kind="money", amount="usd", sinks=())
def pay(usd: float) -> str:
    """Pay somebody."""
    paid.append(usd)
    return f"{usd:g}"


@us.tool(effect="read", kind="read")
def look(what: str) -> str:
    """Look something up."""
    return what


def clerk(limits: us.Limits | None = None, run: float | None = None) -> us.Agent[str]:
    """Wants to pay five times in one answer, and each needs a person."""
    calls = us.ModelReply(calls=tuple(ToolCall(str(n), "pay", f'{{"usd": {60.0 + n}}}') for n in range(5)))
    model = us.Scripted(calls, "Done.", "Done.", name="m")
    return us.Agent(
        "clerk", "Pay.", model=model, tools=[pay], approvals=[us.ApprovalRule("all")],
        limits=limits or us.Limits(run=run, approval=None),
    )  # fmt: skip


def approved_later(limits: us.Limits, *, skip: tuple[str, ...] = ()) -> Simulated:
    """The run that asked began under the default limits, people say yes when there are these."""
    paid.clear()
    node = Simulated(clerk(), seed=3)
    node.ask("clerk/1", us.Task("Pay the five bills."), key="a")
    node.pass_time(60.0)
    asked = [item.id for item in node.inbox()]
    assert len(asked) == 5
    node.journal.close()
    node = Simulated(clerk(limits), seed=4, journal=node.journal, skip=frozenset(skip))
    for id in asked:
        node.answer(id, "approve")
        node.rest()
    return node


def test_calls_that_were_approved_before_their_limit_was_lowered_run_up_to_that_limit() -> None:
    node = approved_later(us.Limits(per_tool={"pay": 2}))
    assert paid == [60.0, 61.0]
    codes = [one.failure.code for one in settled(node) if one.failure is not None]
    assert codes == ["call_limit"] * 3
    assert "call 3 of pay, and 2 are allowed" in (msgspec.json.encode(settled(node)).decode())


@pytest.mark.parametrize("limits", [us.Limits(calls=3), us.Limits(calls=3, per_tool={"pay": 4})])
def test_so_do_those_of_all_tools_together(limits: us.Limits) -> None:
    approved_later(limits)
    assert paid == [60.0, 61.0, 62.0]


@pytest.mark.parametrize("limits", [us.Limits(per_tool={"pay": 2}), us.Limits(calls=3)])
def test_without_the_check_all_of_them_run(limits: us.Limits) -> None:
    """The control."""
    approved_later(limits, skip=("limits",))
    assert len(paid) == 5


def test_what_was_admitted_at_the_exact_limit_runs_after_any_wait() -> None:
    node = approved_later(us.Limits(calls=5, per_tool={"pay": 5}))
    assert len(paid) == 5
    said = [v for one in settled(node) for v in one.verdicts if v.check == "limits"]
    assert [v.reason for v in said] == [f"{n} of 5" for n in range(1, 6)], "the audit tells of it"


def test_what_came_later_is_not_held_against_a_call_that_waited() -> None:
    the_gate, counters = gate(look, limits=us.Limits(calls=3)), Counters()
    made: list[Effect] = []
    for number in range(3):
        intent = call("look", {"what": str(number)})
        made.append(effect(intent, the_gate.admit(intent, counters, 0.0), f"{number}.0"))
        counters = counters.intended(made[-1])
    lower = gate(look, limits=us.Limits(calls=1))
    codes = [clear.failure and clear.failure.code for one in made for clear in [lower.start(one, counters, 9.0, {})]]
    assert codes == [None, "call_limit", "call_limit"]
    done = counters.changed(msgspec.structs.replace(made[1], state="settled"))
    assert set(done.nth) == {"0.0", "2.0"}, "what is over is not kept in mind"
    assert lower.start(made[0], done, 9.0, {}).failure is None


def test_a_model_that_waited_is_not_asked_beyond_the_steps_of_now() -> None:
    asked = effect(think(), gate().admit(think(), Counters(steps=3), 0.0))
    counters = Counters(steps=3).intended(asked)
    for steps, code in ((3, "step_limit"), (4, None)):
        clear = gate(limits=us.Limits(steps=steps)).start(asked, counters, 9.0, {})
        assert (clear.failure and clear.failure.code) == code
    assert gate(limits=us.Limits(steps=3), skip=("limits",)).start(asked, counters, 9.0, {}).verdicts == ()


def _out_of_time(*skip: str) -> tuple[Simulated, list[float]]:
    """A run of an hour; the process is down when it is over, and people say yes before the run has been told."""
    paid.clear()
    node = Simulated(clerk(run=3_600.0), seed=5, skip=frozenset(skip))
    node.ask("clerk/1", us.Task("Pay the five bills."), key="a")
    node.pass_time(60.0)
    asked = [item.id for item in node.inbox()]
    node.crash(down=7_200.0)
    for id in asked:
        node.answer(id, "approve")
    while node._fresh:
        node._hand(node._fresh.pop(0))
    node.rest()
    return node, paid


def test_a_yes_that_comes_when_the_time_of_the_run_is_over_starts_nothing() -> None:
    node, done = _out_of_time()
    assert done == []
    assert node.actor("clerk/1").memory.life == "finished"


def test_without_the_check_it_would_start() -> None:
    """The control."""
    assert len(_out_of_time("limits")[1]) > 0


def test_who_waits_for_a_rate_is_looked_at_again() -> None:
    server = Server()
    node = server.node(rates={"look": us.Rate(requests=1, per=60.0)})
    for n in range(3):
        node.ask(f"client/{n}", Fetch(f"w{n}"), key=f"k{n}")
    node.rest()
    late = [[v.check for v in one.verdicts] for one in settled(node)]
    assert sorted(checks.count("limits") for checks in late) == [0, 1, 1]
