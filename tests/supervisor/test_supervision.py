"""Restart, backoff, intensity and escalation: from a failed turn up to a person and back."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

import understudy as us
from tests.actors.crew import Actor, Add, Break, Note, Relay, nobody_settles, node, rows, said, state
from understudy.protocols.children import Backoff, Intensity
from understudy.protocols.errors import WrongAnswer
from understudy.protocols.ids import Address
from understudy.protocols.journal import StoredEvent
from understudy.supervisor.supervision.backoff import Streak, delay, streak
from understudy.supervisor.supervision.intensity import count
from understudy.supervisor.supervision.roster import SupervisorState
from understudy.testing import Simulated

LONG = Intensity(within=1_000_000.0)


def test_intensity_is_a_sliding_window_counted_before_the_attempt() -> None:
    two_in_five = Intensity(max_restarts=2, within=5.0)
    restarts: tuple[float, ...] = ()
    allowed = list[bool]()
    for now in (0.0, 1.0, 2.0, 6.5, 7.5, 7.6):
        restarts, within = count(restarts, now, two_in_five)
        allowed.append(within)
    assert allowed == [True, True, False, True, True, False]
    assert count((), 0.0, Intensity(max_restarts=0))[1] is False


def test_the_first_restart_does_not_wait_and_later_ones_wait_longer_up_to_the_cap() -> None:
    backoff = Backoff(base=0.1, cap=1.0)
    assert delay(backoff, 1, random.Random(1)) == 0.0
    for restart, bound in ((2, 0.1), (3, 0.2), (4, 0.4), (9, 1.0)):
        waits = [delay(backoff, restart, random.Random(seed)) for seed in range(200)]
        assert bound * 0.9 < max(waits) <= bound
        assert min(waits) < bound * 0.1


def test_a_streak_of_any_length_has_a_delay() -> None:
    assert 0.0 <= delay(Backoff(base=0.1, cap=30.0), 5_000, random.Random(1)) <= 30.0


def test_a_streak_grows_until_a_child_has_been_quiet_for_reset_seconds_and_its_wait_is_no_quiet_time() -> None:
    backoff = Backoff(reset=60.0)
    assert streak(None, 0.0, backoff) == 1
    restarted_at_900 = Streak(4, until=900.0)
    assert [streak(restarted_at_900, now, backoff) for now in (900.0, 960.0, 960.1)] == [5, 5, 1]


def _restarting(board: Simulated) -> list[dict[str, Any]]:
    events = [event for _, record in rows(board, "crew") for event in map(_json, record.events)]
    return [event for event in events if "delay" in event]


def test_failures_further_apart_than_the_window_of_the_intensity_still_wait_longer_up_to_the_cap() -> None:
    board = node(backoff=Backoff(base=100.0, cap=1_000.0), intensity=Intensity(3, within=0.001))
    for _ in range(40):
        board.ask("a/ada", Break("raise"))
    board.rest()
    assert not board.inbox(), "its waits do not burn the intensity"
    events = _restarting(board)
    assert [event.get("streak", 1) for event in events] == list(range(1, 41))
    delays = [event["delay"] for event in events]
    assert 900.0 < max(delays) <= 1_000.0


def test_after_reset_quiet_seconds_a_child_is_restarted_at_once_again() -> None:
    board = node(backoff=Backoff(reset=60.0), intensity=Intensity(99, within=1_000_000.0))
    for quiet in (0.0, 0.0, 100.0):
        board.now += quiet
        board.ask("a/ada", Break("raise"))
        board.rest()
    first, second, third = _restarting(board)
    assert second["streak"] == 2
    assert second["delay"] > 0.0
    assert (first["delay"], third["delay"]) == (0.0, 0.0)
    assert len(third["restarts"]) == 3, "the intensity has a window of its own"


def test_a_supervisor_forgets_children_that_have_been_quiet_for_long() -> None:
    board = node(backoff=Backoff(reset=60.0))
    for n in range(20):
        board.ask(f"a/c{n}", Break("raise"))
    board.rest()
    board.now += 10_000.0
    board.ask("a/last", Break("raise"))
    board.rest()
    known = board.actor("crew").state
    assert isinstance(known, SupervisorState)
    assert (set(known.restarts), set(known.streaks)) == ({"a/last"}, {"a/last"})


def test_agents_cannot_begin_fresh_because_they_would_forget_whom_to_answer() -> None:
    clerk = us.Agent("clerk", "Helps.", model=us.Scripted("done"))
    with pytest.raises(us.DefinitionError, match=r"clerk.*forget whom to answer"):
        us.Supervisor("crew", [clerk, us.Child("a/{name}", Actor)], on_restart="fresh")
    assert us.Supervisor("crew", [us.Child("a/{name}", Actor)], on_restart="fresh").policy.on_restart == "fresh"


def test_one_for_one_only_the_failed_child_is_restarted() -> None:
    board = node()
    board.ask("a/bob", Add(1))
    board.ask("a/ada", Break("raise"))
    board.rest()
    assert (board.actor("a/ada").memory.incarnation, board.actor("a/bob").memory.incarnation) == (1, 0)


def test_restarts_wait_on_the_virtual_clock() -> None:
    board = node(backoff=Backoff(base=1_000.0, cap=1_000_000.0), intensity=Intensity(99, 1e9))
    began = board.now
    for _ in range(3):
        board.ask("a/ada", Break("raise"))
    board.rest()
    delays = [
        event["delay"] for _, record in rows(board, "crew") for event in map(_json, record.events) if "delay" in event
    ]
    assert delays[0] == 0.0
    assert 0.0 < delays[1] <= 1_000.0
    assert 0.0 < delays[2] <= 2_000.0
    assert board.now >= began + sum(delays)


def _json(event: StoredEvent) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(event.data)
    return decoded


def _given_up() -> Simulated:
    board = node(intensity=LONG)
    for _ in range(4):
        board.ask("a/ada", Break("raise"))
    board.rest()
    return board


def test_a_child_that_fails_too_often_is_put_before_a_person_with_the_cause_chain() -> None:
    board = _given_up()
    (item,) = board.inbox()
    assert item.kind == "escalation"
    assert item.actor == "root", "nobody on the way up knew what to do"
    assert item.failure is not None
    assert item.failure.where == "crew"
    assert [failure.code for failure in item.failure.chain()][:2] == ["budget_exhausted", "crashed"]
    assert "ZeroDivisionError: broken" in item.text
    assert board.actor("a/ada").memory.life == "restarting"
    held, run = board.tell("a/ada", Note("x")), board.ask("a/ada", us.Task("x"))
    asked, inside = board.ask("a/ada", Add(1)), board.ask("a/eve", Relay("a/ada"))
    other = board.ask("a/bob", Add(1))
    board.rest()
    assert held.accepted, "its mail waits with it"
    assert run.accepted, "and so does a run, which may wait for people for days"
    assert run.reply is None
    assert isinstance(asked.error, us.AskFailed), "whoever asks is told at once, and nothing is written"
    assert asked.error.failure.code == said(inside) == "parked"
    assert item.id in asked.error.failure.hint
    assert said(other) == 1, "and nobody else does"
    assert board.kernel.standing(Address("a/ada")) == "asking", "who waits for it is told that a person is asked"


@pytest.mark.parametrize("crash", [False, True])
def test_a_person_may_start_it_again_and_counting_begins_anew(crash: bool) -> None:
    board = _given_up()
    if crash:
        board.crash()
        board.rest()
    held = board.tell("a/ada", Note("x"))
    board.rest()
    board.answer(board.inbox()[0].id, "approve")
    board.rest()
    assert state(board, "a/ada").notes == ("x",)
    after = board.ask("a/ada", Add(1))
    board.rest()
    assert held.accepted
    assert said(after) == 1
    for _ in range(3):
        board.ask("a/ada", Break("raise"))
    board.rest()
    assert not board.inbox(), "three restarts are allowed again"


@pytest.mark.parametrize("load", ["waits already", "crash"])
def test_a_request_that_waits_when_an_actor_is_given_up_is_answered_and_its_key_is_free(load: str) -> None:
    board = node(intensity=Intensity(max_restarts=0))
    board.ask("a/ada", Break("raise"))
    waits = board.ask("a/ada", Add(1), key="k")
    if load == "crash":
        board.rest()
        board.crash()
        waits = board.ask("a/ada", Add(1), key="k")
    board.rest()
    code = waits.error.failure.code if isinstance(waits.error, us.AskFailed) else said(waits)
    assert code == "parked"
    board.answer(board.inbox()[0].id, "approve")
    board.rest()
    again = board.ask("a/ada", Add(1), key="k")
    board.rest()
    assert said(again) == 1


def test_a_child_that_was_given_up_is_started_again_or_stopped_and_nothing_else_answers_that() -> None:
    board = _given_up()
    (item,) = board.inbox()
    assert item.answers == ("retry", "change", "skip", "stop")
    sent = board.answer(item.id, "answer", value="use 42 instead")
    board.rest()
    assert isinstance(sent.error, WrongAnswer)
    assert board.inbox() == (item,)
    board.answer(item.id, "approve")
    board.rest()
    assert board.actor("a/ada").memory.life == "running"


@pytest.mark.parametrize("crash", [False, True])
def test_a_person_may_stop_it_and_whoever_waits_is_told(crash: bool) -> None:
    board = _given_up()
    held = board.ask("a/ada", us.Task("x"))
    board.rest()
    board.answer(board.inbox()[0].id, "reject", reason="enough")
    if crash:
        for _ in range(3):
            board.step()
        board.crash()
        if held.lost:
            board.again(held)
    board.rest()
    for item in board.inbox():
        board.answer(item.id, "reject", reason="enough")
    board.rest()
    assert said(held) == "stopped"
    assert board.actor("a/ada").memory.life == "stopped"
    later = board.ask("a/ada", Add(1))
    board.rest()
    assert said(later) == "stopped"


def test_an_actor_mounted_alone_is_kept_going_by_the_root() -> None:
    board = Simulated(us.Child("a/{name}", Actor, tools=[nobody_settles]))
    broken, after = board.ask("a/ada", Break("raise")), board.ask("a/ada", Add(1))
    board.rest()
    assert (said(broken), said(after)) == ("crashed", 1)
    assert state(board, "a/ada").total == 1


class Brittle(us.Actor):
    """A supervisor's own failure: here, an actor whose ``Restarted`` handler raises."""

    @us.handles(Break)
    def break_it(self, turn: us.Turn[us.State], msg: Break) -> int:
        raise ValueError(msg.how)

    @us.handles(us.Restarted)
    def restarted(self, turn: us.Turn[us.State], msg: us.Restarted) -> None:
        raise ValueError("cannot start")


def test_failed_starts_count() -> None:
    board = Simulated(us.Supervisor("crew", [us.Child("b/{name}", Brittle)], intensity=LONG))
    board.ask("b/ada", Break("x"))
    board.rest()
    (item,) = board.inbox()
    assert "failed more than 3 times" in item.text
    assert "cannot start" in item.text


async def test_a_run_whose_worker_is_given_up_waits_for_a_person_and_ends_when_it_is_stopped() -> None:
    """In a running system: nobody is left hanging."""
    async with us.System(us.Supervisor("crew", [us.Child("a/{name}", Actor)], backoff=Backoff(base=0.0))) as system:
        for _ in range(4):
            with pytest.raises(us.AskFailed) as caught:
                await system.ask("a/ada", Break("raise"), timeout=20)
            assert caught.value.failure.code == "crashed"
        with pytest.raises(us.AskFailed) as caught:
            await system.ask("a/ada", Add(1), timeout=None)
        assert caught.value.failure.code == "parked"
        (item,) = system.inbox()
        await system.reject(item.id, "enough")
        with pytest.raises(us.AskFailed) as caught:
            await system.ask("a/ada", Add(1), timeout=20)
        assert caught.value.failure.code == "stopped"


class Paid(us.Event):
    usd: float


class Dear(us.Actor):
    """Fails, and has spent more each time."""

    class State(us.State):
        usd: float = 0.0

    def spent(self, state: State) -> float:
        return state.usd

    @us.handles(Add)
    def add(self, turn: us.Turn[State], msg: Add) -> int:
        turn.emit(Paid(msg.amount))
        return 0

    @us.handles(Break)
    def break_it(self, turn: us.Turn[State], msg: Break) -> int:
        raise ValueError(msg.how)

    @us.applies(Paid)
    def paid(self, state: State, event: Paid) -> State:
        return state.evolve(usd=state.usd + event.usd)


@pytest.mark.parametrize("address", ["d/one", "fixed"])
def test_a_loop_that_is_slow_and_dear_ends_at_the_cost_limit(address: str) -> None:
    children = [us.Child("d/{name}", Dear), us.Child("fixed", Dear)]
    board = Simulated(us.Supervisor("crew", children, cost=5.0))
    for usd in (4, 0, 3):
        board.ask(address, Add(usd))
        board.ask(address, Break("raise"))
        board.rest()
        assert bool(board.inbox()) == (usd == 3 and address == "d/one")
        board.now += 1_000_000.0
    why = [
        event["data"]["failure"]["message"]
        for event in _told(board, "crew")
        if event["wire"].endswith(("gave_up", "exhausted"))
    ]
    assert why == [f"{address} has spent $7.00, more than $5.00, last: ValueError: raise"]
    with pytest.raises(us.DefinitionError, match="cost"):
        us.Supervisor("crew", children, cost=-1.0)


def _told(board: Simulated, who: str) -> list[dict[str, Any]]:
    found = [msgspec.json.decode(row.payload).get("events", []) for row in board.journal.stream(Address(who))]
    return [event for events in found for event in events]
