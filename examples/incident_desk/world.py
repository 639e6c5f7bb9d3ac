"""The world outside of the desk: a roster of units, a status service that stutters, the dispatcher's board, a witness.

It belongs to the tools' process and knows nothing of the journal. That is what makes it evidence: whether a tool ran
twice is counted here, not in our own books. What is set in the environment:

=================  ==================================================================================================
``DESK_WITNESS``   file in which every tool call leaves a line when it begins, ends or fails; without it, none is kept
``DESK_BOARD``     file of the proposals, one a line (``desk-board.jsonl`` in the working directory)
``DESK_SLOW``      seconds that every tool takes, so that a kill can hit one (0)
``DESK_HOLD``      ``tool:n``: the n-th call of that tool in this process begins and then hangs, to be killed there.
                   Only once: the file ``<witness>.held`` says that it has happened, and that now is the time to kill.
=================  ==================================================================================================
"""

import os
import threading
import time
import zlib
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

import understudy as us

HELD_AT_MOST = 60.0
"""Seconds after which a held tool goes on, should nobody come to kill it."""


class Sighting(Struct, frozen=True):
    """One line of the witness file: a tool call was seen to begin, to end, or to fail (it then did nothing)."""

    tool: str
    key: str
    id: str
    attempt: int
    phase: Literal["begin", "end", "failed"]


class Unit(Struct, frozen=True):
    """A crew on the road: its name, and the minutes it needs to anywhere in its district."""

    unit: str
    minutes: int


class Roster(Struct, frozen=True, forbid_unknown_fields=True):
    """``units.json``: who is based where, by district and kind, and who cannot go, and why."""

    districts: dict[str, dict[str, tuple[Unit, ...]]]
    out_of_service: dict[str, str]

    def based(self, kind: str) -> list[str]:
        """The districts in which that kind of unit is based."""
        return [district for district, kinds in self.districts.items() if kind in kinds]

    def kinds(self) -> list[str]:
        """Every kind of unit there is."""
        return sorted({kind for kinds in self.districts.values() for kind in kinds})

    def names(self) -> set[str]:
        """The name of every unit."""
        return {unit.unit for kinds in self.districts.values() for units in kinds.values() for unit in units}


@cache
def roster() -> Roster:
    """Who is based where."""
    return msgspec.json.decode(Path(__file__).with_name("units.json").read_bytes(), type=Roster)


@contextmanager
def witnessed(tool: str, call: us.Call) -> Generator[None]:
    """Around all that a tool does: the witness sees it begin, and end or fail. A kill in between leaves ``begin``."""
    _see(Sighting(tool, call.key, call.id, call.attempt, "begin"))
    try:
        _hold(tool)
        time.sleep(float(os.environ.get("DESK_SLOW", "0")))
        yield
    except Exception:
        _see(Sighting(tool, call.key, call.id, call.attempt, "failed"))
        raise
    _see(Sighting(tool, call.key, call.id, call.attempt, "end"))


def stutters(key: str) -> bool:
    """Whether the status service fails the first attempt at this call: one in three, and always the same ones.

    The idempotency key is a digest already, and the same after a crash; so a run that was killed and resumed meets the
    same world as one that was not.
    """
    return zlib.crc32(key.encode()) % 3 == 0


def pin_to_board(row: bytes) -> None:
    """Add a proposal to the dispatcher's board. It is there when this returns."""
    append(Path(os.environ.get("DESK_BOARD", "desk-board.jsonl")), row)


def append(file: Path, line: bytes) -> None:
    """Add one line with a single write, and wait until it is on the disk. Lines of several processes do not mix."""
    handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, line + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)


def _see(sighting: Sighting) -> None:
    if file := os.environ.get("DESK_WITNESS"):
        append(Path(file), msgspec.json.encode(sighting))


_calls: Counter[str] = Counter()
_counting = threading.Lock()  # tools run in threads


def _hold(tool: str) -> None:
    held, _, nth = os.environ.get("DESK_HOLD", "").partition(":")
    if held != tool:
        return
    with _counting:
        _calls[tool] += 1
        if _calls[tool] != int(nth or "1"):
            return
    marker = Path(os.environ.get("DESK_WITNESS", "desk") + ".held")
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return
    threading.Event().wait(HELD_AT_MOST)
