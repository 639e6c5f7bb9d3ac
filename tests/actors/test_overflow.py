"""Full mailboxes: senders outside wait, are refused, or push out the oldest; inside nothing is refused, and overload is told of."""

from __future__ import annotations

from typing import cast

import pytest

import understudy as us
from tests.actors.crew import rows, said
from tests.actors.post import Clerk, Do, Fetch, Say, heard, office
from tests.actors.test_priorities import go_on, load_no_more
from understudy.protocols.codec import decode
from understudy.protocols.ids import Address
from understudy.protocols.mail import Overflow, Overloaded
from understudy.testing import Sent, Simulated


def small(overflow: Overflow, bound: int = 3, max_backlog: int | None = 1_000) -> type[Clerk]:
    class Small(Clerk):
        mailbox = us.MailboxPolicy(bound=bound, overflow=overflow, max_backlog=max_backlog)

    return Small


def full(overflow: Overflow, count: int, **options: int) -> tuple[Simulated, list[Sent]]:
    """A clerk that is held while so many messages come in from outside."""
    board = office(clerk=small(overflow, **options))
    board.tell("p/bob", Say("first"))
    board.rest()
    load_no_more(board)
    sent = [board.tell("p/bob", Say(str(number)), key=str(number)) for number in range(count)]
    board.rest()
    return board, sent


def test_by_default_they_wait_unacknowledged_until_there_is_room_and_order_is_kept() -> None:
    assert us.Actor.mailbox == us.MailboxPolicy(bound=10_000, overflow="wait", max_backlog=100_000)
    board, sent = full("wait", 8)
    assert [one.accepted for one in sent] == [True] * 3 + [False] * 5
    assert len(board.journal._mail) == 3, "who waits at the door is not in the journal"
    go_on(board)
    board.rest()
    assert all(one.accepted for one in sent)
    assert heard(board, "p/bob") == ("first", *map(str, range(8)))


def test_who_waits_at_the_door_when_the_process_dies_was_not_acknowledged_and_comes_again() -> None:
    board, sent = full("wait", 8)
    board.crash()
    assert [one.lost for one in sent] == [False] * 3 + [True] * 5
    for one in sent[3:]:
        board.again(one)
    board.rest()
    assert sorted(heard(board, "p/bob")[1:]) == [str(number) for number in range(8)]


def test_or_they_are_refused_at_once_and_nothing_is_written() -> None:
    board, sent = full("reject", 5)
    assert [one.accepted for one in sent] == [True] * 3 + [False] * 2
    assert "overloaded" in str(sent[4].error)
    before = len(board.journal._rows)
    refused = board.ask("p/bob", Fetch("x"))
    board.rest()
    assert refused.error is not None
    assert "overloaded" in str(refused.error)
    assert len(board.journal._rows) == before
    board.again(sent[0])
    board.rest()
    assert sent[0].accepted, "what is in already is acknowledged, full or not"
    go_on(board)
    board.rest()
    again = board.tell("p/bob", Say("3"), key="3")
    board.rest()
    assert again.accepted, "a refusal burns no key"
    assert heard(board, "p/bob") == ("first", "0", "1", "2", "3")


def test_or_the_oldest_gives_way_and_is_a_dead_letter() -> None:
    board, sent = full("drop_oldest", 5)
    assert all(one.accepted for one in sent)
    dead = [record for row, record in rows(board, "p/bob") if row.kind == "expired"]
    assert [record.failure.code for record in dead if record.failure] == ["dropped", "dropped"]
    asked = board.ask("p/bob", Fetch("x"))
    for number in range(5, 8):
        board.tell("p/bob", Say(str(number)))
    board.rest()
    assert said(asked) == "dropped", "whoever asked is told at once"
    go_on(board)
    board.rest()
    assert heard(board, "p/bob") == ("first", "5", "6", "7")
    again = board.tell("p/bob", Say("0"), key="0")
    board.rest()
    assert again.accepted
    assert heard(board, "p/bob")[-1] == "0", "its key was not used up"


def test_inside_nothing_is_refused_answers_pass_and_orders_too() -> None:
    board = office(clerk=small("reject"))
    board.ask("p/ada", Do("flood", "p/bob", priority=50))
    board.rest()
    assert len(heard(board, "p/bob")) == 50
    busy = office(clerk=small("reject", bound=1))
    ask = busy.ask("p/bob", Do("look up", text="x"))
    busy.rest()
    assert said(ask) == "x"


@pytest.mark.parametrize("crash", [False, True])
def test_the_supervisor_of_who_sends_on_is_told_once_for_each_crossing(crash: bool) -> None:
    board = office(clerk=small("wait", max_backlog=10))
    board.tell("p/bob", Say("first"))
    board.rest()
    for _ in range(2):
        load_no_more(board)
        board.ask("p/ada", Do("flood", "p/bob", priority=20))
        board.ask("p/ada", Do("flood", "p/bob", priority=20))
        board.rest()
        if crash:
            board.crash()
        go_on(board)
        board.rest()
    words = [e for _, record in rows(board, "system") for e in record.sends]
    assert [word.to for word in words] == ["post", "post"]
    told = decode(words[0].body, Overloaded)
    assert (told.address, told.sender) == ("p/bob", "p/ada")
    assert told.backlog > 10
    assert len([row for row, _ in rows(board, "post") if row.kind == "turn"]) == 2
    assert len(heard(board, "p/bob")) == 81


def test_a_flooded_actor_does_not_starve_another() -> None:
    board = office(clerk=small("wait", bound=100_000))
    board.ask("p/ada", Do("flood", "p/bob", priority=5_000))
    for _ in range(20):
        board.step()
    quiet = board.ask("p/eve", Fetch("x"))
    while quiet.reply is None:
        assert board.step()
    assert said(quiet) == "here is x"
    assert len(heard(board, "p/bob")) < 4_000, "long before the other was done"


def test_a_policy_that_makes_no_sense_is_refused_when_it_is_made() -> None:
    with pytest.raises(us.DefinitionError, match="room for one"):
        us.MailboxPolicy(bound=0)
    with pytest.raises(us.DefinitionError, match="wait"):
        us.MailboxPolicy(overflow=cast(Overflow, "drop"))
    with pytest.raises(us.DefinitionError, match="max_backlog=0"):
        us.MailboxPolicy(max_backlog=0)
    with pytest.raises(us.DefinitionError, match="MailboxPolicy"):
        type("Wrong", (us.Actor,), {"mailbox": 5})
    with pytest.raises(us.DefinitionError, match="poison_after"):
        type("Never", (us.Actor,), {"poison_after": 0})


def test_nobody_waits_at_the_door_of_an_address_that_ends() -> None:
    board, sent = full("wait", 8)
    board.kernel._cells[Address("p/bob")].memory.life = "running"
    board.ask("p/bob", Do("stop"), priority=9)
    board.kernel._wake(board.kernel._cells[Address("p/bob")])
    board.rest()
    assert all(one.accepted for one in sent)
    assert not board.kernel._door.waiting


def test_the_oldest_gives_way_also_while_the_actor_is_not_in_memory() -> None:
    board = office(clerk=small("drop_oldest"))
    sent = [board.tell("p/bob", Say(str(number))) for number in range(8)]
    while board._fresh:  # all of them before it is loaded
        board._feed()
    board.rest()
    assert all(one.accepted for one in sent)
    assert heard(board, "p/bob") == ("5", "6", "7")
    assert [message.failure.code for message in board.parked()] == ["dropped"] * 5
