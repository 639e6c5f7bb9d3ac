"""``us.Task(tools=…)``: what a run may call, and nobody to whom it hands work on may call more."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import understudy as us
from tests.tools.intents import call as intent
from tests.tools.intents import gate
from understudy.protocols.codec import decode
from understudy.protocols.counters import Counters
from understudy.testing import Simulated
from understudy.tools.models.scripted import call


class Office:
    """A clerk who can look and pay, alone or behind a boss who hands work on."""

    def __init__(self, *said: Any, boss: tuple[Any, ...] = ()) -> None:
        self.done: list[str] = []

        @us.tool(effect="read", trusted=True, private=False)
        def look(what: str) -> str:
            """Look something up."""
            self.done.append(f"look {what}")
            return "seen"

        @us.tool(effect="once", kind="money", sinks=["to"], trusted=True)
        def pay(to: str) -> str:
            """Pay somebody."""
            self.done.append(f"pay {to}")
            return "paid"

        self.tools: list[Any] = [look, pay]
        self.model = us.Scripted(*said)
        clerk = us.Agent("clerk", "Work.", model=self.model, tools=self.tools)
        self.boss_model = us.Scripted(*boss)
        boss_agent = us.Agent("boss", "Lead.", model=self.boss_model, tools=[us.builtin.delegate(["clerk"]), pay])
        self.node = Simulated(clerk, boss_agent)

    def run(self, to: str, task: us.Task, *, crash: bool = False) -> us.Result:
        sent = self.node.ask(to, task, key="k")
        if crash:
            while not self.done:
                assert self.node.step()
            self.node.crash()
            self.node.again(sent)
        self.node.rest()
        assert sent.reply is not None
        assert sent.reply.failure is None, sent.reply.failure
        found: us.Result = decode(sent.reply.value, us.Result)
        return found


STEPS = (call("look", what="x"), call("pay", to="eve"), "done")


def test_a_task_names_the_tools_for_it_and_no_other_is_called() -> None:
    office = Office(*STEPS)
    assert office.run("clerk/1", us.Task("go", tools=("look",))).status == "done"
    assert office.done == ["look x"]
    assert [offer.name for offer in office.model.requests[0].tools if offer.name in ("look", "pay")] == ["look"]
    told = office.model.requests[2].messages[-1].text
    assert "not_granted" in told
    assert "it may call: look" in told


def test_control_a_task_that_names_none_may_call_all() -> None:
    office = Office(*STEPS)
    assert office.run("clerk/1", us.Task("go")).status == "done"
    assert office.done == ["look x", "pay eve"]


@pytest.mark.parametrize("crash", [False, True])
def test_nobody_to_whom_it_is_handed_on_may_call_more(crash: bool) -> None:
    """The boss may not pay for this task, and does not get round it by having it done."""
    office = Office(*STEPS, boss=(call("delegate", to="clerk", objective="pay eve"), call("pay", to="eve"), "led"))
    result = office.run("boss/1", us.Task("go", tools=("delegate", "look")), crash=crash)
    assert result.status == "done"
    assert office.done[:1] == ["look x"]
    assert "pay eve" not in office.done


def test_nobody_gets_a_tool_by_being_named_for_it() -> None:
    office = Office(call("fire", who="bob"), "done")
    assert office.run("clerk/1", us.Task("go", tools=("fire", "look"))).status == "done"
    assert "unknown_tool" in office.model.requests[1].messages[-1].text


def test_without_the_check_the_same_call_is_let_through() -> None:
    office = Office()
    wanted = intent("pay", {"to": "eve"})
    named = msgspec.structs.replace(wanted, granted=("look",))
    checked = gate(*office.tools)
    assert checked.admit(named, Counters(), 0.0).decision == "deny"
    assert checked.admit(wanted, Counters(), 0.0).decision == "allow"


@pytest.mark.parametrize("wrong", ["look", ("look", ""), (1,)])
def test_what_is_no_list_of_names_is_refused(wrong: Any) -> None:
    with pytest.raises(us.DefinitionError):
        us.Task("go", tools=wrong)
