"""Mail that was pending when the process died, and mail that comes back before it."""

from __future__ import annotations

import pytest

import understudy as us
from understudy.testing import Simulated


class Early(us.Message):
    """Stashed while the door is shut."""


class Late(us.Message): ...


class Open(us.Message): ...


class Did(us.Event):
    what: str


class Porter(us.Actor):
    class State(us.State):
        did: tuple[str, ...] = ()

    @us.handles(Early)
    def early(self, turn: us.Turn[State], msg: Early) -> None:
        if "open" in turn.state.did:
            turn.emit(Did("early"))
        else:
            turn.stash()

    @us.handles(Late)
    def late(self, turn: us.Turn[State], msg: Late) -> None:
        turn.emit(Did("late"))

    @us.handles(Open)
    def open(self, turn: us.Turn[State], msg: Open) -> None:
        turn.emit(Did("open"))
        turn.unstash()

    @us.applies(Did)
    def has_done(self, state: State, event: Did) -> State:
        return state.evolve(did=(*state.did, event.what))


def load(board: Simulated) -> None:
    while board.kernel.loads:
        board._load()


def mark(board: Simulated) -> None:
    """A new process: actors are loaded, and a step of the kernel chooses what is to be marked."""
    board.crash()
    load(board)
    board.kernel.step(board.now, turns=1)


@pytest.mark.parametrize("early", ["unmarked", "marked"])
@pytest.mark.parametrize("late", ["being marked", "marked", "let through"])
def test_mail_that_comes_back_before_what_is_delivered_alone_goes_first_and_nobody_hangs(early: str, late: str) -> None:
    board = Simulated(us.Child("p/{name}", Porter))
    board.tell("p/ada", Early())
    if early == "unmarked":
        board.rest()
    board.tell("p/ada", Late())
    while board._fresh:
        board._feed()
    load(board)
    board._commit()
    mark(board)
    board._commit()
    if early == "marked":
        board._let_out()
        board.kernel.step(board.now, turns=1)  # it is stashed
        board.kernel.step(board.now, turns=1)  # and the other one is at the head
        board._commit()
    mark(board)
    alone = board.kernel._suspects.alone
    assert alone is not None
    assert (alone[1].envelope.wire, alone[1].marks) == ("Late", 1)
    assert [item.marks for item in alone[0].mailbox.stashed()] == [int(early == "marked")]
    if late != "being marked":
        board._commit()
    if late == "let through":
        board._let_out()
    board.tell("p/ada", Open(), priority=1)
    board._feed()
    board.kernel.step(board.now, turns=1)
    board.rest()
    state = board.actor("p/ada").state
    assert isinstance(state, Porter.State)
    assert state.did == ("open", "early", "late")
    assert not board.journal._mail
