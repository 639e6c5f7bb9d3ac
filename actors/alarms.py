"""Alarms of the kernel: journal times at which a timer, an effect or mail has to be looked at."""

from __future__ import annotations

import heapq

from .holdings import Holdings
from .mailbox import Item
from .reminders import is_missed


class Alarms(Holdings):
    """When the kernel does something without anybody's asking."""

    def tick(self, now: float) -> None:
        """Time has passed. Journal time never goes back."""
        self.now = max(self.now, now)
        while self._alarms and self._alarms[0][0] <= self.now:
            _, id = heapq.heappop(self._alarms)
            timer = self.sets.timers.get(id)
            if timer is not None:
                item = Item(timer.envelope, durable=True)
                if is_missed(timer, self.now):
                    self._missed.add(id)
                elif self._rung and id in self._rung:
                    item.suspect = True
                self.put(self.addressee(timer.envelope.to), item, "turn")
                continue
            effect = self.effect(id)
            if effect is None:
                self._expire(id)
                continue
            cell = self._cell(effect.stream)
            if cell.loaded:
                self.flights.ring(cell, effect)
            else:
                self._held.setdefault(cell.address, []).append(effect)

    def due(self) -> float | None:
        """Journal time of the next alarm. One whose timer, effect or message is gone does not ring."""
        while self._alarms and not self._rings(self._alarms[0][1]):
            heapq.heappop(self._alarms)
        return self._alarms[0][0] if self._alarms else None

    def alarm(self, due: float, id: str) -> None:
        """Ring for a timer or an effect at a journal time."""
        sets = self.sets
        if len(self._alarms) > 2 * (len(sets.timers) + len(sets.effects) + len(sets.mail) + len(self._unsaved)) + 1_000:
            # Without those of dropped timers, settled effects and taken mail; sorted is a heap, too.
            self._alarms = sorted({alarm for alarm in self._alarms if self._rings(alarm[1])})
        heapq.heappush(self._alarms, (due, id))

    def _rings(self, id: str) -> bool:
        """Whether an alarm still is for anything."""
        sets = self.sets
        return id in sets.timers or id in sets.effects or id in sets.mail or id in self._unsaved
