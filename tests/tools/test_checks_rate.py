"""The rate check: no window has more than was declared, and who asks to be left alone is, by everybody."""

from __future__ import annotations

import math
import random

import msgspec
import pytest

import understudy as us
from tests.actors.crew import said
from tests.tools.served import Fetch, Line, Server, crowd, most_in, settled, started
from understudy.actors.releases import Settlement
from understudy.protocols.books import Books, Entry
from understudy.protocols.counters import Counters
from understudy.protocols.effects import Attempt, Effect
from understudy.protocols.ids import Address
from understudy.tools.checks.rate import RateCheck, Window
from understudy.tools.gate import Gate, Grants
from understudy.tools.starting import Starting


class Overload(Server):
    """Says 429 to the first call, with Retry-After; who comes before that is over is one too many."""

    def __init__(self, after: float = 30.0) -> None:
        super().__init__()
        self.until, self.harm = 0.0, 0

        def serve(now: float, what: str) -> str:
            if not self.until:
                self.until = now + after
                raise us.RetryLater("too many requests", after=after, code="rate_limited")
            self.harm += now < self.until
            return what

        self.serve = serve


def hammered(server: Overload, skip: str = "") -> None:
    """Fifty clients come after the first was told to wait."""
    node = server.node(skip=skip)
    first = node.ask("client/first", Fetch("first"))
    while not server.until or next(iter(node.kernel.sets.effects.values())).state != "waiting":
        assert node.step()
    sent = crowd(node, 50)
    node.rest()
    assert all(said(one) in (f"w{n}", f"w{n}!") for n, one in enumerate(sent))
    assert said(first) == "first"


def test_retry_after_holds_for_the_whole_fleet() -> None:
    server = Overload()
    hammered(server)
    assert (len(server.calls), server.harm) == (52, 0)


def test_without_the_check_fifty_agents_hammer_a_server_that_asked_to_be_left_alone() -> None:
    server = Overload()
    hammered(server, skip="rate")
    assert server.harm > 10


def crowd_after_a_hint(**rate: float) -> Line:
    """Fifty come while a model has asked to be left alone for 30 seconds, and ten more that it told so itself."""
    line = Line(model_gate(**rate))
    for n in range(10):
        line.fail(us.Failure("retry_later", "rate_limited", "429", after=30.0), f"first {n}")
        line.come(f"first {n}", line.now + 30.0)
    for n in range(50):
        line.come(f"w{n}", line.now + 0.5 * n)
    line.go()
    return line


@pytest.mark.parametrize("rate", [{}, {"requests": 600}])
def test_after_a_hint_they_come_one_by_one_in_order_and_soon(rate: dict[str, float]) -> None:
    line = crowd_after_a_hint(**rate)
    times = [at for at, _ in line.began]
    assert len(times) == 60
    assert min(times) >= 1_030.0
    assert most_in(times, 0.01) <= 1, "never two at once"
    assert most_in(times, 1.0) <= 30
    assert max(times) < 1_035.0
    assert [id for _, id in line.began if id.startswith("w")] == [f"w{n}" for n in range(50)]
    assert max(line.waits.values()) == 1, "each waits once"


def test_a_hint_is_forgotten_when_nobody_waits_any_more() -> None:
    line = crowd_after_a_hint()
    before = dict(line.books)
    for n in range(20):
        line.come(f"later {n}", 2_000.0)
    line.go()
    assert [at for at, _ in line.began[-20:]] == [2_000.0] * 20
    assert line.books == before, "and nothing is written"


def test_a_hint_that_comes_while_they_wait_counts_for_them_too() -> None:
    line = Line(model_gate())
    line.fail(us.Failure("retry_later", "rate_limited", "429", after=10.0))
    for n in range(5):
        line.come(f"w{n}", 1_001.0)
    line.go(1_005.0)
    line.now = 1_005.0
    line.fail(us.Failure("retry_later", "rate_limited", "429", after=100.0))
    line.go()
    assert min(at for at, _ in line.began) >= 1_105.0


@pytest.mark.parametrize("after", [math.nan, math.inf, -1.0, 0.0, None])
def test_a_hint_that_is_no_time_holds_nobody(after: float | None) -> None:
    line = Line(model_gate())
    line.fail(us.Failure("retry_later", "rate_limited", "429", after=after))
    line.come("w", 1_000.0)
    line.go()
    assert line.began == [(1_000.0, "w")]


def test_who_waits_does_so_once_and_in_order() -> None:
    line = Line(model_gate(requests=5, per=10.0))
    for n in range(30):
        line.come(f"w{n}", 1_000.0 + 0.01 * n)
    line.go()
    assert [id for _, id in line.began] == [f"w{n}" for n in range(30)]
    assert len(line.waits) == 25
    assert set(line.waits.values()) == {1}


def test_a_limit_is_used_up() -> None:
    line = Line(model_gate(requests=10, per=10.0))
    for n in range(100):
        line.come(f"w{n}", 1_000.0)
    line.go()
    times = [at for at, _ in line.began]
    assert most_in(times, 10.0) == 10
    assert max(times) < 1_000.0 + 9 * 10.0 * 34 / 32 + 6.0


def test_who_comes_later_does_not_overtake() -> None:
    line = Line(model_gate(requests=2, per=10.0))
    for n in range(40):  # as fast as there is room, for ever: nobody starves
        line.come(f"w{n}", 1_000.0 + 4.0 * n)
    line.go()
    assert [id for _, id in line.began] == [f"w{n}" for n in range(40)]


@pytest.mark.parametrize("seed", range(25))
def test_no_window_ever_has_more_under_faults_and_crashes(seed: int) -> None:
    server, draw = Server(), random.Random(seed)
    rate = us.Rate(requests=draw.choice((1, 3, 7)), per=draw.choice((2.0, 30.0)))
    node = server.node(
        seed, rates={"look": rate, "put": rate}, fails=0.1, raises=0.1, hangs=0.05, late=0.05, twice=0.1, crash=0.004,
        commit_fails=0.02, commit_unknown=0.02,
    )  # fmt: skip
    for turn in range(3):
        for n in range(8):
            node.ask(f"client/{n}", Fetch(f"{turn}.{n}", draw.choice(("look", "put"))))
        for _ in range(draw.randrange(80)):
            node.step()
        node.pass_time(draw.choice((0.0, 1.0, rate.per)))
    node.rest()
    assert rate.requests is not None
    times = {name: started(node, name) for name in ("look", "put")}
    for name, at in times.items():
        assert most_in(at, rate.per) <= rate.requests, f"{name}: {rate}"
    assert sum(map(len, times.values())) >= 20


def test_a_failure_that_is_told_late_or_twice_brings_no_earlier_turn() -> None:
    server = Server()

    def down(now: float, what: str) -> str:
        raise us.RetryLater("not now")

    server.serve = down
    node = server.node(rates={"put": us.Rate(requests=1, per=1_000.0)})
    node.ask("client/1", Fetch("a", "put"))
    node.pass_time(60)
    (waits,) = node.kernel.sets.effects.values()
    assert (waits.state, waits.attempt) == ("waiting", 1)
    assert waits.due is not None
    assert waits.due > node.now + 100.0, "it has the next turn"
    for word in ("not now", "gone, it seems"):
        late = Settlement(waits.id, 1, None, us.Failure("retry_later", "late", word), unknown=True)
        node.kernel.settle(late)
        node.pass_time(60)
        (still,) = node.kernel.sets.effects.values()
        assert (still.state, still.due) == ("waiting", waits.due)
    assert len(server.calls) == 1


def test_a_half_used_window_survives_a_crash() -> None:
    server = Server()
    node = server.node(rates={"look": us.Rate(requests=4, per=1_000.0)})
    crowd(node, 3)
    node.rest()
    before = {key: bytes(entry.value) for key, entry in node.kernel.sets.books.items()}
    node.crash(down=5.0)
    assert {key: bytes(entry.value) for key, entry in node.kernel.sets.books.items()} == before
    for n in range(3):
        node.ask(f"client/{n}", Fetch("more"))
    node.pass_time(500.0)
    assert len(server.calls) == 4, "one was left"
    node.rest()
    assert len(server.calls) == 6


def test_after_a_long_stop_those_that_waited_do_not_come_at_once() -> None:
    server = Server()
    node = server.node(rates={"look": us.Rate(requests=2, per=10.0)})
    sent = crowd(node, 12)
    while len(node.kernel.sets.effects) < 12 or any(e.state == "intended" for e in node.kernel.sets.effects.values()):
        if not node.step(until=node.now):
            break
    node.crash(down=3_600.0)
    for one in sent:
        if one.lost:
            node.again(one)
    node.rest()
    assert most_in(started(node, "look"), 10.0) <= 2
    assert all(said(one).startswith("w") for one in sent)


def test_who_would_wait_for_too_long_is_refused_and_told_when() -> None:
    server = Server()
    node = server.node(rates={"look": us.Rate(requests=1, per=100.0, wait=150.0)})
    sent = crowd(node, 4)
    node.rest()
    refused = [one.reply.failure for one in sent if one.reply and one.reply.failure]
    assert [(f.code, f.kind) for f in refused] == [("rate_limited", "retry_later")] * 2
    assert all(f.after and 150.0 < f.after < 330.0 for f in refused)
    assert len(server.calls) == 2


def test_who_has_no_time_to_wait_is_told_at_once() -> None:
    server = Server()
    node = server.node(rates={"look": us.Rate(requests=1, per=100.0)})
    node.ask("client/a", Fetch("a"))
    node.rest()
    late = node.ask("client/b", Fetch("b"), timeout=50.0)
    began = node.now
    while late.reply is None:
        assert node.step()
    assert (said(late), node.now - began < 5.0) == ("no_time", True)


def test_a_name_without_a_rate_writes_nothing_until_a_hint_comes() -> None:
    server = Server()
    node = server.node()
    crowd(node, 10)
    node.rest()
    assert node.kernel.sets.books == {}
    assert {row.kind for row in node.journal.rows(limit=1_000)} <= {"system", "turn", "accepted", "settled"}


def test_every_start_has_the_verdict_of_the_check() -> None:
    server = Server()
    node = server.node()
    crowd(node, 3)
    node.rest()
    for effect in settled(node):
        assert [v.check for v in effect.verdicts][-3:] == ["permission", "rate", "breaker"]
        assert all(v.at for v in effect.verdicts[-2:])


# -- tokens and money -------------------------------------------------------------------------------------------------


def thinking(gate: Gate, books: dict[str, Entry], now: float, id: str = "1.0") -> tuple[float | None, dict[str, Entry]]:
    clear = gate.start(think(id), Counters(), now, books)
    return clear.due, {**books, **{entry.key: entry for entry in clear.books}}


def think(id: str) -> Effect:
    return Effect(id, Address("a/1"), "think", "m", msgspec.Raw(b"{}"), "", agent="a", attempt=1)


def answered(gate: Gate, books: dict[str, Entry], now: float, answer: object, id: str = "1.0") -> dict[str, Entry]:
    booked = gate.book(think(id), Attempt(msgspec.json.encode(answer)), now, books)
    return {**books, **{entry.key: entry for entry in booked.books}}


def model_gate(**rate: float) -> Gate:
    return Gate({"a": Grants()}, shared=[RateCheck({"m": us.Rate(**rate)} if rate else {})])  # type: ignore[arg-type]


def test_tokens_are_held_as_a_guess_and_put_right_when_the_answer_says_what_it_took() -> None:
    gate, books = model_gate(tokens=1_000, per=60.0), dict[str, Entry]()
    due, books = thinking(gate, books, 1_000.0)
    assert due is None
    window = Books(books).read("rate/m", Window)
    assert window is not None
    assert window.spent[-1][2] == 100.0, "a tenth of the limit, before anybody knows"
    books = answered(gate, books, 1_001.0, us.ModelReply(usage=us.Usage(500, 300)))
    window = Books(books).read("rate/m", Window)
    assert window is not None
    assert window.spent[-1][2] == 800.0
    due, _ = thinking(gate, books, 1_002.0, "2.0")
    assert due is not None, "another of 800 does not fit into this minute"
    assert 1_060.0 <= due <= 1_066.0
    assert not [key for key, entry in books.items() if key.startswith("slot/") and bytes(entry.value) != b"null"]


def test_dollars_are_counted_alike_and_an_unknown_price_stays_as_it_was_guessed() -> None:
    gate, books = model_gate(usd=1.0, per=60.0), dict[str, Entry]()
    _, books = thinking(gate, books, 1_000.0)
    books = answered(gate, books, 1_001.0, us.ModelReply(cost=0.7))
    due, books = thinking(gate, books, 1_002.0, "2.0")
    assert due is not None
    for odd in (None, -3.0, math.inf):
        gate, books = model_gate(usd=1.0, per=60.0), dict[str, Entry]()
        _, books = thinking(gate, books, 1_000.0)
        books = answered(gate, books, 1_001.0, {"cost": odd} if odd != math.inf else {"cost": 1e308})
        window = Books(books).read("rate/m", Window)
        assert window is not None
        assert window.spent[-1][3] >= 0.1


def test_a_call_larger_than_the_limit_goes_alone() -> None:
    gate, books = model_gate(tokens=100, per=60.0), dict[str, Entry]()
    _, books = thinking(gate, books, 1_000.0)
    books = answered(gate, books, 1_001.0, us.ModelReply(usage=us.Usage(5_000, 0)))
    due, _ = thinking(gate, books, 1_002.0, "2.0")
    assert due is not None
    due, _ = thinking(gate, books, due, "2.0")
    assert due is None


def test_money_of_a_tool_is_what_it_says_it_costs() -> None:
    server = Server()
    node = server.node(rates={"put": us.Rate(usd=1.0, per=100.0)})
    crowd(node, 10, "put")
    node.rest()
    assert most_in(started(node, "put"), 100.0) == 4


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {}, {"requests": 0}, {"requests": -1}, {"requests": 1.5}, {"requests": True}, {"requests": math.nan}, {"tokens": 0},
        {"usd": 0.0}, {"usd": -1.0}, {"usd": math.nan}, {"usd": math.inf}, {"usd": True}, {"requests": 1, "per": 0.0},
        {"requests": 1, "per": -1.0}, {"requests": 1, "per": math.nan}, {"requests": 1, "per": math.inf},
        {"requests": 1, "per": "60"}, {"requests": 1, "wait": -1.0}, {"requests": 1, "wait": math.nan}, {"requests": "1"},
    ],
)  # fmt: skip
def test_a_rate_that_cannot_be_meant_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(us.DefinitionError, match="Rate"):
        us.Rate(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rates", "says"),
    [
        ({"luck": us.Rate(requests=1)}, "no tool and no model 'luck'"),
        ({"look": 60}, "takes a us.Rate"),
        ({"look": None}, "takes a us.Rate"),
        ([("look", us.Rate(requests=1))], "System\\(rates="),
        ({"look": us.Rate(tokens=5)}, "a tool has none"),
        ({"look": us.Rate(usd=5.0)}, "does not say what it costs"),
    ],
)
def test_rates_of_what_is_not_there_are_refused_at_the_start(rates: object, says: str) -> None:
    with pytest.raises(us.DefinitionError, match=says):
        us.System(Server().client, rates=rates)  # type: ignore[arg-type]


def test_a_check_that_raises_refuses_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    node = server.node(rates={"look": us.Rate(requests=1)})
    node.kernel.sets.books["rate/look"] = Entry("rate/look", msgspec.Raw(b'"nonsense"'))
    sent = node.ask("client/a", Fetch("a"))
    node.rest()
    assert (said(sent), server.calls) == ("check_failed", [])
    (effect,) = settled(node)
    assert (effect.verdicts[-1].check, effect.verdicts[-1].verdict) == ("rate", "deny")


def test_word_of_a_failure_that_comes_twice_moves_nobodys_turn() -> None:
    """The effect waits for its turn by then; what says so is its time, and a second failure of the same attempt would set another."""
    server = Server()
    server.serve = lambda now, what: (_ for _ in ()).throw(us.RetryLater("down"))
    node = server.node(rates={"look": us.Rate(requests=1, per=300.0)}, breakers={"look": None})
    node.ask("client/a", Fetch("a"))
    while not node.attempts.waiting():
        assert node.step()
    (effect,) = node.kernel.sets.effects.values()
    while not any(e.due and e.due > node.now + 100.0 for e in node.kernel.sets.effects.values()):
        assert node.step()
    turn = node.kernel.sets.effects[effect.id].due
    for serial in range(3):
        failure = us.Failure("retry_later", "down", "again the same")
        node.kernel.settle(Settlement(effect.id, 1, failure=failure, serial=serial))
        assert node.kernel.sets.effects[effect.id].due == turn


def test_a_call_that_costs_more_than_a_whole_window_is_refused_where_it_is_declared_and_where_it_begins() -> None:
    server = Server()
    with pytest.raises(
        us.DefinitionError, match=r"one call of put costs 0.25 USD, more than the 0.2 of a whole window"
    ):
        server.node(rates={"put": us.Rate(usd=0.2, per=1_000.0)})
    check = RateCheck({"put": us.Rate(usd=0.2, per=1_000.0)})  # as for an older version of a tool
    effect = Effect("1.0", Address("a/1"), "call", "put", msgspec.Raw(b"{}"), "", agent="a", effect="idempotent")
    starting = Starting(effect, 1_000.0, Books({}), server.put, None, us.Limits())
    failure = check.start(starting).failure
    assert failure is not None
    assert (failure.kind, failure.code, starting.books.changes) == ("abandon", "rate_too_small", ())


@pytest.mark.parametrize("per", [1e-12, 1e-6, 0.000_999])
def test_a_window_of_no_time_is_refused(per: float) -> None:
    """Of less than a thousandth of a second a float cannot tell the parts, and turns would come and go by for ever."""
    with pytest.raises(us.DefinitionError, match="per="):
        us.Rate(requests=1, per=per)


def test_the_shortest_window_lets_all_through_in_order() -> None:
    line = Line(model_gate(requests=1, per=0.001), 1_700_000_000.0)
    for n in range(200):
        line.come(f"w{n}", 1_700_000_000.0)
    line.go()
    assert [id for _, id in line.began] == [f"w{n}" for n in range(200)]
    assert max(line.waits.values()) <= 3


def test_one_answer_that_says_it_took_a_quadrillion_tokens_slows_down_its_own_window_and_a_few_more() -> None:
    line = Line(model_gate(tokens=1_000, per=60.0), 1_000.0)
    line.come("liar", 1_000.0)
    line.go()
    effect = Effect("liar", Address("a/liar"), "think", "m", msgspec.Raw(b"{}"), "", agent="a", attempt=1)
    line.write(
        line.gate.book(effect, Attempt(value=b'{"usage":{"input_tokens":1000000000000000}}'), 1_001.0, line.books).books
    )
    for n in range(40):
        at = line.now
        line.come(f"w{n}", at)
        line.go()
        one = Effect(f"w{n}", Address("a/1"), "think", "m", msgspec.Raw(b"{}"), "", agent="a", attempt=1)
        said = Attempt(value=b'{"usage":{"input_tokens":10}}')
        line.write(line.gate.book(one, said, line.now, line.books).books)
    assert line.began[-1][0] < 1_000.0 + 15 * 70.0, "the guess falls from a whole window, not from a quadrillion"


@pytest.mark.parametrize("took", [b"-5", b"0", b"1e400", b"null", b'"many"', b"[1]"])
def test_what_no_number_of_tokens_can_be_is_counted_as_it_was_guessed(took: bytes) -> None:
    line = Line(model_gate(tokens=1_000, per=60.0), 1_000.0)
    line.come("a", 1_000.0)
    line.go()
    effect = Effect("a", Address("a/a"), "think", "m", msgspec.Raw(b"{}"), "", agent="a", attempt=1)
    booked = line.gate.book(effect, Attempt(value=b'{"usage":{"input_tokens":' + took + b"}}"), 1_001.0, line.books)
    line.write(booked.books)
    window = Books(line.books).read("rate/m", Window)
    assert window is not None
    assert [spent[2] for spent in window.spent] == [100.0], "a tenth of the limit"
    assert "slot/a" not in line.books
