"""Limits: steps, calls, and loops."""

from __future__ import annotations

from typing import Any

import msgspec

import understudy as us
from tests.tools.intents import AGENT, admit, call, effect, gate, think
from understudy.actors.cell import Cell
from understudy.protocols.counters import Counters
from understudy.protocols.hooks import Admission
from understudy.protocols.ids import Address
from understudy.protocols.journal import Record, Row
from understudy.protocols.limits import Limits
from understudy.supervisor.supervision.tree import Tree
from understudy.tools.gate import Gate, Grants
from understudy.tools.tool import Tool

HARM = 1_000
"""What an unbounded model would do."""


@us.tool(effect="read")
def look(name: str) -> str:
    """Look something up."""
    return name


@us.tool(effect="read")
def listen(name: str) -> str:
    """Listen to something."""
    return name


@us.tool(effect="once")
def pay(usd: float) -> str:
    """Pay somebody."""
    return f"{usd}"


@pay.approve_if
def large(usd: float) -> bool:
    """Payments above 50 USD."""
    return usd > 50


def test_a_model_is_asked_no_more_often_than_the_steps_allow() -> None:
    the_gate, counters, asked = gate(look), Counters(), 0
    for _ in range(HARM):
        admission, counters = admit(the_gate, think(), counters)
        asked += admission.decision == "allow"
    assert asked == Limits().steps == 20
    admission = the_gate.admit(think(), counters, 0.0)
    assert admission.failure is not None
    assert admission.failure.code == "step_limit"


def test_without_the_step_check_it_goes_on_for_ever() -> None:
    the_gate, counters, asked = gate(look, skip=("limits.steps",)), Counters(), 0
    for _ in range(HARM):
        admission, counters = admit(the_gate, think(), counters)
        asked += admission.decision == "allow"
    assert asked == HARM


def _varied(*skip: str) -> int:
    the_gate, counters, ran = gate(look, skip=skip), Counters(), 0
    for number in range(HARM):
        admission, counters = admit(the_gate, call("look", {"name": str(number)}), counters)
        ran += admission.decision == "allow"
    return ran


def test_tools_are_called_no_more_often_than_the_calls_allow_and_without_the_check_they_are() -> None:
    assert _varied() == Limits().calls == 100
    assert _varied("limits.calls") == HARM


def _decisions(*names: str, skip: tuple[str, ...] = (), times: int = 1) -> list[str]:
    the_gate, counters, said = gate(look, listen, skip=skip), Counters(), list[str]()
    for name in names * times:
        admission, counters = admit(the_gate, call(name, {"name": "x"}), counters)
        said.append(admission.decision)
    return said


def test_the_same_call_runs_three_times_then_a_new_plan_is_due_then_a_person_decides() -> None:
    assert _decisions("look", times=6) == ["allow"] * 3 + ["deny", "ask", "ask"]


def _sixth(tool: Tool[..., Any], args: dict[str, object]) -> Admission:
    """What the gate says to a call that was made five times before, also after it was refused as a loop."""
    the_gate, counters = gate(tool), Counters()
    intent = call(tool.spec.name, args)
    for _ in range(5):
        _, counters = admit(the_gate, intent, counters)
    return the_gate.admit(intent, counters, 100.0)


def test_the_question_about_a_loop_shows_the_call_with_its_arguments() -> None:
    question = _sixth(look, {"name": "x"}).question
    assert question is not None
    assert "look was asked for 4 times" in question.text
    assert 'look({"name": "x"})' in question.text
    assert question.policy == "limits.loop"


def test_a_loop_that_a_person_lets_go_on_does_not_pass_the_tool_s_own_rule() -> None:
    the_gate, counters, intent = gate(pay), Counters(), call("pay", {"usd": 60.0})
    for number in range(5):
        before, counters = admit(the_gate, intent, counters)
        assert before.decision == ("deny" if number == 3 else "ask")
    admission = the_gate.admit(intent, counters, 0.0)
    question = admission.question
    assert question is not None
    assert pay.policy is not None
    assert question.policy == f"limits.loop, {pay.policy.label}"
    for part in ("goes round in circles", 'pay({"usd": 60.0})', "Payments above 50 USD."):
        assert question.text.count(part) == 1
    assert question.deadline == Limits().approval
    assert [(v.check, v.verdict) for v in admission.verdicts[-2:]] == [("limits.loop", "ask"), ("approval", "ask")]


def test_a_rule_that_does_not_apply_adds_nothing_to_the_question_about_a_loop() -> None:
    admission = _sixth(pay, {"usd": 5.0})
    assert admission.decision == "ask"
    assert admission.question is not None
    assert admission.question.policy == "limits.loop"


def test_where_there_are_no_limits_nothing_is_counted_but_all_else_is_checked() -> None:
    the_gate, counters = Gate({AGENT: Grants({"look": look, "pay": pay}, limits=None)}), Counters()
    for _ in range(HARM):
        admission, counters = admit(the_gate, call("look", {"name": "x"}), counters)
        assert admission.decision == "allow"
    assert the_gate.admit(call("look", {"nam": "x"}), counters, 0.0).decision == "deny"
    asked = the_gate.admit(call("pay", {"usd": 60.0}), counters, 100.0)
    assert asked.question is not None
    assert asked.question.deadline == 100.0 + 86_400.0


def test_an_actor_that_is_no_agent_has_no_limits() -> None:
    tree = Tree([us.Child("desk", us.Actor, tools=[look])])
    assert tree.grants["desk"].limits is None


def test_two_calls_in_turns_run_twice_each_then_a_new_plan_is_due_then_a_person_decides() -> None:
    said = _decisions("look", "listen", times=6)
    assert said[:5] == ["allow"] * 4 + ["deny"]
    assert said.count("deny") == 1, "one chance to plan anew"
    assert said.count("allow") <= 6, "no more than three of each"
    assert set(said[7:]) == {"ask"}


def test_without_the_loop_check_both_go_on() -> None:
    assert _decisions("look", skip=("limits.loop",), times=50) == ["allow"] * 50
    assert _decisions("look", "listen", skip=("limits.loop",), times=25) == ["allow"] * 50


def test_calls_that_only_look_alike_are_no_loop() -> None:
    the_gate, counters = gate(look), Counters()
    for number in range(20):
        admission, counters = admit(the_gate, call("look", {"name": str(number % 7)}), counters)
        assert admission.decision == "allow"


def _after_a_person_said(decision: str) -> str:
    """What the gate says to the next same call, after a loop was put before a person."""
    the_gate, intent = gate(look), call("look", {"name": "x"})
    cell, made = Cell(Address("clerk/1"), None), None
    for number in range(1, 6):
        made = effect(intent, the_gate.admit(intent, cell.memory.counters, 0.0), f"{number}.0")
        cell.fold(_row(number), Record(effects=(made,)))
        if made.state == "intended":
            cell.fold(_row(number), Record(changes=(msgspec.structs.replace(made, state="settled"),)))
    assert made is not None
    assert made.state == "asking"
    answered = msgspec.structs.replace(
        made,
        answer=us.Answer("5.0", decision, reason="because"),  # type: ignore[arg-type]
        state="intended" if decision == "approve" else "asking",
    )
    cell.fold(_row(6), Record(changes=(answered,)))
    cell.fold(_row(7), Record(changes=(msgspec.structs.replace(answered, state="settled"),)))
    return the_gate.admit(intent, cell.memory.counters, 0.0).decision


def _row(number: int) -> Row:
    return Row(number, Address("clerk/1"), number, 0, "turn", "", 0.0, msgspec.Raw(b"{}"))


def test_a_person_who_lets_it_go_on_gives_it_a_new_start() -> None:
    assert _after_a_person_said("approve") == "allow"


def test_a_person_who_says_no_gives_it_none() -> None:
    assert _after_a_person_said("reject") == "ask"


def test_a_once_call_that_was_done_is_not_done_again_unasked() -> None:
    the_gate, counters, intent = gate(pay), Counters(), call("pay", {"usd": 5.0})
    first, counters = admit(the_gate, intent, counters)
    second = the_gate.admit(intent, counters, 0.0)
    assert (first.decision, second.decision) == ("allow", "ask")
    assert second.question is not None
    assert "once more" in second.question.text


def test_a_call_that_is_refused_again_and_again_is_a_loop_too() -> None:
    assert _decisions("unknown", times=5) == ["deny"] * 5
    the_gate, counters = gate(look), Counters()
    codes: list[str] = []
    for _ in range(5):
        admission, counters = admit(the_gate, call("look", {"nam": "x"}), counters)
        assert admission.failure is not None
        codes.append(admission.failure.code)
    assert codes == ["bad_arguments"] * 3 + ["loop"] * 2


def _counter_in_a_text(*skip: str) -> tuple[int, str]:
    """How often a tool runs whose arguments are one text with another number each time, and what ends it."""
    the_gate, counters, ran = gate(look, skip=skip), Counters(), 0
    for number in range(50):
        admission, counters = admit(the_gate, call("look", {"name": f"report, part {number} of 50"}), counters)
        if admission.decision != "allow":
            return ran, admission.failure.code if admission.failure is not None else admission.decision
        ran += 1
    return ran, ""


def test_a_counter_in_a_text_is_found_and_forces_a_new_plan() -> None:
    assert _counter_in_a_text() == (Limits().varied, "loop")
    assert _counter_in_a_text("limits.loop") == (50, ""), "without this check it goes on"


def test_numbers_that_stand_by_themselves_are_other_calls() -> None:
    the_gate, counters = gate(look), Counters()
    for number in range(50):
        admission, counters = admit(the_gate, call("look", {"name": str(number)}), counters)
        assert admission.decision == "allow"


def _always_the_same(came: list[str], *skip: str) -> int:
    """How often a tool runs that is asked something else each time and gives this, again and again."""
    the_gate, counters = gate(look, pay, skip=skip), Counters()
    for number in range(50):
        intent = call("look", {"name": chr(1_000 + number)})
        admission = the_gate.admit(intent, counters, 0.0)
        if admission.decision != "allow":
            assert admission.failure is not None
            assert "gave the very same" in admission.failure.message
            return number
        made = effect(intent, admission)
        counters = counters.intended(made).changed(
            msgspec.structs.replace(made, state="settled", came=came[number % len(came)])
        )
    return 50


def test_a_tool_that_always_gives_the_same_is_no_progress_and_one_that_does_not_is() -> None:
    assert _always_the_same(["nothing"]) == Limits().stalled
    assert _always_the_same(["nothing"], "limits.loop") == 50, "without this check it goes on"
    assert _always_the_same(["nothing", "something"]) == 50


def test_a_call_that_changes_something_is_progress() -> None:
    the_gate, counters = gate(look, pay), Counters()
    for number in range(20):
        intent = call("look", {"name": chr(1_000 + number)})
        made = effect(intent, the_gate.admit(intent, counters, 0.0))
        assert made.state == "intended"
        counters = counters.intended(made).changed(msgspec.structs.replace(made, state="settled", came="pending"))
        if number % 4 == 3:
            _, counters = admit(the_gate, call("pay", {"usd": float(number)}), counters)


def test_a_tool_may_have_a_limit_of_its_own() -> None:
    the_gate, counters = gate(look, listen, limits=Limits(per_tool={"look": 2})), Counters()
    for name in ("a", "b"):
        admission, counters = admit(the_gate, call("look", {"name": name}), counters)
        assert admission.decision == "allow"
    admission, counters = admit(the_gate, call("look", {"name": "c"}), counters)
    assert admission.failure is not None
    assert (admission.failure.code, admission.failure.kind) == ("call_limit", "change_arguments")
    assert admission.failure.message == "all 2 calls of look are used"
    admission, counters = admit(the_gate, call("listen", {"name": "c"}), counters)
    assert admission.decision == "allow", "others have theirs"


def test_a_person_who_lets_it_go_on_lets_counting_begin_anew() -> None:
    counted = Counters(shapes={"x": 10}, same=("look", "y", 6), admitted={"z": 3}, loops=2).granted()
    assert (counted.shapes, counted.same, counted.admitted, counted.loops) == ({}, ("", "", 0), {}, 0)


def test_a_run_hands_on_so_many_tasks_and_a_task_goes_through_so_many_hands() -> None:
    the_gate, counters = gate(us.hand_over, look, limits=Limits(handed=3, depth=2)), Counters()
    for number in range(3):
        intent = call("hand_over", {"to": "ada", "objective": chr(97 + number)})
        admission, counters = admit(the_gate, intent, counters)
        assert admission.decision == "allow"
    beyond = the_gate.admit(call("hand_over", {"to": "ada", "objective": "z"}), counters, 0.0)
    assert beyond.failure is not None
    assert (beyond.failure.code, beyond.failure.message) == ("spawn_limit", "all 3 tasks that may be handed on are")
    deep = msgspec.structs.replace(call("hand_over", {"to": "ada", "objective": "a"}), hops=2)
    denied = the_gate.admit(deep, Counters(), 0.0)
    assert denied.failure is not None
    assert (denied.failure.code, denied.failure.kind) == ("spawn_limit", "change_arguments")
    own = msgspec.structs.replace(call("look", {"name": "a"}), hops=2)
    assert the_gate.admit(own, counters, 0.0).decision == "allow", "it may still work itself"


def test_without_the_limit_of_tasks_handed_on_they_go_on_for_ever() -> None:
    the_gate, counters = gate(us.hand_over, limits=Limits(handed=3), skip=("limits.calls", "limits.loop")), Counters()
    for number in range(50):
        admission, counters = admit(
            the_gate, call("hand_over", {"to": "ada", "objective": chr(1_000 + number)}), counters
        )
        assert admission.decision == "allow"


def test_a_call_that_a_person_changes_does_not_use_up_its_tool_twice() -> None:
    the_gate = gate(look, limits=Limits(per_tool={"look": 1}))
    first = effect(call("look", {"name": "part 1"}), the_gate.admit(call("look", {"name": "part 1"}), Counters(), 0.0))
    counters = Counters().intended(first)
    changed = call("look", {"name": "page 7"})
    admission = the_gate.admit(changed, counters.without(first), 0.0)
    assert admission.decision == "allow", "the changed call takes the place of the first"
    after = counters.changed_into(first, effect(changed, admission))
    assert (after.calls, after.tools, sorted(after.shapes.values())) == (1, {"look": 1}, [0, 1])
    assert the_gate.admit(call("look", {"name": "x"}), after, 0.0).decision == "deny"
