"""The form that all benchmarks share: rounds in turns, medians, one line for each number.

A machine that others use too moves by a factor of two in processor time and of a hundred in flush time, so no absolute
figure means anything. Each benchmark therefore runs the product and its peer in turns, in one process: a round is one
of each, back to back, the order changing from round to round; the ratio is taken within a round, and what is printed is
the median of the rounds' ratios, with the middle half of them behind it.

A file has one ``async def measure(options)`` that yields ``Line``s, and ends with ``main(measure)``.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Literal

import anyio
import msgspec

Timed = Callable[[], Awaitable[float]]
"""Does a fixed piece of work and returns the seconds that it took; what it prepares before does not count."""

Verdict = Literal["aim", "must", "near", "MISSED", "-"]


class Line(msgspec.Struct, frozen=True):
    """One measured number.

    Attributes:
        row: number of the row in the list of targets; 0 for a number that has none.
        what: what is measured.
        against: the peer or the limit it stands beside.
        variant: how it was measured, where there are several ways.
        ours, peer: medians, in ``unit``; ``peer`` is None where the target is an absolute one.
        ratio: median of the rounds' ratios, ours to the peer's; without a peer ``ours`` itself.
        low, high: the middle half of them lies between these.
        rounds: how many there were.
        must, aim: the gate, and what we are after; None for a number that is given for context only.
        less: less is better.
        judged: false at the tiny size, which proves only that the benchmark runs.
        note: what a reader has to know to read the number right.
    """

    row: int
    what: str
    against: str
    ours: float
    peer: float | None
    unit: str
    ratio: float
    low: float
    high: float
    rounds: int
    must: float | None
    aim: float | None
    variant: str = ""
    less: bool = False
    judged: bool = True
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """``aim`` or ``must``: reached; ``near``: the gate is missed by the median, but not by the better quarter of the rounds."""
        if self.must is None or not self.judged:
            return "-"
        if self.aim is not None and self._reaches(self.ratio, self.aim):
            return "aim"
        if self._reaches(self.ratio, self.must):
            return "must"
        return "near" if self._reaches(self.low if self.less else self.high, self.must) else "MISSED"

    def _reaches(self, value: float, target: float) -> bool:
        return value <= target if self.less else value >= target


class Options(msgspec.Struct, frozen=True):
    """What the command line said.

    Attributes:
        quick: the smallest size that still goes every way; seconds for all files together.
        full: the size that the target names, where the default is a smaller one.
        rounds: counted rounds.
        folder: where journals are written; the system's folder for temporary files by default. It must be on a disk.
    """

    quick: bool = False
    full: bool = False
    rounds: int = 9
    folder: str | None = None

    def size(self, default: int, quick: int, full: int | None = None) -> int:
        """How much work: one of the three."""
        return quick if self.quick else default if full is None or not self.full else full

    @contextmanager
    def workspace(self) -> Any:
        """A folder of its own, gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="understudy-bench-", dir=self.folder) as folder:
            yield Path(folder)


Measure = Callable[[Options], AsyncIterator[Line]]


class Race(msgspec.Struct, frozen=True):
    """Seconds of both sides, round by round."""

    ours: tuple[float, ...]
    peer: tuple[float, ...]

    def rate(
        self, row: int, what: str, against: str, count: int, *, must: float | None, aim: float | None,
        options: Options, unit: str = "/s", variant: str = "", note: str = "",
    ) -> Line:  # fmt: skip
        """A line whose ratio is of rates: how many times as many ours does in the same time. ``count``: pieces of work in a round."""
        ratios = [theirs / mine for mine, theirs in zip(self.ours, self.peer, strict=True)]
        low, high = spread(ratios)
        return Line(
            row, what, against, count / median(self.ours), count / median(self.peer), unit, median(ratios), low, high,
            len(ratios), must, aim, variant, judged=not options.quick, note=note,
        )  # fmt: skip


async def race(ours: Timed, peer: Timed, rounds: int) -> Race:
    """Both in turns. One more round comes first, uncounted: caches, first imports, first pages of a file."""
    mine: list[float] = []
    theirs: list[float] = []
    for round_ in range(rounds + 1):
        for side, seconds in ((ours, mine), (peer, theirs)) if round_ % 2 else ((peer, theirs), (ours, mine)):
            gc.collect()
            spent = await side()
            if round_:
                seconds.append(spent)
    return Race(tuple(mine), tuple(theirs))


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Between what the middle half of the values lies."""
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = quantiles(values, n=4, method="inclusive")
    return low, high


def table(lines: Iterable[Line]) -> str:
    """Lines as people read them."""
    head = ("#", "what", "ours", "beside it", "ratio", "middle half", "must", "aim", "verdict")
    body = [
        (
            str(line.row or ""),
            line.what + (f" ({line.variant})" if line.variant else ""),
            figure(line.ours) + line.unit,
            "" if line.peer is None else figure(line.peer) + line.unit,
            figure(line.ratio) if line.peer is not None else "",
            f"{figure(line.low)} to {figure(line.high)}",
            _target(line.must, line),
            _target(line.aim, line),
            line.verdict,
        )
        for line in lines
    ]
    widths = [max(len(cells[column]) for cells in (head, *body)) for column in range(len(head))]
    right = (0, 2, 3, 4, 6, 7)
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        for cells in (head, *body)
    )


def _target(value: float | None, line: Line) -> str:
    return "" if value is None else ("<= " if line.less else "") + figure(value)


def figure(value: float) -> str:
    """A number as people read it: three figures or so."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3g}"


def arguments(description: str, *, judged: bool = True) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object for each line instead of a table")
    if judged:
        parser.add_argument(
            "--strict", action="store_true", help="exit with 1 if a must is missed by more than the noise"
        )
    parser.add_argument("--quick", action="store_true", help="a tiny size, to see that it runs; nothing is judged")
    parser.add_argument(
        "--full", action="store_true", help="the whole size of the target, where the default is smaller"
    )
    parser.add_argument(
        "--rounds", type=_positive, metavar="N", help="counted rounds (9, growth 3; a target asks for at least 7)"
    )
    parser.add_argument("--folder", help="where journals are written: a folder on the disk that is meant")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def main(measure: Measure) -> None:
    """Run one file's benchmark as its command line says, and leave the process.

    Exit codes: 0 measured; 1 a must was missed, with ``--strict``; 2 wrong use.
    """
    given = arguments(sys.modules["__main__"].__doc__ or "").parse_args()
    options = Options(given.quick, given.full, given.rounds or (2 if given.quick else 9), given.folder)
    lines: list[Line] = []

    async def collect() -> None:
        async for line in measure(options):
            lines.append(line)
            if given.json:
                print(msgspec.json.encode(report(line)).decode(), flush=True)

    anyio.run(collect)
    if not given.json:
        print(table(lines))
        for line in lines:
            if line.note:
                print(f"  {line.variant or line.what}: {line.note}")
    sys.exit(int(given.strict and missed(lines)))


def report(line: Line) -> dict[str, Any]:
    """A line as JSON has it: its fields and its verdict."""
    return msgspec.structs.asdict(line) | {"verdict": line.verdict}


def missed(lines: Iterable[Line]) -> bool:
    """Whether a gate was missed by more than the noise."""
    return any(line.verdict == "MISSED" for line in lines)
