"""What the gate reserves when an effect starts and settles when it ends: told once for each attempt, durable before the effect leaves."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

import understudy as us
from tests.actors.crew import said
from tests.actors.test_effects import Do, done, hand
from understudy.protocols.approvals import Question
from understudy.protocols.books import Books, Entry
from understudy.protocols.counters import Counters
from understudy.protocols.effects import Attempt, Effect
from understudy.protocols.failures import Failure
from understudy.protocols.hooks import Booked, Clearance
from understudy.protocols.journal import Record
from understudy.protocols.verdicts import Verdict
from understudy.testing import Sent, Simulated
from understudy.tools.gate import Gate

TILL = "budget/till"


class Till(us.State):
    """What a gate of these tests keeps: how much of a budget is held and spent, and how often it was told that an attempt ended."""

    held: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    spent: int = 0
    told: int = 0


@pytest.fixture(autouse=True)
def _fresh() -> None:
    done.clear()


@pytest.fixture
def _budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each attempt holds 10 and costs 3; one that nobody knows the end of costs all that was held."""

    def start(
        self: Gate, effect: Effect, counters: Counters, now: float, standing: Mapping[str, Entry], *_: object
    ) -> Clearance:
        books = Books(standing)
        till = books.read(TILL, Till) or Till()
        books.write(TILL, till.evolve(held={**till.held, effect.id: 10}))
        return Clearance((Verdict("budget", "allow", "10 held", now),), books.changes)

    def book(self: Gate, effect: Effect, attempt: Attempt | None, now: float, standing: Mapping[str, Entry]) -> Booked:
        books = Books(standing)
        till = books.read(TILL, Till) or Till()
        held = dict(till.held)
        sure = attempt is not None and not attempt.unknown
        cost = min(3, held.pop(effect.id, 0)) if sure else held.pop(effect.id, 0)
        books.write(TILL, till.evolve(held=held, spent=till.spent + cost, told=till.told + 1))
        return Booked(books.changes)

    monkeypatch.setattr(Gate, "start", start)
    monkeypatch.setattr(Gate, "book", book)


def till(node: Simulated) -> Till:
    return Books(node.kernel.sets.books).read(TILL, Till) or Till()


def records(node: Simulated) -> list[tuple[str, Record]]:
    from understudy.protocols.codec import decode

    return [(row.kind, decode(row.payload, Record)) for row in node.journal.rows(limit=10_000)]


def asked(tool: str, seed: int = 0, **faults: float) -> tuple[Simulated, Sent]:
    node = hand(seed, **faults)
    return node, node.ask("h/ada", Do(tool), key="k")


@pytest.mark.usefixtures("_budget")
@pytest.mark.parametrize("tool", ["read", "idempotent", "once"])
def test_what_is_reserved_is_durable_before_the_effect_leaves_and_settled_before_its_outcome_is_told(tool: str) -> None:
    node, sent = asked(tool)
    node.rest()
    assert said(sent) == "it done"
    assert (till(node).held, till(node).spent, till(node).told) == ({}, 3, 1)
    books = [(kind, len(record.books)) for kind, record in records(node) if record.books]
    assert books == [("started", 1), ("attempt", 1)]


@pytest.mark.usefixtures("_budget")
@pytest.mark.parametrize("tool", ["read", "idempotent"])
def test_an_attempt_that_a_crash_cut_off_is_settled_as_unknown_and_the_next_one_reserves_anew(tool: str) -> None:
    node, sent = asked(tool)
    while not done:
        assert node.step()
    node.crash()
    assert till(node).held or till(node).spent == 10
    node.again(sent)
    node.rest()
    assert said(sent) == "it done"
    assert done["it"] == 2
    assert (till(node).held, till(node).spent, till(node).told) == ({}, 13, 2)


@pytest.mark.usefixtures("_budget")
def test_the_books_of_a_kernel_are_those_of_the_rows_after_every_crash() -> None:
    for seed in range(60):
        node = hand(seed, fails=0.2, raises=0.1, hangs=0.1, late=0.1, twice=0.2, commit_fails=0.05, commit_unknown=0.05)
        sent = [node.ask(f"h/{n}", Do(("read", "idempotent")[n % 2]), key=f"k{n}") for n in range(6)]
        for _ in range(40):
            node.step()
        node.crash()
        for one in sent:
            node.again(one)
        node.rest()
        books: dict[str, Entry] = {}
        for _, record in records(node):
            books.update((e.key, e) for e in record.books)
        assert bytes(books[TILL].value) == bytes(node.kernel.sets.books[TILL].value)
        assert {e.key: bytes(e.value) for e in node.journal.reload().books} == {TILL: bytes(books[TILL].value)}
        assert till(node).held == {}, "every reservation came to its end"
        starts = sum(kind == "started" for kind, _ in records(node))
        assert till(node).told == starts, "told once for each attempt, also one fed again to another kernel"


def test_what_finds_no_room_waits_over_a_crash_and_then_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(
        self: Gate, effect: Effect, counters: Counters, now: float, standing: Mapping[str, Entry], *_: object
    ) -> Clearance:
        due = effect.at + 50.0
        wait = Verdict("rate", "wait", "full", now)
        return Clearance((wait,), due=due) if now < due else Clearance((Verdict("rate", "allow", at=now),))

    monkeypatch.setattr(Gate, "start", start)
    node, sent = asked("read")
    while not node.kernel.sets.effects or next(iter(node.kernel.sets.effects.values())).state != "waiting":
        assert node.step()
    began = node.now
    node.crash()
    node.again(sent)
    node.rest()
    assert said(sent) == "it done"
    assert done["it"] == 1
    assert node.now >= began + 49.0
    (last,) = [c for _, record in records(node) for c in record.changes if c.state == "settled"]
    assert [(v.check, v.verdict) for v in last.verdicts if v.check == "rate"] == [("rate", "wait"), ("rate", "allow")]


def test_a_person_may_be_asked_at_the_start_and_it_starts_when_they_say_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(
        self: Gate, effect: Effect, counters: Counters, now: float, standing: Mapping[str, Entry], *_: object
    ) -> Clearance:
        if effect.answer is not None:
            return Clearance()
        return Clearance((Verdict("budget", "ask", "over", now),), question=Question("approval", "More money?"))

    monkeypatch.setattr(Gate, "start", start)
    node, sent = asked("read")
    node.rest()
    (item,) = node.inbox()
    assert (item.text, done["it"]) == ("More money?", 0)
    node.crash()
    node.again(sent)
    node.rest()
    node.answer(item.id, "approve", by="ada")
    node.rest()
    assert (said(sent), done["it"]) == ("it done", 1)


def test_what_is_refused_at_the_start_is_settled_with_the_failure_that_the_gate_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start(
        self: Gate, effect: Effect, counters: Counters, now: float, standing: Mapping[str, Entry], *_: object
    ) -> Clearance:
        why = Failure("abandon", "budget_exhausted", "nothing is left", where=effect.name)
        return Clearance((Verdict("budget", "deny", "nothing is left", now),), failure=why)

    monkeypatch.setattr(Gate, "start", start)
    node, sent = asked("once")
    node.rest()
    assert sent.reply is not None
    assert sent.reply.failure is not None
    assert (sent.reply.failure.code, done["it"]) == ("budget_exhausted", 0)


@pytest.mark.parametrize("tool", ["read", "once"])
def test_what_was_said_at_the_start_stands_beside_every_call(tool: str) -> None:
    node, _ = asked(tool)
    node.rest()
    (last,) = [c for _, record in records(node) for c in record.changes if c.state == "settled"]
    assert [v.check for v in last.verdicts].count("permission") == 2, "at the intent and at the start"


@pytest.mark.usefixtures("_budget")
def test_books_changed_by_hand_are_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    node, _ = asked("read")
    node.rest()
    node.kernel.keep((Entry(TILL),), "hand")
    node.step()
    node.rest()
    assert TILL not in node.kernel.sets.books
    assert node.journal.reload().books == ()
