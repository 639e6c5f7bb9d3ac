"""A world outside, for programs that are killed: what happened in it, and a witness of every call.

Both are files that the program's own process writes and fsyncs, line by line, and that know nothing of the journal: so
they count what a tool really did, whatever our own books say.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct


class Line(Struct, frozen=True):
    """Something that was seen: a tool's function was entered (``ran``), its effect happened, or it was asked about."""

    what: Literal["ran", "effect", "asked"]
    tool: str
    key: str


class World:
    """The world in a folder."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "world.jsonl"

    def ran(self, tool: str, key: str) -> None:
        """The function was entered."""
        self._add(Line("ran", tool, key))

    def change(self, tool: str, key: str) -> None:
        """Let an effect happen, as often as this is called."""
        self._add(Line("effect", tool, key))

    def change_once(self, tool: str, key: str) -> None:
        """Let an effect happen unless this key is known: how a server with idempotency keys does it."""
        if not self.knows(tool, key):
            self.change(tool, key)

    def asked(self, tool: str, key: str) -> bool:
        """Somebody asks whether the effect with this key happened."""
        self._add(Line("asked", tool, key))
        return self.knows(tool, key)

    def knows(self, tool: str, key: str) -> bool:
        """Whether an effect with this key happened."""
        return Line("effect", tool, key) in self.lines()

    def count(self, what: Literal["ran", "effect", "asked"], tool: str) -> int:
        """How often it was seen."""
        return sum(1 for line in self.lines() if (line.what, line.tool) == (what, tool))

    def lines(self) -> list[Line]:
        """Everything that was seen, in order."""
        data = self._file.read_bytes() if self._file.exists() else b""
        return [msgspec.json.decode(line, type=Line) for line in data.splitlines()]

    def _add(self, line: Line) -> None:
        handle = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, msgspec.json.encode(line) + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)
