"""Attempts at effects in a simulation: what comes of each and when is drawn, tools and models are called in place."""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from ...actors.releases import Settlement, Start
from ...protocols.codec import decode, encode
from ...protocols.effects import CALL, Attempt, Effect
from ...protocols.envelope import Reply
from ...protocols.errors import Abandon, ChangeArguments, Failed, RetryLater, RetryNow, UnderstudyError
from ...protocols.failures import Failure, of_exception
from ...protocols.leases import Lease
from ...protocols.model import ModelRequest
from ...protocols.secrets import of_attempt, without_secrets
from ...protocols.tool import Call
from ...tools.perform import cancelled, not_entered, reconcile_plain, run_plain, still_running, without
from ...tools.pretending import as_begun
from ...tools.tool import LeaseRule, Tool
from ..kit.faults import FaultPlan, failed
from ..supervision.tree import Tree

T = TypeVar("T")

ABORTED = -1
"""Serial of the outcome of an attempt that was cancelled."""


class Faults(Struct, frozen=True):
    """What goes wrong, each as a probability; none by default.

    Attributes:
        crash: of each step: kernel and attempts under way are gone.
        commit_fails, commit_unknown: of each commit: nothing is written; or all of it is, and an error says otherwise.
        load_fails: of each load of an actor: the journal cannot be read for now.
        fails: of each attempt: the tool fails in one of the four declared ways, and nothing happened.
        raises: of each attempt: an exception that nobody declared; whether it happened before is drawn.
        hangs: of each attempt: no answer within the timeout; whether it happened is drawn.
        late: of each attempt: no answer comes in time, then one does; whether a call happens before or only then is drawn.
        twice: of each attempt: the same answer comes twice.
    """

    crash: float = 0.0
    commit_fails: float = 0.0
    commit_unknown: float = 0.0
    load_fails: float = 0.0
    fails: float = 0.0
    raises: float = 0.0
    hangs: float = 0.0
    late: float = 0.0
    twice: float = 0.0


class Answering(Protocol):
    """A question under way, as ``Simulated`` keeps it."""

    reply: Reply | None
    error: UnderstudyError | None
    lost: bool


class _Flight(Struct):
    """An attempt under way: not begun yet while ``outcomes`` is None, over when its first outcome is in.

    Attributes:
        goes_on: after its first outcome, as a thread does that was given up on: no other attempt begins before it ends.
        last: its effect happens only when its last outcome comes.
        entering: the question whether it may begin, where it works on a resource under a lease.
    """

    start: Start
    outcomes: list[tuple[float, Settlement]] | None = None
    goes_on: bool = False
    last: bool = False
    entering: Answering | None = None


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
        self.plan: FaultPlan | None = None
        self._tree, self._random, self._hits = tree, random, hits
        self.enter: Callable[[Effect, LeaseRule], Answering] | None = None
        self._fences: dict[str, int] = {}
        self._flights: dict[str, _Flight] = {}
        self._late: list[tuple[float, Settlement]] = []
        self._left: dict[str, _Flight] = {}

    def begin(self, start: Start) -> None:
        """One that the kernel lets out; one that is under way already is not begun again."""
        self._flights.setdefault(start.effect.id, _Flight(start))

    def withdraw(self, effect: str) -> None:
        """Nobody wants its outcome."""
        self._flights.pop(effect, None)

    def abort(self, effect: str, now: float) -> None:
        """It is cancelled. What it would have come to may still come, late."""
        flight = self._flights.get(effect)
        if flight is not None:
            over = cancelled(flight.start.effect)
            word = Settlement(
                effect, flight.start.effect.attempt, None, over.failure, over.unknown, ABORTED, flight.start.checked
            )
            flight.outcomes = [(now, word), *(flight.outcomes or ())]

    def forget(self) -> None:
        """The process is gone, and they with it."""
        self._flights.clear()
        self._late.clear()
        self._left.clear()

    def flying(self) -> dict[str, int]:
        """Attempt numbers of those under way."""
        return {id: flight.start.effect.attempt for id, flight in self._flights.items()}

    def left(self, effect: str) -> bool:
        """Whether an attempt at it was given up on and goes on."""
        return effect in self._left

    def waiting(self) -> list[str]:
        """Those not performed yet."""
        return [id for id, flight in self._flights.items() if flight.outcomes is None and _told(flight.entering)]

    def perform(self, now: float) -> None:
        """Perform one of them; its outcomes come later."""
        id = self._random.choice(self.waiting())
        flight = self._flights[id]
        effect = flight.start.effect
        if effect.resource and not effect.simulated and (flight.entering is None or flight.entering.lost):
            rule = self._tool(effect).lease
            assert self.enter is not None
            assert rule is not None
            flight.entering = self.enter(effect, rule)
            return
        if flight.entering is not None:
            reply = flight.entering.reply
            failure = reply.failure if reply is not None else Failure("retry_later", "lease_unknown", "simulated")
            if failure is not None:
                a = not_entered(effect, failure)
                flight.outcomes = [
                    (now, Settlement(id, effect.attempt, a.value, a.failure, a.unknown, 0, flight.start.checked))
                ]
                return
            assert reply is not None
            self._fences[id] = decode(reply.value, Lease).token
        flight.outcomes = [
            (due, Settlement(id, effect.attempt, a.value, a.failure, a.unknown, serial, flight.start.checked))
            for serial, (due, a) in enumerate(self._attempt(flight, now))
        ]

    def coming(self) -> list[tuple[float, Settlement]]:
        """Outcomes that are to come, and when."""
        first = [flight.outcomes[0] for flight in self._flights.values() if flight.outcomes]
        return [*first, *self._late]

    def take(self, settlement: Settlement) -> Settlement:
        """This outcome came; gives what it says. After its first one an attempt is over; others of it are late."""
        id = settlement.effect
        flight = self._flights.get(id)
        if flight is not None and flight.outcomes and flight.outcomes[0][1] is settlement:
            self._late += flight.outcomes[1:]
            del self._flights[id]
            if flight.goes_on:
                self._left[id] = flight
            return settlement
        self._late = [(due, late) for due, late in self._late if late is not settlement]
        left = self._left.get(id)
        if left is None or not left.outcomes or left.outcomes[-1][1] is not settlement:
            return settlement
        del self._left[id]
        if not left.last:
            return settlement
        came = self._call(left.start)
        return Settlement(
            id, settlement.attempt, came.value, came.failure, came.unknown, settlement.serial, settlement.checked
        )

    def _attempt(self, flight: _Flight, now: float) -> list[tuple[float, Attempt]]:
        """What comes of an attempt, and when."""
        start, faults, draw = flight.start, self.faults, self._random
        effect = start.effect
        if effect.id in self._left:
            self._hits["still running", effect.effect] += 1
            return [(now, still_running(effect))]
        soon, timeout = now + draw.random(), now + effect.timeout
        silence = Attempt(failure=Failure("retry_later", "timeout", f"{effect.name}: no answer"), unknown=True)
        planned = self.plan.on_effect() if self.plan is not None else None
        if planned is not None:
            if planned.hangs:
                return [(timeout, silence)]
            soon += planned.delay
            if planned.error is not None:
                return [(soon, failed(effect, planned.error))]
            return [(soon, self._do(start))]
        fates = ("fails", "raises", "hangs", "late", "twice")
        chances = [faults.fails, faults.raises, faults.hangs, faults.late, faults.twice]
        fate = draw.choices((*fates, ""), [*chances, max(0.0, 1.0 - sum(chances))])[0]
        if fate:
            self._hits[fate, effect.effect if effect.verb == CALL else effect.verb] += 1
        if fate == "fails":
            error = draw.choice((RetryNow, RetryLater, ChangeArguments, Abandon))("simulated")
            return [(soon, Attempt(failure=error.failure))]
        if fate == "late":
            flight.goes_on = effect.verb == CALL and effect.effect != "read"
            flight.last = flight.goes_on and draw.random() < 0.5 and self._found(start) is None
        if flight.last:
            return [(timeout, silence), (timeout + draw.random() * 60.0, silence)]  # `take` puts in what it comes to
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
            return of_attempt(self._think(effect, start.request))
        return of_attempt(self._found(start) or self._call(start))

    def _tool(self, effect: Effect) -> Tool[..., Any]:
        """The tool in the version of the call. The gate lets none begin that is gone."""
        tool = self._tree.tools[effect.agent][effect.name].at(effect.version)
        assert tool is not None
        return tool

    def _found(self, start: Start) -> Attempt | None:
        """What an earlier attempt came to, where it can be asked."""
        effect = start.effect
        tool = self._tool(effect)
        again = effect.attempt - effect.before > 1 or effect.interrupted
        if tool.spec.effect == "reconcilable" and again and not effect.simulated:
            return reconcile_plain(tool, effect, finish)
        return None

    def _call(self, start: Start) -> Attempt:
        effect = start.effect
        tool = self._tool(effect)
        call = Call(
            effect.id,
            effect.key,
            effect.attempt - effect.before,
            effect.stream,
            effect.timeout,
            self._fences.get(effect.id, 0),
            at=effect.at,
            agent=effect.agent,
            tool=effect.name,
        )
        runs = as_begun(tool, effect)
        if isinstance(runs, Attempt):
            return runs
        try:
            values = runs.bind(tool.signature.read(effect.args), call)
        except ValueError as error:
            return Attempt(failure=Failure("change_arguments", "bad_arguments", str(error), where=effect.name))
        if runs.is_async:
            runs, waits = copy.copy(runs), runs.function

            def at_once(**given: Any) -> Any:  # the tool's own parameters and result
                return finish(waits(**given))

            runs.function = at_once
        return run_plain(runs, effect, values)

    def _think(self, effect: Effect, request: ModelRequest | None) -> Attempt:
        assert request is not None
        model = self._tree.models[effect.agent][effect.name]
        try:
            return Attempt(value=without_secrets(encode(finish(model.complete(without(request), lambda _: None)))))
        except Failed as error:
            return Attempt(failure=error.failure)


def _told(question: Answering | None) -> bool:
    return question is None or question.reply is not None or question.error is not None or question.lost


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
