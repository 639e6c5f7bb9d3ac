"""What a user's code, tool or person says ends what it concerns, and never the whole node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import understudy as us
from understudy.protocols.errors import JournalError
from understudy.protocols.ids import Address
from understudy.protocols.journal import Batch, Row
from understudy.supervisor import shell


class Go(us.Message):
    """Grow."""


class Ask(us.Request[int]):
    """Are you there?"""


class Grew(us.Event):
    """One level more."""


class Tree(us.Actor):
    class State(us.State):
        n: int = 0
        tree: Any = None

    @us.handles(Go)
    def go(self, turn: us.Turn[State], msg: Go) -> None:
        for _ in range(600):
            turn.emit(Grew())

    @us.applies(Grew)
    def grew(self, state: State, event: Grew) -> State:
        return state.evolve(n=state.n + 1, tree=[state.tree])

    @us.handles(Ask)
    def ask(self, turn: us.Turn[State], msg: Ask) -> int:
        return turn.state.n


async def test_a_state_too_deep_for_a_snapshot_has_none_and_ends_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "SNAPSHOTS_EVERY", 0.0)
    async with us.System(us.Child("a", Tree), us.Child("b", Tree), journal=tmp_path / "a.db") as system:
        await system.tell("a", Go())
        kernel = system._shell.kernel
        kernel._aging.cells["a"] = kernel.residents.cells[Address("a")]
        while kernel._aging.cells:
            await anyio.lowlevel.checkpoint()
        assert await system.ask("a", Ask(), timeout=20) == 600
        assert await system.ask("b", Ask(), timeout=20) == 0


async def test_a_fault_while_snapshots_are_taken_ends_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "SNAPSHOTS_EVERY", 0.0)
    async with us.System(us.Child("a", Tree), journal=tmp_path / "a.db") as system:
        tried: list[str] = []

        def taken() -> None:
            tried.append("")
            raise RuntimeError("planted")

        monkeypatch.setattr(system._shell.kernel, "take_snapshots", taken)
        while len(tried) < 2:
            await anyio.lowlevel.checkpoint()
        assert await system.ask("a", Ask(), timeout=20) == 0


async def test_a_read_that_fails_while_the_kernel_is_rebuilt_is_one_more_rebuild(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with us.System(us.Child("a", Tree), journal=tmp_path / "a.db") as system:
        await system.tell("a", Go())
        journal = system._shell.journal
        failed: list[str] = []
        append, rows = journal.append, journal.rows

        async def append_fails_once(batch: Batch) -> None:
            if not failed:
                failed.append("append")
                raise JournalError("planted")
            await append(batch)

        async def read_fails_once(after: int = 0, limit: int = 1_000) -> tuple[Row, ...]:
            if len(failed) == 1:
                failed.append("read")
                raise JournalError("planted")
            return await rows(after, limit)

        monkeypatch.setattr(journal, "append", append_fails_once)
        monkeypatch.setattr(journal, "rows", read_fails_once)
        assert await system.ask("a", Ask(), timeout=20) == 600
        assert failed == ["append", "read"]
