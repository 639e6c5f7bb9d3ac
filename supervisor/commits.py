"""Group commit: what the kernel made goes to the journal in groups, one append at a time.

    cut -> append -> the rows are durable -> what waits for them is let out -> the next cut, until there is nothing to append

One append at a time, so rows go in in the order in which they were made. While it is under way the kernel runs on, up to a
bound (``too_far_ahead``); what it made meanwhile is the next group. When an append fails nothing more is cut: ``broken`` says
why, and the pump deals with it.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from anyio.abc import TaskGroup

from ..actors.kernel import Kernel
from ..protocols.journal import Batch, Row
from .clock import Clock
from .journal.writer import AsyncJournal

ROWS_AHEAD, BYTES_AHEAD, SECONDS_AHEAD = 10_000, 16_000_000, 1.0
"""How far the kernel may run ahead of the journal while an append is under way: rows, bytes of them, age of the append."""

TAKEN_IN = 0.1
"""Seconds that mail from outside may wait for its turn before a row of its own makes it durable, while there are turns to run."""

OnRows = Callable[[tuple[Row, ...]], None]


class Commits:
    """The way of rows from the kernel into the journal.

    Args:
        journal, clock: the node's.
        kernel: gives the kernel that is in charge.
        let_out: lets out what waits for rows that are durable by now (``acked``).
        on_rows: told of committed rows.
        nudge: tells the pump that there is something to do.

    Attributes:
        acked: gid of the last row that is known to be durable.
        broken: why the last append failed; the pump deals with it.
        tried: when a commit was tried last, or the pump last had nothing to do; of ``perf_counter``.
    """

    def __init__(
        self,
        journal: AsyncJournal,
        clock: Clock,
        kernel: Callable[[], Kernel],
        *,
        let_out: Callable[[], None],
        on_rows: OnRows,
        nudge: Callable[[], None],
    ) -> None:
        self.acked = 0
        self.broken: Exception | None = None
        self.tried = 0.0
        self._journal, self._clock, self._kernel = journal, clock, kernel
        self._let_out, self._on_rows, self._nudge = let_out, on_rows, nudge
        self._began: float | None = None
        """When the append that is under way began, on the node's clock."""

    @property
    def under_way(self) -> bool:
        """Whether an append is."""
        return self._began is not None

    @property
    def all_durable(self) -> bool:
        """Whether everything that was cut is."""
        return self._began is None and self.broken is None

    @property
    def too_far_ahead(self) -> bool:
        """Whether the kernel has to wait for the journal."""
        began, sets = self._began, self._kernel().sets
        return began is not None and (
            sets.waiting_rows > ROWS_AHEAD
            or sets.waiting_bytes > BYTES_AHEAD
            or (sets.waiting_rows > 0 and self._clock.now() - began > SECONDS_AHEAD)
        )

    async def commit(self, tasks: TaskGroup) -> None:
        """Let the journal have what the kernel made. While it is at work that waits, and makes up the next group."""
        if not self.all_durable:
            return
        self.tried = perf_counter()
        self._let_out()
        batch = self._cut()
        if batch is None:
            return
        self._began = self._clock.now()
        if self._journal.inline:
            await self._append(batch)
        else:
            tasks.start_soon(self._append, batch)

    async def _append(self, batch: Batch | None) -> None:
        """Make a batch durable, and then whatever was made meanwhile."""
        try:
            while batch is not None:
                await self._journal.append(batch)
                self.acked = batch.rows[-1].gid
                self._on_rows(batch.rows)
                self._let_out()
                self._began = self._clock.now()
                batch = self._cut()
        except Exception as error:  # noqa: BLE001 - a failed commit, or a fault of the kernel: the pump tells them apart
            self.broken = error
        finally:
            self._began = None
            self._nudge()

    def _cut(self) -> Batch | None:
        """The next group. Mail that a turn will take soon needs no row of its own."""
        kernel = self._kernel()
        waits = kernel.waits_since
        long = waits is not None and self._clock.now() - waits > TAKEN_IN
        return kernel.cut(take_in=long or not kernel.ready)
