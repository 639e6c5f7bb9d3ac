"""Attempts at effects in a simulation: what comes of each and when is drawn, tools and models are called in place."""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar

from msgspec import Struct

from ..actors.releases import Settlement, Start
from ..protocols.codec import encode
from ..protocols.effects import CALL, Attempt, Effect
from ..protocols.errors import Abandon, ChangeArguments, Failed, RetryLater, RetryNow
from ..protocols.failures import Failure, of_exception
from ..protocols.model import ModelRequest
from ..protocols.tool import Call
from ..tools.perform import reconcile_plain, run_plain
from .tree import Tree

T = TypeVar("T")


class Faults(Struct, frozen=True):
    """What goes wrong, each as a probability; none by default.

    Attributes:
        crash: of each step: kernel and attempts under way are gone.
        commit_fails, commit_unknown: of each commit: nothing is written; or all of it is, and an error says otherwise.
        fails: of each attempt: the tool fails in one of the four declared ways, and nothing happened.
        raises: of each attempt: an exception that nobody declared; whether it happened before is drawn.
        hangs: of each attempt: no answer within the timeout; whether it happened is drawn.
        late: of each attempt: it happens, no answer comes in time, then one does.
        twice: of each attempt: the same answer comes twice.
    """

    crash: float = 0.0
    commit_fails: float = 0.0
    commit_unknown: float = 0.0
    fails: float = 0.0
    raises: float = 0.0
    hangs: float = 0.0
    late: float = 0.0
    twice: float = 0.0


class _Flight(Struct):
    """An attempt under way: not begun yet while ``outcomes`` is None, over when its first outcome is in."""

    start: Start
    outcomes: list[tuple[float, Settlement]] | None = None


class Attempts:
    """All attempts under way, and the outcomes that are still to come.

    Args:
        tree: whose tools and models.
        random: what is drawn is drawn from here.
        faults: how often what goes wrong.
        hits: counts what did.
    """

    def __init__(self, tree: Tree, random: random.Random, faults: Faults, hits: Counter[tuple[str, str]]) -> None:
        self.faults = faults
        self._tree, self._random, self._hits = tree, random, hits
        self._flights: dict[str, _Flight] = {}
        self._late: list[tuple[float, Settlement]] = []

    def begin(self, start: Start) -> None:
        """One that the kernel lets out; one that is under way already is not begun again."""
        self._flights.setdefault(start.effect.id, _Flight(start))

    def withdraw(self, effect: str) -> None:
        """Nobody wants its outcome."""
        self._flights.pop(effect, None)

    def forget(self) -> None:
        """The process is gone, and they with it."""
        self._flights.clear()
        self._late.clear()

    def flying(self) -> dict[str, int]:
        """Attempt numbers of those under way."""
        return {id: flight.start.effect.attempt for id, flight in self._flights.items()}

    def waiting(self) -> list[str]:
        """Those not performed yet."""
        return [id for id, flight in self._flights.items() if flight.outcomes is None]

    def perform(self, now: float) -> None:
        """Perform one of them; its outcomes come later."""
        id = self._random.choice(self.waiting())
        flight = self._flights[id]
        flight.outcomes = [
            (due, Settlement(id, flight.start.effect.attempt, a.value, a.failure, a.unknown, serial))
            for serial, (due, a) in enumerate(self._attempt(flight.start, now))
        ]

    def coming(self) -> list[tuple[float, Settlement]]:
        """Outcomes that are to come, and when."""
        first = [flight.outcomes[0] for flight in self._flights.values() if flight.outcomes]
        return [*first, *self._late]

    def take(self, settlement: Settlement) -> None:
        """This outcome came. After its first one an attempt is over; others of it are late."""
        flight = self._flights.get(settlement.effect)
        if flight is not None and flight.outcomes and flight.outcomes[0][1] is settlement:
            self._late += flight.outcomes[1:]
            del self._flights[settlement.effect]
        else:
            self._late = [(due, late) for due, late in self._late if late is not settlement]

    def _attempt(self, start: Start, now: float) -> list[tuple[float, Attempt]]:
        """What comes of an attempt, and when."""
        effect, faults, draw = start.effect, self.faults, self._random
        soon, timeout = now + draw.random(), now + effect.timeout
        silence = Attempt(failure=Failure("retry_later", "timeout", f"{effect.name}: no answer"), unknown=True)
        fates = ("fails", "raises", "hangs", "late", "twice")
        chances = [faults.fails, faults.raises, faults.hangs, faults.late, faults.twice]
        fate = draw.choices((*fates, ""), [*chances, max(0.0, 1.0 - sum(chances))])[0]
        if fate:
            self._hits[fate, effect.effect if effect.verb == CALL else effect.verb] += 1
        if fate == "fails":
            error = draw.choice((RetryNow, RetryLater, ChangeArguments, Abandon))("simulated")
            return [(soon, Attempt(failure=error.failure))]
        never = fate in ("raises", "hangs") and draw.random() < 0.5  # it did not get there
        came = None if never else self._do(start)
        if fate == "raises":
            return [(soon, Attempt(failure=of_exception(ConnectionError("simulated")), unknown=True))]
        if fate == "hangs" or came is None:
            return [(timeout, silence)]
        if fate == "late":
            return [(timeout, silence), (timeout + draw.random() * 60.0, came)]
        return [(soon, came)] * (2 if fate == "twice" else 1)

    def _do(self, start: Start) -> Attempt:
        """Call the tool or model, here and now."""
        effect = start.effect
        if effect.verb != CALL:
            return self._think(effect, start.request)
        tool = self._tree.tools[effect.agent][effect.name]
        if tool.spec.effect == "reconcilable" and (effect.attempt > 1 or effect.interrupted):
            found = reconcile_plain(tool, effect)
            if found is not None:
                return found
        call = Call(effect.id, effect.key, effect.attempt, effect.stream, effect.timeout)
        try:
            values = tool.bind(tool.signature.read(effect.args), call)
        except ValueError as error:
            return Attempt(failure=Failure("change_arguments", "bad_arguments", str(error), where=effect.name))
        if tool.is_async:
            tool, waits = copy.copy(tool), tool.function

            def at_once(**given: Any) -> Any:  # the tool's own parameters and result
                return finish(waits(**given))

            tool.function = at_once
        return run_plain(tool, effect, values)

    def _think(self, effect: Effect, request: ModelRequest | None) -> Attempt:
        assert request is not None
        model = self._tree.models[effect.agent][effect.name]
        try:
            return Attempt(value=encode(finish(model.complete(request, lambda _: None))))
        except Failed as error:
            return Attempt(failure=error.failure)


def finish(running: Coroutine[Any, Any, T]) -> T:
    """What a coroutine comes to that never really waits.

    Raises:
        RuntimeError: it does wait; a simulation has no event loop.
    """
    try:
        running.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    running.close()
    raise RuntimeError("this coroutine waits for something; in a simulation nothing would wake it")
