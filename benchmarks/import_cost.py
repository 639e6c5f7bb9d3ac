"""Row 14: what `import understudy` costs beside its five dependencies.

Each import runs in a fresh interpreter, the kinds in turns, so that a busy machine slows them alike. The interpreter times
the import itself: its own start does not count. All modules, theirs and ours, come from a cache of compiled ones that the
first round fills, wherever they are installed and whatever the environment says of writing such files.

    python benchmarks/import_cost.py
"""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from _measure import Line, Options, main, spread

DEPENDENCIES = [
    name
    for name in ("anyio", "msgspec", "structlog", "aiosqlite", "pysqlite3.dbapi2")
    if find_spec(name.partition(".")[0])  # pysqlite3 has no wheel on some platforms
]
BASELINE = f"import {', '.join(DEPENDENCIES)}"
KINDS = (
    ("import understudy", "import understudy", 1.25, 1.1),
    ("first use of us.Agent, us.tool, us.System", "import understudy as us; us.Agent, us.tool, us.System", 1.5, 1.3),
)


def seconds(imports: str, cache: Path) -> float:
    """Of the import itself, in a fresh interpreter."""
    program = f"from time import perf_counter; start = perf_counter(); {imports}; print(perf_counter() - start)"
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(cache), "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-c", program]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout)


async def measure(options: Options) -> AsyncIterator[Line]:
    """In turns; one more round comes first, uncounted (cold caches)."""
    programs = (BASELINE, *(program for _, program, _, _ in KINDS))
    counted = options.rounds if options.quick else options.rounds + 6  # a process more or less is cheap, and noisy
    with options.workspace() as cache:
        rounds = [[seconds(program, cache) for program in programs] for _ in range(counted + 1)][1:]
    for number, (what, _, must, aim) in enumerate(KINDS, 1):
        ratios = [times[number] / times[0] for times in rounds]
        ours, peer = (median(times[at] * 1e3 for times in rounds) for at in (number, 0))
        yield Line(
            14, what, f"importing its {len(DEPENDENCIES)} dependencies", ours, peer, " ms", median(ratios),
            *spread(ratios), len(ratios), must, aim, less=True, judged=not options.quick,
        )  # fmt: skip


if __name__ == "__main__":
    main(measure)
