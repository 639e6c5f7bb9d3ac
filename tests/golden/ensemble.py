"""A supervision tree for the golden journal of format 2: fixed children, a pool, a team with a plan, a board."""

from __future__ import annotations

import understudy as us
from tests.golden.troupe import Break, Deposit, Deposited


class Till(us.Actor):
    """Counts."""

    class State(us.State):
        """What it has."""

        total: int = 0

    @us.handles(Deposit)
    def deposit(self, turn: us.Turn[State], msg: Deposit) -> int:
        """One event."""
        return turn.emit(Deposited(msg.amount)).total

    @us.handles(Break)
    def break_it(self, turn: us.Turn[State], msg: Break) -> int:
        """Fails."""
        raise ValueError("broken")

    @us.applies(Deposited)
    def deposited(self, state: State, event: Deposited) -> State:
        """Add it up."""
        return state.evolve(total=state.total + event.amount)


def fetch(objective: str) -> str:
    """Fetch something."""
    return f"fetched {objective}"


def write(objective: str) -> str:
    """Write something."""
    return f"wrote {objective}"


back = us.Supervisor(
    "back",
    [us.Child("oven", Till), us.Child("sink", Till), us.Pool("jobs/{n}", Till, max_children=2)],
    strategy="one_for_all",
)
ensemble = us.Supervisor(
    "ensemble",
    [
        us.Worker("fetcher", fetch, effect="read"),
        us.Worker("writer", write, effect="idempotent"),
        us.Child("till", Till),
        back,
    ],
    strategy="rest_for_one",
    backoff=us.Backoff(base=100_000_000.0, cap=1_000_000_000.0),
    parallel=2,
)
