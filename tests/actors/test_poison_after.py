"""``poison_after``: a message whose turn fails by chance is tried again after the restart, first of all, before it is parked."""

from __future__ import annotations

import pytest

import understudy as us
from tests.actors.crew import rows, said
from tests.actors.post import Fetch, Say
from understudy.testing import Simulated


class Tried(us.Event):
    text: str


class Unsure(us.Actor):
    """Falls twice over each message that says so; what a failed turn did is lost, so it counts by its incarnation."""

    poison_after = 3

    class State(us.State):
        done: tuple[str, ...] = ()
        restarts: int = 0

    @us.handles(us.Restarted)
    def restarted(self, turn: us.Turn[State], msg: us.Restarted) -> None:
        turn.emit(Tried("restart"))

    @us.handles(Fetch)
    def fetch(self, turn: us.Turn[State], msg: Fetch) -> str:
        if turn.state.restarts < int(msg.text):
            raise ConnectionError(msg.text)
        turn.emit(Tried(msg.text))
        return msg.text

    @us.handles(Say)
    def say(self, turn: us.Turn[State], msg: Say) -> None:
        turn.emit(Tried(msg.text))

    @us.applies(Tried)
    def tried(self, state: State, event: Tried) -> State:
        if event.text == "restart":
            return state.evolve(restarts=state.restarts + 1)
        return state.evolve(done=(*state.done, event.text))


def unsure(seed: int = 0) -> Simulated:
    return Simulated(us.Child("u/{name}", Unsure), seed=seed)


@pytest.mark.parametrize("crash", [False, True])
def test_it_is_tried_again_before_newer_mail_and_its_asker_goes_on_waiting(crash: bool) -> None:
    for seed in range(10):
        board = unsure(seed)
        fetch = board.ask("u/ada", Fetch("2"), key="f")
        board.tell("u/ada", Say("after"), key="s")
        if crash:
            while "failed" not in [row.kind for row, _ in rows(board, "u/ada")]:
                board.step()
            board.crash()
            board.again(fetch)
            board.tell("u/ada", Say("after"), key="s")
        board.rest()
        assert said(fetch) == "2"
        state = board.actor("u/ada").state
        assert isinstance(state, Unsure.State)
        assert state.done == ("2", "after")
        assert [row.kind for row, _ in rows(board, "u/ada")].count("failed") == 2
        assert not board.journal._mail


def test_at_last_it_is_parked_and_its_asker_told() -> None:
    board = unsure()
    fetch = board.ask("u/ada", Fetch("99"))
    board.rest()
    assert said(fetch) == "crashed"
    assert [row.kind for row, _ in rows(board, "u/ada")].count("failed") == 3
    postal = board.actor("u/ada").memory.postal
    assert postal is not None
    assert postal.failures == {}, "nothing is remembered of it"
    assert not board.journal._mail


def test_by_default_it_is_parked_at_its_first_failure() -> None:
    assert us.Actor.poison_after == 1
