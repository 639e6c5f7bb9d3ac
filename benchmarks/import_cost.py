"""What `import understudy` costs beside its five dependencies.

Each import runs in a fresh interpreter, the kinds in turns, so that a busy machine slows them alike. An interpreter
that imports nothing is subtracted. Printed: the median of each, the ratio to the dependencies, and the limit; the exit
code is 1 where a limit is passed.

    python benchmarks/import_cost.py [ROUNDS]
"""

import subprocess
import sys
from importlib.util import find_spec
from statistics import median
from time import perf_counter

import understudy

DEPENDENCIES = [
    name
    for name in ("anyio", "msgspec", "structlog", "aiosqlite", "pysqlite3.dbapi2")
    if find_spec(name.partition(".")[0])  # pysqlite3 has no wheel on some platforms
]
FIRST_USE = ("Agent", "tool", "System")
NOTHING = "pass"
BASELINE = f"import {', '.join(DEPENDENCIES)}"


def measure(programs: list[str], rounds: int) -> list[float]:
    """Median seconds of each program, in fresh interpreters; one more round comes first, uncounted (cold caches)."""
    seconds: list[list[float]] = [[] for _ in programs]
    for round_ in range(rounds + 1):
        for program, spent in zip(programs, seconds, strict=True):
            start = perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True)
            if round_:
                spent.append(perf_counter() - start)
    return [median(spent) for spent in seconds]


def main(rounds: int = 15) -> int:
    kinds = {"import understudy": ("import understudy", 1.25)}
    if all(name in dir(understudy) for name in FIRST_USE):
        names = ", ".join(f"us.{name}" for name in FIRST_USE)
        kinds[f"first use of {names}"] = (f"import understudy as us; {names}", 1.5)
    nothing, dependencies, *measured = measure([NOTHING, BASELINE, *(program for program, _ in kinds.values())], rounds)
    print(f"{len(DEPENDENCIES)} dependencies: {(dependencies - nothing) * 1e3:.1f} ms (median of {rounds})")
    passed = True
    for (kind, (_, limit)), seconds in zip(kinds.items(), measured, strict=True):
        ratio = (seconds - nothing) / (dependencies - nothing)
        passed &= ratio <= limit
        print(f"{kind}: {(seconds - nothing) * 1e3:.1f} ms, {ratio:.2f} times the dependencies (limit {limit})")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(*(int(rounds) for rounds in sys.argv[1:])))
