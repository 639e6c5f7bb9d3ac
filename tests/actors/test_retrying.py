"""Retries: by kind of failure, within the time that anybody waits, and never past what nobody knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

import understudy as us
from tests.actors.crew import said
from tests.actors.test_effects import Do, done, hand, raising
from understudy.protocols.books import Entry
from understudy.protocols.counters import Counters
from understudy.protocols.effects import Effect
from understudy.protocols.hooks import Clearance
from understudy.protocols.verdicts import Verdict
from understudy.testing import Sent, Simulated
from understudy.tools.gate import Gate
from understudy.tools.ledger import after_crash


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    done.clear()
    yield
    raising.clear()


def asked(tool: str, *errors: Exception, timeout: float | None = None) -> tuple[Simulated, Sent]:
    raising[:] = errors
    node = hand()
    return node, node.ask("h/ada", Do(tool), timeout=timeout)


def test_an_exception_that_nobody_declared_does_not_fail_what_may_have_happened() -> None:
    node, sent = asked("idempotent", KeyError("odd"), KeyError("odd"))
    node.rest()
    assert (said(sent), done["it"]) == ("it done", 1), "tried again under its key"


def test_one_that_uses_up_the_attempts_is_in_doubt() -> None:
    node, sent = asked("idempotent", *[KeyError("odd")] * 3)
    node.rest()
    (item,) = node.inbox()
    assert (sent.reply, item.kind) == (None, "in_doubt")
    node.answer(item.id, "happened", value="it was done")
    node.rest()
    assert said(sent) == "it was done"


def test_a_read_fails_by_it_at_once() -> None:
    node, sent = asked("read", KeyError("odd"))
    node.rest()
    assert said(sent) == "crashed"


class _Closing:
    """A gate that does not let anything start any more from the second attempt on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        plain = Gate.start

        def start(
            gate: Gate, effect: Effect, counters: Counters, now: float, books: dict[str, Entry], *more: Any
        ) -> Clearance:
            if effect.attempt:
                return Clearance((Verdict("permission", "deny", "the grant is gone", now),))
            return plain(gate, effect, counters, now, books, *more)

        monkeypatch.setattr(Gate, "start", start)


def test_what_may_have_happened_is_in_doubt_where_it_may_not_start_again(monkeypatch: pytest.MonkeyPatch) -> None:
    _Closing(monkeypatch)
    node, sent = asked("idempotent", ConnectionError("lost"))
    node.rest()
    (item,) = node.inbox()
    assert (sent.reply, item.kind) == (None, "in_doubt")
    assert "the grant is gone" in item.text
    node.crash()
    node.rest()
    assert len(node.inbox()) == 1


def test_what_did_not_happen_is_refused_there(monkeypatch: pytest.MonkeyPatch) -> None:
    _Closing(monkeypatch)
    node, sent = asked("idempotent", us.RetryLater("busy"))
    node.rest()
    assert (said(sent), node.inbox()) == ("denied_permission", ())


def test_what_a_crash_cut_off_is_in_doubt_there(monkeypatch: pytest.MonkeyPatch) -> None:
    @us.tool(effect="reconcilable")
    def book(what: str) -> str:
        """Book."""
        done[what] += 1
        return "booked"

    @book.reconcile
    def found(key: str) -> str | us.NotDone:
        return us.NOT_DONE

    class Clerk(us.Actor):
        @us.handles(Do)
        def do(self, turn: us.Turn[us.State], msg: Do) -> us.Later[str]:
            later = turn.later(msg)
            turn.call(book, msg.what, tag=later)
            return later

        @us.settles(book)
        def did(self, turn: us.Turn[us.State], outcome: us.Outcome[str]) -> None:
            turn.reply(outcome.tag, outcome.value)

    _Closing(monkeypatch)
    node = Simulated(us.Child("h/{name}", Clerk, tools=[book]))
    sent = node.ask("h/ada", Do("book"), key="k")
    while not done:
        assert node.step()
    node.crash()
    node.again(sent)
    node.rest()
    (item,) = node.inbox()
    assert (sent.reply, item.kind) == (None, "in_doubt")


def test_nobody_tries_again_after_the_time_at_which_anybody_waits() -> None:
    node, sent = asked("idempotent", us.RetryLater("busy", after=100.0), timeout=50.0)
    began = node.now
    while sent.reply is None:
        assert node.step()
    assert node.now < began + 49.0, "it does not wait for what will be of no use"
    assert (said(sent), done["it"]) == ("no_time", 0)
    assert sent.reply.failure is not None
    assert [failure.code for failure in sent.reply.failure.chain()] == ["no_time", "busy"]


def test_within_that_time_it_does() -> None:
    node, sent = asked("idempotent", us.RetryLater("busy", after=10.0), timeout=5_000.0)
    node.rest()
    assert said(sent) == "it done"


def test_what_may_have_happened_and_has_no_time_left_is_in_doubt() -> None:
    node, _ = asked("idempotent", ConnectionError("lost"), us.RetryLater("busy", after=1e4), timeout=5_000.0)
    node.rest()
    (item,) = node.inbox()
    assert item.kind == "in_doubt"


def test_the_deadline_of_a_task_counts_alike() -> None:
    tried = 0

    def work(objective: str) -> str:
        nonlocal tried
        tried += 1
        raise us.RetryLater("busy", after=1_000.0)

    node = Simulated(us.Worker("w", work, effect="read"))
    began = node.now
    sent = node.ask("w/1", us.Task("it", deadline=began + 500.0))
    while sent.reply is None:
        assert node.step()
    assert (tried, node.now < began + 400.0) == (1, True)
    assert b"no_time" in bytes(sent.reply.value)


def test_an_effect_that_waited_for_its_turn_for_longer_than_its_key_lives_has_not_begun() -> None:
    raising[:] = [us.RetryLater("busy")]
    node = hand()
    node.ask("h/ada", Do("idempotent"))
    while not node.kernel.sets.effects:
        node.step()
    effect = next(iter(node.kernel.sets.effects.values()))
    waiting = msgspec.structs.replace(effect, state="waiting")
    assert after_crash(waiting, effect.at + 2 * effect.key_ttl).step == "start"
    begun = msgspec.structs.replace(waiting, attempt=1)
    assert after_crash(begun, effect.at + 2 * effect.key_ttl).step == "doubt"
