"""Row 12: a start on a journal in which 100,000 actors live.

Each has a turn behind it and none has anything open, so none has to be in memory: seconds from opening the system to the answer of
one of them. (Closing it again is not counted.)

    python benchmarks/start.py
"""

from collections.abc import AsyncIterator
from statistics import median
from time import perf_counter

from _bank import BANK, Balance, fill
from _measure import Line, Options, main, spread

import understudy as us


async def measure(options: Options) -> AsyncIterator[Line]:
    """Again and again on the same file; the first time does not count."""
    actors = options.size(100_000, 500)
    times: list[float] = []
    with options.workspace() as folder:
        journal = folder / "ours.db"
        await fill(journal, actors, deposits=1)
        for round_ in range(options.rounds + 1):
            start = perf_counter()
            async with us.System(*BANK, journal=journal) as system:
                balance = await system.ask(f"accounts/{round_}", Balance())
                spent = perf_counter() - start
            assert balance == 1, "an event is missing"
            times += [spent] if round_ else []
    yield Line(
        12, f"start with {actors:,} actors in the journal", "seconds", median(times), None, " s", median(times),
        *spread(times), len(times), 1.0, 0.3, less=True, judged=not options.quick,
    )  # fmt: skip


if __name__ == "__main__":
    main(measure)
