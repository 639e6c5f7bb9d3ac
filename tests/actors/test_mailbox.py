"""Order and fairness of mail, in the mailbox and in the kernel."""

from __future__ import annotations

import random

from msgspec import Raw

from tests.actors.crew import Actor, Add, Break, Note, node, rows, said, state
from understudy.actors.kernel import Kernel
from understudy.actors.mailbox import Item, Mailbox
from understudy.actors.registry import Directory, Mount
from understudy.protocols.codec import encode
from understudy.protocols.envelope import Envelope, Lane
from understudy.protocols.ids import OUTSIDE, Address
from understudy.protocols.journal import Found
from understudy.protocols.messages import Message
from understudy.supervisor.journal.memory import MemoryJournal
from understudy.testing import OpenGate


def item(id: str, lane: Lane = "work") -> Item:
    return Item(Envelope(id, Address("a"), "w", Raw(b"{}"), lane=lane), durable=True)


def test_control_comes_before_work_and_each_lane_in_order() -> None:
    box = Mailbox()
    for id, lane in (("1", "work"), ("2", "control"), ("3", "work"), ("4", "control")):
        box.put(item(id, lane))  # type: ignore[arg-type]
    assert len(box) == 4
    assert [i.envelope.id for i in box.items()] == ["2", "4", "1", "3"]
    assert [box.pop().envelope.id for _ in range(4)] == ["2", "4", "1", "3"]
    assert box.head() is None


def test_a_suspended_actor_takes_control_mail_only() -> None:
    box = Mailbox()
    box.put(item("1"))
    assert box.head(control_only=True) is None
    box.put(item("2", "control"))
    head = box.head(control_only=True)
    assert head is not None
    assert head.envelope.id == "2"


def test_mail_of_one_sender_is_taken_in_order() -> None:
    for seed in range(20):
        board = node(seed)
        for number in range(30):
            board.tell("a/ada", Note(str(number)))
        board.rest()
        assert state(board, "a/ada").notes == tuple(str(number) for number in range(30))


def test_a_restart_overtakes_the_work_that_waits() -> None:
    board = node()
    board.ask("a/ada", Break("raise"))
    waiting = [board.ask("a/ada", Add(1)) for _ in range(5)]
    board.rest()
    kinds = [row.kind for row, _ in rows(board, "a/ada")]
    assert "failed" in kinds
    restarted = next(i for i, (_, record) in enumerate(rows(board, "a/ada")) if record.life == "running")
    assert kinds.index("failed") < restarted
    assert all("Added" not in [e.wire for e in record.events] for _, record in rows(board, "a/ada")[:restarted])
    assert [said(sent) for sent in waiting] == [1, 2, 3, 4, 5]


def _kernel(journal: MemoryJournal) -> Kernel:
    directory = Directory((Mount("a/{name}", Actor(), OUTSIDE, "a/{name}"),))
    return Kernel(directory, OpenGate(), journal.open(), rng=random.Random(1), now=1.0)


def _deliver(kernel: Kernel, to: str, message: Message, id: str) -> None:
    cls = type(message)
    kernel.deliver(Envelope(f"outside:{id}", Address(to), cls.__wire__, Raw(encode(message))), id)


def test_an_actor_with_ten_thousand_messages_does_not_starve_another() -> None:
    kernel = _kernel(MemoryJournal(seed="s"))
    for number in range(10_000):
        _deliver(kernel, "a/busy", Add(1), f"b{number}")
    _deliver(kernel, "a/quiet", Add(1), "q")
    for want in kernel.loads:
        kernel.loaded(Found(want.address))
    turns = 0
    while kernel._cells[Address("a/quiet")].memory.turns == 0:
        kernel.step(1.0, turns=1)
        turns += 1
    assert turns <= 20
    assert kernel._cells[Address("a/busy")].memory.turns <= 20


def test_slow_turns_end_a_step_before_its_number_of_turns() -> None:
    kernel = _kernel(MemoryJournal(seed="s"))
    for number in range(10):
        _deliver(kernel, "a/busy", Add(1), f"b{number}")
    for want in kernel.loads:
        kernel.loaded(Found(want.address))
    asked: list[int] = []

    def enough() -> bool:
        asked.append(1)
        return len(asked) == 3

    assert kernel.step(1.0, enough=enough)
    assert kernel._cells[Address("a/busy")].memory.turns == 3
    assert not kernel.step(1.0, enough=enough)
    assert kernel._cells[Address("a/busy")].memory.turns == 10
