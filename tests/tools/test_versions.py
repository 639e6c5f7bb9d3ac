"""Versions of one tool, several at once: a run keeps those that it began with, and waits for a person where one is gone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import understudy as us
from tests.tools.intents import AGENT, RUN, call, gate
from understudy.protocols.counters import Counters
from understudy.protocols.provenance import unframed
from understudy.supervisor.journal.memory import MemoryJournal
from understudy.testing import Simulated
from understudy.tools.gate import Gate, Grants
from understudy.tools.models.scripted import call as say
from understudy.tools.together import complete
from understudy.tools.tool import Tool

DONE: list[str] = []


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    DONE.clear()


def pay(version: str, *, parameter: str = "to", **said: Any) -> Tool[..., Any]:
    """A version of the tool ``pay``, with a parameter of its own."""

    def act(to: str) -> str:
        """Pay."""
        DONE.append(version)
        return f"version {version} paid {to}"

    def other(whom: str) -> str:
        """Pay somebody."""
        return act(whom)

    return us.tool(name="pay", version=version, effect="read", **said)(act if parameter == "to" else other)


def node(*tools: Tool[..., Any], model: us.Scripted, journal: MemoryJournal | None = None) -> Simulated:
    if journal is not None:
        journal.close()  # another program takes it over
    return Simulated(us.Agent("clerk", "Pays.", model=model, tools=tools), journal=journal)


def observed(model: us.Scripted, request: int = 1) -> Any:
    return msgspec.json.decode(unframed(model.requests[request].messages[-1].text))


def test_a_new_run_begins_with_the_last_one() -> None:
    model = us.Scripted(say("pay", to="ann"), "Done.")
    simulated = node(pay("1"), pay("2"), model=model)
    simulated.ask("clerk/1", us.Task("pay"), key="1")
    simulated.rest()
    assert DONE == ["2"]
    assert [offer.name for offer in model.requests[0].tools] == ["pay", "cannot_complete"]


def test_a_run_keeps_the_version_that_it_began_with() -> None:
    """It began when there was version 1 alone, and waits for its approval while version 2 comes."""
    first = us.Scripted(say("pay", to="ann"), say("pay", to="bob"), "Done.")
    before = node(pay("1", approve=True), model=first)
    before.ask("clerk/1", us.Task("pay"), key="1")
    before.pass_time(10.0)
    new = pay("2", parameter="whom")
    model = us.Scripted(say("pay", to="bob"), "Done.")
    after = node(pay("1", approve=True), new, model=model, journal=before.journal)
    after.pass_time(10.0)
    for _ in range(2):
        after.answer(after.inbox()[0].id, "approve")
        after.pass_time(10.0)
    assert DONE == ["1", "1"]
    (offer, _) = model.requests[0].tools
    assert b'"to"' in bytes(offer.parameters)
    assert after.inbox() == ()


def test_a_run_whose_version_is_gone_waits_for_a_person_and_goes_on_when_it_is_back() -> None:
    first = us.Scripted(say("pay", to="ann"), "Done.")
    before = node(pay("1", approve=True), model=first)
    sent = before.ask("clerk/1", us.Task("pay"), key="1")
    before.pass_time(10.0)
    gone = node(pay("2"), model=us.Scripted("never asked"), journal=before.journal)
    gone.pass_time(1.0)
    gone.answer(gone.inbox()[0].id, "approve")
    gone.pass_time(10.0)
    assert DONE == []
    (item,) = gone.inbox()
    assert item.kind == "escalation"
    assert "began with version 1 of pay, which this program has no longer" in item.text
    assert item.failure is not None
    assert item.failure.code == "version_gone"
    model = us.Scripted(say("pay", to="bob"), "Done.")
    back = node(pay("1"), pay("2"), model=model, journal=gone.journal)
    back.again(sent)
    back.answer(item.id, "retry")
    back.rest()
    assert DONE == ["1"]
    assert back.inbox() == ()
    assert model.requests[0].messages[-1].role == "tool"
    assert "keeps version 1 of pay, and this program has: 2" in model.requests[0].messages[-1].text


def test_a_run_of_before_any_version_keeps_the_tool_without_one_as_long_as_it_is_there() -> None:
    tools = complete("agent 'clerk'", [pay(""), pay("2")])
    assert tools["pay"].spec.version == "2"
    decides = Gate({AGENT: Grants(tools)})
    old = decides.admit(call("pay", {"to": "ann"}), Counters(), 0.0)
    new = decides.admit(msgspec.structs.replace(call("pay", {"to": "ann"}), version="2"), Counters(), 0.0)
    assert (old.version, new.version) == ("", "2")
    only = gate(pay("2")).admit(call("pay", {"to": "ann"}), Counters(), 0.0)
    assert only.version == "2"


def test_a_version_that_is_gone_is_a_refusal_that_says_what_there_is() -> None:
    intent = msgspec.structs.replace(call("pay", {"to": "ann"}), version="3")
    failure = Gate({AGENT: Grants(complete("x", [pay("1"), pay("2")]))}).admit(intent, Counters(), 0.0).failure
    assert failure is not None
    assert (failure.kind, failure.code) == ("abandon", "version_gone")
    assert f"{RUN} keeps version 3 of pay, and this program has: 1, 2" in failure.message


def test_a_name_with_a_version_in_it_is_no_way_to_an_older_one() -> None:
    decides = Gate({AGENT: Grants(complete("x", [pay("1"), pay("2")]))})
    for name in ("pay@1", "pay:1", "pay 1"):
        failure = decides.admit(call(name, {"to": "ann"}), Counters(), 0.0).failure
        assert failure is not None
        assert failure.code == "unknown_tool"


def test_the_key_of_a_call_is_the_same_in_both_versions() -> None:
    """What was done under one is not done again under the other."""
    keys = {
        gate(pay(version)).admit(call("pay", {"to": "ann"}), Counters(), 0.0).key for version in ("1", "2")
    }  # fmt: skip
    assert len(keys) == 1


class Pay(us.Request[str]):
    version: str


def test_a_plain_actor_calls_the_version_that_its_code_names() -> None:
    one, two = pay("1"), pay("2")

    class Payer(us.Actor):
        class State(us.State):
            pass

        @us.handles(Pay)
        def pay(self, turn: us.Turn[State], msg: Pay) -> us.Later[str]:
            later = turn.later(msg)
            turn.call(one if msg.version == "1" else two, "ann", tag=later)
            return later

        @us.settles(one)
        def paid(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
            turn.reply(outcome.tag, outcome.value)

    simulated = Simulated(us.Child("payer", Payer, tools=[one, two]))
    sent = simulated.ask("payer", Pay("1"))
    simulated.rest()
    assert sent.reply is not None
    assert bytes(sent.reply.value) == b'"version 1 paid ann"'


def test_the_same_version_twice_is_two_tools_of_one_name() -> None:
    with pytest.raises(us.DefinitionError, match="two tools named 'pay'"):
        us.Agent("clerk", "x", model=us.Scripted("x"), tools=[pay("1"), pay("2"), pay("1")])
    with pytest.raises(us.DefinitionError, match="two tools named 'pay'"):
        complete("child 'x'", [pay("1"), pay("1")])
