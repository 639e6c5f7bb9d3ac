"""The steps of a simulated node: which there are, which is drawn, and what each does."""

from __future__ import annotations

import math
from collections.abc import Callable

from ...actors.releases import (
    Settlement,
)
from ...protocols.failures import Failure
from ..stuck import Stuck, of_kernel, of_rows, stuck
from .node import Node


class Steps(Node):
    """See ``Simulated``, which people use."""

    def step(self, *, until: float = math.inf) -> bool:
        """One step, drawn; false when there is nothing to do but wait for people or callers, or for a time after ``until``."""
        choices = self._choices()
        if not choices and not self._wait(until):
            return False
        if choices:
            name, act = self.random.choice(choices)
            self.steps[name] += 1
            act()
            if self.random.random() < self.faults.crash:
                self.crash(name)
        return True

    def stuck(self) -> tuple[Stuck, ...]:
        """What nothing will ever move again, as ``System.stuck``; looked at now, so rather when nothing moves by itself."""
        picture = of_rows(self.journal.rows(limit=10_000_000), self.journal.actors())
        return stuck(of_kernel(self.kernel, picture, self._performing))

    def _performing(self, effect: str) -> bool:
        in_hand = (self._held.get(id) for id in self._fresh)
        return effect in self.attempts.flying() or any(
            isinstance(held, Settlement) and held.effect == effect for held in in_hand
        )

    def rest(self, *, steps: int = 200_000) -> None:
        """Step until nothing moves by itself: all is over, waits for people, or for reminders that come again and again or are for
        people (which ``pass_time`` brings). Raises AssertionError where that takes more than so many steps."""
        for _ in range(steps):
            if not self.step(until=self.now if self.only_ticks() else math.inf):
                return
        raise AssertionError(f"seed {self.seed}: still moving after {steps} steps")

    def pass_time(self, seconds: float, *, steps: int = 200_000) -> None:
        """Let virtual time pass, and all that comes due in it. Raises AssertionError as ``rest``."""
        end = self.now + seconds
        for _ in range(steps):
            if not self.step(until=end):
                self.now = max(self.now, end)
                return
        raise AssertionError(f"seed {self.seed}: still moving after {steps} steps")

    def _choices(self) -> list[tuple[str, Callable[[], None]]]:
        kernel, choices = self.kernel, list[tuple[str, Callable[[], None]]]()
        if self._fresh:
            choices.append(("feed", self._feed))
        if kernel.loads:
            choices.append(("load", self._load))
        due = kernel.due()
        if kernel.ready or (due is not None and due <= self.now):
            choices += [("run", self._run)] * 2
        if self._appending is not None:
            choices.append(("append", self._append))
        elif self._uncut():
            choices += [("commit", self._commit), ("cut", self._cut)]
        if kernel._aging.cells or self._snapshots:
            choices.append(("snapshot", self._snapshot))
        if self._unreleased():
            choices.append(("release", self._let_out))
        if self.attempts.waiting():
            choices.append(("perform", self._perform))
        if self._due_outcomes():
            choices.append(("outcome", self._outcome))
        idle = kernel.residents.due()
        if choices and idle is not None and idle <= self.now:
            choices.append(("passivate", self._passivate))
        if choices and self.random.random() < 0.1:
            choices = [("tick", self._tick)]
        return choices

    def _feed(self) -> None:
        for _ in range(self.random.randint(1, len(self._fresh))):
            if self._keyed(self._fresh[0]) and self._fresh[0] not in self._looked:
                self._look(self._fresh[0])
                if self.random.random() < 0.5:  # what it shows will be old when it is used
                    return
            self._hand(self._fresh.pop(0))

    def _load(self) -> None:
        loads = self.kernel.loads
        want = loads.pop(self.random.randrange(len(loads)))
        if self.faults.load_fails and self.random.random() < self.faults.load_fails:
            self.hits[
                "load fails", "mail waits" if self.kernel.residents.cells[want.address].mailbox else "no mail"
            ] += 1
            why = Failure("retry_later", "unloaded", "simulated", where=want.address)
            self.kernel.unloaded(want.address, why)
            return
        (found,) = self.journal.find((want,))
        self.hits["snapshot", "believed"] += found.snapshot is not None
        self.kernel.loaded(found)

    def _snapshot(self) -> None:
        """Take what is due, store what may be stored."""
        self.kernel.take_snapshots()
        self.journal.put_snapshots(tuple(self._snapshots))
        self.hits["snapshot", "taken"] += len(self._snapshots)
        self._snapshots.clear()

    def _passivate(self) -> None:
        before = self.kernel.residents.counts().passivated
        self.kernel.rest(self.now)
        self.hits["passivated", "by the idle time" if self.idle else "at once"] += (
            self.kernel.residents.counts().passivated - before
        )

    def _run(self) -> None:
        self.kernel.step(self.now, turns=self.random.choice((1, 2, 5, 50)))

    def _commit(self) -> None:
        """Append what is under way, or else what was made."""
        if self._appending is None:
            self._appending = self.kernel.cut()
        if self._appending is not None:
            self._append()

    def _cut(self) -> None:
        """Begin to append. While turns are ready, mail that waits for one may be left without a row of its own, or not."""
        self._appending = self.kernel.cut(take_in=not self.kernel.ready or self.random.random() < 0.5)

    def _perform(self) -> None:
        self.attempts.perform(self.now)

    def _outcome(self) -> None:
        settlement = self.attempts.take(self.random.choice(self._due_outcomes()))
        self._held[settlement.id] = settlement
        self._fresh.append(settlement.id)

    def _due_outcomes(self) -> list[Settlement]:
        return [settlement for due, settlement in self.attempts.coming() if due <= self.now]

    def _tick(self) -> None:
        self.now += self.random.choice((0.001, 0.1, 1.0, 10.0))

    def only_ticks(self) -> bool:
        """Whether all that will come by itself is reminders that come again and again, of actors or of people by name."""
        sets = self.kernel.sets
        return (
            any(timer.schedule is not None for timer in sets.timers.values())
            or any(effect.addressed is not None for effect in sets.effects.values())
        ) and (
            all(timer.schedule is not None and timer.schedule.cron for timer in sets.timers.values())
            and not any(effect.due is not None and effect.addressed is None for effect in sets.effects.values())
            and not self.attempts.coming()
        )

    def _wait(self, until: float) -> bool:
        """Nothing to do now: let time pass up to what comes next."""
        dues = [due for due, _ in self.attempts.coming()]
        alarm = self.kernel.due()
        dues += [alarm] if alarm is not None else []
        if not dues or min(dues) > until:
            return False
        self.now = max(self.now, min(dues))
        return True
