"""Several workers on one task: they agree, or the declared resolvers decide, and everything about it stands in the journal."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

import understudy as us
from tests.supervisor.conflicts.experts import consult, events, output, resolved, result, says, team
from tests.supervisor.conflicts.experts import with_a_crash_after_every_step as crashes
from understudy.protocols.conflicts import Agreed, ConflictFound
from understudy.supervisor.conflicts.resolver import Resolver
from understudy.testing import FaultPlan, Faults, Sent, Simulated


def test_workers_side_by_side_who_agree_give_one_answer_and_no_conflict() -> None:
    node, sent = consult(team({"a": 1, "b": 2}, {"b": 2, "a": 1}))
    assert output(sent) == {"a": 1, "b": 2}, "the same after canonical JSON"
    assert resolved(node) == []
    (agreed,) = events(node, "desk/r/panel", Agreed)
    assert [(c.who, c.run) for c in agreed.claims] == [("a", "desk/r/a"), ("b", "desk/r/b")]


def test_they_work_at_the_same_time() -> None:
    node, at_once = Simulated(team("x", "x", "x"), seed=1), 0
    node.ask("desk/r", us.Task("?"))
    while node.step():
        at_once = max(at_once, len(node.attempts.flying()))
    assert at_once > 1


def test_a_majority_stands_and_the_losing_claim_is_kept_with_the_reason() -> None:
    node, sent = consult(team("tide", "tide", "wave"))
    assert output(sent) == "tide"
    (event,) = resolved(node)
    assert [(c.who, c.plain) for c in event.conflict.claims] == [("a", "tide"), ("b", "tide"), ("c", "wave")]
    assert event.conflict.subject == "What is it?"
    assert event.decided.by == "majority()"
    assert event.decided.winner == 0
    assert event.decided.reason == "2 of 3 say the same, and it takes 2"


def test_without_a_majority_a_person_is_asked_by_default_and_a_name_decides() -> None:
    node, sent = consult(team("tide", "wave"))
    assert sent.reply is None
    (item,) = node.inbox()
    assert (item.options, item.answers, item.run) == (("a", "b"), ("answer", "reject"), "desk/r")
    assert '"tide"' in item.text
    assert '"wave"' in item.text
    node.answer(item.id, "answer", by="ada", value="b", reason="I saw it")
    node.rest()
    assert output(sent) == "wave"
    (event,) = resolved(node)
    assert (event.decided.by, event.decided.reason, event.decided.winner) == ("ada", "I saw it", 1)
    assert [(p.resolver, p.failure) for p in event.decided.passed] == [("majority()", None)]


def test_a_person_may_give_an_answer_of_their_own_and_one_that_does_not_fit_is_asked_for_again() -> None:
    def number(task: us.Task) -> int:
        return len(task.objective)

    def other(task: us.Task) -> int:
        return 7

    workers = [us.Worker("a", number, effect="read"), us.Worker("b", other, effect="read")]
    node, sent = consult(us.Supervisor("desk", workers, route=lambda _: ("a", "b")))
    node.answer(node.inbox()[0].id, "answer", value="many")
    node.pass_time(1)
    (again,) = node.inbox()
    assert "does not fit" in again.text
    node.answer(again.id, "answer", value=42)
    node.rest()
    assert output(sent) == 42


def test_an_answer_that_nobody_could_read_again_is_asked_for_again() -> None:
    node, sent = consult(team(1.0, 2.0))
    (item,) = node.inbox()
    given = node.answer(item.id, "answer", value=msgspec.Raw(b"1e999"))
    node.pass_time(1)
    (again,) = node.inbox()
    assert given.error is not None or "cannot be read" in again.text
    node.answer(again.id, "answer", value="a")
    node.pass_time(1)
    assert output(sent) == 1.0


def test_a_person_who_takes_none_ends_it_with_what_everybody_said() -> None:
    node, sent = consult(team("tide", "wave"))
    node.answer(node.inbox()[0].id, "reject", reason="both are wrong")
    node.pass_time(1)
    (item,) = node.inbox()
    assert "both are wrong" in item.text, "the team asks what to do, as of a worker that can't"
    node.answer(item.id, "reject", reason="leave it")
    node.rest()
    assert result(sent).status == "cannot"


def test_silence_until_the_deadline_counts_as_declared_though_nobody_is_connected_and_the_process_died() -> None:
    node, sent = consult(team("tide", "wave", answers_by=us.person(within=3_600, otherwise="b")))
    node.pass_time(3_500)
    assert node.inbox()
    node.crash(down=200)
    node.rest()
    node.again(sent)
    node.rest()
    assert output(sent) == "wave"
    (event,) = resolved(node)
    assert event.decided.by == "the deadline"


@pytest.mark.parametrize("deadline", [None, 7_200.0])
def test_silence_counts_as_declared_also_where_the_team_has_people_who_are_asked_in_turn(
    deadline: float | None,
) -> None:
    desk = team("tide", "wave", answers_by=us.person(within=3_600, otherwise="b"))
    desk.people = us.People(ask=("ada", "bob"), next_after=600.0, deadline=deadline)
    node, sent = consult(desk)
    node.pass_time(1_000)
    assert node.inbox()
    node.pass_time(3_000)
    assert output(sent) == "wave"
    assert resolved(node)[0].decided.by == "the deadline"


def test_who_is_asked_is_told_what_silence_means() -> None:
    for otherwise, told in (("b", True), ("", False)):
        node, _ = consult(team("tide", "wave", answers_by=us.person(within=60, otherwise=otherwise)))
        (item,) = node.inbox()
        assert item.text.endswith("If nobody answers in time, b it is.") is told


async def test_a_program_whose_run_waits_says_how_to_answer(tmp_path: Path) -> None:
    desk = team("tide", "wave")
    async with us.System(desk, journal=tmp_path / "desk.db") as system:
        waiting = await system.run(desk, "What is it?", id="r", timeout=30)
        (item,) = waiting.waiting
        with pytest.raises(us.WaitingForPerson) as asked:
            _ = waiting.output
    assert f"understudy answer {item.id} VALUE" in str(asked.value), "there is nothing to approve"


def test_silence_with_nobody_named_leaves_no_answer() -> None:
    node, sent = consult(team("tide", "wave", answers_by=us.person(within=60)))
    node.pass_time(61)
    (event,) = resolved(node)
    assert (event.decided.winner, event.decided.made) == (None, False)
    assert sent.reply is None, "the team asks a person, as of a worker that can't"


def test_the_surest_answer_stands_where_it_is_sure_enough() -> None:
    sure, unsure = {"it": "tide", "confidence": 0.9}, {"it": "wave", "confidence": 0.3}
    node, sent = consult(team(sure, unsure, answers_by=us.weighted(margin=0.5)))
    assert output(sent)["it"] == "tide"
    assert resolved(node)[0].decided.reason == "it leads by 50% of all confidence"
    node, sent = consult(team(sure, unsure, answers_by=us.weighted(margin=0.6) | us.priority(["b"])))
    assert output(sent)["it"] == "wave"


def test_who_agrees_but_is_surer_gives_the_answer() -> None:
    _, sent = consult(team({"it": "tide", "confidence": 0.4}, {"it": "tide", "confidence": 0.8}))
    assert output(sent) == {"it": "tide", "confidence": 0.8}


def test_what_has_to_be_equal_may_be_said() -> None:
    one, other = {"priority": 1, "advice": "run"}, {"priority": 1, "advice": "run!"}
    _, sent = consult(team(one, other))
    assert sent.reply is None, "the control"
    _, sent = consult(team(one, other, compare=lambda advice: advice["priority"]))
    assert output(sent) == one


def test_equal_numbers_agree_however_they_are_written_and_those_that_are_none_agree_with_nothing() -> None:
    node, sent = consult(team({"depth": 3, "drift": 0.0}, {"depth": 3.0, "drift": -0.0}))
    assert output(sent) == {"depth": 3, "drift": 0.0}
    assert not events(node, "desk/r/panel", ConflictFound)
    for number in (math.nan, math.inf):
        node, sent = consult(team("tide", "wave", compare={"tide": {"n": number}, "wave": {"n": number}}.__getitem__))
        assert sent.reply is None, "JSON would call both of them null"
        (found,) = events(node, "desk/r/panel", ConflictFound)
        assert "cannot be compared" in found.conflict.claims[0].reason


def leaves(answer: Any) -> object:
    raise SystemExit(3)


def test_a_compare_function_that_wants_to_leave_the_process_is_said_like_any_failure() -> None:
    node, _ = consult(team("tide", "wave", compare=leaves))
    (found,) = events(node, "desk/r/panel", ConflictFound)
    assert "SystemExit" in found.conflict.claims[0].reason


def test_a_compare_function_that_raises_is_said_and_decides_nothing() -> None:
    node, _ = consult(team("tide", "wave", compare=lambda answer: answer["priority"]))
    (found,) = events(node, "desk/r/panel", ConflictFound)
    assert "TypeError" in found.conflict.claims[0].reason


def test_claims_are_merged_by_a_function_of_ones_own() -> None:
    def both(claims: tuple[us.Claim, ...]) -> object:
        return [claim.plain for claim in claims]

    node, sent = consult(team("tide", "wave", answers_by=us.merge(both)))
    assert output(sent) == ["tide", "wave"]
    assert resolved(node)[0].decided.made


def raises(claims: tuple[us.Claim, ...]) -> object:
    return 1 / 0


def no_json(claims: tuple[us.Claim, ...]) -> object:
    return {1: object()}


def not_a_number(claims: tuple[us.Claim, ...]) -> object:
    return float("nan")


def a_stranger(claims: tuple[us.Claim, ...]) -> object:
    return us.Claim("stranger")


def itself(claims: tuple[us.Claim, ...]) -> object:
    return itself


@pytest.mark.parametrize("wrong", [raises, no_json, not_a_number, a_stranger, itself])
def test_a_resolver_that_raises_or_gives_nonsense_is_recorded_and_the_next_one_decides(wrong: Any) -> None:
    node, sent = consult(team("tide", "wave", answers_by=us.merge(wrong) | us.priority(["b"])))
    assert output(sent) == "wave"
    (event,) = resolved(node)
    (passed,) = event.decided.passed
    assert passed.failure is not None
    assert passed.failure.code in ("resolver_failed", "resolver_nonsense")


def test_at_last_a_person_is_asked_with_what_went_wrong_before() -> None:
    def broken(claims: tuple[us.Claim, ...]) -> object:
        raise LookupError("no such rule")

    node, _ = consult(team("tide", "wave", answers_by=us.merge(broken)))
    (item,) = node.inbox()
    assert item.failure is not None
    assert "no such rule" in item.failure.message


def test_a_merged_answer_must_fit_what_the_workers_answer_with() -> None:
    class Found(us.Message):
        name: str

    def work(task: us.Task) -> Found:
        return Found(task.objective)

    def other(task: us.Task) -> Found:
        return Found("wave")

    policy = us.Conflicts(answers=us.merge(lambda _: "text") | us.priority(["b"]))
    workers = [us.Worker("a", work, effect="read"), us.Worker("b", other, effect="read")]
    node, sent = consult(us.Supervisor("desk", workers, route=lambda _: ("a", "b"), conflicts=policy))
    assert output(sent) == {"name": "wave"}
    assert resolved(node)[0].decided.passed[0].failure is not None


def test_who_fails_makes_no_claim_and_one_of_two_is_no_agreement() -> None:
    node, sent = consult(team("tide", us.Abandon("no boat"), answers_by=us.person()))
    assert sent.reply is None
    (item,) = node.inbox()
    assert "b has no answer" in item.text
    assert "no boat" in item.text
    node.answer(item.id, "answer", value="a")
    node.rest()
    assert output(sent) == "tide"


def test_two_of_three_who_agree_are_enough_though_the_third_fails() -> None:
    node, sent = consult(team("tide", us.Abandon("no boat"), "tide"))
    assert output(sent) == "tide"
    (agreed,) = events(node, "desk/r/panel", Agreed)
    assert [one.who for one in agreed.silent] == ["b"]


def test_where_nobody_has_an_answer_a_person_hears_why_from_each() -> None:
    node, sent = consult(team(us.Abandon("no boat"), us.Abandon("no net")))
    (item,) = node.inbox()
    assert "no boat" in item.text
    assert "no net" in item.text
    node.answer(item.id, "approve")
    node.pass_time(60)
    assert len(node.inbox()) == 1, "all were asked again, in runs of their own"
    assert node.journal.stream(node.actor("desk/r/a/2").address)
    node.answer(node.inbox()[0].id, "answer", value="a fish")
    node.rest()
    assert output(sent) == "a fish"


@pytest.mark.parametrize("names", [(), ("a", "a"), ("a", "nobody"), ("a", 1), ["a", "b"], 7, None], ids=str)
def test_a_rule_that_names_nobody_twice_or_a_stranger_leaves_it_to_a_person(names: Any) -> None:
    node, _ = consult(team("tide", "wave", route=lambda _: names))
    (item,) = node.inbox()
    assert "Who should take this?" in item.text


def test_a_tuple_of_one_is_one_worker() -> None:
    node, sent = consult(team("tide", "wave", route=lambda _: ("b",)))
    assert output(sent) == "wave"
    assert not node.journal.stream(node.actor("desk/r/a").address)


def test_a_judge_is_an_agent_whose_run_is_in_the_journal() -> None:
    judge = us.Agent("judge", "Be fair.", model=us.Scripted(us.Ruling("b", "it is later")), output=us.Ruling)
    node, sent = consult(team("tide", "wave", answers_by=us.judge(judge) | us.person()))
    assert output(sent) == "wave"
    (event,) = resolved(node)
    assert (event.decided.by, event.decided.reason) == ("judge judge", "it is later")
    assert node.journal.stream(node.actor("desk/r/conflict/1/judge/0").address)


def test_the_reason_of_a_decision_is_brief_whatever_a_judge_says() -> None:
    judge = us.Agent("judge", "Be fair.", model=us.Scripted(us.Ruling("b", "so " * 50_000)), output=us.Ruling)
    node, sent = consult(team("tide", "wave", answers_by=us.judge(judge)))
    assert output(sent) == "wave"
    reason = resolved(node)[0].decided.reason
    assert len(reason) == 2_000
    assert reason.endswith("...")


def test_a_judge_may_answer_with_a_name_alone() -> None:
    judge = us.Agent("judge", "Be fair.", model=us.Scripted("a"))
    _, sent = consult(team("tide", "wave", answers_by=us.judge(judge)))
    assert output(sent) == "tide"


@pytest.mark.parametrize("said", ["nobody", "I would say a", "c"])
def test_a_judge_who_names_nobody_is_passed_over(said: str) -> None:
    judge = us.Agent("judge", "Be fair.", model=us.Scripted(said))
    node, sent = consult(team("tide", "wave", answers_by=us.judge(judge) | us.priority(["b"])))
    assert output(sent) == "wave"
    assert resolved(node)[0].decided.passed[0].resolver == "judge(judge)"


def unsure() -> Resolver:
    return us.judge(us.Agent("judge", "Be fair.", model=us.Scripted("I cannot say")))


def test_answers_too_large_for_the_record_still_contradict_each_other_after_somebody_was_asked() -> None:
    large = [letter * 150_000 for letter in "abc"]
    node, sent = consult(team(*large, answers_by=unsure() | us.majority()))
    assert sent.reply is None, "no two of them say the same"
    (item,) = node.inbox()
    assert 'it begins: \\"aaaa' in item.text
    node.answer(item.id, "answer", value="b")
    node.pass_time(1)
    assert output(sent) == large[1], "whole, though the record has only its beginning"
    node, sent = consult(team(*large[:2], large[1], answers_by=unsure() | us.majority()))
    assert output(sent) == large[1]


def test_what_a_judge_took_is_part_of_what_the_run_took_whether_it_decided_or_not() -> None:
    by = [
        us.majority(),
        us.judge(us.Agent("judge", "Be fair.", model=us.Scripted(us.Ruling(" b\n")), output=us.Ruling)),
        unsure(),
    ]
    took: list[tuple[int, bool]] = []
    for who in by:
        node, sent = consult(team("tide", "wave", answers_by=who | us.priority(["b"])))
        assert output(sent) == "wave"
        (event,) = resolved(node)
        assert (result(sent).steps, result(sent).usage) == (event.decided.steps, event.decided.usage)
        took.append((result(sent).steps, result(sent).usage.input_tokens > 0))
    assert took == [(0, False), (1, True), (1, True)]


def test_nothing_is_merged_of_the_beginnings_of_answers() -> None:
    large = [letter * 150_000 for letter in "abc"]
    both = us.merge(lambda claims: claims[0].plain + claims[1].plain)
    _, sent = consult(team(*large, answers_by=unsure() | both | us.priority(["c"])))
    assert output(sent) == large[2]
    _, sent = consult(team("tide", "wave", answers_by=unsure() | both))
    assert output(sent) == "tidewave", "the control"


def test_a_judge_who_takes_too_long_is_passed_over() -> None:
    slow = us.Agent("slow", "Be fair.", model=us.Scripted(), output=us.Ruling)
    plan = FaultPlan()
    for n in range(3, 9):  # the third effect is the judge's first
        plan.hang_effect(n)
    node, sent = consult(team("tide", "wave", answers_by=us.judge(slow, within=300) | us.priority(["a"])), plan=plan)
    node.pass_time(600)
    assert output(sent) == "tide"
    assert not node.inbox(), "what the judge's run asked a person about is taken back"


def test_a_cancelled_run_takes_its_consultation_and_its_conflict_along() -> None:
    node, sent = consult(team("tide", "wave"))
    assert node.inbox()
    node.tell("desk/r", us.Cancel("enough"))
    node.rest()
    assert node.inbox() == ()
    assert result(sent).reason == "enough"


def decide(node: Simulated) -> Sent:
    return node.ask("desk/r", us.Task("What is it?"), key="task")


def test_a_conflict_carries_on_wherever_the_process_dies() -> None:
    judge = us.Agent("judge", "Be fair.", model=us.Scripted(*[us.Ruling("b")] * 3_000, name="j"), output=us.Ruling)

    def make() -> us.Supervisor:
        return team("tide", "wave", answers_by=us.majority() | us.judge(judge))

    def check(node: Simulated, sent: Sent) -> None:
        assert output(sent) == "wave"
        assert len(resolved(node)) == 1

    assert crashes(make, decide, check) > 20


def test_and_under_any_faults_one_decision_is_made() -> None:
    for seed in range(40):
        storm = Faults(crash=0.03, commit_fails=0.1, commit_unknown=0.1)
        node = Simulated(team("tide", "wave", answers_by=us.person(within=None)), seed=seed, faults=storm)
        sent = decide(node)
        node.pass_time(600)
        node.faults = Faults()
        if sent.lost:
            node.again(sent)
        node.pass_time(600)
        (item,) = node.inbox()
        node.answer(item.id, "answer", value="a")
        node.rest()
        if sent.lost or sent.reply is None:
            node.again(sent)
            node.rest()
        assert output(sent) == "tide", seed
        assert len(resolved(node)) == 1


async def test_a_front_door_may_name_several() -> None:
    one, other = (us.Agent(n, "Work.", model=us.Scripted(*says_, name=n)) for n, says_ in (("a", ["x"]), ("b", ["x"])))
    door = us.Router(
        "door",
        "Choose.",
        to=[one, other],
        consult=2,
        model=us.Scripted(msgspec.json.encode({"to": ["a", "b"]}).decode()),
    )
    desk = us.Supervisor("desk", [one, other], route=door)
    async with us.System(desk) as system:
        ran = await system.run(desk, "What is it?", id="r", timeout=20)
        actors = [line.address for line in await system.actors("desk/r")]
    assert ran.output == "x"
    assert ran.result is not None
    assert ran.result.steps == 3
    assert actors == ["desk/r", "desk/r/a", "desk/r/b", "desk/r/door", "desk/r/panel"]


async def test_a_front_door_that_may_name_one_and_names_more_than_it_may_is_not_sure() -> None:
    agents = [us.Agent(n, "Work.", model=us.Scripted("x", name=n)) for n in "abc"]
    said = msgspec.json.encode({"to": ["a", "b", "c"]}).decode()
    door = us.Router("door", "Choose.", to=agents, consult=2, model=us.Scripted(said))
    desk = us.Supervisor("desk", agents, route=door)
    async with us.System(desk) as system:
        waiting = await system.run(desk, "What is it?", timeout=20)
    assert waiting.status == "waiting"
    with pytest.raises(us.DefinitionError, match="consult=0"):
        us.Router("door", "Choose.", to=agents, consult=0, model=us.Scripted())
    with pytest.raises(us.DefinitionError, match="between 1 and 3"):
        us.Router("door", "Choose.", to=agents, consult=4, model=us.Scripted())


def test_a_worker_that_is_consulted_has_a_run_of_its_own() -> None:
    node, _ = consult(us.Supervisor("desk", [says("a", 1), says("b", 1)], route=lambda _: ("a", "b")))
    assert [line.address for line in node.journal.actors("desk/r")] == [
        "desk/r",
        "desk/r/a",
        "desk/r/b",
        "desk/r/panel",
    ]
