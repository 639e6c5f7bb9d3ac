"""Row 11: recovery, which is to read, decode and apply every event.

A journal of a hundred accounts holds 200,000 events, each in a row of its own (``--full``: 1,000,000, the size of the
target; it is a rate that counts, and it does not depend on the size). A system is started on it and each account is asked
for its balance, so each is read back; there are no snapshots. Beside it: the same fold by hand, one ``SELECT`` over all
rows, msgspec with types that hold no more than what is needed, one frozen state made for each event.

    python benchmarks/recovery.py
"""

import asyncio
from collections.abc import AsyncIterator
from time import perf_counter

import msgspec
from _bank import BANK, Balance, fill, forget_snapshots
from _measure import Line, Options, main, race

import understudy as us
from understudy.supervisor.journal.connect import uri
from understudy.supervisor.journal.driver import choose

ACCOUNTS = 100


class Deposited(msgspec.Struct, frozen=True):
    """What the raw fold wants of an event."""

    amount: int


class Stored(msgspec.Struct, frozen=True):
    """What it wants of where that stands."""

    data: Deposited


class Body(msgspec.Struct, frozen=True):
    """What it wants of a row."""

    events: tuple[Stored, ...] = ()


class State(msgspec.Struct, frozen=True):
    """What it folds."""

    balance: int = 0


async def measure(options: Options) -> AsyncIterator[Line]:
    """Start, and ask everybody."""
    deposits = options.size(2_000, 10, full=10_000)
    events = ACCOUNTS * deposits
    with options.workspace() as folder:
        journal = folder / "ours.db"
        await fill(journal, ACCOUNTS, deposits)

        async def ours() -> float:
            forget_snapshots(journal)
            start = perf_counter()
            async with us.System(*BANK, journal=journal) as system:
                asks = (system.ask(f"accounts/{account}", Balance(), timeout=None) for account in range(ACCOUNTS))
                balances = await asyncio.gather(*asks)
                spent = perf_counter() - start
            assert balances == [deposits] * ACCOUNTS, "an event is missing"
            return spent

        async def peer() -> float:
            start = perf_counter()
            states: dict[int, State] = {}
            read = msgspec.json.Decoder(Body).decode
            file = choose().connect(uri(journal, "ro"))
            for stream, payload in file.execute("SELECT stream, CAST(payload AS BLOB) FROM rows ORDER BY gid"):
                state = states.get(stream) or State()
                for stored in read(payload).events:
                    state = State(state.balance + stored.data.amount)
                states[stream] = state
            file.close()
            spent = perf_counter() - start
            assert sum(state.balance for state in states.values()) == events, "the raw fold is not the same work"
            return spent

        times = await race(ours, peer, options.rounds)
        yield times.rate(
            11, f"recovery of {events:,} events", "raw select, decode and fold", events,
            must=0.50, aim=0.75, options=options,
        )  # fmt: skip


if __name__ == "__main__":
    main(measure)
