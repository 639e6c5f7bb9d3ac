"""Whom a question goes to, how long each of them has, and what counts when nobody answers: on the simulated node, in virtual time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import understudy as us
from tests.actors.crew import Add, Break, Note, node, rows, said, state
from understudy.actors.patience import counts_as
from understudy.protocols.children import Intensity
from understudy.protocols.errors import DefinitionError, UnknownItem, WrongAnswer
from understudy.protocols.failures import Failure
from understudy.protocols.ids import SYSTEM
from understudy.protocols.journal import Record
from understudy.supervisor.inbox import addressed_to
from understudy.testing import Simulated

HOUR = 3_600.0
DAY = 24 * HOUR
DESK = us.People(ask=("ada", "bob"), remind=HOUR, next_after=4 * HOUR, deadline=DAY)
LONG = Intensity(within=1_000_000.0)


class Help(us.Request[str]):
    people: us.People | None = None
    takes: tuple[Any, ...] = ()
    deadline: float | None = None


class Waits(us.Event):
    later: str


class Asking(us.Actor):
    class State(us.State):
        later: str = ""

    @us.handles(Help)
    def help(self, turn: us.Turn[State], msg: Help) -> us.Later[str]:
        later = turn.later(msg)
        turn.escalate(us.Question("escalation", "What now?", people=msg.people, takes=msg.takes), tag=later)
        return later

    @us.settles(us.PERSON)
    def helped(self, turn: us.Turn[State], outcome: us.Outcome[us.Answer]) -> None:
        if outcome.failure is not None:
            turn.reply(outcome.tag, outcome.failure.code)
        else:
            turn.reply(outcome.tag, f"{outcome.value.decision} by {outcome.value.by}")


def asking(people: us.People | None = DESK, *, takes: tuple[str, ...] = ("retry", "stop")) -> tuple[Simulated, Any]:
    board = Simulated(us.Child("asking", Asking))
    sent = board.ask("asking", Help(people, takes))
    board.rest()
    return board, sent


def kinds(board: Simulated, actor: str = "asking") -> list[str]:
    return [row.kind for row, _ in rows(board, actor)]


def words(board: Simulated, actor: str = "asking") -> list[tuple[float, int, int]]:
    """Each reminder and hand-over: hours since the question was asked, to whom, how often that one was reminded."""
    found = list[tuple[float, int, int]]()
    for row, record in rows(board, actor):
        for effect in record.changes:
            if row.kind == "attempt" and effect.addressed is not None:
                found.append((round((row.at - effect.at) / HOUR, 1), effect.addressed.to, effect.addressed.reminded))
    return found


def answers(board: Simulated, actor: str = "asking") -> list[tuple[str, str]]:
    return [(r.answer.decision, r.answer.by) for _, r in rows(board, actor) if isinstance(r, Record) and r.answer]


def test_the_first_person_is_asked_then_reminded_then_the_next_then_the_default_counts() -> None:
    board, sent = asking()
    (item,) = board.inbox()
    assert (item.to, item.asked, item.reminded, item.next) == ("ada", ("ada",), 0, "bob")
    assert item.deadline == pytest.approx(item.since + DAY)
    assert item.default == "stop"
    board.pass_time(2.5 * HOUR)
    (item,) = board.inbox()
    assert (item.to, item.reminded) == ("ada", 2)
    board.pass_time(2 * HOUR)
    (item,) = board.inbox()
    assert (item.to, item.asked, item.reminded, item.next, item.next_at) == ("bob", ("ada", "bob"), 0, "", None)
    board.pass_time(DAY)
    board.rest()
    assert board.inbox() == ()
    assert words(board)[:5] == [(1.0, 0, 1), (2.0, 0, 2), (3.0, 0, 3), (4.0, 1, 0), (5.0, 1, 1)]
    assert words(board)[-1] == (23.0, 1, 19)
    assert answers(board) == [("stop", "the deadline")]
    assert said(sent) == "stop by the deadline"


def test_without_people_an_escalation_waits_for_ever_and_costs_no_row() -> None:
    board, sent = asking(None)
    before = kinds(board)
    board.pass_time(400 * DAY)
    assert kinds(board) == before
    (item,) = board.inbox()
    assert (item.to, item.deadline, item.default) == ("", None, "")
    assert sent.reply is None


def test_who_was_asked_still_finds_it_when_the_next_one_is_asked_too() -> None:
    board, _ = asking()
    assert addressed_to(board.inbox(), "bob") == ()
    board.pass_time(5 * HOUR)
    assert board.inbox()[0].to == "bob"
    for name in ("ada", "bob"):
        assert addressed_to(board.inbox(), name) == board.inbox()
    assert addressed_to(board.inbox(), "eve") == ()


def test_what_silence_counts_as_is_what_it_will_count_as() -> None:
    approval = us.Question("approval", "Pay?", deadline=5.0, people=DESK)
    assert counts_as(approval) == "no", "the default is for escalations"
    skipping = msgspec.structs.replace(DESK, default="skip")
    assert counts_as(us.Question("escalation", "?", takes=("retry", "stop"), people=skipping)) == "stop"
    assert counts_as(us.Question("escalation", "?", takes=("skip", "stop"), people=skipping)) == "skip"
    assert counts_as(us.Question("escalation", "?", takes=("result",), people=skipping)) == "no"


def test_an_answer_ends_all_of_it_and_a_second_one_is_told_that_it_is_too_late() -> None:
    board, sent = asking()
    board.pass_time(5 * HOUR)
    (item,) = board.inbox()
    board.answer(item.id, "retry", by="eve")
    late = board.answer(item.id, "stop", reason="no", by="bob")
    board.rest()
    assert said(sent) == "retry by eve", "whoever answers first, asked or not"
    assert isinstance(late.error, UnknownItem)
    before = kinds(board)
    board.pass_time(3 * DAY)
    assert kinds(board) == before, "no timer is left"


@pytest.mark.parametrize("seed", range(20))
def test_an_answer_at_the_deadline_or_the_default_counts_and_never_both(seed: int) -> None:
    board = Simulated(us.Child("asking", Asking), seed=seed)
    sent = board.ask("asking", Help(DESK, ("retry", "stop")))
    board.rest()
    (item,) = board.inbox()
    board.now += DAY
    late = board.answer(item.id, "retry")
    board.rest()
    assert len(answers(board)) == 1
    assert said(sent) == " by ".join(answers(board)[0])
    assert isinstance(late.error, UnknownItem) == (answers(board) == [("stop", "the deadline")])


@pytest.mark.parametrize(("down", "expected"), [(3.5, [(3.5, 0, 1)]), (9.0, [(9.0, 1, 0)])])
def test_what_came_due_while_the_process_was_down_happens_once(down: float, expected: list[Any]) -> None:
    board, _ = asking()
    board.crash(down=down * HOUR)
    board.rest()
    board.pass_time(1.0)
    assert [(round(at, 1), *rest) for at, *rest in words(board)] == expected


def test_a_deadline_that_passes_while_the_process_is_down_counts_once_at_the_next_start() -> None:
    board, _ = asking()
    board.crash(down=3 * DAY)
    board.rest()
    board.pass_time(1.0)
    assert answers(board) == [("stop", "the deadline")]
    assert words(board) == []
    board.crash(down=DAY)
    board.rest()
    board.pass_time(DAY)
    assert len(answers(board)) == 1


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("after", [0.9 * HOUR, HOUR, 4 * HOUR, DAY])
def test_a_crash_at_every_step_changes_nothing_of_it(after: float, seed: int) -> None:
    """Just before, at and after each of the times, the process dies at each step: the same words, once each, and one answer."""
    for steps in range(12):
        board = Simulated(us.Child("asking", Asking), seed=seed)
        board.ask("asking", Help(DESK, ("retry", "stop")), key="one")
        board.rest()
        board.pass_time(after - 0.5)
        for _ in range(steps):
            board.step()
        board.crash(down=0.0)
        board.rest()
        board.pass_time(2 * DAY)
        board.rest()
        assert answers(board) == [("stop", "the deadline")]
        told = words(board)
        assert len(told) == len({(to, reminded) for _, to, reminded in told}), "each word once"
        assert {(0, 1), (0, 2), (0, 3), (1, 0), (1, 1)} <= {(to, reminded) for _, to, reminded in told}
        assert kinds(board)[-1] in ("turn", "settled")


def test_a_control_without_durable_times_would_say_it_twice() -> None:
    """The check of the test above sees a word that is said again."""
    told = [(1.0, 0, 1), (1.0, 0, 1)]
    assert len(told) != len({(to, reminded) for _, to, reminded in told})


def test_an_actor_that_left_memory_is_reminded_of_all_the_same() -> None:
    board = Simulated(us.Child("asking", Asking), idle=1.0)
    board.ask("asking", Help(DESK, ("retry", "stop")))
    board.rest()
    board.kernel.rest(board.now + 10.0)
    board.pass_time(1.5 * HOUR)
    assert words(board) == [(1.0, 0, 1)]


def test_a_default_that_the_question_does_not_take_is_refused_where_it_is_asked() -> None:
    board = Simulated(us.Child("asking", Asking))
    sent = board.ask("asking", Help(us.People(("ada",), deadline=60.0, default="skip"), ("retry", "stop")))
    board.rest()
    assert said(sent) == "crashed"
    failed = [record.failure for _, record in rows(board, "asking") if record.failure is not None]
    assert "people.default='skip' does not answer it" in failed[0].message


def test_a_question_that_names_no_words_still_takes_the_old_ones_and_the_default_speaks_them() -> None:
    board, sent = asking(us.People(("ada",), deadline=60.0), takes=())
    (item,) = board.inbox()
    assert item.answers == ("approve", "answer", "reject")
    board.pass_time(100.0)
    board.rest()
    assert said(sent) == "reject by the deadline"
    for given, meant in (("retry", "approve"), ("approve", "approve"), ("result", "answer"), ("stop", "reject")):
        board, sent = asking(None, takes=())
        board.answer(board.inbox()[0].id, given, reason="so", value="x")  # type: ignore[arg-type]
        board.rest()
        assert said(sent) == f"{meant} by ada"


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("ask", {"ask": ()}),
        ("ask", {"ask": ("",)}),
        ("ask", {"ask": ("ada", 3), "next_after": 1.0}),
        ("ask", {"ask": ("ada", "ada"), "next_after": 1.0}),
        ("ask", {"ask": "a\nb"}),
        ("remind", {"remind": -1}),
        ("remind", {"remind": 0}),
        ("remind", {"remind": float("nan")}),
        ("remind", {"remind": "soon"}),
        ("remind", {"remind": 60, "deadline": 60}),
        ("next_after", {"ask": ("ada", "bob")}),
        ("next_after", {"next_after": 5}),
        ("next_after", {"ask": ("ada", "bob", "eve"), "next_after": 30, "deadline": 60}),
        ("next_after", {"ask": ("ada", "bob"), "next_after": -5}),
        ("deadline", {"deadline": -5}),
        ("deadline", {"deadline": True}),
        ("default", {"deadline": 60, "default": "result"}),
        ("default", {"deadline": 60, "default": "give up"}),
        ("default", {"default": "retry"}),
    ],
)
def test_people_of_no_use_are_refused_with_the_field_named(field: str, given: dict[str, Any]) -> None:
    people: Any = us.People  # as callers do who run no type checker
    with pytest.raises(DefinitionError, match=f"^people: {field}: ") as refused:
        people(**{"ask": ("ada",), **given})
    assert refused.value.hint


def test_a_default_that_fits_no_question_of_an_agent_or_a_team_is_refused_when_it_is_defined() -> None:
    skip = us.People(("ada",), deadline=60.0, default="skip")
    with pytest.raises(DefinitionError, match=r"agent 'clerk': people\.default='skip'"):
        us.Agent("clerk", "Answer.", model=us.Scripted("x"), people=skip)
    clerk = us.Agent("clerk", "Answer.", model=us.Scripted("x"))
    with pytest.raises(DefinitionError, match=r"supervisor 'desk': people\.default='skip' with 'clerk'"):
        us.Supervisor("desk", [clerk], people=skip)
    us.Supervisor("desk", [us.Child("asking", Asking)], people=skip)


def _given_up(people: us.People | None = None) -> Simulated:
    board = node(intensity=LONG, people=people)
    for _ in range(4):
        board.ask("a/ada", Break("raise"))
    board.tell("a/ada", Note("waits"))
    board.rest()
    return board


def test_a_given_up_child_goes_to_its_supervisors_people_and_the_default_skips_the_message() -> None:
    board = _given_up(us.People(("ada",), deadline=60.0, default="skip"))
    (item,) = board.inbox()
    assert (item.to, item.about, item.default) == ("ada", "a/ada", "skip")
    put_aside = len(board.parked())
    board.pass_time(100.0)
    board.rest()
    assert board.inbox() == ()
    assert state(board, "a/ada").notes == ("waits",)
    assert len(board.parked()) in (put_aside, put_aside - 1)


def test_retry_sends_the_message_again_to_the_child_that_is_started_again() -> None:
    board = _given_up()
    (item,) = board.inbox()
    put_aside = [message.item for message in board.parked()]
    assert item.message in put_aside
    board.answer(item.id, "retry")
    board.rest()
    failed = [row.cause for row, _ in rows(board, "a/ada") if row.kind == "failed"]
    assert len(failed) == 5, "it was tried once more, as a message of its own"
    assert item.message not in [message.item for message in board.parked()]
    assert state(board, "a/ada").notes == ("waits",)


def test_retry_with_changes_sends_it_with_the_content_that_fits_its_class_and_no_other() -> None:
    board = _given_up()
    (item,) = board.inbox()
    for value, why in (({"how": 7}, "this is no"), ({"how": "x", "what": "x"}, "no field 'what'")):
        wrong = board.answer(item.id, "change", value=value)
        assert isinstance(wrong.error, WrongAnswer)
        assert why in str(wrong.error)
    assert board.inbox() == (item,)
    board.answer(item.id, "change", value={"how": "nothing"})
    board.rest()
    assert board.inbox() == ()
    assert board.actor("a/ada").memory.life == "running"
    sent = [r.sends[0].body for r in _system(board) if r.parked is not None]
    assert [bytes(body) for body in sent] == [b'{"how":"nothing"}']


def test_skip_drops_the_message_and_records_that() -> None:
    board = _given_up()
    (item,) = board.inbox()
    board.answer(item.id, "skip", by="eve", reason="of no use")
    board.rest()
    (resolution,) = [r.parked for r in _system(board) if r.parked is not None]
    assert (resolution.decision, resolution.by, resolution.reason) == ("drop", "eve", "of no use")
    assert state(board, "a/ada").notes == ("waits",)
    assert item.message not in [message.item for message in board.parked()]


def test_approve_starts_it_again_and_leaves_the_message_where_it_is() -> None:
    board = _given_up()
    (item,) = board.inbox()
    board.answer(item.id, "approve")
    board.rest()
    assert state(board, "a/ada").notes == ("waits",)
    assert item.message in [message.item for message in board.parked()]
    assert not [r for r in _system(board) if r.parked is not None]


@pytest.mark.parametrize("steps", range(10))
def test_a_crash_in_the_middle_of_an_answer_leaves_both_parts_of_it_or_none(steps: int) -> None:
    board = _given_up()
    (item,) = board.inbox()
    sent = board.answer(item.id, "change", value={"how": "nothing"})
    for _ in range(steps):
        board.step()
    board.crash(down=0.0)
    board.rest()
    resolved = [r for r in _system(board) if r.parked is not None]
    assert len(resolved) == (0 if board.inbox() else 1)
    if board.inbox():
        board.again(sent)
        board.rest()
    assert board.actor("a/ada").memory.life == "running"
    assert state(board, "a/ada").notes == ("waits",)
    assert len([r for r in _system(board) if r.parked is not None]) == 1


def _system(board: Simulated) -> list[Record]:
    return [record for _, record in rows(board, SYSTEM)]


def _stuck(people: us.People | None = None, *, output: type[Any] = int) -> tuple[Simulated, Any]:
    down = us.Scripted(Failure("abandon", "down", "no"), "7", repeat=True)
    board = Simulated(us.Agent("clerk", "Answer.", model=down, output=output, people=people))
    sent = board.ask("clerk/a", us.Task("How many?"))
    board.rest()
    return board, sent


def test_an_agent_takes_retry_change_result_and_stop_and_a_wrong_result_is_refused_and_stays_open() -> None:
    board, sent = _stuck(DESK)
    (item,) = board.inbox()
    assert item.answers == ("retry", "change", "result", "stop")
    assert item.to == "ada"
    assert b'"integer"' in bytes(item.form)
    assert item.unsure
    wrong = board.answer(item.id, "result", value="many")
    board.rest()
    assert isinstance(wrong.error, WrongAnswer)
    assert "Expected `int`, got `str`" in str(wrong.error)
    unknown = board.answer(item.id, "change", value={"who": "x"})
    board.rest()
    assert isinstance(unknown.error, WrongAnswer)
    skip = board.answer(item.id, "skip")
    board.rest()
    assert "it takes: retry, change, result, stop" in str(skip.error)
    assert board.inbox() == (item,)
    board.answer(item.id, "result", value=3, by="bob")
    board.rest()
    assert sent.reply is not None
    assert b'"output":3' in bytes(sent.reply.value)


def test_an_agent_goes_on_with_the_task_that_a_person_changed() -> None:
    board, sent = _stuck()
    board.answer(board.inbox()[0].id, "change", value={"objective": "How many in all?"}, by="eve")
    board.rest()
    cell = board.actor("clerk/a")
    assert cell.state is not None
    assert cell.state.task.objective == "How many in all?"  # type: ignore[attr-defined]
    assert "changed by eve" in cell.state.transcript[-2].text  # type: ignore[attr-defined]
    assert sent.reply is not None
    assert b'"output":7' in bytes(sent.reply.value)


def test_an_agent_that_nobody_helps_ends_as_its_people_say() -> None:
    board, sent = _stuck(us.People(("ada",), deadline=60.0))
    board.pass_time(100.0)
    board.rest()
    assert sent.reply is not None
    assert b"nobody answered in time" in bytes(sent.reply.value)


def test_a_large_inbox_is_read_oldest_first() -> None:
    board = Simulated(us.Child("ask/{n}", Asking))
    for n in range(500):
        board.ask(f"ask/{n}", Help(DESK, ("retry", "stop")))
        if n % 50 == 0:
            board.rest()
            board.now += 1.0
    board.rest()
    found = board.inbox()
    assert len(found) == 500
    assert [item.since for item in found] == sorted(item.since for item in found)


def test_the_sum_still_adds_up() -> None:
    """A control: the node of these tests does work."""
    board = node()
    sent = board.ask("a/ada", Add(2))
    board.rest()
    assert said(sent) == 2
