"""``us.builtin.ask_person``: what a person says is the result; the question waits through crashes, and nobody answers for ever."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import understudy as us
from tests.tools.intents import admit, call, gate
from understudy.protocols.codec import decode
from understudy.protocols.counters import Counters
from understudy.protocols.provenance import unframed
from understudy.supervisor.simulation.sent import Sent
from understudy.testing import Simulated
from understudy.tools.models.scripted import call as say

QUESTION = "Which of the two invoices is to be paid?"


def node(*replies: Any, **given: Any) -> tuple[Simulated, us.Scripted, Sent]:
    model = us.Scripted(say("ask_person", question=QUESTION), *(replies or ("Done.",)))
    agent = us.Agent("clerk", "Asks.", model=model, tools=[us.builtin.ask_person(**given)])
    simulated = Simulated(agent)
    sent = simulated.ask("clerk/1", us.Task("pay"), key="1")
    simulated.pass_time(10.0)
    return simulated, model, sent


def observed(model: us.Scripted) -> Any:
    """What the model was told of its call."""
    return msgspec.json.decode(unframed(model.requests[1].messages[-1].text))


def test_the_question_stands_in_the_inbox_and_says_how_it_is_answered() -> None:
    simulated, _, sent = node()
    assert sent.reply is None
    (item,) = simulated.inbox()
    assert (item.kind, item.tool, item.answers, item.actor) == (
        "escalation",
        "ask_person",
        ("result", "stop"),
        "clerk/1",
    )
    assert item.text == f"clerk/1 asks: {QUESTION}"
    assert item.deadline is not None
    assert item.default == "no"


@pytest.mark.parametrize(("value", "told"), [("the first", "the first"), (42, "42"), (True, "true"), ("0", "0")])
def test_what_a_person_says_is_the_result(value: object, told: str) -> None:
    simulated, model, sent = node()
    simulated.answer(simulated.inbox()[0].id, "result", value=value)
    simulated.pass_time(10.0)
    assert observed(model) == {"result": told}
    simulated.rest()
    assert sent.reply is not None
    assert decode(sent.reply.value, us.Result).status == "done"
    assert simulated.inbox() == ()
    assert simulated.stuck() == ()


def test_it_waits_through_crashes_and_the_answer_too() -> None:
    simulated, model, sent = node()
    simulated.crash(down=1_000.0)
    simulated.pass_time(1_000.0)
    simulated.answer(simulated.inbox()[0].id, "answer", value="the second")
    simulated.step()
    simulated.crash()
    simulated.again(sent)
    simulated.pass_time(100.0)
    for _ in simulated.inbox():
        simulated.answer(simulated.inbox()[0].id, "answer", value="the second")
    simulated.pass_time(100.0)
    assert observed(model) == {"result": "the second"}


def test_a_stop_and_a_deadline_are_failures_that_the_model_is_told() -> None:
    simulated, model, _ = node()
    simulated.answer(simulated.inbox()[0].id, "stop", reason="ask somebody else")
    simulated.pass_time(10.0)
    assert observed(model)["failure"]["code"] == "person_rejected"
    assert "ask somebody else" in observed(model)["failure"]["message"]
    simulated, model, _ = node(deadline=60.0)
    simulated.pass_time(120.0)
    assert observed(model)["failure"]["code"] == "no_answer"
    simulated, model, _ = node(deadline=None)
    simulated.pass_time(10_000_000.0)
    assert len(simulated.inbox()) == 1
    assert len(model.requests) == 1


def test_it_goes_to_the_people_of_the_tool_and_to_the_next_one() -> None:
    people = us.People(ask=("ada", "bob"), next_after=60.0)
    simulated, _, _ = node(people=people)
    assert simulated.inbox()[0].to == "ada"
    simulated.pass_time(100.0)
    assert simulated.inbox()[0].to == "bob"


def refused(simulated: Simulated, decision: Any, value: object, reason: str = "") -> str:
    sent = simulated.answer(simulated.inbox()[0].id, decision, value=value, reason=reason)
    simulated.pass_time(1.0)
    assert sent.error is not None
    return str(sent.error)


def test_an_answer_that_is_none_is_refused_and_the_question_stays_open() -> None:
    simulated, _, _ = node(options=["the first", "the second"])
    assert simulated.inbox()[0].options == ("the first", "the second")
    assert "none of the answers" in refused(simulated, "result", "the third")
    assert "empty" in refused(simulated, "result", " ")
    assert "needs the" in refused(simulated, "result", None)
    assert "does not answer it" in refused(simulated, "retry", None)
    assert "needs a reason" in refused(simulated, "stop", None)
    assert "does not answer it" in refused(simulated, "change", {"objective": "x"})
    simulated.answer(simulated.inbox()[0].id, "result", value="the second")
    simulated.pass_time(1.0)
    assert simulated.inbox() == ()


def test_asking_the_same_again_and_again_is_a_loop_and_no_question_about_questions() -> None:
    tool = us.builtin.ask_person()
    counters, codes = Counters(), list[str]()
    for _ in range(6):
        admission, counters = admit(gate(tool), call("ask_person", {"question": "Why?"}), counters, settles=False)
        codes.append(admission.failure.code if admission.failure else admission.decision)
    assert codes == ["ask", "ask", "ask", "loop", "loop", "loop"]


@pytest.mark.parametrize("question", ["", "x" * 4_001, 3, None])
def test_what_is_no_question_asks_nobody(question: object) -> None:
    admission = gate(us.builtin.ask_person()).admit(call("ask_person", {"question": question}), Counters(), 0.0)
    assert admission.failure is not None
    assert admission.failure.code == "bad_arguments"
    assert admission.question is None


def test_an_answer_is_the_word_of_somebody_who_is_trusted() -> None:
    spec = us.builtin.ask_person().spec
    assert (spec.trusted, spec.pure_read, spec.is_private) == (True, True, False)


@pytest.mark.parametrize(
    "given",
    [
        {"options": "yes"}, {"options": ["yes"]}, {"options": ["yes", "Yes "]}, {"options": ["yes", 1]},
        {"options": ["", "x"]}, {"deadline": 0}, {"deadline": -1.0}, {"deadline": float("nan")}, {"deadline": "1"},
        {"deadline": float("inf")}, {"deadline": True},
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_at_the_definition(given: Any) -> None:
    with pytest.raises(us.DefinitionError, match="ask_person"):
        us.builtin.ask_person(**given)


def test_called_directly_and_with_a_rule_of_its_own_it_says_why_not() -> None:
    tool = us.builtin.ask_person()

    def always(question: str) -> bool:
        raise NotImplementedError

    with pytest.raises(us.DefinitionError, match="inside a running system"):
        tool("Why?")
    with pytest.raises(us.DefinitionError, match="takes no approval rule"):
        tool.approve_if(always)
