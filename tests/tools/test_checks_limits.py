"""Limits: steps, calls, and loops."""

from __future__ import annotations

import msgspec

import understudy as us
from tests.tools.intents import admit, call, effect, gate, think
from understudy.actors.cell import Cell
from understudy.protocols.effects import Counters, Limits
from understudy.protocols.ids import Address
from understudy.protocols.journal import Record, Row

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
