"""The form of the growth curves: one line a size, every column a cost (so less is better), and where it bends.

Work is given in processor time, of all threads and of the system for them, because sizes that are measured minutes apart cannot be
measured in turns: what else the machine does would be the curve. What is measured several times is given by its least.

A file has one ``async def measure(options)`` that yields ``Point``s, and ends with ``main(measure, size)``.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Sequence

import anyio
import msgspec
from _measure import Options, arguments, figure

BEND = 1.5
"""A cost bends where it is so many times the least that it was at smaller sizes."""


class Point(msgspec.Struct, frozen=True):
    """What it costs at one size: name of the cost, with its unit, -> value; None where the size is too small to tell."""

    size: int
    costs: dict[str, float | None]


Measure = Callable[[Options], AsyncIterator[Point]]


def bend(points: Sequence[tuple[int, float]]) -> tuple[int, float] | None:
    """The first size at which a cost bends, and how many times the least it is there; None where it is flat or falls."""
    least = float("inf")
    for size, cost in points:
        if cost > least * BEND:
            return size, cost / least
        least = min(least, cost)
    return None


def main(measure: Measure, unit: str) -> None:
    """Run one file as its command line says, and leave the process. ``unit``: what the sizes count.

    Exit codes: 0 measured; 2 wrong use.
    """
    given = arguments(sys.modules["__main__"].__doc__ or "", judged=False).parse_args()
    options = Options(given.quick, given.full, given.rounds or (1 if given.quick else 3), given.folder)
    points: list[Point] = []

    async def collect() -> None:
        async for point in measure(options):
            points.append(point)
            if given.json:
                print(msgspec.json.encode(point).decode(), flush=True)
            else:
                _show(point, unit, head=len(points) == 1)

    anyio.run(collect)
    if not given.json:
        print()
        for name in points[0].costs:
            known = [(point.size, cost) for point in points if (cost := point.costs[name]) is not None]
            print(_verdict(name, known, points[-1].size, unit))
    sys.exit(0)


def _show(point: Point, unit: str, *, head: bool) -> None:
    """A line as soon as it is there: the last ones take long."""
    widths = [max(len(name), 10) for name in point.costs]
    if head:
        print(
            "  ".join([unit.rjust(12), *(name.rjust(width) for name, width in zip(point.costs, widths, strict=True))])
        )
    figures = ("-" if cost is None else figure(cost) for cost in point.costs.values())
    costs = (text.rjust(width) for text, width in zip(figures, widths, strict=True))
    print("  ".join([f"{point.size:,}".rjust(12), *costs]), flush=True)


def _verdict(name: str, points: Sequence[tuple[int, float]], last: int, unit: str) -> str:
    found = bend(points)
    if found is None:
        return f"{name}: does not bend up to {last:,} {unit}"
    return f"{name}: bends at {found[0]:,} {unit}, {found[1]:.1f} times the least before"
