"""Row 7: durable turns between the actors of one node.

A hundred actors stand in a ring, and a hundred tokens go round it, each for a hundred hops: every turn takes a message, stores an
event, changes its state and sends a message on. Measured from the message that starts them until every row is durable. Beside
it: SQLite alone, which stores the same rows in batches of 1,000.

    python benchmarks/durable_inside.py
"""

from collections.abc import AsyncIterator
from time import perf_counter

from _flush import DELAY, flushes
from _measure import Line, Options, main, race
from _raw import BATCH, RawRows

import understudy as us

WHAT, AGAINST = "durable turns between actors of one node", "raw SQLite, batches of 1,000, the same rows"
ACTORS = 100


class Hop(us.Message):
    """A token: where it is, and how far it still has to go."""

    at: int
    left: int


class Go(us.Message):
    """Send so many tokens round, each for so many hops."""

    tokens: int
    hops: int


class Count(us.Request[int]):
    """How many hops came by?"""


class Hopped(us.Event):
    """A token came by."""

    left: int


class Ring(us.Actor):
    """Passes tokens on."""

    class State(us.State):
        """How many hops came by."""

        hops: int = 0

    @us.handles(Go)
    def go(self, turn: us.Turn[State], msg: Go) -> None:
        """One message from outside begins it all."""
        for at in range(msg.tokens):
            turn.tell(f"ring/{at}", Hop(at, msg.hops - 1))

    @us.handles(Hop)
    def hop(self, turn: us.Turn[State], msg: Hop) -> None:
        """One event and one message a turn."""
        turn.emit(Hopped(msg.left))
        if msg.left:
            there = (msg.at + 1) % ACTORS
            turn.tell(f"ring/{there}", Hop(there, msg.left - 1))

    @us.handles(Count)
    def count(self, turn: us.Turn[State], _: Count) -> int:
        """For the check at the end."""
        return turn.state.hops

    @us.applies(Hopped)
    def hopped(self, state: State, _: Hopped) -> State:
        """One more."""
        return state.evolve(hops=state.hops + 1)


async def measure(options: Options) -> AsyncIterator[Line]:
    """As the disk is, and with a fixed delay in each flush."""
    tokens, hops = options.size(100, 5), options.size(100, 10)
    turns = tokens * hops
    with options.workspace() as folder, flushes() as flush:
        async with us.System(us.Child("ring/{key}", Ring), journal=folder / "ours.db") as system:

            async def ours() -> float:
                start = perf_counter()
                await system.tell("ring/0", Go(tokens, hops))
                await system.rest()
                return perf_counter() - start

            await ours()  # the actors exist, as do rows to copy
            raw = RawRows(folder / "raw.db", like=folder / "ours.db")

            async def peer() -> float:
                return raw.write(turns, BATCH)

            for variant, delay, must, aim in (("as the disk is", 0.0, 0.35, 0.60), ("2 ms", DELAY, 0.55, 0.85)):
                flush.delay = delay
                commits = flush.commits
                times = await race(ours, peer, options.rounds)
                assert flush.commits > commits, "the delay stands beside the path"
                yield times.rate(7, WHAT, AGAINST, turns, must=must, aim=aim, options=options, variant=variant)
            flush.delay = 0.0
            counts = [await system.ask(f"ring/{actor}", Count()) for actor in range(ACTORS)]
            assert sum(counts) == turns * (1 + 2 * (options.rounds + 1)), "a turn is missing"
            raw.close()


if __name__ == "__main__":
    main(measure)
