"""The audit of a run: every check's verdict, reason and time of every call, who approved it, its attempts and its outcome."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import understudy as us
from tests.supervisor.buying import Buy, Write, bought, shop, wanted
from understudy.actors.flights import Flights
from understudy.actors.releases import Start
from understudy.protocols.journal import Row
from understudy.supervisor.auditing import Audit, AuditedCall, audit
from understudy.supervisor.inbox import inbox
from understudy.testing import Faults, Simulated

AT_INTENT = ["permission", "schema", "approval", "rules"]
"""Of the checks, those that these tests are about: the others come and go."""


def audited(node: Simulated) -> Audit:
    rows = tuple(row for row in node.journal.rows(limit=10_000) if row.stream == "buyer")
    return audit(node.actor("buyer").address, rows)


def told(call: AuditedCall) -> list[str]:
    """What was said and done, in words: checks with their verdicts, other steps by name."""
    steps = [s for s in call.steps if s.what != "books" and (s.what != "verdict" or s.check in AT_INTENT)]
    return [f"{s.check} {s.verdict}" if s.what == "verdict" else s.what for s in steps]


def test_a_read_or_idempotent_call_that_has_no_started_row_shows_what_was_said_when_it_started() -> None:
    node = shop()
    node.ask("buyer", Write())
    node.pass_time(60)
    (call,) = audited(node).calls
    steps = [step for step in told(call) if step != "started"]
    assert steps == [*(f"{check} allow" for check in AT_INTENT), "permission allow", "settled"]
    assert (call.outcome, call.value, call.gaps) == ("done", msgspec.Raw(b'"hello"'), ())
    assert audited(node).complete
    checks = [step for step in call.steps if step.what == "verdict"]
    assert {step.at for step in checks} == {call.at}, "it was asked about when it was wanted, and began at once"


def test_an_approved_call_shows_who_was_asked_who_answered_and_what_the_answer_was_bound_to() -> None:
    node = shop(
        us.ApprovalRule("large", money_above=50, quorum=2), people=us.People(ask=("ada", "bob"), next_after=3_600.0)
    )
    _, item = wanted(node)
    node.answer(item.id, "approve", by="ada", reason="it is due")
    node.pass_time(2 * 3_600)
    node.answer(item.id, "change", by="eve", value={"usd": 55.0})
    node.pass_time(60)
    node.answer(item.id, "approve", by="bob")
    node.pass_time(60)
    assert bought == ["ada 55"]
    (call,) = audited(node).calls
    assert told(call) == [
        "permission allow", "schema allow", "approval allow", "rules ask", "asked", "answered", "asked",
        "answered", "permission allow", "schema allow", "approval allow", "rules ask", "asked",
        "answered", "permission allow", "schema allow", "approval allow", "started", "settled",
    ]  # fmt: skip
    said = [(s.by, s.decision, s.reason) for s in call.steps if s.what == "answered"]
    assert said == [("ada", "approve", "it is due"), ("eve", "change", ""), ("bob", "approve", "")]
    bound = [s.digest for s in call.steps if s.what == "answered"]
    assert bound[0] == item.digest != bound[1] == bound[2]
    assert b'"usd":60' in bytes(call.arguments), "as it was intended"
    times = [s.at for s in call.steps]
    assert times == sorted(times)


def test_a_refused_call_shows_which_check_refused_it() -> None:
    node = shop()
    _, item = wanted(node)
    node.answer(item.id, "reject", by="ada", reason="no")
    node.pass_time(60)
    (call,) = [c for c in audited(node).calls if c.id == item.id]
    assert call.outcome == "failed"
    assert [s.failure.code for s in call.steps if s.failure] == ["person_rejected"]


def test_each_failed_attempt_is_there_and_its_start() -> None:
    tries: list[int] = []

    @us.tool(effect="read", retry=us.Retry(attempts=3, base=0.01))
    def flaky() -> int:
        """Fails twice."""
        tries.append(1)
        if len(tries) < 3:
            raise us.RetryNow("not yet")
        return len(tries)

    class Go(us.Request[int]):
        pass

    class Buyer(us.Actor):
        class State(us.State):
            pass

        @us.handles(Go)
        def go(self, turn: us.Turn[State], msg: Go) -> us.Later[int]:
            later = turn.later(msg)
            turn.call(flaky, tag=later)
            return later

        @us.settles(flaky)
        def went(self, turn: us.Turn[State], outcome: us.Outcome[int]) -> None:
            turn.reply(outcome.tag, outcome.value)

    node = Simulated(us.Child("buyer", Buyer, tools=[flaky]))
    node.ask("buyer", Go())
    node.pass_time(60)
    (call,) = audited(node).calls
    checks = [step.check for step in call.steps if step.what == "verdict"]
    assert checks.count("permission") == 4, "at the intent and at each of three starts"
    assert [s.failure.message for s in call.steps if s.what == "failed" and s.failure] == ["not yet", "not yet"]
    starts = [s.at for s in call.steps if s.check == "permission"][1:]
    assert starts == sorted(starts)
    assert audited(node).complete


@pytest.mark.parametrize("seed", range(8))
def test_it_is_complete_whatever_crashes(seed: int) -> None:
    """Each call that came to an outcome has the verdicts of its intent and of the start that led to it."""
    node = shop(seed=seed, faults=Faults(crash=0.02))
    for n in range(4):
        node.ask("buyer", Write(text=f"{n}"))
        node.ask("buyer", Buy(usd=60.0 + n))
    node.pass_time(60)
    for item in inbox(tuple(node.kernel.sets.effects.values())):
        node.answer(item.id, "approve", by="ada")
    node.pass_time(300)
    report = audited(node)
    assert report.complete, [call for call in report.calls if call.gaps]
    for call in report.calls:
        checks = [step.check for step in call.steps if step.check in AT_INTENT]
        assert checks[:4] == AT_INTENT
        if call.outcome == "done":
            assert checks.count("permission") >= 2


def test_a_journal_without_the_verdicts_of_a_start_is_told_as_such() -> None:
    """The control: an audit that could not miss anything would say nothing."""
    node = shop()
    node.ask("buyer", Write())
    node.pass_time(60)
    rows: list[Row] = []
    for row in node.journal.rows(limit=10_000):
        record: dict[str, Any] = msgspec.json.decode(bytes(row.payload))
        for effect in record.get("changes", ()):
            effect["verdicts"] = effect["verdicts"][:4]
        if row.stream == "buyer":
            rows.append(msgspec.structs.replace(row, payload=msgspec.Raw(msgspec.json.encode(record))))
    report = audit(node.actor("buyer").address, rows)
    assert not report.complete
    assert report.calls[0].gaps


@pytest.mark.parametrize("seed", range(20))
def test_what_was_said_at_the_start_of_a_call_without_a_row_survives_failed_commits(seed: int) -> None:
    faults = Faults(commit_fails=0.3, commit_unknown=0.2, fails=0.3)
    node = shop(seed=seed, faults=faults)
    for number in range(6):
        node.ask("buyer", Write(f"note {number}"))
    node.pass_time(600)
    node.faults = Faults()
    node.rest()
    report = audited(node)
    assert len(report.calls) == 6
    for call in report.calls:
        assert not call.gaps
        starts = [step for step in call.steps if step.what == "verdict" and step.check == "permission"]
        failed = len({step.attempt for step in call.steps if step.what == "failed"})
        assert len(starts) == 1 + failed + 1, "one at the intent, one at each start"


def test_without_what_comes_back_with_the_outcome_there_are_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""
    monkeypatch.setattr(Flights, "adopt", _nothing)
    gaps = 0
    for seed in range(20):
        node = shop(seed=seed, faults=Faults(commit_fails=0.3, commit_unknown=0.2))
        node.attempts.begin = _forgetful(node)  # type: ignore[method-assign]
        for number in range(6):
            node.ask("buyer", Write(f"note {number}"))
        node.pass_time(600)
        gaps += sum(bool(call.gaps) for call in audited(node).calls)
    assert gaps > 0


def _nothing(new: Flights, before: Flights) -> None:
    pass


def _forgetful(node: Simulated) -> Any:
    plain = node.attempts.begin

    def begin(start: Start) -> None:
        plain(msgspec.structs.replace(start, checked=()))

    return begin
