"""Time that is over: messages expire, asks end, cancellation travels down, answers that come too late are counted."""

from __future__ import annotations

import pytest
from msgspec import Raw

import understudy as us
from tests.actors.crew import rows, said
from tests.actors.post import Clerk, Do, Fetch, Heard, Say, heard, office
from tests.actors.test_priorities import go_on, load_no_more, step_until
from understudy.protocols.codec import encode
from understudy.protocols.envelope import Envelope
from understudy.protocols.ids import Address
from understudy.testing import Simulated, take


def waits_for(board: Simulated, to: str, count: int = 1) -> None:
    """Step until so many messages for an actor are open."""
    step_until(board, lambda: sum(m.envelope.to == to for m in board.kernel.sets.mail.values()) == count)


def late(board: Simulated, address: str) -> int:
    """Late answers that an actor counts, as its committed rows say."""
    postal = board.actor(address).memory.postal
    return postal.late if postal is not None else 0


@pytest.mark.parametrize("crash", [False, True])
def test_a_message_that_is_not_begun_in_time_is_a_dead_letter_and_its_sender_is_told(crash: bool) -> None:
    board = office()
    board.tell("p/bob", Say("first"))
    board.rest()
    load_no_more(board)
    began = board.now
    board.ask("p/ada", Do("tell", "p/bob", within=5.0, text="late"))
    board.ask("p/ada", Do("tell", "p/bob", within=5_000.0, text="in time"))
    waits_for(board, "p/bob", 2)
    if crash:
        while board.kernel.sets.waiting_rows:
            board._commit()
        board.crash()
        board.now += 5.0
    else:
        step_until(board, lambda: board.now >= began + 5.0)
        step_until(board, lambda: sum(m.envelope.to == "p/bob" for m in board.kernel.sets.mail.values()) == 1)
        go_on(board)
    board.rest()
    assert heard(board, "p/bob") == ("first", "in time")
    assert heard(board, "p/ada") == ("undelivered p/bob Say expired",)
    (expired,) = [(row, record) for row, record in rows(board, "p/bob") if row.kind == "expired"]
    assert expired[1].failure is not None
    assert expired[1].failure.code == "expired"
    assert not board.journal._mail
    assert board.now < began + 4_000.0, "at its time, not at the other's"


def test_a_deadline_outlives_thousands_of_alarms_that_ring_for_nothing() -> None:
    board = office()
    board.tell("p/bob", Say("first"))
    board.rest()
    load_no_more(board)
    began = board.now
    board.ask("p/ada", Do("tell", "p/bob", within=50.0, text="late"))
    waits_for(board, "p/bob")
    for number in range(3_000):  # as after thousands of forgotten reminders
        board.kernel.alarm(began + 10_000.0 + number, f"gone {number}")
    assert len(board.kernel._alarms) < 3_000, "they are cleared away"
    step_until(board, lambda: board.now >= began + 50.0)
    step_until(board, lambda: not board.kernel.sets.mail)
    go_on(board)
    board.rest()
    assert heard(board, "p/ada") == ("undelivered p/bob Say expired",)


@pytest.mark.parametrize("within", [-1.0, float("nan"), float("inf")])
def test_within_is_a_time(within: float) -> None:
    class Sends(us.Actor):
        @us.handles(Say)
        def say(self, turn: us.Turn[us.State], msg: Say) -> None:
            turn.tell("p/bob", msg, within=within)

    taken = take(Sends, Say("x"))
    assert taken.failure is not None
    assert "is no time" in taken.failure.message


@pytest.mark.parametrize("crash", [False, True])
def test_an_ask_is_over_when_its_time_is_and_a_later_answer_is_dropped_and_counted(crash: bool) -> None:
    board = office()
    began = board.now
    ask = board.ask("p/ada", Do("ask", "p/bob", within=5.0), key="k")
    step_until(board, lambda: board.actor("p/bob").memory.askers)
    if crash:
        board.crash()
        board.again(ask)
    board.rest()
    assert said(ask) == "timeout"
    assert board.now - began >= 5.0
    assert heard(board, "p/ada") == ("came timeout",)
    assert board.actor("p/bob").memory.askers == {}, "who was asked knows that nobody waits"
    board.ask("p/bob", Do("answer", text="at last"))
    board.rest()
    assert late(board, "p/bob") == 1
    assert heard(board, "p/ada") == ("came timeout",)
    assert board.kernel.late[Address("p/bob")] == 1


def test_an_answer_in_time_takes_the_alarm_away() -> None:
    board = office()
    ask = board.ask("p/ada", Do("ask", "p/bob", within=500.0))
    step_until(board, lambda: board.actor("p/bob").memory.askers)
    board.ask("p/bob", Do("answer", text="in time"))
    began = board.now
    board.rest()
    assert said(ask) == "in time"
    assert board.now - began < 100.0, "nothing was left to wait for"
    assert not board.journal._timers
    assert board.actor("p/ada").memory.timers == {}


def test_a_message_that_was_asked_and_not_begun_in_time_gets_no_turn() -> None:
    board = office()
    board.tell("p/bob", Say("first"))
    board.rest()
    load_no_more(board)
    ask = board.ask("p/ada", Do("ask", "p/bob", within=5.0, text="never"))
    waits_for(board, "p/bob")
    step_until(board, lambda: ask.reply is not None)
    assert said(ask) == "timeout", "at once when the time is over, not when the other goes on"
    go_on(board)
    board.rest()
    assert heard(board, "p/bob") == ("first",)


def test_the_deadline_of_an_ask_from_outside_is_inherited_down_the_chain() -> None:
    board = office()
    due = board.now + 60.0
    board.ask("p/ada", Do("relay", "p/bob", text="p/eve"), timeout=60.0)
    board.rest()
    sent = [e for name in ("ada", "bob") for _, record in rows(board, f"p/{name}") for e in record.sends]
    asks = [envelope.reply_to.deadline for envelope in sent if envelope.reply_to is not None]
    assert asks == [due, due]
    free = office()
    free.ask("p/ada", Do("ask", "p/bob"))
    free.rest()
    sent = [e for _, record in rows(free, "p/ada") for e in record.sends]
    assert all(b"deadline" not in bytes(row.payload) for row, _ in rows(free, "p/ada")), "who uses none stores none"
    assert [e.reply_to.deadline for e in sent if e.reply_to is not None] == [None]


def test_its_own_time_does_not_outlive_the_one_it_inherits() -> None:
    board = office()
    due = board.now + 60.0
    board.ask("p/ada", Do("ask", "p/bob", within=500.0), timeout=60.0)
    board.rest()
    sent = [e for _, record in rows(board, "p/ada") for e in record.sends if e.reply_to is not None]
    assert [e.reply_to.deadline for e in sent if e.reply_to is not None] == [due]


@pytest.mark.parametrize("how", ["ask", "ask aside"])
def test_when_the_caller_gives_up_the_chain_of_asks_on_its_behalf_is_cancelled(how: str) -> None:
    board = office()
    ask = board.ask("p/ada", Do("relay", "p/bob", text="p/eve") if how == "ask" else Do(how, "p/eve"))
    board.rest()
    held = ["p/ada", "p/bob", "p/eve"] if how == "ask" else ["p/ada", "p/eve"]
    assert [bool(board.actor(a).memory.askers) for a in held] == [True] * len(held)
    board.give_up(ask)
    board.rest()
    assert [board.actor(a).memory.askers for a in held] == [{}] * len(held)
    assert "came cancelled" in heard(board, "p/ada")
    board.ask("p/eve", Do("answer", text="too late"))
    board.rest()
    assert late(board, "p/eve") == 1
    assert ask.reply is None
    assert not board.journal._mail


def test_what_has_not_begun_when_the_caller_gives_up_does_not_begin() -> None:
    board = office()
    board.tell("p/bob", Say("first"))
    board.rest()
    load_no_more(board)
    ask = board.ask("p/bob", Fetch("never"))
    step_until(board, lambda: ask.accepted)
    board.give_up(ask)
    board.rest()
    go_on(board)
    board.rest()
    assert heard(board, "p/bob") == ("first",)
    dead = [record.failure.code for row, record in rows(board, "p/bob") if row.kind == "expired" and record.failure]
    assert dead == ["cancelled"]
    assert not board.journal._mail


def test_calls_on_its_behalf_that_have_not_begun_are_taken_back_and_others_are_not_touched() -> None:
    board = office()
    mine, other = board.ask("p/ada", Do("look up", text="mine")), board.ask("p/ada", Do("look up", text="other"))
    step_until(board, lambda: len(board.actor("p/ada").memory.effects) == 2)
    board.give_up(mine)
    board.rest()
    assert said(other) == "other"
    assert sorted(heard(board, "p/ada")) in (["came cancelled", "came other"], ["came mine", "came other"])
    assert mine.reply is None


def test_an_actor_that_handles_cancel_decides_itself() -> None:
    class Own(Clerk):
        @us.handles(us.Cancel)
        def cancel(self, turn: us.Turn[Clerk.State], msg: us.Cancel) -> None:
            turn.emit(Heard(f"cancel {msg.request == turn.state.later}"))

    board = office(clerk=Own)
    ask = board.ask("p/ada", Fetch("x", open=True))
    board.rest()
    board.give_up(ask)
    board.rest()
    assert heard(board, "p/ada") == ("x", "cancel True")


def test_a_turn_that_runs_is_not_interrupted_and_giving_up_afterwards_changes_nothing() -> None:
    board = office()
    ask = board.ask("p/ada", Fetch("x"))
    board.rest()
    board.give_up(ask)
    board.rest()
    assert said(ask) == "here is x"
    assert heard(board, "p/ada") == ("x",)


@pytest.mark.parametrize("crash", [False, True])
def test_a_restart_ends_what_the_earlier_life_asked_and_whoever_waited_for_it_is_told(crash: bool) -> None:
    board = office()
    ask = board.ask("p/ada", Do("ask", "p/bob"), key="k")
    board.rest()
    board.ask("p/ada", Do("raise"))
    board.rest()
    if crash:
        board.crash()
        board.again(ask)
        board.rest()
    assert said(ask) == "restarted"
    postal = board.actor("p/ada").memory.postal
    assert postal is not None
    assert postal.asks == {}
    board.ask("p/bob", Do("answer", text="late"))
    board.rest()
    assert heard(board, "p/ada") == ()
    assert late(board, "p/ada") == 1


def test_an_actor_that_takes_it_up_again_itself_keeps_its_askers() -> None:
    class Takes(Clerk):
        @us.handles(us.Restarted)
        def again(self, turn: us.Turn[Clerk.State], msg: us.Restarted) -> None:
            turn.ask("p/eve", Fetch("again", open=True), tag=us.Later(turn.state.later))

    board = office(clerk=Takes)
    ask = board.ask("p/ada", Do("ask aside", "p/bob"))
    board.rest()
    board.ask("p/ada", Do("raise"))
    board.rest()
    assert ask.reply is None
    board.ask("p/eve", Do("answer", text="taken up"))
    board.rest()
    assert said(ask) == "taken up"


def test_an_answer_to_who_has_ended_is_counted_and_no_dead_letter() -> None:
    board = office()
    ask = board.ask("p/ada", Do("ask", "p/bob"))
    board.rest()
    board.ask("p/ada", Do("stop"))
    board.rest()
    assert said(ask) == "stopped"
    board.ask("p/bob", Do("answer", text="late"))
    board.rest()
    assert late(board, "p/ada") == 1
    assert [record.failure for row, record in rows(board, "p/ada") if row.kind == "parked"] == [None]


def test_a_crash_at_any_step_leaves_no_ask_open_for_ever() -> None:
    for seed in range(80):
        board = office(seed)
        ask = board.ask("p/ada", Do("relay", "p/bob", within=5.0, text="p/eve"), key="k")
        for _ in range(seed // 2):
            board.step()
        board.crash()
        board.again(ask)
        board.rest()
        board.give_up(ask)
        board.rest()
        for name in ("ada", "bob", "eve"):
            assert board.actor(f"p/{name}").memory.askers == {}, f"seed {seed}"
        assert not board.journal._mail


def test_an_envelope_without_any_of_it_is_as_small_as_before() -> None:
    plain = encode(Envelope("1.0", Address("a"), "w", Raw(b"{}")))
    assert plain == b'{"id":"1.0","to":"a","wire":"w","body":{}}'
