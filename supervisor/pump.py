"""The pump: one turn of the crank after the other, until the node is drained.

    feed -> turns -> loads -> commit -> wait for whatever comes next

It ends by draining, or loudly: by a fault of the kernel, or a journal that fails again and again. When an append fails the kernel is thrown
away, a new one is built from the journal, and the inputs whose rows are not there are fed to it again, in order.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from time import perf_counter
from typing import Literal, cast

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from ..actors.cell import read_record
from ..actors.ephemerals import Torn
from ..actors.kernel import Kernel
from ..actors.releases import Release
from ..protocols.errors import JournalError, SystemStopped, UnderstudyError
from ..protocols.failures import text_of
from ..protocols.ids import Address
from ..protocols.journal import Opened, Record, Snapshot
from ..protocols.watch import Watch
from .clock import Clock
from .commits import Commits, OnRows
from .door import Door
from .journal.writer import AsyncJournal
from .lag import BLOCKED_FROM, Lag
from .loading import Loading
from .log import log
from .recalling import Recalling
from .unopened import Unopened
from .waiter import Waiter
from .watchdog import Watchdog

GROUP = 500
"""Rows that are worth a commit of their own while there are still turns to run."""

AT_ONCE = 0.005
"""Seconds of turns in a row before the loop's other tasks have their turn."""

COMMIT_WITHIN = 0.02
"""Seconds of turns after which what they made is committed, however little it is: memory-only turns make no rows, and need not end."""

SNAPSHOTS_EVERY = 1.0
"""Seconds between two transactions that store snapshots."""

REBUILDS = 3
REBUILDS_WITHIN = 60.0
"""More failed commits than this in so many seconds stop the intake."""


class Pump:
    """What drives the kernel. ``Shell`` derives from this class and gives it what it needs.

    Attributes:
        journal: opened by the shell.
        kernel: the one in charge; another one after a failed commit.
        opened: what the journal held when it was opened, or read again, last.
        commits: the way of rows into the journal.
    """

    _fresh: list[str]
    """Inputs that the kernel has not been given yet."""
    _door: dict[Address, list[str]]
    """Messages for actors that are not in memory, while there are too many."""
    _of_run: dict[Address, list[Waiter]]
    _scopes: dict[str, anyio.CancelScope]
    """Attempts at effects that are under way."""
    memory_door: Door

    def __init__(self, journal: AsyncJournal, on_rows: OnRows, limit: float | None = None) -> None:
        self.journal = journal
        self.clock = Clock()
        self.watch, self.lag = Watch(), Lag()
        self.watchdog = Watchdog(self.watch, limit, self.lag) if limit is not None else None
        self._torn: Torn | None = None
        """Memory-only actors are half way through something: the kernel is to be built anew."""
        self.opened: Opened | None = None
        self.kernel = cast("Kernel", Unopened())
        self.commits = Commits(
            journal, self.clock, lambda: self.kernel, let_out=self._let_out, on_rows=on_rows, nudge=self.nudge
        )
        self._on_rows = on_rows
        self._wake = anyio.Event()
        self._rebuilt: list[float] = []
        self._draining: Literal["", "soft", "hard"] = ""
        self._cut_off = math.inf
        """When turns that still go on are cut off, on the loop's clock."""
        self._drained = anyio.Event()
        self._loading = Loading(journal, self.nudge)
        self._recalling = Recalling(journal, lambda: self.commits.acked, self.nudge)
        self._snapshots: list[Snapshot] = []
        """Of committed rows, to be stored."""

    @abstractmethod
    def _feed(self) -> None:
        """Give the kernel what came in."""

    @abstractmethod
    def _release(self, release: Release) -> None:
        """Let out what waited for its row."""

    @abstractmethod
    def _settle_waiting(self) -> None:
        """Tell those whose run waits for people only."""

    @abstractmethod
    def _begin_anew(self, opened: Opened) -> None:
        """A new kernel over what the journal holds, and every input that is still held once more."""

    @abstractmethod
    def _found(self, record: Record) -> None:
        """A row did get in although its append failed."""

    @abstractmethod
    def _fail(self, error: UnderstudyError) -> None:
        """It is over: everybody who waits is told."""

    def nudge(self) -> None:
        """There is something for the pump to do."""
        self._wake.set()

    async def pump(self, tasks: TaskGroup) -> None:
        """Run until drained. A fault of the kernel, or a journal that fails again and again, ends it loudly: nobody is left hanging."""
        self._tasks = tasks
        if not self.journal.inline:
            tasks.start_soon(self._loading.run)
        tasks.start_soon(self._recalling.run)
        tasks.start_soon(self._keep_snapshots)
        if self.watchdog is not None:
            self.watchdog.start()
        try:
            while not self._drained.is_set():
                await self._once()
        except UnderstudyError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - everybody who waits is told
            log().exception("the kernel failed")
            fault = SystemStopped(
                f"the kernel failed: {type(error).__name__}: {text_of(error)}",
                hint="this is a fault of Understudy: please report it",
            )
            fault.__cause__ = error
            self._fail(fault)
        finally:
            if self.watchdog is not None:
                self.watchdog.stop()

    async def _once(self) -> None:
        self._wake = anyio.Event()
        if self.commits.broken is not None:
            await self._after_failure(self.commits.broken)
            return
        if self._torn is not None:
            await self._mend(self._torn)
            return
        self._feed()
        if self.commits.too_far_ahead:
            await self._wake.wait()
            return
        if self._draining == "hard" and perf_counter() > self._cut_off:
            await self._end_unfinished()
            return
        more = self._run_turns()
        if self.kernel.loads:
            more = await self._load() or more
        self.memory_door.turned()
        if not more or self.kernel.sets.waiting_rows >= GROUP or perf_counter() - self.commits.tried > COMMIT_WITHIN:
            await self.commits.commit(self._tasks)
        if more or self._fresh or self.kernel.ready:
            if self._of_run and self.commits.all_durable:
                self._settle_waiting()
            await anyio.lowlevel.checkpoint()
            return
        if self.commits.all_durable:
            self._settle_waiting()
            if self._draining and not self._scopes and (self._draining == "hard" or not self._reading()):
                await self._stop()
                return
            if self.kernel.loads or self.kernel.sets.waiting_rows:
                return
        self._let_idle_leave()
        due = self._due()
        with anyio.move_on_after(None if due is None else max(0.0, due - self.clock.now())):
            await self._wake.wait()
        self.commits.tried = perf_counter()

    async def _end_unfinished(self) -> None:
        """Turns go on and on, and the time to drain is over: what is not taken yet is for the next life."""
        await self.commits.commit(self._tasks)
        if self.commits.all_durable and not self._scopes:
            await self._stop()
        elif not self._fresh:
            await self._wake.wait()

    async def _load(self) -> bool:
        """Let actors come into memory. True where some are there already: a journal in memory keeps nobody waiting."""
        loads, self.kernel.loads = self.kernel.loads, []
        if not self.journal.inline:
            self._loading.want(loads)
            return False
        for found in await self.journal.find(tuple(loads)):
            self.kernel.loaded(found)
        return True

    async def _keep_snapshots(self) -> None:
        """Take and store snapshots beside the pump: a few at a time, once in a while, so that turns pay nothing for them."""
        while True:
            await anyio.sleep(SNAPSHOTS_EVERY)
            try:
                self.kernel.take_snapshots()
                if self.kernel.held_back is not None:
                    self.nudge()
                if self._snapshots:
                    snapshots, self._snapshots = tuple(self._snapshots), []
                    await self.journal.put_snapshots(snapshots)
            except JournalError as error:  # they are disposable; what matters fails by itself
                log().warning("snapshots could not be stored", error=str(error))
            except Exception:  # noqa: BLE001 - nor may a fault in here end what it is only a help to
                log().exception("snapshots could not be taken")

    def _reading(self) -> bool:
        """Whether messages wait for what is being read."""
        return bool(self.kernel.residents.loading or self._recalling)

    def _let_idle_leave(self) -> None:
        due, now = self.kernel.residents.due(), self.clock.now()
        if due is not None and due <= now:
            self.kernel.rest(now)
        if (self._door or self._recalling.held) and not self.kernel.residents.full:
            self.nudge()

    def _due(self) -> float | None:
        """When something is to be done without anybody's asking."""
        dues = [due for due in (self.kernel.due(), self.kernel.residents.due()) if due is not None]
        return min(dues, default=None)

    def _run_turns(self) -> bool:
        """Turns for as long as the loop can spare. True while there is more to do."""
        began = perf_counter()
        until, more = began + AT_ONCE, True

        def enough() -> bool:
            return perf_counter() > until

        try:
            while (more := self.kernel.step(self.clock.now(), enough=enough)) and not enough():
                pass
        except Torn as torn:
            self.tear(torn)
        if (now := perf_counter()) - began > BLOCKED_FROM and self.watchdog is not None:
            self.watchdog.overslept(self.kernel.sets.newest, began, now)
            self.lag.lost(began, now)
        return more

    def tear(self, torn: Torn) -> None:
        """Something was broken off between two turns of memory-only actors: this kernel is of no use any more."""
        self._torn = torn
        self.nudge()

    async def _mend(self, torn: Torn) -> None:
        """Go on with another kernel. No commit has failed, so it does not count as such."""
        if self.commits.under_way:
            await self._wake.wait()
            return
        self._torn = None
        log().warning("memory-only actors were broken off; the kernel is rebuilt from the journal", why=str(torn))
        try:
            await self._renew()
        except JournalError as error:
            await self._rebuild(error)

    def _let_out(self) -> None:
        self.kernel.look_since(self._recalling.floor)
        for release in self.kernel.committed(self.commits.acked):
            self._release(release)

    async def _stop(self) -> None:
        self.kernel.stop("drained")
        await self.commits.commit(self._tasks)
        while self.commits.under_way:
            await self._wake.wait()
            self._wake = anyio.Event()
        if self.commits.broken is None and self.kernel.sets.waiting_rows == 0:
            self._fail(SystemStopped("the system was closed", hint="open it again on the same journal to carry on"))
            self._drained.set()

    async def _after_failure(self, error: Exception) -> None:
        self.commits.broken = None
        if not isinstance(error, JournalError):
            raise error
        await self._rebuild(error)

    async def _rebuild(self, error: JournalError) -> None:
        """Throw the kernel away; go on from what the journal really holds."""
        now = self.clock.now()
        self._rebuilt = [at for at in self._rebuilt if now - at < REBUILDS_WITHIN] + [now]
        log().warning(
            "a commit failed; the kernel is rebuilt from the journal",
            error=str(error),
            time_in_a_minute=len(self._rebuilt),
        )
        if len(self._rebuilt) > REBUILDS:
            raise error
        await anyio.sleep(0.05 * 4 ** (len(self._rebuilt) - 1))
        try:
            await self._renew()
        except JournalError as again:
            await self._rebuild(again)

    async def _renew(self) -> None:
        self._loading.forget()
        self._recalling.forget()
        self.opened = await self.journal.reload()
        await self._find()
        self._begin_anew(self.opened)

    async def _find(self) -> None:
        """Rows that did get in although their append failed: their inputs are done, their answers go out."""
        while rows := await self.journal.rows(after=self.commits.acked):
            self.commits.acked = rows[-1].gid
            self._on_rows(rows)
            for row in rows:
                self._found(read_record(row))
