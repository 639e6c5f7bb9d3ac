"""The supervisor: who keeps workers going. It is told of every failed turn below it and decides.

    ChildFailed -> within the intensity: Restart, after a backoff
                -> beyond it: the child stays suspended with its mail, and a person is asked (Escalation)
    a person    -> approve: restart, and count anew; reject: stop the child

Each run and each fixed child has a window of its own here, so one run's crashes are one run's. Every decision is an event.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from ..actors.actor import PERSON, Actor, applies, handles, settles
from ..actors.outcome import Outcome
from ..actors.turn import Turn
from ..protocols.approvals import Answer, Question
from ..protocols.children import Backoff, Intensity, RestartPolicy
from ..protocols.failures import Failure
from ..protocols.ids import Address
from ..protocols.lifecycle import ChildFailed, Restart, Stop
from ..protocols.mail import Overloaded, Suspended
from ..protocols.messages import Event, Message, State
from .backoff import Streak, delay, streak
from .intensity import count

V = TypeVar("V")


class Restarting(Event, wire="supervisor.restarting"):
    """A child will be restarted.

    Attributes:
        restarts: its restarts in the window, this one included.
        delay: seconds from now.
        streak: its failures in a row, this one included.
        forgotten: children that have been quiet for so long that nothing needs to be known of them.
    """

    child: Address
    restarts: tuple[float, ...]
    delay: float
    failure: Failure
    item: str
    streak: int = 1
    forgotten: tuple[Address, ...] = ()


class GaveUp(Event, wire="supervisor.gave_up"):
    """A child failed too often; a person is asked."""

    child: Address
    failure: Failure


class Resolved(Event, wire="supervisor.resolved"):
    """A person decided about a child that was given up."""

    child: Address
    answer: Answer


class _RestartNow(Message, wire="supervisor.restart_now"):
    child: Address
    failure: Failure


class SupervisorState(State):
    """Restarts in the window and failures in a row, by child; and which children wait for a person."""

    restarts: dict[Address, tuple[float, ...]] = msgspec.field(default_factory=dict[Address, tuple[float, ...]])
    streaks: dict[Address, Streak] = msgspec.field(default_factory=dict[Address, Streak])
    given_up: dict[Address, Failure] = msgspec.field(default_factory=dict[Address, Failure])


class SupervisorActor(Actor):
    """Decides about failed children."""

    State = SupervisorState
    supervises = True

    def __init__(self, intensity: Intensity, backoff: Backoff, on_restart: RestartPolicy) -> None:
        self.intensity, self.backoff = intensity, backoff
        self.on_restart: RestartPolicy = on_restart

    @handles(ChildFailed)
    def child_failed(self, turn: Turn[SupervisorState], msg: ChildFailed) -> None:
        before = turn.state.restarts.get(msg.child, ())
        restarts, within = count(before, turn.now, self.intensity)
        if msg.failure.code == "unreadable":  # a restart would read the same rows
            if msg.child not in turn.state.given_up:
                self._give_up(turn, msg, msg.failure.message)
            return
        if not within:
            spent = f"{msg.child} failed more than {self.intensity.max_restarts} times in {self.intensity.within:g} s"
            self._give_up(turn, msg, f"{spent}, last: {msg.failure.message}")
            return
        failures = streak(turn.state.streaks.get(msg.child), turn.now, self.backoff)
        wait = delay(self.backoff, failures, turn.random)
        forgotten = self._quiet(turn.state, turn.now, msg.child)
        turn.emit(Restarting(msg.child, restarts, wait, msg.failure, msg.item, failures, forgotten))
        if wait > 0:
            turn.remind(_RestartNow(msg.child, msg.failure), after=wait)
        else:
            turn.order(msg.child, Restart(self.on_restart, msg.failure))

    @handles(_RestartNow)
    def restart_now(self, turn: Turn[SupervisorState], msg: _RestartNow) -> None:
        turn.order(msg.child, Restart(self.on_restart, msg.failure))

    @handles(Overloaded)
    def overloaded(self, turn: Turn[SupervisorState], msg: Overloaded) -> None:
        """A child sends more than somebody takes. The row of this turn is the record; nothing is stopped for it."""

    @settles(PERSON)
    def decided(self, turn: Turn[SupervisorState], outcome: Outcome[Answer]) -> None:
        child = Address(str(outcome.tag)) if outcome.tag is not None else turn.me
        failure = turn.state.given_up.get(child) or outcome.failure or Failure("abandon", "failed", f"{child} failed")
        answer = (
            outcome.value
            if outcome.failure is None
            else Answer("", "reject", by="the deadline", reason=outcome.failure.message)
        )
        turn.emit(Resolved(child, answer))
        if child == turn.me:
            return
        if answer.decision == "approve":
            turn.order(child, Restart(self.on_restart, failure))
        else:
            reason = f"{answer.by} stopped it: {answer.reason}" if answer.reason else f"{answer.by} stopped it"
            turn.order(child, Stop(Failure("abandon", "stopped", reason, where=child, cause=failure)))

    def _give_up(self, turn: Turn[SupervisorState], msg: ChildFailed, why: str) -> None:
        failure = Failure("abandon", "budget_exhausted", why, where=turn.me, cause=msg.failure)
        turn.emit(GaveUp(msg.child, failure))
        what = f"{why}. The message it failed on ({msg.item}) is parked." if msg.item else f"{why}."
        text = f"{what} Start it again (approve) or stop it (reject)?"
        question = Question("escalation", text, failure=failure, takes=("approve", "reject"))
        asked = turn.escalate(question, topic="child", tag=msg.child)
        if msg.failure.code != "unreadable":  # which takes no orders, and has told its watchers
            turn.order(msg.child, Suspended(failure, asked.id))

    def _quiet(self, state: SupervisorState, now: float, but: Address) -> tuple[Address, ...]:
        """Children whose last failure is of no account any more."""
        old = now - max(self.intensity.within, self.backoff.reset)
        return tuple(child for child, last in state.streaks.items() if last.until < old and child != but)

    @applies(Restarting)
    def restarting(self, state: SupervisorState, event: Restarting) -> SupervisorState:
        last = Streak(event.streak, event.restarts[-1] + event.delay)
        return state.evolve(
            restarts=_without({**state.restarts, event.child: event.restarts}, event.forgotten),
            streaks=_without({**state.streaks, event.child: last}, event.forgotten),
        )

    @applies(GaveUp)
    def gave_up(self, state: SupervisorState, event: GaveUp) -> SupervisorState:
        return state.evolve(given_up={**state.given_up, event.child: event.failure})

    @applies(Resolved)
    def resolved(self, state: SupervisorState, event: Resolved) -> SupervisorState:
        return state.evolve(
            given_up=_without(state.given_up, (event.child,)),
            restarts=_without(state.restarts, (event.child,)),
            streaks=_without(state.streaks, (event.child,)),
        )


def _without(known: dict[Address, V], children: Sequence[Address]) -> dict[Address, V]:
    return {child: value for child, value in known.items() if child not in children}
