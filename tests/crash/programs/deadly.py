"""Ways to die at an exact moment. They stand around the product, never in it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import NoReturn
from unittest.mock import patch

import msgspec

from understudy.protocols.envelope import OUTCOME, OutcomeBody
from understudy.protocols.journal import Batch, Record
from understudy.supervisor import system
from understudy.supervisor.journal.sqlite import SqliteJournal

Sees = Callable[[Batch], bool]


def die() -> NoReturn:
    """What ``kill -9`` does; nothing after it runs."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def nothing(batch: Batch) -> bool:
    """A batch that never comes."""
    return False


@contextmanager
def deadly_journal(
    *, before: Sees = nothing, after: Sees = nothing, told: Callable[[Batch], None] | None = None
) -> Generator[None]:
    """Systems made in this block die before (or right after) the commit of the batch that ``before`` (``after``) sees.

    ``told`` hears of every batch that is durable.
    """

    class DeadlyJournal(SqliteJournal):
        def append(self, batch: Batch) -> None:
            if before(batch):
                die()
            super().append(batch)
            if after(batch):
                die()
            if told is not None:
                told(batch)

    with patch.object(system, "SqliteJournal", DeadlyJournal):
        yield


def records(batch: Batch) -> list[Record]:
    """What the rows of a batch say."""
    return [msgspec.json.decode(row.payload, type=Record) for row in batch.rows]


def intends(batch: Batch, tool: str) -> bool:
    """Whether a call of this tool is intended in it."""
    return any(effect.name == tool for record in records(batch) for effect in record.effects)


def starts(batch: Batch, tool: str) -> bool:
    """Whether it holds the ``started`` row of a call of this tool."""
    pairs = zip(batch.rows, records(batch), strict=True)
    return any(row.kind == "started" and any(e.name == tool for e in record.changes) for row, record in pairs)


def settles(batch: Batch, tool: str) -> bool:
    """Whether the outcome of a call of this tool becomes durable with it."""
    mail = [record.message for record in records(batch) if record.message is not None]
    outcomes = [msgspec.json.decode(m.body, type=OutcomeBody) for m in mail if m.wire == OUTCOME]
    return any(outcome.settler == f"tool:{tool}" for outcome in outcomes)
