"""Under which definitions each row was decided: those that the owner named when it took the journal over.

A life is what lies between one system row with ``epoch`` and the next. One that names no target (a program that embeds a
system) has the target of the last one that did; a life before all of those has the first one's.
"""

from __future__ import annotations

from bisect import bisect_right

from ...protocols.ids import SYSTEM
from ...protocols.journal import Record, Row
from ...tools.gate import Gate
from ..target import load


class Definitions:
    """A tree and the gate over it."""

    def __init__(self, target: str, model: str) -> None:
        """Raises TargetError as ``load``."""
        self.tree = load(target).tree(model)
        self.gate = Gate(self.tree.grants)


class Lives:
    """Definitions by row; each pair of target and model is imported once, and only where a row asks for it.

    Args:
        rows, records: of the whole journal.
        target: replaces what the journal names.
    """

    def __init__(self, rows: tuple[Row, ...], records: dict[int, Record], target: str = "") -> None:
        notes = [(row.gid, records[row.gid].note) for row in rows if row.stream == SYSTEM]
        begun = [(gid, note) for gid, note in notes if "epoch" in note]
        self._from = [gid for gid, _ in begun]
        self._facts: list[tuple[str, str]] = []
        named = next((note["target"] for _, note in begun if note.get("target")), "")
        for _, note in begun:
            named = note.get("target") or named
            self._facts.append((target or named, note.get("model", "")))
        self._otherwise = target
        self._known: dict[tuple[str, str], Definitions] = {}

    def of(self, row: Row) -> Definitions:
        """The definitions under which a row was written.

        Raises:
            TargetError: no target is recorded, or it cannot be imported.
        """
        life = bisect_right(self._from, row.gid) - 1
        facts = self._facts[life] if life >= 0 else (self._otherwise, "")
        if facts not in self._known:
            self._known[facts] = Definitions(*facts)
        return self._known[facts]
