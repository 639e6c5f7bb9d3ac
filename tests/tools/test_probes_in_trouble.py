"""Probes that never come to a good end: whatever becomes of one, the breaker neither stays shut for ever nor lets two through at once."""

from __future__ import annotations

import random
from typing import Any

import pytest

import understudy as us
from tests.actors.crew import said
from tests.tools.served import Fetch, Line, Server, crowd, settled
from tests.tools.test_checks_breaker import DOWN, gate, opened, probes_of
from understudy.protocols.circuits import Trouble, circuits, standing
from understudy.protocols.effects import Effect
from understudy.testing import Faults, Sent, Simulated

HUNG = Faults(hangs=1.0)


def down(now: float, what: str) -> str:
    raise us.RetryLater("down")


def trouble(node: Simulated, tool: str = "look") -> Trouble:
    found = standing(node.kernel.books, tool)
    assert found is not None
    return found


def probing(calls: int = 5, tool: str = "look", hangs: bool = False, **rule: Any) -> tuple[Server, Simulated, Effect]:
    """A breaker that is half open, its probe under way (without an answer, if it hangs), and calls that wait."""
    server = Server()
    server.serve = down
    rule = {"failures": 3, "cooldown": 10.0, "longest": 100.0, "wait": 1e6, **rule}
    node = server.node(breakers={tool: us.Breaker(**rule)})
    crowd(node, calls, tool)
    while not (standing(node.kernel.books, tool) or Trouble(0.0)).until:
        assert node.step()
    server.serve = lambda now, what: what
    node.faults = HUNG if hangs else Faults()
    while not trouble(node, tool).probe:
        assert node.step()
    return server, node, node.kernel.sets.effects[trouble(node, tool).probe]


def worked(node: Simulated, calls: int = 5) -> None:
    """Everything was done in the end, and there never were two probes at once."""
    node.faults = Faults()
    node.pass_time(1_000.0)
    assert node.kernel.books == {}
    assert len([e for e in settled(node) if e.failure is None]) >= calls
    assert probes_of(node, "look")


def test_a_thousand_that_wait_at_a_half_open_one_are_let_through_by_one_probe() -> None:
    server = Server()
    server.serve = down
    node = server.node(breakers={"look": us.Breaker(failures=3, cooldown=60.0, wait=1e6)})
    crowd(node, 3)
    while not (standing(node.kernel.books, "look") or Trouble(0.0)).until:
        assert node.step()
    server.serve = lambda now, what: what
    sent = [node.ask(f"client/m{n}", Fetch(f"m{n}")) for n in range(1_000)]
    node.rest()
    assert len(server.calls) == 5 + 3 + 1_000
    assert {said(one) for one in sent} == {f"m{n}" for n in range(1_000)}
    assert (probes_of(node, "look"), node.kernel.books) == (1, {})


@pytest.mark.parametrize("tool", ["look", "put"])
def test_one_that_hangs_is_a_failure_when_its_time_is_over_and_the_next_one_closes_it(tool: str) -> None:
    _, node, probe = probing(tool=tool, hangs=True)
    while trouble(node, tool).probe == probe.id:
        assert node.step()
    assert (trouble(node, tool).opened, trouble(node, tool).probe) == (2, "")
    node.faults = Faults()
    node.pass_time(1_000.0)
    assert (probes_of(node, tool), node.kernel.books) == (2, {})


def test_one_that_the_end_of_the_process_cuts_off_is_no_failure_and_another_one_tries_at_once() -> None:
    _, node, probe = probing(hangs=True)
    node.crash(down=0.0)
    node.faults = Faults()
    while node.kernel.books and trouble(node).probe in ("", probe.id) and trouble(node).attempt in (0, probe.attempt):
        assert node.step()
    assert not node.kernel.books or trouble(node).opened == 1
    worked(node)


def test_the_right_one_counts_where_the_answer_comes_late_or_twice() -> None:
    for faults in (Faults(late=1.0), Faults(twice=1.0)):
        _, node, _ = probing()
        node.faults = faults
        node.pass_time(300.0)
        worked(node, 4)


@pytest.mark.parametrize("hangs", [True, False])
def test_one_whose_caller_waits_no_more_gives_its_place_back(hangs: bool) -> None:
    _, node, probe = probing(hangs=hangs)
    (whose,) = [s for group in node._callers.values() for s in group if getattr(s.thing, "to", "") == probe.stream]
    node.give_up(whose)
    node.tell(probe.stream, us.Cancel("not wanted any more"))
    worked(node, 4)


@pytest.mark.parametrize("hangs", [True, False])
def test_one_whose_run_is_stopped_gives_its_place_back(hangs: bool) -> None:
    server = Server()
    server.serve = down
    model = us.Rules(
        "asker",
        [us.Rule(us.Use("look", {"what": "x"}), before=("look",)), us.Rule(us.Say("done"), after=("look",))],
    )
    agent = us.Agent("asker", "Look.", model=model, tools=[server.look], limits=us.Limits(step=None))
    breakers = {"look": us.Breaker(failures=3, cooldown=10.0, wait=1e6)}
    node = Simulated(us.Supervisor("desk", [agent]), breakers=breakers)
    server.clock = lambda: node.now
    sent = [node.ask(f"desk/{n}", us.Task("look")) for n in range(5)]
    while not (standing(node.kernel.books, "look") or Trouble(0.0)).until:
        assert node.step()
    server.serve = lambda now, what: what
    node.faults = HUNG if hangs else Faults()
    while not trouble(node).probe:
        assert node.step()
    probe = node.kernel.sets.effects[trouble(node).probe]
    run = probe.context.run
    node.tell(run, us.Cancel("not wanted any more"))
    while (standing(node.kernel.books, "look") or Trouble(0.0)).probe == probe.id:
        assert node.step(), "the place is not given back"
    node.faults = Faults()
    node.pass_time(1_000.0)
    assert node.kernel.books == {}
    assert sum(one.reply is not None and one.reply.failure is None for one in sent) >= 4


def test_a_clock_that_goes_ahead_by_years_makes_no_second_probe() -> None:
    """What is known is whether the probe is under way; how long ago it began says nothing."""
    _, node, probe = probing(hangs=True)
    while node.attempts.waiting():
        node._perform()
    node.now += 0.5
    node.kernel.tick(node.now + 20 * 3_600.0)
    for n in range(3):
        node.ask(f"client/late{n}", Fetch(f"late{n}"))
    for _ in range(60):
        node._feed() if node._fresh else None
        node.kernel.step(node.kernel.now)
    assert trouble(node).probe == probe.id


def test_a_probe_of_another_program_on_the_same_journal_is_nobodys() -> None:
    _, node, probe = probing(hangs=True)
    while not node.attempts.waiting():
        assert node.step()
    node.journal.close()
    other = Server()

    class Other(us.Actor):
        @us.handles(Fetch)
        def fetch(self, turn: us.Turn[us.State], msg: Fetch) -> us.Later[str]:
            later = turn.later(msg)
            turn.call(other.look, msg.what, tag=later)
            return later

        @us.settles(other.look)
        def fetched(self, turn: us.Turn[us.State], outcome: us.Outcome[str]) -> None:
            turn.reply(outcome.tag, outcome.value)

    second = Simulated(
        us.Child("other", Other, tools=[other.look]), journal=node.journal, seed=1,
        breakers={"look": us.Breaker(failures=3, cooldown=10.0, wait=600.0)},
    )  # fmt: skip
    second.now = node.now + 1.0
    assert trouble(second).probe == probe.id, "the other program's run is still there"
    sent = second.ask("other", Fetch("mine"))
    second.pass_time(60.0)
    assert said(sent) == "mine!"
    assert circuits(second.kernel.books, second.now) == ()


def test_a_call_that_has_to_wait_for_its_turn_does_not_take_the_place_of_the_probe() -> None:
    """The rate is asked before the breaker, and what does not begin has written nothing of it."""
    server = Server()
    server.serve = down
    node = server.node(
        rates={"look": us.Rate(requests=4, per=100.0)},
        breakers={"look": us.Breaker(failures=3, cooldown=10.0, longest=10.0, wait=1e6)},
    )
    crowd(node, 10)
    node.pass_time(60.0)
    server.serve = lambda now, what: what
    for _ in range(3_000):
        if not node.step():
            break
        found = standing(node.kernel.books, "look")
        if found is not None and found.probe:
            assert node.kernel.sets.effects[found.probe].state == "started"
    node.pass_time(3_000.0)
    assert [one.state for one in circuits(node.kernel.books, node.now)] == []
    assert not [e for e in node.kernel.sets.effects.values() if e.name == "look"]


def test_a_probe_that_is_asked_to_wait_says_nothing_and_the_rate_holds_the_others() -> None:
    line = opened(failures=2, cooldown=10.0, wait=1e6)
    line.come("p", 1_020.0)
    line.go(1_020.0)
    line.fail(us.Failure("retry_later", "rate_limited", "429", after=30.0), "p", attempt=1)
    found = standing(line.books, "m")
    assert found is not None
    assert (found.probe, found.opened) == ("", 1)


def test_times_given_to_those_who_wait_never_fall_behind_one_another() -> None:
    """With waits of all ages nobody who comes new is sent behind one who has waited for hours."""
    line = Line(gate(failures=2, cooldown=10.0, longest=10.0, wait=1e6))
    for _ in range(2):
        line.fail(DOWN)
    line.come("p", 1_015.0)
    line.come("old", 1_016.0)
    line.go(4_000.0)
    line.come("new", 4_001.0)
    line.go(4_001.0)
    due = {effect.id: at for at, _, effect in line._line}
    assert due["old"] > 4_100.0
    assert due["new"] <= 4_001.0 + 2.5 + 0.2


@pytest.mark.parametrize("seed", range(20))
def test_whatever_becomes_of_probes_all_is_done_in_the_end(seed: int) -> None:
    server, draw = Server(), random.Random(seed)
    bad = 0.9

    def serve(now: float, what: str) -> str:
        if draw.random() < bad:
            raise us.RetryLater("down")
        return what

    server.serve = serve
    rule = us.Breaker(failures=3, cooldown=5.0, longest=20.0, wait=1e6)
    node = server.node(
        seed, breakers={"look": rule, "put": rule}, rates={"put": us.Rate(requests=20, per=10.0)},
        fails=0.1, raises=0.05, hangs=0.1, late=0.1, twice=0.1, crash=0.005, commit_fails=0.03, commit_unknown=0.03, load_fails=0.05,
    )  # fmt: skip
    sent: list[Sent] = []
    for turn in range(3):
        sent += [
            node.ask(f"client/{turn}.{n}", Fetch(f"{turn}.{n}", draw.choice(("look", "put"))), timeout=None)
            for n in range(10)
        ]
        for _ in range(draw.randrange(200)):
            node.step()
            if draw.random() < 0.02:
                node.give_up(draw.choice(sent)) if not sent[-1].lost else None
    bad = 0.0
    node.faults = Faults()
    node.pass_time(2_000.0)
    for item in node.inbox():
        node.answer(item.id, "not_happened")
    node.pass_time(2_000.0)
    assert not node.kernel.sets.effects
    for name in ("look", "put"):
        late = node.ask("client/last", Fetch(f"last {name}", name))
        node.pass_time(100.0)
        assert said(late) == f"last {name}"
        probes_of(node, name)
