"""The crash matrix: what becomes of a call of each effect class when the process is killed at each moment of it.

    python -m tests.crash.matrix        measures it here and prints it, as the tables that stand in README

One measurement is two lives of one program (``programs/matrix.py``): the first is killed at the moment, the second is the
same program started again. What ran and what happened is counted in the world's own file, never in the journal.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, Literal, get_args

import msgspec
from msgspec import Struct

from tests.crash.programs.world import World
from understudy.protocols.effects import EffectClass
from understudy.supervisor.inbox import InboxItem
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.verify import verify

ROOT = Path(__file__).parents[2]

Moment = Literal["before_intent", "before_entry", "inside_before", "inside_after", "before_row", "after_row"]

MOMENTS: Final[dict[Moment, str]] = {
    "before_intent": "before the row that intends it is durable",
    "before_entry": "after that row, before the function is entered",
    "inside_before": "inside the function, before its effect",
    "inside_after": "inside the function, after its effect",
    "before_row": "after it returned, before its outcome is durable",
    "after_row": "after its outcome is durable",
}
CLASSES: Final[tuple[EffectClass, ...]] = get_args(EffectClass)


class Case(Struct, frozen=True):
    """One cell. ``second``: the moment is one of the second of two tools; ``broken``: the class's rule is switched off."""

    effect: EffectClass
    moment: Moment
    second: bool = False
    broken: bool = False

    def __str__(self) -> str:
        return "-".join([self.effect, self.moment, *["second"] * self.second, *["broken"] * self.broken])


class Standing(Struct, frozen=True):
    """Where the run stands, as the program says."""

    status: str
    output: str = ""
    doubts: tuple[InboxItem, ...] = ()


class Found(Struct, frozen=True):
    """What was measured.

    Attributes:
        runs: how often the function was entered, in both lives.
        effects: how often its effect happened in the world; a ``read`` has none.
        asked: how often ``reconcile`` was asked.
        first_runs, first_effects: of the first tool, where there are two.
        resumed: where the run stood after the second life had done what it could.
        ended: where it stood after a person had settled the doubt; the same, if there was none.
    """

    runs: int
    effects: int
    asked: int
    first_runs: int
    first_effects: int
    resumed: Standing
    ended: Standing


MATRIX: Final = tuple(Case(effect, moment) for effect in CLASSES for moment in MOMENTS)
SECOND: Final = tuple(
    Case(c.effect, c.moment, second=True) for c in MATRIX if not c.moment.endswith(("intent", "entry"))
)


def measure(case: Case) -> Found:
    """Kill and resume. Raises AssertionError where the first life was not killed or the second did not end well."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        killed = _live(case, folder, case.moment)
        assert killed.returncode == -signal.SIGKILL, f"{case}: not killed but {killed.returncode}: {killed.stderr}"
        resumed = _live(case, folder, "-")
        assert (resumed.returncode, resumed.stderr) == (0, ""), f"{case}: {resumed.stderr}"
        said = [msgspec.json.decode(line, type=Standing) for line in resumed.stdout.splitlines()]
        with read_only(folder / "journal.db") as reader:
            assert verify(reader).bad == 0
        world = World(folder)
        tool = "second" if case.second else "act"
        return Found(
            world.count("ran", tool), world.count("effect", tool), world.count("asked", tool),
            world.count("ran", "act"), world.count("effect", "act"), said[0], said[-1],
        )  # fmt: skip


def measure_all(cases: Iterable[Case]) -> dict[Case, Future[Found]]:
    """Measure several, side by side."""
    pool = ThreadPoolExecutor(os.cpu_count())
    found = {case: pool.submit(measure, case) for case in cases}
    pool.shutdown(wait=False)
    return found


def markdown(measured: Mapping[Case, Future[Found]]) -> str:
    """The tables, of what was measured."""
    found = {case: measured[case].result() for case in (*MATRIX, *SECOND)}
    head = f"| killed | {' | '.join(f'`{effect}`' for effect in CLASSES)} |\n| --- |{' --- |' * len(CLASSES)}"
    tables: list[str] = []
    for second in (False, True):
        lines = [head]
        for moment, words in MOMENTS.items():
            cells = [found.get(Case(effect, moment, second)) for effect in CLASSES]
            if any(cell is not None for cell in cells):
                lines.append(f"| {words} | {' | '.join(_cell(cell) for cell in cells if cell is not None)} |")
        tables.append("\n".join(lines))
    assert {f.first_runs for case, f in found.items() if case.second} == {1}
    between = "Two tools in one answer of the model, killed in the second (the first ran once in all of these):"
    return f"{tables[0]}\n\n{between}\n\n{tables[1]}"


def _cell(found: Found) -> str:
    ran = "not run" if found.runs == 0 else "ran once" if found.runs == 1 else f"ran {found.runs} times"
    happened = f", {found.effects} effect{'s' * (found.effects != 1)}" if found.effects or found.resumed.doubts else ""
    return f"{ran}{happened}{', **in doubt**' * bool(found.resumed.doubts)}"


def _live(case: Case, folder: Path, moment: str) -> subprocess.CompletedProcess[str]:
    options = ["--second"] * case.second + ["--broken"] * case.broken
    command = [sys.executable, "-m", "tests.crash.programs.matrix", str(folder), case.effect, moment, *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


if __name__ == "__main__":
    print(markdown(measure_all((*MATRIX, *SECOND))))
