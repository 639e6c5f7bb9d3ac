"""Another tool does what one that failed for good did not do, and only where it is known that nothing happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

import understudy as us
from tests.tools.intents import call, effect, gate
from understudy.protocols.breakers import Breaker
from understudy.protocols.counters import Counters
from understudy.protocols.effects import Effect, EffectClass
from understudy.protocols.failures import Failure
from understudy.protocols.journal import Record
from understudy.protocols.provenance import unframed
from understudy.testing import Simulated
from understudy.tools.models.scripted import call as say
from understudy.tools.tool import Tool

GONE = Failure("abandon", "gone", "the service is gone")
ONCE = us.Retry(attempts=1)


class World:
    """What was done, and by which tool."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def tool(
        self, name: str, does: Callable[[us.Call], str] | None = None, *, effect: EffectClass = "once", **said: Any
    ) -> Tool[..., Any]:
        def act(call: us.Call, to: str) -> str:
            """Act."""
            self.done.append(f"{name} {call.attempt}")
            return does(call) if does is not None else f"{name} told {to}"

        made: Tool[..., Any] = us.tool(name=name, effect=effect, retry=said.pop("retry", ONCE), **said)(act)
        return made


def raising(error: Exception) -> Callable[[us.Call], str]:
    def fails(call: us.Call) -> str:
        raise error

    return fails


def abandons(call: us.Call) -> str:
    raise us.Abandon("the service is gone")


def ran(*tools: Tool[..., Any], first: str = "mail", **how: Any) -> tuple[Simulated, us.Scripted]:
    model = us.Scripted(say(first, to="ann"), "Done.")
    simulated = Simulated(us.Agent("clerk", "Tells.", model=model, tools=tools), **how)
    simulated.ask("clerk/1", us.Task("tell"), key="1")
    simulated.pass_time(100.0)
    return simulated, model


def observed(model: us.Scripted) -> Any:
    """What the model was told of its call."""
    return msgspec.json.decode(unframed(model.requests[1].messages[-1].text))


def test_the_alternative_does_it_and_the_outcome_says_which_tool_gave_it() -> None:
    world = World()
    chat = world.tool("chat")
    mail = world.tool("mail", abandons, fallback=[chat])
    simulated, model = ran(mail, chat)
    assert world.done == ["mail 1", "chat 1"]
    assert observed(model) == {"result": "chat told ann", "tool": "chat"}
    simulated.rest()
    assert simulated.stuck() == ()


def test_what_became_of_each_stands_in_the_journal() -> None:
    world = World()
    chat = world.tool("chat")
    simulated, _ = ran(world.tool("mail", abandons, fallback=[chat]), chat)
    records = [
        msgspec.json.decode(row.payload, type=Record) for row in simulated.journal.rows() if row.kind == "attempt"
    ]
    (taken,) = [change for record in records for change in record.changes if change.instead]
    assert (taken.name, taken.instead, taken.before, taken.state) == ("chat", ("mail",), 1, "intended")
    said = [verdict for verdict in taken.verdicts if verdict.check == "fallback"]
    assert [(verdict.verdict, "failed for good" in verdict.reason) for verdict in said] == [("allow", True)]
    assert taken.failure is not None
    assert taken.failure.message == "the service is gone"


def test_they_are_tried_in_order_and_the_last_failure_counts() -> None:
    world = World()
    third = world.tool("third", raising(us.Abandon("the third is gone")))
    second = world.tool("second", abandons)
    first = world.tool("mail", abandons, fallback=[second, third])
    _, model = ran(first, second, third)
    assert world.done == ["mail 1", "second 1", "third 1"]
    assert observed(model)["failure"]["message"] == "the third is gone"


def test_an_alternative_has_attempts_of_its_own() -> None:
    world = World()
    chat = world.tool("chat", raising(us.RetryLater("busy")), retry=us.Retry(attempts=3))
    mail = world.tool("mail", raising(us.RetryLater("busy")), retry=us.Retry(attempts=2), fallback=[chat])
    _, model = ran(mail, chat)
    assert world.done == ["mail 1", "mail 2", "chat 1", "chat 2", "chat 3"]
    assert "failed 3 times" in observed(model)["failure"]["message"]


def test_an_alternative_passes_the_checks_itself() -> None:
    """One that a person must approve is asked about; one that is closed to this run is passed over."""
    world = World()
    chat = world.tool("chat", approve=True)
    closed = world.tool("closed", after=["chat"])
    mail = world.tool("mail", abandons, fallback=[closed, chat])
    simulated, _ = ran(mail, chat, closed)
    assert world.done == ["mail 1"]
    (item,) = simulated.inbox()
    assert (item.kind, item.tool) == ("approval", "chat")
    simulated.crash()
    simulated.answer(item.id, "approve")
    simulated.pass_time(100.0)
    assert world.done == ["mail 1", "chat 1"]
    simulated.rest()


def test_where_none_is_let_through_the_failure_stands_and_says_why() -> None:
    world = World()
    closed = world.tool("closed", after=["chat"])
    mail = world.tool("mail", abandons, fallback=[closed])
    simulated, model = ran(mail, closed, world.tool("chat"))
    assert observed(model)["failure"]["message"] == "the service is gone"
    rows = b"".join(bytes(row.payload) for row in simulated.journal.rows())
    assert b"not closed: closed may be called only after chat has succeeded" in rows


def test_a_call_in_doubt_is_never_done_by_another_tool() -> None:
    world = World()
    chat = world.tool("chat")
    simulated, _ = ran(world.tool("mail", raising(ValueError("lost")), fallback=[chat]), chat)
    assert world.done == ["mail 1"]
    (item,) = simulated.inbox()
    assert item.kind == "in_doubt"
    simulated.answer(item.id, "run_again")
    simulated.pass_time(100.0)
    assert set(world.done) == {"mail 1", "mail 2"}


def test_a_person_who_says_no_is_not_passed_by() -> None:
    world = World()
    chat = world.tool("chat")
    simulated, model = ran(world.tool("mail", approve=True, fallback=[chat]), chat)
    simulated.answer(simulated.inbox()[0].id, "reject", reason="do not tell her")
    simulated.pass_time(100.0)
    assert world.done == []
    assert observed(model)["failure"]["code"] == "person_rejected"


def test_a_question_about_an_alternative_is_answered_by_a_standing_approval_and_by_shadow_mode() -> None:
    world = World()
    plain: dict[str, Any] = {"trusted": True, "kind": "write", "sinks": (), "payload": (), "private": False}
    chat = world.tool("chat", approve=True, **plain)
    mail = world.tool("mail", abandons, fallback=[chat], **plain)
    model = us.Scripted(say("mail", to="ann"), say("mail", to="bob"), "Done.")
    simulated = Simulated(us.Agent("clerk", "Tells.", model=model, tools=(mail, chat)))
    simulated.ask("clerk/1", us.Task("tell"), key="1")
    simulated.pass_time(100.0)
    (item,) = simulated.inbox()
    simulated.answer(item.id, "approve", scope="run")
    simulated.pass_time(100.0)
    assert (world.done, simulated.inbox()) == (["mail 1", "chat 1", "mail 1", "chat 1"], ())

    shadowed, model = ran(world.tool("mail", abandons, fallback=[chat]), chat, shadow=["chat"])
    assert (shadowed.inbox(), len(world.done)) == ((), 5)
    assert observed(model)["failure"]["code"] == "shadowed"


@pytest.mark.parametrize(
    ("kind", "more", "failure", "taken"),
    [
        ("once", {}, GONE, True),
        ("read", {"unsure": True, "interrupted": 3}, GONE, True),
        ("idempotent", {}, GONE, True),
        ("idempotent", {"unsure": True}, GONE, False),
        ("idempotent", {"interrupted": 1}, GONE, False),
        ("reconcilable", {"unsure": True}, GONE, False),
        ("once", {"unsure": True}, GONE, False),
        ("once", {}, Failure("change_arguments", "bad_arguments", "x"), False),
        ("once", {}, Failure("abandon", "schema_drift", "x"), False),
        ("once", {}, Failure("abandon", "result_too_large", "x"), False),
        ("once", {}, Failure("abandon", "transform_failed", "x"), False),
        ("once", {}, Failure("abandon", "did_not_happen", "x"), False),
        ("once", {}, Failure("abandon", "no_answer", "x"), False),
        ("once", {}, Failure("abandon", "denied_breaker", "x"), True),
    ],
)
def test_only_where_nothing_happened_and_nobody_decided_so(
    kind: EffectClass, more: dict[str, Any], failure: Failure, taken: bool
) -> None:
    world = World()
    chat = world.tool("chat")
    mail = world.tool("mail", effect=kind, fallback=[chat])
    intent = call("mail", {"to": "ann"})
    decides = gate(mail, chat)
    made: Effect = effect(intent, decides.admit(intent, Counters(), 0.0), attempt=1, **more)
    found = decides.instead(made, failure, Counters(), 0.0)
    assert (found is not None) == taken
    if found is not None:
        assert found.name == "chat"
        again = msgspec.structs.replace(made, name="chat", instead=("mail",))
        assert decides.instead(again, failure, Counters(), 0.0) is None


def test_a_late_outcome_of_the_first_tool_is_not_taken_for_that_of_the_second() -> None:
    world = World()
    chat = world.tool("chat", effect="read", approve=True)
    mail = world.tool("mail", abandons, effect="read", fallback=[chat])
    simulated, _ = ran(mail, chat)
    (item,) = simulated.inbox()
    from understudy.actors.releases import Settlement

    simulated.kernel.settle(Settlement(item.id, 1, b'"late"', serial=7))
    simulated.pass_time(10.0)
    assert len(simulated.inbox()) == 1


@pytest.mark.parametrize("seed", range(20))
def test_through_crashes_at_any_step_each_is_done_once_at_most(seed: int) -> None:
    world = World()
    chat = world.tool("chat")
    mail = world.tool("mail", abandons, fallback=[chat])
    model = us.Scripted(say("mail", to="ann"), "Done.")
    simulated = Simulated(us.Agent("clerk", "Tells.", model=model, tools=[mail, chat]), seed=seed)
    sent = simulated.ask("clerk/1", us.Task("tell"), key="1")
    for number in range(40):
        if number == seed:
            simulated.crash()
            simulated.again(sent)
        simulated.step()
    simulated.again(sent)
    simulated.pass_time(100.0)
    while items := simulated.inbox():  # the crash hit it in the middle: it did not happen, as the world knows
        happened = items[0].tool in " ".join(world.done) and items[0].tool == "chat"
        simulated.answer(items[0].id, "happened" if happened else "run_again", value="chat told ann")
        simulated.pass_time(100.0)
    simulated.rest()
    assert sum(done.startswith("chat") for done in world.done) <= 1
    assert simulated.stuck() == ()


class Tell(us.Request[str]):
    to: str


def test_a_plain_actor_hears_which_tool_it_was() -> None:
    world = World()
    chat = world.tool("chat")
    mail = world.tool("mail", abandons, fallback=[chat])

    class Teller(us.Actor):
        class State(us.State):
            pass

        @us.handles(Tell)
        def tell(self, turn: us.Turn[State], msg: Tell) -> us.Later[str]:
            later = turn.later(msg)
            turn.call(mail, msg.to, tag=later)
            return later

        @us.settles(mail)
        def told(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
            turn.reply(outcome.tag, f"{outcome.value} by {outcome.tool or 'itself'}")

    simulated = Simulated(us.Child("teller", Teller, tools=[mail, chat]))
    sent = simulated.ask("teller", Tell("ann"))
    simulated.rest()
    assert sent.reply is not None
    assert bytes(sent.reply.value) == b'"chat told ann by chat"'


def test_what_is_no_alternative_is_refused() -> None:
    world = World()

    def other(to: str, also: str) -> str:
        """Other."""
        return to

    def number(to: str) -> int:
        """Number."""
        return 1

    def less() -> str:
        """Less."""
        return ""

    bad: list[tuple[Any, str]] = [
        ([us.tool()(other)], r"takes \(to, also\)"),
        ([us.tool()(less)], r"takes \(\)"),
        ([us.tool()(number)], "gives <class 'int'>"),
        (["chat"], "fallback="),
        ("chat", "fallback="),
        (world.tool("chat"), "fallback="),
        ([world.tool("mail")], "twice, or the tool itself"),
        ([world.tool("chat"), world.tool("chat")], "twice, or the tool itself"),
    ]
    for fallback, named in bad:
        with pytest.raises(us.DefinitionError, match=named):
            world.tool("mail", fallback=fallback)


def test_an_alternative_that_the_agent_does_not_have_is_refused_at_the_start() -> None:
    world = World()
    mail = world.tool("mail", fallback=[world.tool("chat")])
    with pytest.raises(us.DefinitionError, match="fallback='chat'"):
        us.run(us.Agent("clerk", "x", model=us.Scripted("x"), tools=[mail]), "x")


def test_while_a_breaker_is_open_nobody_waits_for_it() -> None:
    world = World()
    chat = world.tool("chat", effect="read")
    mail = world.tool("mail", raising(us.RetryLater("down")), effect="read", fallback=[chat])
    model = us.Scripted(say("mail", to="ann"), say("mail", to="bob"), "Done.")
    agent = us.Agent("clerk", "Tells.", model=model, tools=[mail, chat])
    open_at_once = Breaker(failures=1, cooldown=50.0, wait=60.0)
    simulated = Simulated(agent, breakers={"mail": open_at_once, "chat": None})
    simulated.ask("clerk/1", us.Task("tell"), key="1")
    simulated.pass_time(20.0)
    assert world.done == ["mail 1", "chat 1", "chat 1"]
    assert msgspec.json.decode(unframed(model.requests[2].messages[-1].text)) == {
        "result": "chat told bob",
        "tool": "chat",
    }
    rows = b"".join(bytes(row.payload) for row in simulated.journal.rows())
    assert b"which failed for good: circuit_open" in rows
