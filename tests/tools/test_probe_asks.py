"""A person before a probe: one question at a time, a no and silence leave the breaker open, and nothing keeps it shut for ever."""

from __future__ import annotations

import random
from typing import Any

import pytest
from msgspec import Raw

import understudy as us
from tests.actors.crew import rows, said
from tests.supervisor.buying import bought, shop, wanted
from tests.tools.served import Fetch, Server, crowd, settled
from understudy.protocols.books import Entry
from understudy.protocols.circuits import Circuit, Trouble, circuits, key, standing
from understudy.protocols.codec import encode
from understudy.testing import Faults, Simulated

HOUR = 3_600.0


def down(now: float, what: str) -> str:
    raise us.RetryLater("down")


def broken(tool: str = "pay", calls: int = 5, **rule: Any) -> tuple[Server, Simulated]:
    """A tool that is down, whose breaker is open, and calls that wait for it."""
    server = Server()
    server.serve = down
    rule = {"failures": 3, "cooldown": 10.0, "longest": 1_000.0, "wait": 1e6, "probe": "ask", **rule}
    node = server.node(breakers={tool: us.Breaker(**rule)})
    crowd(node, calls, tool)
    while not (seen(node) and seen(node)[0].opened):
        assert node.step()
    return server, node


def seen(node: Simulated) -> tuple[Circuit, ...]:
    return circuits(node.kernel.books, node.now)


def asked(node: Simulated) -> us.InboxItem:
    """The one question that is open."""
    (item,) = node.inbox()
    return item


@pytest.mark.parametrize("tool", ["pay", "put", "look"])
def test_one_call_asks_and_the_others_wait_until_its_probe_went_well(tool: str) -> None:
    server, node = broken(tool)
    before = len(server.calls)
    node.pass_time(HOUR)
    item = asked(node)
    assert (item.tool, item.kind, item.policy, item.answers) == (tool, "approval", "breaker", ("approve", "reject"))
    assert f"{tool} has failed 3 times" in item.text
    assert (len(server.calls), seen(node)[0].item) == (before, item.id)
    server.serve = lambda now, what: what
    node.answer(item.id, "approve")
    node.pass_time(60.0)
    assert len(server.calls) == before + 5
    assert (node.inbox(), node.kernel.books) == ((), {})
    probes = [v.reason for e in settled(node) for v in e.verdicts if "it is the probe" in v.reason]
    assert probes == ["it is the probe, ada said that it may"]


def test_without_it_a_call_of_a_once_tool_would_have_begun_unasked() -> None:
    server, node = broken(probe=True)
    before = len(server.calls)
    node.pass_time(60.0)
    assert len(server.calls) > before
    assert node.inbox() == ()


def test_a_no_is_for_that_call_and_it_stays_open_as_after_a_probe_that_failed() -> None:
    server, node = broken()
    before = len(server.calls)
    node.pass_time(60.0)
    first = asked(node)
    no_at = node.now
    node.answer(first.id, "reject", reason="not with this one")
    node.pass_time(10.0)
    assert node.inbox() == (), "20 s from the no"
    assert [(one.state, one.opened) for one in seen(node)] == [("open", 2)]
    (refused,) = [e for e in settled(node) if e.id == first.id]
    assert refused.failure is not None
    assert refused.failure.code == "person_rejected"
    while not node.inbox():
        assert node.step()
    assert asked(node).id != first.id
    assert no_at + 19.0 <= node.now < no_at + 60.0
    assert len(server.calls) == before


def test_silence_is_a_no() -> None:
    server, node = broken()
    before = len(server.calls)
    node.pass_time(60.0)
    first = asked(node)
    assert first.deadline is not None
    assert first.default == "no"
    node.pass_time(first.deadline - node.now + 5.0)
    assert (node.inbox(), len(server.calls)) == ((), before)
    assert [one.state for one in seen(node)] == ["open"]
    (over,) = [e for e in settled(node) if e.id == first.id]
    assert over.failure is not None
    assert over.failure.code == "no_answer"
    node.pass_time(1_000.0)
    assert asked(node).id != first.id


def test_a_probe_that_fails_is_asked_about_anew() -> None:
    server, node = broken(calls=3)
    node.pass_time(60.0)
    calls = len(server.calls)
    for n in range(3):
        item = asked(node)
        node.answer(item.id, "approve")
        node.pass_time(5.0)
        assert len(server.calls) == calls + n + 1
        node.pass_time(1_000.0)


def test_a_yes_is_one_probe_however_often_the_call_is_tried_again() -> None:
    """The call's own retries are no further probes."""
    server, node = broken(calls=1, failures=1)
    node.pass_time(60.0)
    calls = len(server.calls)
    node.answer(asked(node).id, "approve")
    node.pass_time(1.0)
    assert len(server.calls) == calls + 1
    node.pass_time(HOUR)
    assert len(server.calls) == calls + 1
    assert asked(node).policy == "breaker"


def test_a_thousand_calls_at_one_half_open_breaker_are_one_question_and_one_probe() -> None:
    server, node = broken(calls=3)
    for n in range(1_000):
        node.ask(f"client/m{n}", Fetch(f"m{n}", "pay"))
    node.pass_time(120.0)
    assert len(node.inbox()) == 1
    before = len(server.calls)
    server.serve = lambda now, what: what
    node.answer(asked(node).id, "approve")
    node.pass_time(120.0)
    assert len(server.calls) == before + 1_003
    probes = [v for e in settled(node) for v in e.verdicts if "it is the probe" in v.reason]
    assert len(probes) == 1


def test_a_question_whose_run_is_stopped_gives_its_place_to_another_call() -> None:
    server = Server()
    server.serve = down
    node = server.node(breakers={"pay": us.Breaker(failures=3, cooldown=10.0, wait=1e6, probe="ask")})
    sent = [node.ask(f"client/{n}", Fetch(f"w{n}", "pay"), timeout=None) for n in range(5)]
    node.pass_time(60.0)
    first = asked(node)
    (whose,) = [one for one in sent if one.thing.to == first.actor]  # type: ignore[union-attr]
    node.give_up(whose)
    node.pass_time(400.0)
    assert asked(node).actor != first.actor


@pytest.mark.parametrize("when", ["asked", "said yes"])
def test_the_question_and_the_yes_survive_a_crash(when: str) -> None:
    server, node = broken()
    node.pass_time(60.0)
    item, before = asked(node), len(server.calls)
    if when == "said yes":
        node.kernel.flights.hold = True  # nothing leaves any more
        answer = node.answer(item.id, "approve")
        while not answer.accepted:
            assert node.step()
    node.crash(down=5.0)
    if when == "asked":
        node.pass_time(30.0)
        assert (asked(node).id, len(server.calls)) == (item.id, before)
        node.answer(item.id, "approve")
    server.serve = lambda now, what: what
    node.pass_time(60.0)
    assert len(server.calls) == before + 5
    assert node.kernel.books == {}


@pytest.mark.parametrize("by_opening", [False, True])
def test_a_question_that_has_no_use_any_more_is_gone(by_opening: bool) -> None:
    server, node = broken()
    node.pass_time(60.0)
    item = asked(node)
    before = len(server.calls)
    server.serve = lambda now, what: what
    node.switch("pay", open=by_opening, by="bob", reason="I have looked")
    node.pass_time(5.0)
    assert node.inbox() == ()
    told = [v.reason for _, record in rows(node, item.actor) for effect in record.changes for v in effect.verdicts[-3:]]
    assert "there is no probe to ask about any more" in told
    assert len(server.calls) == before + (0 if by_opening else 5)


def test_a_question_that_has_no_use_any_more_is_gone_in_the_next_life() -> None:
    """As where it was closed while nobody ran the journal."""
    server, node = broken()
    node.pass_time(60.0)
    asked(node)
    node.kernel.flights.hold = True
    node.switch("pay", open=False, by="bob")
    node.pass_time(1.0)
    node.crash(down=1.0)
    before = len(server.calls)
    server.serve = lambda now, what: what
    node.pass_time(5.0)
    assert (node.inbox(), len(server.calls)) == ((), before + 5)


def test_an_attempt_before_that_may_have_happened_is_in_doubt_after_a_no() -> None:
    lost = Server()
    lost.serve = lambda now, what: (_ for _ in ()).throw(ConnectionError("lost"))
    node = lost.node(breakers={"put": us.Breaker(failures=1, cooldown=10.0, wait=1e6, probe="ask")})
    crowd(node, 1, "put")
    node.pass_time(60.0)
    node.answer(asked(node).id, "reject", reason="no")
    node.pass_time(5.0)
    assert asked(node).kind == "in_doubt", "nobody knows what the first attempt did"


def test_where_two_must_say_yes_to_the_call_two_must_say_it_to_its_probe() -> None:
    node = shop(us.ApprovalRule("large", money_above=50, quorum=2), breakers={"pay": us.Breaker(wait=1e6, probe="ask")})
    _, first = wanted(node)
    down = Trouble(node.now, until=node.now + 5.0, opened=1, failed=9)
    node.kernel.books[key("pay")] = Entry(key("pay"), Raw(encode(down)))
    for name in ("ada", "bob"):
        assert node.answer(first.id, "approve", by=name).error is None
    node.pass_time(60.0)
    second = asked(node)
    assert second.policy == f"{first.policy}, breaker"
    node.answer(second.id, "approve", by="carol")
    node.pass_time(60.0)
    assert bought == []
    assert node.answer(second.id, "approve", by="ada").error is None
    node.pass_time(60.0)
    assert bought == ["ada 60"]


def test_a_call_that_a_rule_asks_about_too_is_asked_with_both_reasons_and_begins() -> None:
    calls: list[str] = []
    works: list[bool] = []

    @us.tool(effect="once", approve=True)
    def pay(what: str) -> str:
        """Pay."""
        calls.append(what)
        if not works:
            raise us.RetryLater("down")
        return what

    class Payer(us.Actor):
        @us.handles(Fetch)
        def fetch(self, turn: us.Turn[us.State], msg: Fetch) -> us.Later[str]:
            later = turn.later(msg)
            turn.call(pay, msg.what, tag=later)
            return later

        @us.settles(pay)
        def paid(self, turn: us.Turn[us.State], outcome: us.Outcome[str]) -> None:
            turn.reply(outcome.tag, outcome.value)

    node = Simulated(
        us.Child("payer", Payer, tools=[pay]), breakers={"pay": us.Breaker(failures=1, wait=1e6, probe="ask")}
    )
    sent = node.ask("payer", Fetch("a"))
    node.pass_time(1.0)
    first = asked(node)
    node.answer(first.id, "approve")
    node.pass_time(60.0)
    second = asked(node)
    assert second.id == first.id
    assert second.policy.endswith(", breaker")
    assert second.policy.startswith(first.policy)
    assert second.text.startswith(first.text)
    assert "has failed 1 times" in second.text
    works.append(True)
    standing_yes = node.answer(second.id, "approve", scope="always")
    node.pass_time(1.0)
    assert "which is about this one call" in str(standing_yes.error)
    node.answer(second.id, "approve", digest=second.digest)
    node.pass_time(5.0)
    assert (said(sent), len(calls)) == ("a", 2)


def test_four_eyes_are_four_eyes_for_a_probe_too() -> None:
    server = Server()
    server.serve = down
    buyer = us.Supervisor("firm", [server.client], people=us.People(ask=("ada",), quorum=2))
    node = Simulated(buyer, breakers={"pay": us.Breaker(failures=1, wait=1e6, probe="ask")})
    server.clock = lambda: node.now
    crowd(node, 2, "pay")
    node.pass_time(60.0)
    item = asked(node)
    assert item.quorum == 2
    before = len(server.calls)
    node.answer(item.id, "approve", by="ada")
    node.pass_time(5.0)
    assert len(server.calls) == before
    node.answer(item.id, "approve", by="bob")
    node.pass_time(5.0)
    assert len(server.calls) == before + 1


@pytest.mark.parametrize("seed", range(25))
def test_there_is_never_more_than_one_question_or_probe_under_faults_and_crashes(seed: int) -> None:
    server, draw = Server(), random.Random(seed)
    down = True

    def serve(now: float, what: str) -> str:
        if down and draw.random() < 0.8:
            raise us.RetryLater("down")
        return what

    server.serve = serve
    rule = us.Breaker(failures=3, cooldown=5.0, longest=20.0, wait=1e6, probe="ask")
    node = server.node(
        seed, breakers={"pay": rule, "put": rule}, fails=0.1, raises=0.05, hangs=0.05, late=0.05, twice=0.1,
        crash=0.002, commit_fails=0.02, commit_unknown=0.02,
    )  # fmt: skip
    questions = 0

    def look() -> None:
        nonlocal questions
        now = node.kernel.now
        found = [item for item in node.inbox() if item.policy == "breaker" and now < (item.deadline or 0.0)]
        for tool in ("pay", "put"):
            mine = [item for item in found if item.tool == tool]
            assert len(mine) <= 1
            trouble = standing(node.kernel.books, tool) or Trouble(0.0)
            assert not mine or (trouble.item, trouble.probe) == (mine[0].id, "")
        if found and draw.random() < 0.3:
            questions += 1
            item = draw.choice(found)
            node.answer(item.id, draw.choice(("approve", "approve", "reject")), reason="so it is")

    for turn in range(4):
        for n in range(8):
            node.ask(f"client/{n}", Fetch(f"{turn}.{n}", draw.choice(("pay", "put"))))
        for _ in range(draw.randrange(300)):
            node.step()
            look()
    down = False
    questions += yes_to_all(node)
    assert questions
    assert not [e for e in node.kernel.sets.effects.values() if e.name in ("pay", "put")]
    for one in seen(node):  # the last one about which anybody was asked may not have been let, or have failed
        if one.state != "closed":
            sent = node.ask("client/last", Fetch("last", one.name))
            node.pass_time(60.0)
            node.answer(asked(node).id, "approve")
            node.pass_time(60.0)
            assert said(sent) == "last"
    assert all(one.state == "closed" for one in seen(node))


def yes_to_all(node: Simulated) -> int:
    """People let every probe go, and say that nothing happened, for an hour without faults; how often they let one go."""
    node.faults = Faults()
    questions = 0
    for _ in range(60):
        node.pass_time(60.0)
        for item in node.inbox():
            questions += item.policy == "breaker"
            node.answer(item.id, "not_happened" if item.kind == "in_doubt" else "approve")
    return questions
