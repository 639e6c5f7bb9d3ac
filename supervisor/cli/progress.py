"""How far long work has come, on standard error: a bar on a terminal, a line every few seconds elsewhere, nothing if unwanted."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from ..journal.audit import silent

EVERY = 5.0
"""Seconds between lines where there is no terminal; shorter work says nothing."""

Tell = Callable[[str, int, int], None]
"""Told what is being done, and how much of how much."""


@contextmanager
def progress(*, quiet: bool, clock: Callable[[], float] = time.monotonic) -> Generator[Tell]:
    """What to tell how far it is."""
    if quiet:
        yield silent
    elif sys.stderr.isatty():
        with _bar() as tell:
            yield tell
    else:
        yield _lines(clock)


def _lines(clock: Callable[[], float]) -> Tell:
    last = clock()

    def tell(doing: str, done: int, of: int) -> None:
        nonlocal last
        if clock() - last >= EVERY:
            last = clock()
            print(f"understudy: {doing}: {done:,} of {of:,}", file=sys.stderr, flush=True)

    return tell


@contextmanager
def _bar() -> Generator[Tell]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda doing, done, of: bar.update(task, description=doing, completed=done, total=max(of, 1))
