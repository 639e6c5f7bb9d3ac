"""Priorities: in the work lane higher ones first, in order for each sender and priority."""

from __future__ import annotations

import pytest

from tests.actors.crew import said
from tests.actors.post import Do, Say, heard, office
from tests.actors.test_mailbox import item as plain
from understudy.actors.mailbox import Item, Mailbox
from understudy.protocols.envelope import Envelope
from understudy.protocols.ids import Address
from understudy.testing import Simulated


def ranked(id: str, priority: int) -> Item:
    return Item(Envelope(id, Address("a"), "w", plain("x").envelope.body, priority=priority), durable=True)


def ids(items: tuple[Item, ...]) -> list[str]:
    return [item.envelope.id for item in items]


def test_higher_priorities_first_each_in_order_and_control_before_all() -> None:
    box = Mailbox()
    for id, priority in (("1", 0), ("2", 5), ("3", -1), ("4", 5), ("5", 0), ("6", 9), ("7", -1)):
        box.put(ranked(id, priority))
    box.put(plain("c", "control"))
    order = ["c", "6", "2", "4", "1", "5", "3", "7"]
    assert ids(box.items()) == order
    assert len(box) == 8
    assert [box.pop().envelope.id for _ in range(8)] == order
    assert box.head() is None
    assert len(box) == 0


def test_what_comes_back_comes_before_newer_mail_of_its_priority_and_no_other() -> None:
    box = Mailbox()
    for one in (ranked("a", 0), ranked("b", 5), ranked("c", 0)):
        box.stash(one)
    box.put(ranked("new", 0))
    box.put(ranked("top", 9))
    box.put(ranked("new 5", 5))
    box.unstash()
    assert ids(box.items()) == ["top", "b", "new 5", "a", "c", "new"]
    assert box.stashed() == ()


def test_a_message_is_taken_out_wherever_it_waits() -> None:
    box = Mailbox()
    for one in (ranked("a", 0), ranked("b", 5), ranked("c", 0)):
        box.put(one)
    box.stash(ranked("s", 0))
    for id in ("b", "s", "c"):
        assert box.remove(id) is not None
        assert box.remove(id) is None
    assert ids(box.items()) == ["a"]
    assert box.pop().envelope.id == "a"
    assert box.head() is None


@pytest.mark.parametrize("crash", [False, True])
def test_a_turn_sends_with_priority_and_order_holds_for_each_priority(crash: bool) -> None:
    board = office()
    board.tell("p/bob", Say("zero"))
    board.rest()
    load_no_more(board)
    for number in range(3):
        board.ask("p/ada", Do("tell", "p/bob", priority=number % 2, text=f"{number % 2}.{number}"))
    for number in range(3, 6):
        board.ask("p/ada", Do("tell", "p/bob", priority=number % 2, text=f"{number % 2}.{number}"))
    step_until(board, lambda: sum(m.envelope.to == "p/bob" for m in board.kernel.sets.mail.values()) == 6)
    if crash:
        while board.kernel.sets.waiting_rows:
            board._commit()
        board.crash()
    go_on(board)
    board.rest()
    took = heard(board, "p/bob")[1:]
    assert took == ("1.1", "1.3", "1.5", "0.0", "0.2", "0.4"), "nothing else decides the order"


def load_no_more(board: Simulated) -> None:
    """Hold the mail of p/bob: it looks as if a supervisor had not decided yet."""
    board.kernel._cells[Address("p/bob")].memory.life = "restarting"


def go_on(board: Simulated) -> None:
    cell = board.kernel._cells.get(Address("p/bob"))
    if cell is not None and cell.memory.life == "restarting":
        cell.memory.life = "running"
        board.kernel._wake(cell)


def step_until(board: Simulated, done: object) -> None:
    assert callable(done)
    for _ in range(10_000):
        if done():
            return
        assert board.step(), "it came to rest before"
    raise AssertionError("it never came")


def test_outside_a_sender_gives_priorities_too() -> None:
    board = office()
    board.tell("p/bob", Say("first"))
    board.rest()
    load_no_more(board)
    for number, priority in enumerate((0, 2, -1, 2)):
        board.tell("p/bob", Say(str(number)), priority=priority)
    step_until(board, lambda: sum(m.envelope.to == "p/bob" for m in board.kernel.sets.mail.values()) == 4)
    go_on(board)
    board.rest()
    assert heard(board, "p/bob") == ("first", "1", "3", "0", "2")


def test_a_priority_is_a_whole_number() -> None:
    board = office()
    wrong = board.ask("p/ada", Do("tell", "p/bob", priority=1))
    board.rest()
    assert said(wrong) == "tell"
    with pytest.raises(TypeError, match="whole number"):
        board.tell("p/bob", Say("x"), priority=1.5)  # type: ignore[arg-type]
