"""Messages that were put aside: shown, sent again as they were or edited, or dropped; each decision is a row, the first one counts."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

import understudy as us
from tests.actors.crew import Add, Break, node, rows, said, state
from tests.actors.post import Do, Say, heard, office
from understudy.protocols.errors import UnknownItem, WrongAnswer
from understudy.protocols.journal import Record, Row
from understudy.supervisor import parked
from understudy.supervisor.journal.batch import record_of
from understudy.testing import Faults, Simulated


def failing() -> tuple[Simulated, str]:
    board = node()
    broken = board.ask("a/ada", Break("raise"), key="k")
    board.rest()
    assert said(broken) == "crashed"
    (message,) = board.parked()
    return board, message.id


def test_a_message_on_which_a_turn_failed_is_shown_whole() -> None:
    board, _ = failing()
    (message,) = board.parked()
    assert (message.to, message.wire, message.how, message.sender) == ("a/ada", "Break", "failed", "")
    assert bytes(message.message) == b'{"how":"raise"}'
    assert message.failure.code == "crashed"


@pytest.mark.parametrize("crash", [False, True])
def test_it_is_sent_again_edited_told_not_asked_and_gone_from_the_list(crash: bool) -> None:
    board, id = failing()
    resent = board.resend(id, {"how": "surrogate"}, by="ada", reason="try the other way")
    board.rest()
    if crash:
        board.crash()
        board.rest()
    assert resent.accepted
    (message,) = board.parked()
    assert message.id != id, "it failed again, in the new way"
    assert bytes(message.message) == b'{"how":"surrogate"}'
    assert message.item != "k"
    (decision,) = [record.parked for _, record in rows(board, "system") if record.parked is not None]
    assert (decision.row, decision.decision, decision.by, decision.reason) == (
        int(id),
        "resend",
        "ada",
        "try the other way",
    )


def test_it_is_sent_again_as_it_was() -> None:
    board = office()
    board.ask("p/gone", Do("stop"))
    board.rest()
    board.ask("p/ada", Do("tell", "nobody/there", text="x"))
    board.tell("p/gone", Say("y"))
    board.rest()
    for message in board.parked():
        if message.to == "p/gone":
            board.resend(message.id)
        else:
            with pytest.raises(WrongAnswer, match="nothing is mounted"):
                board.resend(message.id)
    board.rest()
    assert sorted(message.to for message in board.parked()) == ["nobody/there", "p/gone"], "it is gone still"


def test_it_is_dropped() -> None:
    board, id = failing()
    board.drop(id, by="ada", reason="nonsense")
    board.rest()
    assert board.parked() == ()
    for again in (board.drop, board.resend):
        with pytest.raises(UnknownItem, match="dropped before, by ada"):
            again(id)


def test_the_first_of_two_decisions_counts() -> None:
    for seed in range(20):
        board = node(seed)
        board.ask("a/ada", Break("raise"))
        board.rest()
        (message,) = board.parked()
        one, two = board.drop(message.id), board.resend(message.id, {"how": "nan"})
        board.rest()
        assert [one.accepted, two.accepted] == [True, False]
        assert isinstance(two.error, UnknownItem)
        assert board.parked() == ()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"how": 5}, "this is no Break"),
        ({}, "missing required field"),
        ({"how": "x", "why": "y"}, "no field 'why'"),
        ([1], "a JSON object"),
        ("raise", "a JSON object"),
        ({"how": "x" * 600_000}, "more than 500,000"),
        (msgspec.Raw(b'{"how": "x"'), "this is no Break"),
    ],
)
def test_what_does_not_fit_its_class_is_refused_before_anything_is_written(value: object, why: str) -> None:
    board, id = failing()
    before = len(board.journal._rows)
    with pytest.raises(WrongAnswer, match=why):
        board.resend(id, value)
    board.rest()
    assert len(board.journal._rows) == before
    assert len(board.parked()) == 1


@pytest.mark.parametrize("id", ["", "x", "-1", "0", "1.0", "99999999999999999999", "99", "1"])
def test_nothing_is_found_under_other_ids(id: str) -> None:
    board, _ = failing()
    with pytest.raises(UnknownItem, match="understudy parked list"):
        board.drop(id)


def test_expired_and_dropped_messages_are_there_and_what_the_machinery_says_to_itself_is_not() -> None:
    class Small(us.Actor):
        mailbox = us.MailboxPolicy(bound=1, overflow="drop_oldest")

        @us.handles(Say)
        def say(self, turn: us.Turn[us.State], msg: Say) -> None:
            pass

    board = Simulated(us.Child("s/{name}", Small))
    for number in range(20):
        board.tell("s/ada", Say(str(number)))
    board.rest()
    assert {message.how for message in board.parked()} <= {"expired"}
    other = office()
    other.ask("p/ada", Do("ask", "p/bob"))
    other.rest()
    other.ask("p/ada", Do("watch", "p/zoe"))
    other.ask("p/ada", Do("stop"))
    other.ask("p/bob", Do("answer", text="late"))
    other.rest()
    assert other.parked() == ()


def test_under_failed_commits_and_crashes_it_is_sent_again_once() -> None:
    for seed in range(40):
        board = office(seed)
        board.ask("p/ada", Do("raise"))
        board.rest()
        (message,) = board.parked()
        board.faults = Faults(commit_fails=0.3, commit_unknown=0.3)
        sent = board.resend(message.id, {"what": "tell", "to": "p/bob", "text": "once"})
        board.rest()
        board.faults = Faults()
        board.crash()
        board.rest()
        assert sent.accepted
        assert heard(board, "p/bob") == ("once",), f"seed {seed}"


def test_an_actor_goes_on_with_what_was_sent_again() -> None:
    board, id = failing()
    (message,) = board.parked()
    assert message.id == id
    with pytest.raises(WrongAnswer):
        board.resend(id, Add(5))
    before = state(board, "a/ada").total
    board.resend(id, Break("tuple"))
    board.rest()
    assert state(board, "a/ada").total == before


class Flood(us.Message):
    letters: int


class Flooder(us.Actor):
    @us.handles(Flood)
    def flood(self, turn: us.Turn[us.State], msg: Flood) -> None:
        for n in range(msg.letters):
            turn.tell("b/gone", Say(str(n)), within=0.0)

    @us.handles(Say)
    def say(self, turn: us.Turn[us.State], msg: Say) -> None:
        raise ZeroDivisionError


def test_a_row_is_read_once_however_many_letters_stand_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Simulated(us.Child("a/{name}", Flooder), us.Child("b/{name}", Flooder), seed=0)
    board.tell("a/ada", Flood(40))
    for n in range(4):
        board.tell("b/gone", Say(f"outside {n}"))
    board.rest()
    read: Counter[int] = Counter()

    def counting(row: Row) -> Record:
        read[row.gid] += 1
        return record_of(row)

    monkeypatch.setattr(parked, "record_of", counting)
    assert len(board.parked()) == 44
    assert max(read.values()) <= 3
