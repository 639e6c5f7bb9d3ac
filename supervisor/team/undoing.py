"""Undoes what was done for a plan that is given up: one actor a plan, at ``<team>/<run>/undo``.

    a worker's call has happened, and its tool has a compensation -> Undoable (told by the kernel, in a row before that of the outcome)
    the plan is done        -> Keep: it ends, nothing is undone
    the plan is given up    -> Undo: the calls, the last one first, each by a call of its own -> PlanUndone, to the team
                                      one that fails -> a person: again, leave this one, leave all that is left

A call that is in doubt is not told of before somebody has said that it happened; where the plan is given up by then, it is undone
then. So this actor stays for as long as anything might still come. Each undoing call is an effect: durable, once, through any crash.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from ...actors.actor import ANY_TOOL, PERSON, Actor, applies, handles, settles
from ...actors.outcome import Outcome
from ...actors.turn import Turn
from ...protocols.approvals import DEADLINE, Answer, Question
from ...protocols.decisions import Decision
from ...protocols.decisions import again as tries_again
from ...protocols.effects import HAPPENED
from ...protocols.failures import Failure
from ...protocols.ids import Address
from ...protocols.lifecycle import Restarted
from ...protocols.messages import Event, Message, State
from ...protocols.undoing import UNDO, Undoable, Undone

TAKES: tuple[Decision, ...] = ("retry", "skip", "stop")
"""What the questions about a call that could not be undone take."""

MOST_TOLD = 200
"""Calls that a result names; what became of others stands in the journal."""


def undoer(run: str) -> Address:
    """Who undoes the calls of this run's plan."""
    return Address(f"{run}/{UNDO}")


class Undo(Message, wire="team.undo"):
    """Told by a team: its plan is given up. ``answers``: it waits for the end (``PlanUndone``)."""

    why: str
    answers: bool


class KeepCalls(Message, wire="team.keep_calls"):
    """Told by a team: its plan is done, and nothing is to be undone."""


class PlanUndone(Message, wire="team.plan_undone"):
    """Told to the team: nothing is left to undo."""

    undone: tuple[Undone, ...]


class Noted(Event, wire="undo.noted"):
    """A call has happened that can be undone."""

    call: Undoable


class Began(Event, wire="undo.began"):
    """The plan is given up. ``team``: who waits for the end; empty for nobody."""

    why: str
    team: str


class Tried(Event, wire="undo.tried"):
    """This call is being undone, or a person is asked about it."""

    of: str


class Over(Event, wire="undo.over"):
    """A call is undone, or is left as it is."""

    undone: Undone


class Reported(Event, wire="undo.reported"):
    """The team has been told."""


class UndoState(State, omit_defaults=True):
    """What can be undone, and how far that is.

    Attributes:
        known: calls that have happened, in that order.
        over: what became of each, by id.
        why: why the plan was given up; empty while it is not.
        team: who waits for the end.
        current: id of the call that is being undone.
    """

    known: tuple[Undoable, ...] = ()
    over: dict[str, Undone] = {}  # noqa: RUF012 - msgspec makes a new one for each
    why: str = ""
    team: str = ""
    current: str = ""


class UndoActor(Actor):
    """Undoes the calls of one plan."""

    State = UndoState
    inner = True
    what: ClassVar[str] = "Its plan was given up"
    """What people are told has happened."""

    @handles(Undoable)
    def noted(self, turn: Turn[UndoState], msg: Undoable) -> None:
        if all(call.of != msg.of for call in turn.state.known):
            turn.emit(Noted(msg))
        if turn.state.why:  # it came after the plan was given up: cut off while it was under way, or in doubt until now
            self._go_on(turn)

    @handles(KeepCalls)
    def keep(self, turn: Turn[UndoState], msg: KeepCalls) -> None:
        turn.stop()

    @handles(Undo)
    def begin(self, turn: Turn[UndoState], msg: Undo) -> None:
        turn.emit(Began(msg.why or "it was given up", turn.sender if msg.answers else ""))
        self._go_on(turn)

    @settles(ANY_TOOL)
    def came_back(self, turn: Turn[UndoState], outcome: Outcome[object]) -> None:
        call = self._current(turn, outcome.tag)
        if call is None:
            return
        failure = outcome.failure
        if failure is None or failure.code in HAPPENED:
            self._over(turn, call, "")
            self._go_on(turn)
        else:
            self._ask(turn, call, failure.message, failure)

    @settles(PERSON)
    def decided(self, turn: Turn[UndoState], outcome: Outcome[Answer]) -> None:
        call, failure = self._current(turn, outcome.tag), outcome.failure
        if call is None:
            return
        answer = outcome.value if failure is None else Answer("", "skip", by=DEADLINE, reason=failure.message)
        if tries_again(answer.decision):
            self._undo(turn, call)
            return
        reason = f"{answer.by}: {answer.reason or 'leave it as it is'}"
        self._over(turn, call, reason)
        if answer.decision == "stop":
            for other in self._left(turn.state):
                self._over(turn, other, reason)
        self._go_on(turn)

    @handles(Restarted)
    def again(self, turn: Turn[UndoState], msg: Restarted) -> None:
        """An outcome that could not be taken in is lost: nothing is called again unasked."""
        call = self._current(turn, turn.state.current)
        if call is None:
            if turn.state.why:
                self._go_on(turn)
        elif not turn.pending():
            self._ask(turn, call, "whether it was undone is lost: its outcome could not be taken in", msg.cause)

    # -- its steps ----------------------------------------------------------------------------------------------

    def _go_on(self, turn: Turn[UndoState]) -> None:
        state = turn.state
        if state.current:
            return
        left = self._left(state)
        if left:
            self._undo(turn, left[0])
        elif state.team:
            turn.tell(state.team, PlanUndone(tuple(state.over.values())[:MOST_TOLD]))
            turn.emit(Reported())

    def _undo(self, turn: Turn[UndoState], call: Undoable) -> None:
        turn.emit(Tried(call.of))
        if call.why:
            self._ask(turn, call, call.why, None)
            return
        # What it is called with was let through before, and came from that call itself; and it must not fail for the very budget
        # for which the plan was given up.
        turn.context = msgspec.structs.replace(turn.context, provenance=None, budgets=())
        turn.call_named(call.tool, call.args, tag=call.of, version=call.version)

    def _ask(self, turn: Turn[UndoState], call: Undoable, what: str, failure: Failure | None) -> None:
        text = (
            f"{call.call} ({call.of}) of {call.by} is not undone by {call.tool}: {what[:500]}. {self.what}: "
            f"{turn.state.why}. Try again, leave this call as it is (skip), or leave all that is not undone yet (stop)?"
        )
        turn.escalate(Question("escalation", text, failure=failure, takes=TAKES), topic=UNDO, tag=call.of)

    def _over(self, turn: Turn[UndoState], call: Undoable, left: str) -> None:
        turn.emit(Over(Undone(call.call, call.of, call.by, "left" if left else "undone", call.tool, left[:300])))

    @staticmethod
    def _left(state: UndoState) -> list[Undoable]:
        """What is not undone yet, the last call first."""
        return [call for call in reversed(state.known) if call.of not in state.over]

    @staticmethod
    def _current(turn: Turn[UndoState], of: object) -> Undoable | None:
        state = turn.state
        return next((call for call in state.known if call.of == of == state.current), None)

    # -- what is remembered -------------------------------------------------------------------------------------

    @applies(Noted)
    def was_noted(self, state: UndoState, event: Noted) -> UndoState:
        return state.evolve(known=(*state.known, event.call))

    @applies(Began)
    def has_begun(self, state: UndoState, event: Began) -> UndoState:
        return state.evolve(why=event.why, team=event.team)

    @applies(Tried)
    def was_tried(self, state: UndoState, event: Tried) -> UndoState:
        return state.evolve(current=event.of)

    @applies(Over)
    def is_over(self, state: UndoState, event: Over) -> UndoState:
        return state.evolve(over={**state.over, event.undone.of: event.undone}, current="")

    @applies(Reported)
    def was_reported(self, state: UndoState, event: Reported) -> UndoState:
        return state.evolve(team="")
