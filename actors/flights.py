"""Effects under way: from intent to outcome, as far as the kernel decides it.

    launch -> (the shell performs one attempt) -> settle -> land | try again | doubt
    answer (a person) -> launch | land
    resume (after a crash) -> launch | doubt | land

The gate says what is right (``hooks.Gate``), this file makes the rows.
"""

from __future__ import annotations

import msgspec

from ..protocols.circuits import free
from ..protocols.codec import NULL
from ..protocols.effects import Effect
from ..protocols.errors import NotStorable
from ..protocols.failures import Failure, of_exception
from ..protocols.journal import Record
from .cell import Cell
from .departing import Departing
from .landing import Landing
from .questions import Questions
from .tower import ended_already
from .unsure import told


class Flights(Departing, Landing, Questions):
    """All effects under way in one kernel."""

    def adopt(self, before: Flights) -> None:
        """Know what a kernel before this one knew of attempts that go on."""
        for id, attempt in self.flying.items():
            if before.flying.get(id) == attempt and id in before._checked:
                self._checked.setdefault(id, before._checked[id])

    def ring(self, cell: Cell, effect: Effect | None) -> None:
        """The time of a waiting effect has come, or something is to be done about a question that waits."""
        if effect is None or effect.id in self._landing or effect.id in self.flying:
            return
        if (effect.due is None or effect.due > self._pump.now) and not free(effect, self._pump.books):
            return
        if effect.state == "waiting":
            self._again(cell, effect)
        elif effect.state in ("asking", "in_doubt") and effect.answer is None:
            self._press(cell, effect)

    def resume(self, cell: Cell, effect: Effect, *, died: bool) -> None:
        """Go on with an open effect found in the journal, after its actor was loaded. ``died``: the last life did not stop in order."""
        if effect.id in self.flying or effect.id in self._landing:
            return
        if effect.answer is not None and effect.state in ("asking", "in_doubt"):
            self._answered(cell, effect)
        elif effect.state in ("intended", "started"):
            step = self._gate.interrupted(effect, self._pump.now)
            begun = died and (
                effect.state == "started" or effect.effect in ("read", "idempotent")
            )  # as far as anybody knows
            cut = msgspec.structs.replace(effect, interrupted=effect.interrupted + 1) if begun else effect
            if effect.state == "intended" and step.step == "start":
                try:
                    if begun:
                        self._pump.write(cell, "attempt", Record(changes=(cut,)), effect.id)
                except NotStorable as error:
                    self.land(cell, effect, NULL, of_exception(error, where=effect.name, code="too_large"))
                    return
                self.launch(cell, cut)
                return
            why = Failure("abandon", "interrupted", "the process ended while this was under way", where=effect.name)
            cut, books = self._book(told(cut, unknown=effect.state == "started" and not effect.simulated), None)
            self._follow(cell, cut, why, step, "", books)

    def _again(self, cell: Cell, effect: Effect) -> None:
        """The wait before the next attempt is over, unless so much time has passed that it may not be made any more."""
        step = self._gate.interrupted(effect, self._pump.now)
        if step.step == "start":
            self.launch(cell, effect)
        else:
            self._follow(cell, effect, step.failure or effect.failure or ended_already(cell), step, "")
