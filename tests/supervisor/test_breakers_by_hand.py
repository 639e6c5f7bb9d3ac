"""Breakers opened and closed by people: who and why stands in the journal, and whoever waited goes on at once."""

from __future__ import annotations

from typing import Any

import pytest

import understudy as us
from tests.actors.crew import rows, said
from tests.tools.served import Fetch, Server, crowd, settled
from understudy.protocols.circuits import Circuit, circuits
from understudy.protocols.errors import BadArgument, NotStorable, UnknownItem
from understudy.supervisor.simulation.sent import Sent
from understudy.testing import Faults, Simulated


def down(now: float, what: str) -> str:
    raise us.RetryLater("down")


def seen(node: Simulated) -> tuple[Circuit, ...]:
    return circuits(node.kernel.books, node.now)


def done(node: Simulated, seconds: float = 0.5) -> None:
    """What is under way ends, and nothing that has to wait comes."""
    node.pass_time(seconds)


def notes(node: Simulated) -> list[dict[str, str]]:
    return [record.note for _, record in rows(node, "system") if "breaker" in record.note]


def shut(seconds: float | None = None, tool: str = "look", **rule: Any) -> tuple[Server, Simulated]:
    server = Server()
    node = server.node(breakers={tool: us.Breaker(**rule)} if rule else None)
    node.switch(tool, open=True, by="ada", reason="they move house", seconds=seconds)
    done(node)
    return server, node


@pytest.mark.parametrize("tool", ["look", "put", "pay"])
def test_what_a_person_takes_out_of_service_is_left_alone_whatever_its_class(tool: str) -> None:
    server, node = shut(tool=tool)
    sent = crowd(node, 3, tool)
    node.pass_time(120.0)
    assert (server.calls, {said(one) for one in sent}) == ([], {"circuit_open"})
    (last, *_) = settled(node)
    assert last.failure is not None
    assert f"ada has opened the breaker of {tool} by hand: they move house" in last.failure.message
    (one,) = seen(node)
    assert (one.name, one.state, one.until, one.by, one.reason) == (tool, "open", None, "ada", "they move house")


def test_who_and_why_stand_in_rows_of_the_journal() -> None:
    _, node = shut(3_600.0)
    node.switch("look", open=False, by="bob", reason="they are back")
    done(node)
    assert notes(node) == [
        {"breaker": "look", "is": "open", "by": "ada", "reason": "they move house", "seconds": "3600"},
        {"breaker": "look", "is": "closed", "by": "bob", "reason": "they are back"},
    ]
    assert node.kernel.books == {}


def test_a_thousand_calls_that_wait_for_it_go_on_at_once_when_it_is_closed() -> None:
    server, node = shut(wait=1e6)
    sent = crowd(node, 1_000)
    node.pass_time(300.0)
    assert server.calls == []
    node.switch("look", open=False, by="bob")
    node.pass_time(1.0)
    assert len(server.calls) == 1_000
    assert {one.reply is not None and one.reply.failure is None for one in sent} == {True}


def test_closed_by_hand_while_it_is_open_by_itself_nobody_waits_for_the_cooldown() -> None:
    server = Server()
    server.serve = down
    node = server.node(breakers={"look": us.Breaker(failures=3, cooldown=1e4, longest=1e4, wait=1e5)})
    crowd(node, 5)
    node.pass_time(60.0)
    assert [one.state for one in seen(node)] == ["open"]
    server.serve = lambda now, what: what
    before = len(server.calls)
    node.switch("look", open=False, by="bob", reason="mended")
    node.pass_time(1.0)
    assert len(server.calls) == before + 5
    assert node.kernel.books == {}


def test_calls_that_wait_poll_less_and_less() -> None:
    _, node = shut(wait=1e6)
    crowd(node, 1)
    node.pass_time(86_400.0)
    (waiting,) = node.kernel.sets.effects.values()
    waits = sum(verdict.verdict == "wait" for verdict in waiting.verdicts)
    assert 10 < waits < 400, "every look is a row with all those before"


def test_one_with_an_end_is_closed_then_and_no_call_is_a_probe() -> None:
    server, node = shut(100.0, wait=1e6)
    crowd(node, 20)
    node.pass_time(90.0)
    assert server.calls == []
    node.pass_time(60.0)
    assert len(server.calls) == 20
    assert node.kernel.books == {}
    assert not [v for e in settled(node) for v in e.verdicts if v.reason == "it is the probe"]


def test_an_end_that_is_too_far_away_is_said_at_once() -> None:
    _, node = shut(1_000.0, wait=5.0)
    (sent,) = crowd(node, 1)
    done(node)
    assert said(sent) == "circuit_open"
    (one,) = settled(node)
    assert one.failure is not None
    assert one.failure.after == pytest.approx(999.0, abs=2.0)


@pytest.mark.parametrize("name", ["look", "nobody"])
def test_one_that_is_not_open_is_not_closed(name: str) -> None:
    node = Server().node()
    sent = node.switch(name, open=False)
    done(node)
    assert isinstance(sent.error, UnknownItem)
    assert notes(node) == []


def test_what_is_under_way_ends_and_says_nothing_about_what_a_person_opened() -> None:
    server = Server()
    node = server.node()
    (sent,) = crowd(node, 1)
    while not node.attempts.waiting():
        assert node.step()
    node.switch("look", open=True, by="ada")
    done(node, 5.0)
    assert said(sent) == "w0!"
    assert [one.state for one in seen(node)] == ["open"]


@pytest.mark.parametrize("closed", [False, True])
def test_it_survives_a_crash_and_so_does_its_end(closed: bool) -> None:
    server, node = shut(wait=1e6)
    crowd(node, 4)
    node.pass_time(3_600.0)
    if closed:
        node.switch("look", open=False, by="bob")
        while node.kernel.books:
            assert node.step()
        while node.kernel.sets.waiting_rows or node._appending is not None:
            node._commit() if node._appending is None else node._append()
    node.crash(down=1.0)
    node.pass_time(1.0)
    assert len(server.calls) == (4 if closed else 0), "who waited goes on at once in the next life, too"


def test_opened_anew_while_calls_go_on_they_wait_again() -> None:
    server, node = shut(wait=1e6)
    crowd(node, 3)
    node.pass_time(100.0)
    node.switch("look", open=False)
    node.switch("look", open=True, by="eve")
    node.pass_time(1_000.0)
    assert server.calls == []
    assert seen(node)[0].by == "eve"


def test_a_probe_under_way_does_not_close_what_a_person_opens() -> None:
    server = Server()
    server.serve = down
    node = server.node(breakers={"look": us.Breaker(failures=3, cooldown=5.0, wait=1e5)})
    crowd(node, 1)
    node.pass_time(4.0)
    server.serve = lambda now, what: what
    while not (seen(node) and seen(node)[0].probe):
        assert node.step()
    node.switch("look", open=True, by="ada")
    node.pass_time(60.0)
    assert [(one.state, one.by) for one in seen(node)] == [("open", "ada")]


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_lost_or_done_twice_however_it_is_opened_and_closed_under_faults(seed: int) -> None:
    server = Server()
    node = server.node(
        seed, breakers={"look": us.Breaker(wait=1e6)}, fails=0.1, late=0.1, crash=0.003, commit_fails=0.02, commit_unknown=0.02
    )  # fmt: skip
    sent: list[Sent] = []
    orders: list[Sent] = []
    for turn in range(6):
        orders.append(node.switch("look", open=turn % 2 == 0, by=f"p{turn}", seconds=None if turn else 50.0))
        sent += [node.ask(f"client/{n}", Fetch(f"{turn}.{n}"), key=f"{turn}.{n}") for n in range(5)]
        for _ in range(node.random.randrange(150)):
            node.step()
        for one in (*sent, *orders):
            if one.lost:
                node.again(one)
    node.faults = Faults()
    node.switch("look", open=False, by="last")
    node.pass_time(200.0)
    for one in sent:
        if one.lost:
            node.again(one)
    node.pass_time(200.0)
    assert all(one.reply is not None for one in sent), [one for one in sent if one.reply is None]
    assert [one.state for one in seen(node)] in ([], ["closed"])


# -- through the face -------------------------------------------------------------------------------------------


@us.tool(effect="once")
def send(text: str) -> str:
    """Send."""
    return f"sent {text}"


class Send(us.Request[str]):
    text: str


class Post(us.Actor):
    @us.handles(Send)
    def take(self, turn: us.Turn[us.State], msg: Send) -> us.Later[str]:
        later = turn.later(msg)
        turn.call(send, msg.text, tag=later)
        return later

    @us.settles(send)
    def gone(self, turn: us.Turn[us.State], outcome: us.Outcome[str]) -> None:
        turn.reply(outcome.tag, outcome.value)


def post(**options: Any) -> us.System:
    return us.System(us.Child("post", Post, tools=[send]), **options)


async def test_a_system_shows_opens_and_closes_them() -> None:
    async with post() as system:
        assert system.breakers() == ()
        await system.open_breaker("send", by="ada", reason="strike")
        (one,) = system.breakers()
        assert (one.name, one.state, one.by, one.reason, one.until) == ("send", "open", "ada", "strike", None)
        assert one.since == pytest.approx(system._shell.clock.now(), abs=30.0)
        with pytest.raises(us.AskFailed, match="no_time: send would begin only when nobody waits"):
            await system.ask("post", Send("a"), timeout=0.05)
        await system.close_breaker("send", by="bob", reason="over")
        assert system.breakers() == ()
        assert await system.ask("post", Send("b"), timeout=10.0) == "sent b"


async def test_it_is_open_in_the_next_life_too(tmp_path: Any) -> None:
    async with post(journal=tmp_path / "a.db") as system:
        await system.open_breaker("send", by="ada", seconds=1e6)
        (before,) = system.breakers()
    async with post(journal=tmp_path / "a.db") as system:
        assert system.breakers() == (before,)


async def test_what_cannot_be_meant_is_refused() -> None:
    async with post() as system:
        with pytest.raises(UnknownItem, match="no tool and no model 'sned'") as refused:
            await system.open_breaker("sned")
        assert "send" in refused.value.hint
        for seconds in (0, -1.0, float("nan"), float("inf"), 1e12, "3", True):
            with pytest.raises(BadArgument, match="seconds"):
                await system.open_breaker("send", seconds=seconds)  # type: ignore[arg-type]
        wrong: dict[str, Any]
        for wrong in ({"by": 3}, {"reason": None}, {"reason": "x" * 10_001}):
            with pytest.raises(BadArgument, match=r"by|reason"):
                await system.open_breaker("send", **wrong)
        us.Secret("hunter2-hunter2")
        with pytest.raises(NotStorable):
            await system.open_breaker("send", reason="the key is hunter2-hunter2")
        with pytest.raises(UnknownItem, match="is not open"):
            await system.close_breaker("send")
        assert system.breakers() == ()
