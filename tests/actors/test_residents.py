"""Who is in memory: leaving it is invisible, bounded, and happens only at committed rows."""

from __future__ import annotations

import pytest
from msgspec import Raw

import understudy as us
from tests.actors.crew import Actor, Add, Later, Note, Relay, nobody_settles, rows, said, state
from understudy.actors import residents
from understudy.actors.cell import Cell
from understudy.actors.mailbox import Item
from understudy.actors.residents import Residents, take_in
from understudy.protocols.envelope import Envelope
from understudy.protocols.errors import AskFailed
from understudy.protocols.failures import Failure
from understudy.protocols.ids import Address
from understudy.protocols.journal import Found, Want
from understudy.supervisor.journal import memory
from understudy.testing import Faults, Simulated


def crew(seed: int = 0, idle: float = 60.0, in_memory: int = 10_000) -> Simulated:
    children = [us.Child("a/{name}", Actor, tools=[nobody_settles])]
    return Simulated(us.Supervisor("crew", children), seed=seed, idle=idle, in_memory=in_memory)


def inside(board: Simulated) -> set[str]:
    return set(board.kernel.residents.cells)


def test_an_idle_actor_leaves_memory_and_nobody_can_tell() -> None:
    board = crew()
    first = board.ask("a/ada", Add(1))
    board.rest()
    since = board.kernel.residents.cells[Address("a/ada")].at
    board.kernel.rest(since + 59.0)
    assert inside(board) == {"a/ada"}
    board.kernel.rest(board.now + 61.0)
    assert inside(board) == set()
    second = board.ask("a/ada", Add(2))
    board.rest()
    assert (said(first), said(second)) == (1, 3)
    assert [row.kind for row, _ in rows(board, "a/ada") if row.kind != "accepted"] == ["turn", "turn"]


def test_the_least_recently_used_leave_first_when_there_are_too_many() -> None:
    board = crew(in_memory=3)
    for name in ("ada", "bob", "cyd", "ada", "dan"):
        board.ask(f"a/{name}", Add(1))
        board.rest()
    assert inside(board) == {"a/cyd", "a/ada", "a/dan"}
    board.ask("a/eve", Add(1))
    board.rest()
    assert inside(board) == {"a/ada", "a/dan", "a/eve"}


def test_nobody_leaves_with_mail_or_before_its_rows_are_durable() -> None:
    board = crew(idle=0.0, in_memory=1)
    board.ask("a/ada", Add(1))
    board._feed()
    board._load()
    board.kernel.step(board.now)
    cell = board.kernel.residents.cells[Address("a/ada")]
    assert cell.gid > board._acked, "its row is made and not committed"
    board.kernel.rest(board.now + 1_000.0)
    assert "a/ada" in inside(board)
    board._commit()
    board._let_out()
    board.kernel.rest(board.now + 1_000.0)
    assert "a/ada" not in inside(board)


def test_a_timer_keeps_nobody_in_memory_and_brings_its_actor_back() -> None:
    board = crew()
    board.tell("a/ada", Later(100.0, "ring"))
    while board.now < 1_700_000_000.0 + 1.0 and board._choices():
        board.step()
    board.kernel.rest(board.now + 61.0)
    assert inside(board) == set()
    board.rest()
    assert state(board, "a/ada").notes == ("ring",)


def test_an_open_request_keeps_nobody_in_memory_and_is_answered() -> None:
    board = crew(idle=0.0, in_memory=1)
    asks = [board.ask(f"a/{name}", Relay("a/zoe")) for name in ("ada", "bob", "cyd")]
    board.rest()
    assert sorted(said(ask) for ask in asks) == ["got 1", "got 2", "got 3"]
    assert board.kernel.residents.counts().passivated >= 3


def test_a_load_that_fails_tells_who_waits_outside_and_keeps_what_is_durable() -> None:
    board = crew()
    board.tell("a/ada", Note("first"))
    board.rest()
    board.kernel.rest(board.now + 61.0)
    board.faults = Faults(load_fails=1.0)
    relayed, asked = board.ask("a/bob", Relay("a/ada")), board.ask("a/ada", Add(1))
    for _ in range(200):
        board.step()
    assert isinstance(asked.error, AskFailed)
    assert (asked.error.failure.code, asked.error.failure.kind) == ("unloaded", "retry_later")
    assert relayed.error is not None, "bob could not be read either"
    board.faults = Faults()
    again = board.ask("a/bob", Relay("a/ada"))
    board.rest()
    assert said(again) == "got 1"


def test_durable_mail_outlives_loads_that_fail() -> None:
    board = crew()
    board.ask("a/bob", Add(1))
    board.rest()
    relayed = board.ask("a/bob", Relay("a/ada"))
    board._feed()
    board.kernel.step(board.now)
    assert [want.address for want in board.kernel.loads] == ["a/ada"], "for mail that bob's row holds"
    board._commit()
    board._let_out()
    assert relayed.accepted
    for _ in range(3):
        want = board.kernel.loads.pop()
        board.kernel.unloaded(want.address, Failure("retry_later", "unloaded", "the disk is away"))
    assert [want.address for want in board.kernel.loads] == ["a/ada"], "it is asked for again"
    board.rest()
    assert said(relayed) == "got 1"


def test_a_row_that_cannot_be_read_is_named_and_the_actor_stands_where_its_line_says() -> None:
    board = crew()
    board.ask("a/ada", Add(1))
    board.ask("a/ada", Add(2))
    board.rest()
    (found,) = board.journal.find((Want(Address("a/ada")),))
    cell = Cell(Address("a/ada"), board.tree.directory.find(Address("crew")))  # other code, which knows no such event
    take_in(cell, found)
    assert cell.broken is not None
    assert cell.broken.code == "unreadable"
    unread = next(row for row in found.rows if b"Added" in bytes(row.payload))
    assert f"row {unread.gid} (number {unread.seq} of a/ada)" in cell.broken.message
    assert (cell.memory.seq, cell.memory.life, cell.gid) == (len(found.rows), "running", found.rows[-1].gid)
    erased = Cell(Address("a/ada"), board.tree.directory.find(Address("a/ada")))
    take_in(erased, Found(erased.address, (), line=found.line, last=found.last, erased=True))
    assert erased.broken is not None
    assert erased.broken.code == "erased"


def test_a_long_history_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "FOUND_ROWS", 3)
    board = crew()
    for _ in range(10):
        board.ask("a/ada", Add(1))
        board.rest()
    board.kernel.rest(board.now + 61.0)
    last = board.ask("a/ada", Add(1))
    board.rest()
    assert said(last) == 11


@pytest.mark.parametrize("in_memory", [1, 3])
@pytest.mark.parametrize("how", ["suspended", "put by"])
async def test_those_whose_mail_waits_for_a_person_keep_nobody_out(
    in_memory: int, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(residents, "LOOK_EVERY", 0.01)
    crew = us.Supervisor("crew", [us.Child("a/{name}", Keeper)], intensity=us.Intensity(max_restarts=0))
    async with us.System(crew, in_memory=in_memory) as system:
        for n in range(3 * in_memory):
            if how == "suspended":
                with pytest.raises(AskFailed):
                    await system.ask(f"a/{n}", Keep("raise"), timeout=5)
            await system.tell(f"a/{n}", PutBy())
        for n in range(3):
            assert await system.ask(f"a/new{n}", Keep("this"), timeout=5) == "this"
        for item in system.inbox():
            await system.approve(item.id)
        await system.rest()
        assert await system.ask("a/0", Keep("this"), timeout=5) == "this"
        assert await system.ask("a/last", Keep("this"), timeout=5) == "this"


class Keep(us.Request[str]):
    what: str


class PutBy(us.Message):
    pass


class Keeper(us.Actor):
    @us.handles(Keep)
    def keep(self, turn: us.Turn[us.State], msg: Keep) -> str:
        if msg.what == "raise":
            raise ZeroDivisionError
        return msg.what

    @us.handles(PutBy)
    def put_by(self, turn: us.Turn[us.State], msg: PutBy) -> None:
        turn.stash()


def came_in(those: Residents, n: int) -> Cell:
    """An actor that has just been loaded."""
    cell = Cell(Address(f"a/{n}"), None)
    cell.loaded = True
    those.cells[cell.address] = cell
    those.came(cell, 0.0)
    return cell


def test_who_is_free_again_counts_again() -> None:
    those = Residents(60.0, 1)
    for n in range(3):
        cell = came_in(those, n)
        envelope = Envelope(f"outside:{n}", cell.address, "note", Raw(b"{}"))
        cell.mailbox.put(Item(envelope, durable=True))
    assert those.refuses(Address("a/new"))
    assert those.leave(1.0, 0) == []
    assert not those.refuses(Address("a/new"))
    for cell in those.cells.values():
        cell.mailbox.clear()
    assert len(those.leave(100.0, 0)) == 3
    assert those.cells == {}
    assert those._stay == set()


def test_what_was_looked_at_does_not_pile_up() -> None:
    those = Residents(60.0, 10)
    for n in range(10_000):
        those.gone(came_in(those, n))
    assert len(those._line) < 5_000


def test_a_crowd_leaves_without_waiting_for_the_next_look() -> None:
    those = Residents(60.0, 10)
    for n in range(10_000):
        came_in(those, n)
    looks = 0
    while those.crowded:
        due = those.due()
        assert due is not None
        assert due <= 5.0
        those.leave(5.0, 0)
        looks += 1
    assert looks == 5
    assert len(those.cells) == 10


def test_alarms_of_reminders_that_were_dropped_do_not_pile_up() -> None:
    kernel = crew().kernel
    for n in range(10_000):
        kernel.alarm(1e12 + n, f"{n}.0")
    assert len(kernel._alarms) < 2_000
