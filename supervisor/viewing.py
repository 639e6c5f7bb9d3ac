"""Looking at a running system: rows, actors, progress, the tree, what is stuck, what was counted."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream

from ..actors.cell import read_record
from ..protocols import given
from ..protocols.ids import Address, address
from ..protocols.journal import ActorLine, Row
from .access import Access
from .results import recorded
from .stats import Stats
from .supervision.overview import IDLE as SHOWN
from .supervision.overview import TreeNode, overview
from .team.events import TeamState
from .team.progress import Progress, apply, progress
from .watchers import Delta, Watchers

if TYPE_CHECKING:
    from .auditing import Audit
    from .stuck import Stuck


class Viewing(Access):
    """Shows, and changes nothing."""

    _watchers: Watchers

    @asynccontextmanager
    async def watch(self, run: str = "") -> AsyncGenerator[MemoryObjectReceiveStream[Row | Delta]]:
        """Committed rows of a run (of everything, for an empty address) from now on, and provisional ``Delta``s of its models."""
        if run:
            address(run)
        self._must_be_open()
        async with self._watchers.watch(run) as stream:
            yield stream

    async def rows(self, actor: str, after: int = 0) -> tuple[Row, ...]:
        """The rows of one actor with seq > after."""
        where, last = given.name("actor", actor), given.count("after", after)
        self._must_be_open()
        return await self._shell.journal.stream(where, last)

    async def progress(self, run: str) -> Progress | None:
        """How far a run of a team is: steps done of all, what is under way, what waits and why. None where there is no such run, or it is
        none of a team."""
        state: TeamState | None = None
        ended = ""
        for row in await self.rows(run):
            record = read_record(row)
            for stored in record.events:
                if stored.wire.startswith("team."):
                    state = apply(state or TeamState(), stored)
            ended = next((recorded(r.value).status if r.failure is None else "failed" for r in record.replies), ended)
        sets = self._shell.kernel.sets
        effects = [sets.effects[id] for id in sets.of.get(Address(run), ())]
        return progress(state, effects, ended) if state is not None else None

    async def actors(self, prefix: str = "") -> tuple[ActorLine, ...]:
        """Where the actors at or below an address stand."""
        if prefix != "":
            given.name("prefix", prefix)
        self._must_be_open()
        return await self._shell.journal.actors(prefix)

    async def audit(self, run: str) -> Audit:
        """What the gate said and did about every call of a run and of its children, and of whatever they had others do,
        in order; by the committed rows.

        Raises:
            LookupError: there is no such run.
        """
        from .auditing import audited  # most programs never look: they do not pay for it at their start
        from .causes import Causes

        where = given.name("run", run)
        self._must_be_open()
        lines = await self._shell.journal.actors(where)
        if not lines:
            raise LookupError(f"there are no rows of {run}")
        causes = Causes(Address(where), (line.address for line in lines))
        while wanted := causes.wanted():
            causes.take([row for address in wanted for row in await self._shell.journal.stream(address, 0)])
        return audited(causes)

    async def overview(self, *, idle: int = SHOWN) -> TreeNode:
        """Who keeps whom going, and how each stands, by the committed rows.

        Args:
            idle: how many runs and actors at templates of whom nothing is open are shown, of each supervisor; the others are counted.
        """
        given.count("idle", idle)
        self._must_be_open()
        journal, sets = self._shell.journal, self._shell.kernel.sets
        lines = await journal.actors("")
        rows = {line.address: await journal.stream(line.address, 0) for line in lines if "/" not in line.address}
        return overview(
            lines, lambda address: rows.get(address, ()), sets.mail.values(), sets.effects.values(),
            self._shell.clock.now(), self.tree.directory, idle=idle,
        )  # fmt: skip

    async def stuck(self) -> tuple[Stuck, ...]:
        """Unfinished actors that nothing will ever move again, and why: they have no mail, no timer and no open effect, nobody to be
        asked. Always empty, if nothing is wrong. What somebody outside has yet to say nobody can know: who waits for that is listed.

        Reads the working sets, and the rows of those who owe an answer; looks twice, so that nothing is named that is only on its way.
        """
        self._must_be_open()
        found = await self._stuck()
        if not found:
            return ()
        await anyio.sleep(0.05)
        return tuple(one for one in await self._stuck() if one in found)

    def stats(self) -> Stats:
        """What this life of the system has counted so far."""
        return self._shell.stats()

    async def _stuck(self) -> tuple[Stuck, ...]:
        from . import stuck

        if self.path is not None:
            picture = await anyio.to_thread.run_sync(stuck.of_file, self.path)
        else:
            journal = self._shell.journal
            rows = await journal.rows(limit=sys.maxsize)
            picture = stuck.of_rows(rows, await journal.actors(""))
        return stuck.stuck(stuck.of_kernel(self._shell.kernel, picture, self._shell.performing))
