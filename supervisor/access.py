"""What every part of a running system's face needs: its definitions, its shell, and to know whether it is open."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from ..protocols.errors import AskFailed, SystemStopped
from ..protocols.failures import Failure
from ..protocols.ids import Address, address
from .parked import Letters, ParkedMessage, find, one_of_file
from .shell import Shell
from .supervision.tree import Tree
from .unopened import not_open


class Access:
    """The inside of a ``us.System``. Its attributes are set by the system.

    Attributes:
        path: the journal's file; None for one in memory.
        tree: the definitions, mounted.
    """

    path: Path | None
    tree: Tree
    _shell: Shell
    _tasks: TaskGroup | None
    _closed: bool

    def _must_be_open(self) -> None:
        if self._tasks is None:
            raise not_open()
        if self._closed:  # one that has failed can still be looked at
            raise SystemStopped("the system was closed", hint="make another us.System on the same journal to carry on")

    async def _letters(self) -> Letters:
        self._must_be_open()
        return Letters(await self._shell.journal.rows(limit=sys.maxsize))

    async def _put_aside(self, id: str) -> ParkedMessage:
        self._must_be_open()
        if self.path is not None:
            return await anyio.to_thread.run_sync(one_of_file, self.path, id)
        return find(await self._letters(), id)

    def _owned(self, to: str, otherwise: str = "") -> Address:
        """An address that a definition owns. Anything else fails at the door, before it is written: a typo burns no id."""
        directory, found = self.tree.directory, address(to)
        if directory.find(found) is None:
            what, hint = otherwise or f"nothing is mounted at {to!r}", f"mounted: {directory.named()}"
            raise AskFailed(Failure("change_arguments", "no_such_actor", what, hint=hint, where=found))
        return found
