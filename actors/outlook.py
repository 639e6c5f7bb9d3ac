"""What the shell asks of the kernel between steps: what goes on by itself, what waits, and for whom."""

from __future__ import annotations

from typing import Literal

from ..protocols.ids import Address
from .holdings import Holdings
from .working_sets import DEADLINE, FOR_PEOPLE, INSIDE


class Outlook(Holdings):
    """Looks at what the kernel holds. Changes nothing but what it says was asked."""

    @property
    def unsaved(self) -> bool:
        """Whether a cut would take in mail that no turn has taken yet."""
        return bool(self.memory.taken) or any(cell.loaded for cell, _, _ in self._unsaved.values())

    @property
    def waits_since(self) -> float | None:
        """Since when the oldest mail that no turn has taken and no row holds is here, in journal time."""
        return next((item.envelope.at for _, item, _ in self._unsaved.values()), None)

    @property
    def held_back(self) -> int | None:
        """The row that ``committed`` waits for next; None for nothing."""
        firsts = [queue[0][0] for queue in (self._outbox, self._retiring) if queue]
        return min(firsts, default=None)

    def standing(self, run: Address) -> Literal["moving", "asking", "idle"]:
        """Whether a run goes on by itself, waits for people only, or has nothing open."""
        held = sum(
            item.envelope.lane == "work" and (item.envelope.context.run or cell.address) == run
            for cell in self._suspended.values()
            for item in cell.mailbox.items()
        )
        if self._mail_of.get(run, 0) > held or self.sets.moving[run]:
            return "moving"
        return "asking" if self.sets.asking[run] else "idle"

    @property
    def ready(self) -> bool:
        """Whether there are turns to run; a commit can make some (``committed`` delivers mail that was held back for its mark)."""
        return bool(self._ready or self._unheard)

    @property
    def stirred(self) -> bool:
        """Whether there is anything for a step, a load, a cut or a release to do now."""
        return bool(self._ready or self._unheard or self._unsaved or self._outbox or self.loads or self.memory.taken)

    def moves(self) -> bool:
        """Whether anything goes on by itself, now or when its time comes. Asked between steps, when no turn can be run:
        mail that is still open then waits for a supervisor or a person."""
        if self._ready or self._suspects or self.residents.loading:
            return True
        find = self._directory.find
        # What is done inside the node goes on as far as those who do it go on.
        still = (*FOR_PEOPLE, INSIDE)
        return any(e.state not in still and find(e.stream) is not None for e in self.sets.effects.values()) or any(
            t.envelope.wire != DEADLINE and find(t.envelope.to) is not None for t in self.sets.timers.values()
        )

    def changed_runs(self) -> set[Address]:
        """Runs whose mail, effects or timers changed since this was asked last."""
        changed, self.sets.changed = self.sets.changed, set()
        return changed
