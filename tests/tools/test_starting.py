"""What is shared is asked at the start, in order; who says no decides, and what the others had reserved is not kept."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import understudy as us
from tests.tools.intents import AGENT, admit, call, effect
from understudy.protocols.approvals import Question
from understudy.protocols.books import Books, Entry
from understudy.protocols.counters import Counters
from understudy.protocols.effects import Attempt, Effect
from understudy.protocols.failures import Failure
from understudy.protocols.hooks import Clearance
from understudy.protocols.verdicts import Verdict
from understudy.tools.checks.case import Ruling, allow, ask, deny
from understudy.tools.gate import Gate, Grants
from understudy.tools.starting import Ending, Starting


@us.tool(effect="read")
def look() -> str:
    """Look."""
    return "seen"


class Tally:
    """A check that counts how often it let something start, and says what it is told to."""

    def __init__(self, name: str, ruling: Ruling | Exception | None = None) -> None:
        self.name, self.ruling = name, ruling

    def concerns(self, effect: Effect) -> bool:
        return effect.name == "look"

    def start(self, starting: Starting) -> Ruling:
        starting.books.write(self.name, (starting.books.read(self.name, int) or 0) + 1)
        assert starting.tool is not None
        if isinstance(self.ruling, Exception):
            raise self.ruling
        return self.ruling or allow(self.name)

    def book(self, ending: Ending) -> tuple[Verdict, ...]:
        ending.books.write(self.name, None)
        return (Verdict(self.name, "alert", "ended"),)


def made() -> Effect:
    gate = Gate({AGENT: Grants({"look": look})})
    intent = call("look")
    return effect(intent, admit(gate, intent, Counters())[0])


def start(*checks: Tally, **more: Any) -> Clearance:
    return Gate({AGENT: Grants({"look": look})}, shared=checks, **more).start(made(), Counters(), 7.0, {})


def test_all_that_let_it_start_reserve_and_their_verdicts_have_a_time() -> None:
    clear = start(Tally("budget"), Tally("rate"))
    assert [e.key for e in clear.books] == ["budget", "rate"]
    assert [(v.check, v.verdict, v.at) for v in clear.verdicts][2:] == [
        ("budget", "allow", 7.0),
        ("rate", "allow", 7.0),
    ]


@pytest.mark.parametrize(
    ("ruling", "what"),
    [
        (deny("rate", Failure("abandon", "no_more", "none left")), "deny"),
        (Ruling(Verdict("rate", "wait", "full"), due=9.0), "wait"),
        (ask("rate", Question("approval", "More?")), "ask"),
    ],
)
def test_who_says_no_decides_and_what_the_others_reserved_is_not_kept(ruling: Ruling, what: str) -> None:
    clear = start(Tally("budget"), Tally("rate", ruling), Tally("breaker"))
    assert [e.key for e in clear.books] == ["rate"]
    assert clear.verdicts[-1].verdict == what
    assert (clear.failure, clear.due, clear.question) == (ruling.failure, ruling.due, ruling.question)


def test_a_check_that_raises_is_a_refusal_and_reserves_nothing() -> None:
    clear = start(Tally("budget"), Tally("rate", RuntimeError("broken")))
    assert clear.books == ()
    assert clear.failure is not None
    assert (clear.failure.code, clear.verdicts[-1].verdict) == ("check_failed", "deny")


def test_what_was_refused_before_reserves_nothing() -> None:
    gone = Gate({AGENT: Grants({})}, shared=[Tally("budget")])
    clear = gone.start(made(), Counters(), 7.0, {})
    assert (clear.books, [v.check for v in clear.verdicts]) == ((), ["permission"])


def test_an_attempt_that_ended_is_told_to_those_whom_it_concerns() -> None:
    standing = {"budget": Entry("budget", msgspec.Raw(b"1")), "rate": Entry("rate", msgspec.Raw(b"1"))}
    gate = Gate({AGENT: Grants({"look": look})}, shared=[Tally("budget"), Tally("rate")], skip=frozenset({"rate"}))
    told = gate.book(made(), Attempt(b'"seen"'), 7.0, standing)
    assert ([e.key for e in told.books], [v.check for v in told.verdicts]) == (["budget"], ["budget"])
    assert gate.book(msgspec.structs.replace(made(), name="other"), None, 7.0, standing).books == ()
    assert Books(standing).read("budget", int) == 1
