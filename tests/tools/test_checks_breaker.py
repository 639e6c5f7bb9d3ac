"""The breaker check: what fails is left alone, then tried with one call, then used again by all."""

from __future__ import annotations

import math
import random
from typing import Any

import msgspec
import pytest

import understudy as us
from tests.actors.crew import said
from tests.tools.served import Fetch, Line, Server, crowd, settled
from understudy.actors.cell import read_record
from understudy.protocols.books import Books
from understudy.protocols.circuits import Trouble
from understudy.protocols.counters import Counters
from understudy.protocols.effects import Attempt, Effect
from understudy.protocols.ids import Address
from understudy.testing import Simulated
from understudy.tools.checks.breaker import BreakerCheck
from understudy.tools.gate import Gate, Grants

DOWN = us.Failure("retry_later", "server_error", "503")


def gate(*, spared: bool = False, skip: str = "", **rule: Any) -> Gate:
    check = BreakerCheck({"m": us.Breaker(**rule)} if rule else {}, {"a": frozenset({"m"} if spared else ())})
    return Gate({"a": Grants()}, shared=[check], skip=frozenset({skip} if skip else ()))


def trouble(line: Line) -> Trouble | None:
    return Books(line.books).read("breaker/m", Trouble)


def opened(**rule: Any) -> Line:
    line = Line(gate(**rule))
    for _ in range(rule.get("failures", 20)):
        line.fail(DOWN)
    return line


def test_it_opens_after_so_many_failures_and_says_so() -> None:
    line = Line(gate(failures=3))
    assert [line.fail(DOWN).verdicts for _ in range(2)] == [(), ()]
    (alert,) = line.fail(DOWN).verdicts
    assert (alert.check, alert.verdict, alert.at) == ("breaker", "alert", 1_000.0)
    assert "opened for 10 s: m failed in 3 of 3 attempts" in alert.reason
    line.come("w", 1_001.0)
    line.go(1_009.0)
    assert line.began == []
    line.go()
    assert line.began[0][0] >= 1_010.0


def test_a_handful_of_failures_of_one_run_never_opens_one_that_nobody_declared() -> None:
    line = Line(gate())
    for _ in range(19):
        line.fail(DOWN)
    assert trouble(line) is not None
    line.come("w", 1_001.0)
    line.go()
    assert line.began == [(1_001.0, "w")]


def test_failures_that_lie_apart_do_not_open_it() -> None:
    line = Line(gate(failures=3, per=60.0))
    for n in range(20):
        line.now = 1_000.0 + 40.0 * n
        assert line.fail(DOWN).verdicts == ()


def test_failures_among_many_successes_do_not_open_it() -> None:
    line = Line(gate(failures=4, ratio=0.5))
    for _ in range(20):
        for _ in range(3):
            succeed(line)
        assert line.fail(DOWN).verdicts == ()


def succeed(line: Line, id: str = "fine", attempt: int = 1, at: float = 0.0) -> tuple[object, ...]:
    effect = Effect(id, Address("a/1"), "think", "m", msgspec.Raw(b"{}"), "", agent="a", attempt=attempt)
    booked = line.gate.book(effect, Attempt(value=b"{}"), line.now + at, line.books)
    line.write(booked.books)
    return booked.books


@pytest.mark.parametrize(
    ("failure", "unknown", "counts"),
    [
        (DOWN, False, True),
        (us.Failure("retry_now", "try_again", "again"), False, True),
        (us.Failure("retry_later", "timeout", "no answer"), True, True),
        (us.Failure("abandon", "crashed", "KeyError"), True, True),
        (us.Failure("abandon", "unauthorized", "no"), False, False),
        (us.Failure("change_arguments", "bad_arguments", "no"), False, False),
        (us.Failure("retry_later", "rate_limited", "429", after=5.0), False, False),
        (us.Failure("retry_later", "cancelled", "its actor had to end"), True, False),
        (us.Failure("retry_later", "still_running", "an earlier attempt"), True, False),
        (us.Failure("retry_later", "lease_held", "somebody else has it"), False, False),
    ],
)
def test_what_counts_as_a_failure(failure: us.Failure, unknown: bool, counts: bool) -> None:
    line = Line(gate(failures=1))
    assert bool(line.fail(failure, unknown=unknown).verdicts) == counts
    assert (trouble(line) is not None) == counts


def test_an_attempt_that_the_end_of_the_process_cut_off_says_nothing() -> None:
    the_gate = gate(failures=1)
    effect = Effect("1.0", Address("a/1"), "think", "m", msgspec.Raw(b"{}"), "", agent="a", attempt=1)
    assert the_gate.book(effect, None, 1_000.0, {}).books == ()


def test_a_closed_breaker_without_failures_writes_nothing() -> None:
    line = Line(gate(failures=3))
    for n in range(5):
        line.come(f"w{n}", 1_000.0)
        assert succeed(line) == ()
    line.go()
    assert (len(line.began), line.books) == (5, {})


def test_an_open_one_lets_exactly_one_through_and_the_others_when_it_went_well() -> None:
    line = opened(failures=5, wait=600.0)
    for n in range(30):
        line.come(f"w{n}", 1_001.0)
    line.go(1_020.0)
    ((at, probe),) = line.began
    assert at >= 1_010.0
    line.now = 1_020.0
    succeed(line, probe)
    line.go()
    assert len(line.began) == 30
    assert line.books == {}


def test_without_the_check_all_of_them_go_to_what_is_down() -> None:
    line = Line(gate(failures=5, skip="breaker"))
    for _ in range(5):
        line.fail(DOWN)
    for n in range(30):
        line.come(f"w{n}", 1_001.0)
    line.go(1_002.0)
    assert len(line.began) == 30


def test_a_probe_that_fails_doubles_the_time_up_to_its_bound() -> None:
    line = opened(failures=2, cooldown=10.0, longest=35.0, wait=1e6)
    for n in range(8):
        line.come(f"w{n}", 1_001.0)
    gaps: list[float] = []
    for n in range(5):
        while len(line.began) == n:
            line.go(line._line[0][0])
        at, probe = line.began[-1]
        line.now = at
        gaps.append(float(line.fail(DOWN, probe).verdicts[0].reason.split()[3]))
    assert gaps == [20.0, 35.0, 35.0, 35.0, 35.0]
    times = [at for at, _ in line.began]
    assert all(b - a >= gap for a, b, gap in zip(times, times[1:], gaps, strict=False))


def test_what_began_before_it_was_opened_neither_closes_it_nor_keeps_it_open() -> None:
    line = opened(failures=2)
    before = dict(line.books)
    succeed(line)
    line.fail(DOWN)
    assert line.books == before


@pytest.mark.parametrize("late", [True, False])
def test_another_attempt_of_the_probe_is_not_the_probe(late: bool) -> None:
    line = opened(failures=2, wait=600.0)
    line.come("p", 1_020.0)
    line.go()
    assert line.began == [(1_020.0, "p")]
    succeed(line, "p", attempt=1 if late else 2)
    assert (trouble(line) is None) == late


def test_a_probe_that_the_end_of_the_process_cut_off_gives_its_place_back() -> None:
    line = opened(failures=2, wait=600.0)
    line.come("p", 1_020.0)
    line.go()
    effect = Effect("p", Address("a/p"), "think", "m", msgspec.Raw(b"{}"), "", agent="a", attempt=1)
    line.write(line.gate.book(effect, None, 1_021.0, line.books).books)
    line.come("q", 1_022.0)
    line.go()
    assert line.began[-1] == (1_022.0, "q")


def test_a_probe_of_which_nobody_ever_hears_is_given_up_in_the_end() -> None:
    line = opened(failures=2, wait=1e6)
    line.come("p", 1_020.0)
    line.come("q", 1_021.0)
    line.go()
    (_, one), (at, other) = line.began
    assert (one, other) == ("p", "q")
    assert 1_020.0 + 3_600.0 < at < 1_020.0 + 3_700.0


def test_who_may_not_wait_so_long_is_refused_and_told_when() -> None:
    line = opened(failures=2, cooldown=30.0, wait=5.0)
    line.come("w", 1_001.0)
    line.go()
    assert line.refused == [(1_001.0, "w")]
    effect = Effect("w", Address("a/1"), "think", "m", msgspec.Raw(b"{}"), "", agent="a")
    clear = line.gate.start(effect, Counters(), 1_001.0, line.books)
    assert clear.failure is not None
    assert (clear.failure.code, clear.failure.kind, clear.books) == ("circuit_open", "retry_later", ())
    assert clear.failure.after == pytest.approx(29.0, abs=0.2)


def test_nobody_waits_longer_than_declared_however_often_the_probe_fails() -> None:
    line = opened(failures=2, cooldown=10.0, longest=10.0, wait=35.0)
    for n in range(4):
        line.come(f"w{n}", 1_001.0)
    while line._line:
        before = len(line.began)
        line.go(line._line[0][0])
        if len(line.began) > before:
            line.fail(DOWN, line.began[-1][1])
    assert len(line.began) + len(line.refused) == 4
    assert line.refused
    assert max(at for at, _ in line.refused) <= 1_001.0 + 35.0


def test_a_model_after_which_there_is_another_one_is_refused_at_once() -> None:
    line = Line(gate(failures=1, spared=True))
    line.fail(DOWN)
    line.come("w", 1_001.0)
    line.go()
    assert line.refused == [(1_001.0, "w")]


def test_an_agent_goes_on_with_its_next_model_while_the_breaker_of_the_first_is_open() -> None:
    class Down:
        name = "first"
        asked = 0

        async def complete(self, request: us.ModelRequest, on_delta: object) -> us.ModelReply:
            self.asked += 1
            raise us.RetryLater("down")

    first = Down()
    with us.Scripted("from the second", "from the second", name="second") as second:
        agent = us.Agent("asker", "Ask.", model=[first, second])
        node = Simulated(agent, breakers={"first": us.Breaker(failures=3, cooldown=1e5, longest=1e5, wait=1e5)})
        for n in range(2):
            sent = node.ask(f"asker/{n}", us.Task("ask"))
            node.rest()
            assert sent.reply is not None
            assert b"from the second" in bytes(sent.reply.value)
    assert first.asked == 3, "five attempts, had it been closed, and five more of the second run"


@pytest.mark.parametrize("declared", [True, False])
def test_tasks_of_a_worker_are_alone_unless_something_is_declared(declared: bool) -> None:
    began: list[str] = []

    def work(objective: str) -> str:
        began.append(objective)
        if objective == "slow" and began.count("slow") == 1:
            raise us.RetryLater("not ready", after=10_000.0)
        raise us.Abandon("no") if objective == "slow" else ValueError("bad")

    rates = {"w": us.Rate(requests=1_000)} if declared else None
    breakers = {"w": us.Breaker(failures=5, wait=0.0)} if declared else None
    node = Simulated(us.Worker("w", work, effect="read"), rates=rates, breakers=breakers)
    node.ask("w/slow", us.Task("slow"))
    while began != ["slow"] or not any(e.state == "waiting" for e in node.kernel.sets.effects.values()):
        assert node.step()
    node.pass_time(1.0)
    for n in range(30):
        node.ask(f"w/{n}", us.Task(f"bad {n}"))
    node.pass_time(500.0)
    assert (len(began) == 31) != declared


def test_slowness_counts_where_it_is_declared() -> None:
    line = Line(gate(failures=2, slow=5.0))
    for n, took in enumerate((4.9, 5.1, 5.1)):
        line.come(f"w{n}", line.now)
        line.go()
        line.now += took
        succeed(line, f"w{n}")
    state = trouble(line)
    assert state is not None
    assert (state.failed, state.until > 0) == (2, True)
    assert not [key for key in line.books if key.startswith("begun/")]


@pytest.mark.parametrize("tool", ["pay", "put", "look"])
def test_only_what_may_run_again_is_a_probe_unless_it_says_so(tool: str) -> None:
    server = Server()
    if tool != "pay":
        server.node(breakers={tool: us.Breaker(failures=3)})
        return
    with pytest.raises(us.DefinitionError, match="no once call may be its probe"):
        server.node(breakers={"pay": us.Breaker(failures=3)})
    server.node(breakers={"pay": us.Breaker(failures=3, probe=True)})


def test_a_server_that_is_down_is_not_hammered() -> None:
    def down(now: float, what: str) -> str:
        raise us.RetryLater("down")

    def calls(breaker: us.Breaker | None) -> tuple[int, list[str]]:
        server = Server()
        server.serve = down
        node = server.node(breakers={"look": breaker})
        sent = crowd(node, 50)
        node.rest()
        return len(server.calls), [said(one) for one in sent]

    many, codes = calls(None)
    assert (many, set(codes)) == (200, {"attempts_exhausted"})
    few, codes = calls(us.Breaker(failures=10, wait=5.0))
    assert few < 100, "those under way when it opened, and a probe now and then"
    assert "circuit_open" in codes


def test_one_that_is_declared_to_have_none_has_none() -> None:
    server = Server()
    server.serve = lambda now, what: (_ for _ in ()).throw(us.RetryLater("down"))
    node = server.node(breakers={"look": None})
    crowd(node, 30)
    node.rest()
    assert node.kernel.sets.books == {}


@pytest.mark.parametrize("seed", range(25))
def test_there_are_never_two_probes_at_once_under_faults_and_crashes(seed: int) -> None:
    server, draw = Server(), random.Random(seed)
    down = True

    def serve(now: float, what: str) -> str:
        if down and draw.random() < 0.8:
            raise us.RetryLater("down")
        return what

    server.serve = serve
    rule = us.Breaker(failures=3, cooldown=5.0, longest=20.0, wait=1e5)
    node = server.node(
        seed, breakers={"look": rule, "put": rule}, fails=0.1, raises=0.1, hangs=0.05, late=0.05, twice=0.1,
        crash=0.002, commit_fails=0.02, commit_unknown=0.02,
    )  # fmt: skip
    for turn in range(4):
        for n in range(8):
            node.ask(f"client/{n}", Fetch(f"{turn}.{n}", draw.choice(("look", "put"))))
        for _ in range(draw.randrange(120)):
            node.step()
    node.pass_time(120.0)
    down = False
    node.rest()
    probes = sum(probes_of(node, name) for name in ("look", "put"))
    assert probes
    assert all(not e.failure or e.failure.code != "circuit_open" for e in settled(node))


def probes_of(node: Simulated, name: str) -> int:
    """How many probes there were, as the rows say. None takes the place of another, but of one that a stop of an hour has cut off."""
    probes, last = 0, Trouble(0.0)
    for row in node.journal.rows(limit=1_000_000):
        for entry in read_record(row).books:
            if entry.key != f"breaker/{name}":
                continue
            value = bytes(entry.value)
            new = Trouble(0.0) if value == b"null" else msgspec.json.decode(value, type=Trouble)
            if new.probe and (new.probe, new.attempt) != (last.probe, last.attempt):
                assert not last.probe or new.begun - last.begun > 3_600.0, (
                    f"two probes of {name} at once, row {row.gid}"
                )
                probes += 1
            last = new
    return probes


def test_an_open_breaker_survives_a_crash() -> None:
    server = Server()
    server.serve = lambda now, what: (_ for _ in ()).throw(us.RetryLater("down"))
    node = server.node(breakers={"look": us.Breaker(failures=3, cooldown=1_000.0, longest=1_000.0, wait=0.0)})
    crowd(node, 3)
    node.rest()
    before = {key: bytes(entry.value) for key, entry in node.kernel.sets.books.items()}
    calls = len(server.calls)
    assert before
    node.crash(down=10.0)
    assert {key: bytes(entry.value) for key, entry in node.kernel.sets.books.items()} == before
    late = node.ask("client/x", Fetch("x"))
    node.rest()
    assert (said(late), len(server.calls)) == ("circuit_open", calls)


@pytest.mark.parametrize(
    "wrong",
    [
        {"failures": 0}, {"failures": 1.5}, {"failures": True}, {"ratio": 0.0}, {"ratio": 1.1}, {"ratio": math.nan}, {"per": 0.0},
        {"per": math.inf}, {"slow": 0.0}, {"slow": math.nan}, {"cooldown": -1.0}, {"cooldown": math.nan}, {"wait": -1.0},
        {"wait": math.nan}, {"cooldown": 100.0, "longest": 10.0}, {"probe": 1}, {"longest": "1"},
    ],
)  # fmt: skip
def test_a_breaker_that_cannot_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(us.DefinitionError, match="Breaker"):
        us.Breaker(**wrong)


def test_breakers_of_what_is_not_there_are_refused_at_the_start() -> None:
    with pytest.raises(us.DefinitionError, match="no tool and no model 'luck'"):
        us.System(Server().client, breakers={"luck": us.Breaker()})
    with pytest.raises(us.DefinitionError, match=r"takes a us\.Breaker"):
        us.System(Server().client, breakers={"look": 5})  # type: ignore[dict-item]
