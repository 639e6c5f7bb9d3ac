"""Retention in a running system: the texts of runs that are long over are erased, while everybody else goes on.

A few runs at a time:

    hold    their actors leave memory, and mail to them waits; a run of which anything is under way is left alone
    prepare a connection and a thread of its own find out what there is to erase
    erase   the writer's thread, between two batches, one transaction a run
    let in  mail to them is delivered: it finds them erased

A kill anywhere leaves each run whole or erased; the next time goes on with what is left.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
from msgspec import Struct

from ..actors.letting_go import kept_by, let_go
from ..protocols.errors import UnderstudyError
from ..protocols.ids import Address
from .access import Access
from .journal import retention
from .journal.reader import read_only
from .journal.retention import DAYS, Erasure, Old, Retained

RUNS = 32
"""Runs that are held at once."""

STEP = 2.0
"""Seconds after which a step says how far it has come."""

BREATH = 0.002
"""Seconds for which the thread that reads gives way after every few rows: the loop is as busy as it was."""


class Step(Struct, frozen=True):
    """How far retention has come.

    Attributes:
        done: what was done in this step.
        left: runs that were not looked at yet.
    """

    done: Retained
    left: int


class Retaining(Access):
    """Forgets, where somebody says so."""

    async def retain(self, days: float = DAYS, *, progress: Callable[[Retained, int], None] | None = None) -> Retained:
        """Erase what runs that ended long ago said and did, while the system goes on: as ``understudy journal retain``.

        Args:
            days: since the last row of a run.
            progress: told every few seconds what was done so far, and how many runs are left.

        Cancelled or killed in the middle it leaves each run whole or erased; called again it goes on.

        Raises:
            UnderstudyError: no time, or the system has no journal file.
            JournalError and its kinds: it cannot be read or written; runs that were erased are erased.
        """
        step = await self.retain_some(days)
        done = step.done
        while step.left:
            if progress is not None:
                progress(done, step.left)
            step = await self.retain_some(days)
            more = step.done
            done = Retained(
                done.before,
                done.runs + more.runs,
                done.rows + more.rows,
                done.bytes + more.bytes,
                done.kept + more.kept,
            )
        return done

    async def retain_some(self, days: float = DAYS) -> Step:
        """The same for about two seconds. Raises as ``retain``."""
        patience = retention.seconds(days)
        self._must_be_open()
        path = self.path
        if path is None:
            raise UnderstudyError(
                "this system has no journal file, so there is nothing to erase", hint="what is in memory ends with it"
            )
        until = time.monotonic() + STEP
        before = self._shell.clock.now() - patience
        old = await anyio.to_thread.run_sync(_erasable, path, before)
        near, done, looked = retention.neighbours(old), Retained(before, 0, 0, 0, 0), 0
        try:
            while looked < len(old) and time.monotonic() < until:
                some = old[looked : looked + RUNS]
                looked += len(some)
                for erasure in await self._erased(path, some, near):
                    done = done.and_also(erasure)
        finally:
            if done.runs:
                said = {"retained": f"{done.runs} runs", "rows": str(done.rows), "before": f"{before:.3f}"}
                self._shell.say(said)
        return Step(done, len(old) - looked)

    async def _erased(self, path: Path, some: list[Old], near: set[Address]) -> list[Erasure]:
        """Erase some runs; gives those that were."""
        self._must_be_open()
        shell, done = self._shell, list[Erasure]()
        with shell.keep_out({address for old in some for address in old.addresses}):
            kept = kept_by(shell.kernel) | shell.snapshots_of()
            free = [
                old for old in some if not kept & {*old.addresses} and let_go(shell.kernel, old.name, old.addresses)
            ]
            for erasure in await anyio.to_thread.run_sync(_prepare, path, free, near):
                if await shell.journal.maintain(partial(retention.erase, erasure=erasure)):
                    done.append(erasure)
                await anyio.lowlevel.checkpoint()
        return done


def _erasable(path: Path, before: float) -> list[Old]:
    with read_only(path) as reader:
        return reader.read(lambda connection: retention.erasable(connection, before))


def _prepare(path: Path, some: list[Old], near: set[Address]) -> list[Erasure]:
    """What is to be erased of each."""
    if not some:
        return []
    with read_only(path) as reader:
        give_way = partial(time.sleep, BREATH)
        return [reader.read(partial(retention.prepare, old=old, near=near, breathe=give_way)) for old in some]
