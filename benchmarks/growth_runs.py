"""How the cost grows from 1 to 10,000 runs at once.

At each size a fresh process starts so many runs of one agent together, durably, and waits for all of their answers. A run
is two model calls and a tool call; model and tool are functions that answer at once, so what is left is the product:
kernel, gate, journal, tasks.

    python benchmarks/growth_runs.py
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from time import process_time

from _grow import Point, main
from _measure import Options
from _process import elsewhere, resident

import understudy as us

SIZES = (1, 10, 100, 1_000, 10_000)


@us.tool(effect="read")
def weather(city: str) -> str:
    """Weather of a city."""
    return f"rain in {city}"


MODEL = us.Rules(
    "instant",
    [
        us.Rule(us.Use("weather", {"city": "Bergen"}), before=("weather",)),
        us.Rule(us.Say("Take an umbrella."), after=("weather",)),
    ],
)

AGENT = us.Agent("forecaster", "Answer questions about the weather.", model=MODEL, tools=[weather])


async def cost(runs: int, folder: str) -> dict[str, float | None]:
    """Of one size, in this process."""
    async with us.System(AGENT, journal=Path(folder, "ours.db")) as system:
        assert (await system.run(AGENT, "Umbrella?", id="first")).output
        before = resident()
        start = process_time()
        results = await asyncio.gather(*(system.run(AGENT, "Umbrella?", id=f"run-{run}") for run in range(runs)))
        spent = process_time() - start
        assert {result.output for result in results} == {"Take an umbrella."}
        weight = resident() - before
        rows = await system.rows(f"forecaster/run-{runs - 1}")
    return {
        "cpu ms a run": spent / runs * 1e3,
        "cpu us a row": spent / runs / len(rows) * 1e6,
        "kB a run": None if runs < 100 else weight / runs / 1e3,  # too few to see
    }


async def measure(options: Options) -> AsyncIterator[Point]:
    """Each size in a process of its own."""
    for size in SIZES:
        if size <= options.size(10_000, 1):
            with options.workspace() as folder:
                yield Point(size, elsewhere(cost, size, str(folder)))


if __name__ == "__main__":
    main(measure, "runs")
