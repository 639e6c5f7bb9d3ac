"""Effects of an actor across crashes, restarts, silence and late outcomes: the kernel's half, on a simulated node."""

from __future__ import annotations

from collections import Counter

import pytest

import understudy as us
from tests.actors.crew import said
from understudy.protocols.effects import Retry
from understudy.testing import Faults, Sent, Simulated

keys: Counter[str] = Counter()
done: Counter[str] = Counter()
raising: list[Exception] = []


@pytest.fixture(autouse=True)
def _fresh() -> None:
    keys.clear()
    done.clear()
    raising.clear()


def _act(call: us.Call, what: str) -> str:
    if raising:
        raise raising.pop(0)
    keys[call.key] += 1
    done[what] += 1
    return f"{what} done"


@us.tool(effect="read")
def read(call: us.Call, what: str) -> str:
    """Read."""
    return _act(call, what)


@us.tool(effect="idempotent", retry=Retry(attempts=3, base=1.0))
def idempotent(call: us.Call, what: str) -> str:
    """Do something under a key."""
    return _act(call, what)


@us.tool(effect="once", timeout=5.0)
def once(call: us.Call, what: str) -> str:
    """Do something once."""
    return _act(call, what)


@us.tool(effect="idempotent", approve=True)
def approved(call: us.Call, what: str) -> str:
    """Do something that a person allows."""
    return _act(call, what)


TOOLS = {tool.spec.name: tool for tool in (read, idempotent, once, approved)}


class Do(us.Request[str]):
    tool: str
    what: str = "it"


class Hand(us.Actor):
    @us.handles(Do)
    def do(self, turn: us.Turn[us.State], msg: Do) -> us.Later[str]:
        later = turn.later(msg)
        turn.call(TOOLS[msg.tool], msg.what, tag=later)
        return later

    @us.settles(us.ANY_TOOL)
    def did(self, turn: us.Turn[us.State], outcome: us.Outcome[object]) -> None:
        turn.reply(outcome.tag, str(outcome.value))


def hand(seed: int = 0, **faults: float) -> Simulated:
    return Simulated(us.Child("h/{name}", Hand, tools=list(TOOLS.values())), seed=seed, faults=Faults(**faults))


def performing(tool: str, seed: int = 0) -> tuple[Simulated, Sent]:
    """A node whose tool has run, and whose outcome nobody has heard of yet."""
    node = hand(seed)
    sent = node.ask("h/ada", Do(tool), key="k")
    while not done:
        assert node.step()
    return node, sent


@pytest.mark.parametrize("tool", ["read", "idempotent"])
def test_what_may_run_again_does_after_a_crash_under_the_same_key(tool: str) -> None:
    node, sent = performing(tool)
    node.crash()
    node.again(sent)
    node.rest()
    assert said(sent) == "it done"
    assert done["it"] == 2
    assert len(keys) == 1


def test_what_may_run_once_is_in_doubt_after_a_crash_and_a_person_says_what_happened() -> None:
    node, sent = performing("once")
    node.crash()
    node.again(sent)
    node.rest()
    assert sent.reply is None
    (item,) = node.inbox()
    assert item.kind == "in_doubt"
    assert item.key in keys, "the key to look it up by"
    node.answer(item.id, "happened", value="it was done")
    node.rest()
    assert said(sent) == "it was done"
    assert done["it"] == 1


@pytest.mark.parametrize(
    ("decision", "answer", "times"), [("not_happened", "did_not_happen", 1), ("run_again", "it done", 2)]
)
def test_the_other_answers_to_a_doubt(decision: str, answer: str, times: int) -> None:
    node, sent = performing("once")
    node.crash()
    node.again(sent)
    node.rest()
    node.answer(node.inbox()[0].id, decision)  # type: ignore[arg-type]
    node.rest()
    assert said(sent) == answer
    assert done["it"] == times
    assert len(keys) == 1, "run again by a person it keeps its key"


def test_a_doubt_is_asked_again_after_another_crash() -> None:
    node, sent = performing("once")
    for _ in range(3):
        node.crash()
        node.rest()
        assert len(node.inbox()) == 1
    assert done["it"] == 1
    assert sent.lost


def test_a_late_outcome_settles_the_doubt() -> None:
    node = hand(seed=1, late=1.0)
    sent = node.ask("h/ada", Do("once"))
    asked = False
    while sent.reply is None:
        assert node.step()
        asked = asked or bool(node.inbox())
    assert asked, "in the meantime a person was asked"
    assert said(sent) == "it done"
    assert not node.inbox()


def test_a_call_is_in_doubt_exactly_where_its_started_row_was_durable() -> None:
    doubts = 0
    for seed in range(60):
        keys.clear()
        done.clear()
        node = hand(seed)
        sent = node.ask("h/ada", Do("once"), key="k")
        for _ in range(seed // 2):
            node.step()
        node.crash()
        before = [effect.state for effect in node.journal._effects.values()]
        if sent.lost:
            node.again(sent)
        node.rest()
        assert bool(node.inbox()) == ("started" in before), f"seed {seed}"
        assert done["it"] == 1 or (node.inbox() and not done), f"seed {seed}"
        doubts += bool(node.inbox())
    assert 5 < doubts < 55


def test_retries_wait_on_the_virtual_clock_and_honour_what_the_tool_says() -> None:
    raising[:] = [us.RetryLater("busy", after=1_000.0), us.RetryNow("again")]
    node = hand()
    began = node.now
    sent = node.ask("h/ada", Do("idempotent"))
    node.rest()
    assert said(sent) == "it done"
    assert node.now >= began + 1_000.0
    raising[:] = [us.RetryLater("busy") for _ in range(3)]
    sent = node.ask("h/ada", Do("idempotent", "more"))
    node.rest()
    assert said(sent) == "attempts_exhausted"
    assert done["more"] == 0


def test_a_wait_survives_a_crash() -> None:
    raising[:] = [us.RetryLater("busy", after=1_000.0)]
    node = hand()
    began = node.now
    sent = node.ask("h/ada", Do("idempotent"), key="k")
    while not any(effect.state == "waiting" for effect in node.journal._effects.values()):
        assert node.step()
    node.crash()
    node.again(sent)
    node.rest()
    assert said(sent) == "it done"
    assert node.now >= began + 1_000.0


@pytest.mark.parametrize("crash", [False, True])
def test_an_approval_survives_a_crash_and_silence_counts_as_no(crash: bool) -> None:
    node = hand()
    yes, no = node.ask("h/ada", Do("approved", "yes"), key="y"), node.ask("h/ada", Do("approved", "no"), key="n")
    while len(node.journal._effects) < 2:
        assert node.step()
    if crash:
        node.crash()
    while len(node.inbox()) < 2:
        assert node.step()
    item = next(item for item in node.inbox() if b'"yes"' in bytes(item.arguments))
    answer = node.answer(item.id, "approve")
    while not answer.accepted:
        assert node.step()
    if crash:
        node.crash()
    for sent in (yes, no):
        if sent.lost:
            node.again(sent)
    node.rest()
    assert said(yes) == "yes done"
    assert said(no) == "no_answer"
    assert set(done) == {"yes"}
    assert len(keys) == 1


def test_the_first_answer_counts_and_a_second_is_refused() -> None:
    node = hand()
    node.ask("h/ada", Do("approved"))
    while not node.inbox():
        assert node.step()
    item = node.inbox()[0].id
    first, second = node.answer(item, "approve", by="ada"), node.answer(item, "reject", by="bob", reason="no")
    node.rest()
    assert first.accepted
    assert second.error is not None
    assert done["it"] == 1


def test_an_actor_that_is_stopped_withdraws_what_has_not_begun() -> None:
    class Quits(Hand):
        @us.handles(us.Cancel)
        def quit(self, turn: us.Turn[us.State], msg: us.Cancel) -> None:
            turn.stop()

    node = Simulated(us.Child("h/{name}", Quits, tools=list(TOOLS.values())))
    asked = node.ask("h/ada", Do("approved"))
    while not node.inbox():
        assert node.step()
    node.tell("h/ada", us.Cancel())
    node.rest()
    assert said(asked) == "stopped", "whoever waited is told"
    assert not node.inbox()
    assert not node.journal._effects
    assert not done
