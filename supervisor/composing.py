"""A call of a composite tool: one actor a call, which makes each step a call of its own and hands on what it gives.

    Compose -> the first step -> its outcome -> the next one … -> the answer
               a step has failed for good -> those before it are undone -> the answer: a failure that says which, and what became of them

It is granted the tools of its steps, and nobody else is by that. What calls of it can be undone is told to an actor beside it (the same
that undoes plans); where all went well, that one hands it on to whoever would undo what the call was made for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from ..actors.actor import ANY_TOOL, Actor, applies, handles, settles
from ..actors.outcome import Later, Outcome
from ..actors.turn import Turn
from ..protocols.codec import NULL, encode
from ..protocols.composites import Absent, Compose, ComposedStep, arguments_of, made, used
from ..protocols.effects import HAPPENED
from ..protocols.errors import NotStorable
from ..protocols.failures import Failure, of_exception
from ..protocols.ids import Address
from ..protocols.lifecycle import Restarted
from ..protocols.messages import Event, Message, State
from ..protocols.people import People
from ..protocols.provenance import Label, Provenance, Vouched, fields_of, joined, values_of
from ..protocols.tasks import Cancel
from ..protocols.undoing import UNDO, Undone
from ..tools.checks.conditions import parts
from ..tools.compensating import compensations
from ..tools.composite import CompositeTool, steps_of
from ..tools.together import complete, in_turn
from ..tools.tool import Tool
from .team.undoing import KeepCalls, PlanUndone, Undo, UndoActor, UndoState

HOLES = ("{call}", "{call_b}", "{call_c}", "{call_d}", "{call_e}", "{call_f}")
"""Names of holes in the templates of composites in each other."""

LOST = "outcome_lost"
"""Of a step whose outcome stands in the journal and could not be taken in."""

GOES_ON = ("started", "in_doubt", "inside")
"""States of a step that a restart does not take back."""


class HandOn(Message, wire="composite.hand_on"):
    """Told to whoever undoes the steps of a composite: all went well; who hears of its calls now."""

    to: Address


class Composing(Event, wire="composite.began"):
    """The call was taken. ``later``: the request that waits; ``undo``: who hears of calls made for what this one is made for;
    ``origin``: where the arguments come from."""

    later: str
    call: Compose
    undo: Address = Address("")
    origin: Provenance | None = None


class StepDone(Event, wire="composite.step_done", omit_defaults=True):
    """A step gave this (null where no later one asks for it), which comes from there. ``simulated``: in shadow mode."""

    value: Raw
    provenance: Provenance | None = None
    simulated: bool = False


class StepFailed(Event, wire="composite.step_failed"):
    """A step has failed for good, and those before it are being undone."""

    failure: Failure


class Composed(Event, wire="composite.ended"):
    """It is answered."""


class ComposedState(State, omit_defaults=True):
    """How far a call is.

    Attributes:
        later: the request that waits; empty before and after.
        call: what is done; None before.
        undo, origin: as in ``Composing``.
        given: what the steps so far gave, and where that comes from.
        failure: of the step that failed; None while none has.
    """

    later: str = ""
    call: Compose | None = None
    undo: Address = Address("")
    origin: Provenance | None = None
    given: tuple[StepDone, ...] = ()
    failure: Failure | None = None


class ComposingActor(Actor):
    """Makes the steps of one call of a composite tool.

    Args:
        people: whom questions about its steps go to, where its agent says so.
    """

    State = ComposedState
    inner = True

    def __init__(self, people: People | None = None) -> None:
        self.people = people

    @handles(Compose)
    def begin(self, turn: Turn[ComposedState], msg: Compose) -> Later[Any]:
        later = turn.later(msg)
        turn.emit(Composing(later.id, msg, turn.context.undo, turn.provenance))
        self._on_behalf(turn)
        turn.budgeted = True  # the row says on whose behalf, also where it is not the first one
        self._step(turn)
        return later

    @settles(ANY_TOOL)
    def came_back(self, turn: Turn[ComposedState], outcome: Outcome[object]) -> None:
        state = turn.state
        if not state.later or state.failure is not None or state.call is None or outcome.tag != len(state.given):
            return
        self._on_behalf(turn)
        if outcome.failure is not None:
            self._give_up(turn, outcome.failure)
            return
        asked = len(state.given) in used(state.call.steps, state.call.result)
        turn.emit(StepDone(Raw(encode(outcome.value)) if asked else NULL, turn.provenance, outcome.simulated))
        self._step(turn)

    @handles(PlanUndone)
    def was_undone(self, turn: Turn[ComposedState], msg: PlanUndone) -> None:
        failure = turn.state.failure
        if turn.state.later and failure is not None:
            self._refuse(turn, self._told(turn.state, failure, msg.undone))

    @handles(Restarted)
    def again(self, turn: Turn[ComposedState], msg: Restarted) -> None:
        """A step that had not begun is intended anew. An outcome that could not be taken in is lost: no step is made again unasked."""
        state, pending = turn.state, turn.pending()
        if not state.later or state.failure is not None or any(e.state in GOES_ON for e in pending):
            return
        self._on_behalf(turn)
        if pending:
            self._step(turn)
        else:
            why = "its outcome could not be taken in"
            self._give_up(turn, Failure("abandon", LOST, why, where=turn.me, cause=msg.cause))

    @handles(Cancel)
    def cancel(self, turn: Turn[ComposedState], msg: Cancel) -> None:
        """Nobody waits any more. What is under way comes to its end, and is undone after that with the rest."""
        state = turn.state
        if not state.later or state.call is None:
            return
        self._on_behalf(turn)
        why = f"cancelled: {msg.reason}" if msg.reason else "cancelled"
        failure = Failure("abandon", "cancelled", f"{state.call.tool}: {why}", where=turn.me)
        turn.call_off(failure)
        if self._undoes(state.call) and state.failure is None:
            turn.tell(_undoer(turn.me), Undo(failure.message, answers=False))
        self._refuse(turn, failure)

    # -- its steps ----------------------------------------------------------------------------------------------

    def _step(self, turn: Turn[ComposedState]) -> None:
        state, call = turn.state, turn.state.call
        assert call is not None
        number = len(state.given)
        given = [one.value for one in state.given]
        try:
            arguments = arguments_of(call.arguments)
            if number == len(call.steps):
                self._end(turn, made(call.result, arguments, given))
                return
            step = call.steps[number]
            args = {name: made(part, arguments, given) for name, part in step.args.items()}
            turn.call_named(step.tool, Raw(encode(args)), tag=number, version=step.version)
        except Absent as error:
            self._give_up(turn, Failure("abandon", "not_there", str(error), where=call.tool))
        except NotStorable as error:
            self._give_up(turn, of_exception(error, where=call.tool, code="too_large"))

    def _end(self, turn: Turn[ComposedState], value: object) -> None:
        state, call = turn.state, turn.state.call
        assert call is not None
        if self._undoes(call):
            turn.tell(_undoer(turn.me), HandOn(state.undo) if state.undo else KeepCalls())
        turn.emit(Composed())
        turn.context = msgspec.structs.replace(turn.context, undo=state.undo)
        turn.under(_gives(state, call, Raw(encode(value)), turn.context.provenance))
        turn.reply(Later[Any](state.later), value)
        turn.stop()

    def _give_up(self, turn: Turn[ComposedState], why: Failure) -> None:
        state, call = turn.state, turn.state.call
        assert call is not None
        number = len(state.given)
        if not _done(call, number, why) or not self._undoes(call):
            self._refuse(turn, self._told(state, why, ()))
            return
        turn.emit(StepFailed(why))
        turn.tell(_undoer(turn.me), Undo(_at(call, number, why)[:500], answers=True))

    def _told(self, state: ComposedState, why: Failure, undone: tuple[Undone, ...]) -> Failure:
        """The failure of all of it: which step, why, and what became of those before."""
        call = state.call
        assert call is not None
        number = len(state.given)
        kept = _done(call, number, why)
        back = [f"{one.call} by {one.tool}" for one in undone if one.status == "undone"]
        left = [f"{one.call} ({one.reason})" for one in undone if one.status == "left"]
        for one in undone:
            kept = _without(kept, one.call)
        rehearsed = [step for step, one in zip(call.steps, state.given, strict=False) if one.simulated and step.undo]
        if call.undo:  # as if it had been real: whoever is in shadow is told what would have been
            back += [f"{step.tool} by {step.undo}" for step in reversed(rehearsed)]
            for step in rehearsed:
                kept = _without(kept, step.tool)
        left += [f"{step.tool} ({'undo=False' if step.undo else 'nothing undoes it'})" for step in kept]
        words = [_at(call, number, why)]
        if back:
            words.append(f"undone: {', '.join(back)}")
        if left:
            words.append(f"done, and not undone: {', '.join(left)}")
        if not back and not left:
            words.append("nothing was changed")
        kind = "abandon" if left else why.kind
        hint = "look at what is not undone before it is called again" if left else why.hint
        after = why.after if kind == "retry_later" else None
        return Failure(kind, "step_failed", "; ".join(words), hint, after, call.tool, why)

    def _refuse(self, turn: Turn[ComposedState], failure: Failure) -> None:
        state = turn.state
        turn.emit(Composed())
        turn.context = msgspec.structs.replace(turn.context, undo=state.undo)
        turn.refuse(Later[Any](state.later), failure)
        turn.stop()

    def _on_behalf(self, turn: Turn[ComposedState]) -> None:
        """Calls that can be undone are told to its own undoer, where it has one."""
        state = turn.state
        assert state.call is not None
        undo = _undoer(turn.me) if self._undoes(state.call) else state.undo
        turn.context = msgspec.structs.replace(turn.context, undo=undo)

    @staticmethod
    def _undoes(call: Compose) -> bool:
        return call.undo and any(one.undo for step in call.steps for one in step.calls)

    def vouches(self, state: ComposedState, before: Vouched | None) -> Vouched:
        """Constants are the program's own words; arguments and results are worth what their sources are."""
        found, call = Vouched(), state.call
        if call is None:
            return found
        constants = [
            part.value
            for one in (*(arg for step in call.steps for arg in step.args.values()), call.result)
            for part in one.parts()
            if part.of == "value"
        ]
        found.sets += (values_of(bytes(value)) for value in constants)
        for value, provenance in (
            (call.arguments, state.origin),
            *((one.value, one.provenance) for one in state.given),
        ):
            labels = provenance.labels if provenance is not None else ()
            if "untrusted" not in labels:
                if labels:
                    found.private |= values_of(bytes(value))
                else:
                    found.sets.append(values_of(bytes(value)))
        return found

    # -- what is remembered -------------------------------------------------------------------------------------

    @applies(Composing)
    def has_begun(self, state: ComposedState, event: Composing) -> ComposedState:
        return state.evolve(later=event.later, call=event.call, undo=event.undo, origin=event.origin)

    @applies(StepDone)
    def step_is_done(self, state: ComposedState, event: StepDone) -> ComposedState:
        return state.evolve(given=(*state.given, event))

    @applies(StepFailed)
    def step_has_failed(self, state: ComposedState, event: StepFailed) -> ComposedState:
        return state.evolve(failure=event.failure)

    @applies(Composed)
    def is_over(self, state: ComposedState, event: Composed) -> ComposedState:
        return state.evolve(later="")


class StepsUndoActor(UndoActor):
    """Undoes the steps of one call of a composite tool."""

    what = "A later step of the same call failed"

    @handles(HandOn)
    def hand_on(self, turn: Turn[UndoState], msg: HandOn) -> None:
        for call in turn.state.known:
            turn.tell(msg.to, call)
        turn.stop()


class Inner(Struct):
    """An actor that a composite tool needs, where its tools are granted: ``tools``."""

    template: str
    actor: Actor
    tools: dict[str, Tool[..., Any]]


def composing(
    template: str,
    tools: Mapping[str, Tool[..., Any]],
    people: People | None = None,
    around: frozenset[str] = frozenset(),
) -> Iterator[Inner]:
    """What a definition at a template needs besides itself, because some of its tools are composites. ``around``: of a composite within
    another one: names of what the callers above have.

    Raises:
        DefinitionError: the tools of a composite's steps do not go together.
    """
    around = around.union(*map(parts, tools.values()))
    for name, newest in tools.items():
        versions = [t for t in (newest, *newest.versions.values()) if isinstance(t, CompositeTool)]
        if not versions:
            continue
        hole = next(hole for hole in HOLES if hole not in template)
        at = f"{template}/{name}/{hole}"
        given: dict[int, Tool[..., Any]] = {id(tool): tool for one in versions for tool in one.tools}
        steps = complete(f"composite {name!r}", list(given.values()), around)
        for one in versions:
            in_turn(f"composite {name!r}", one)
        yield Inner(at, ComposingActor(people), steps)
        deeper = [tool for one in versions for tool in steps_of(one)]
        if found := compensations(deeper):
            yield Inner(str(_undoer(at)), StepsUndoActor(), complete(f"composite {name!r}", found))
        yield from composing(at, steps, people, around)


def _undoer(call: str) -> Address:
    """Who undoes the steps of a call: beside it. (Not below: the tries of a worker are below it, too.)"""
    above, _, key = call.rpartition("/")
    return Address(f"{above}.{UNDO}/{key}")


def _at(call: Compose, number: int, why: Failure) -> str:
    if number >= len(call.steps):
        return f"{call.tool}: what it is to give cannot be put together: {why.message}"
    return f"{call.tool}: step {number + 1} of {len(call.steps)} ({call.steps[number].tool}) failed: {why.message}"


def _done(call: Compose, number: int, why: Failure) -> list[ComposedStep]:
    """The steps that have changed something, where this one failed; it may have, too, though its result is of no use."""
    happened = number < len(call.steps) and (why.code in HAPPENED or why.code == LOST)
    return [one for step in call.steps[: number + happened] for one in step.calls if one.effect != "read"]


def _without(steps: list[ComposedStep], tool: str) -> list[ComposedStep]:
    """Without the last call of a tool."""
    at = max((n for n, step in enumerate(steps) if step.tool == tool), default=len(steps))
    return steps[:at] + steps[at + 1 :]


def _gives(state: ComposedState, call: Compose, value: Raw, around: Provenance | None) -> Provenance | None:
    """Where the result comes from: the steps that it is made of, unless it was declared. ``around``: of all that was read, which holds for
    parameters."""
    parts = [one for one in call.result.parts() if one.of in ("step", "parameter")]
    found: Provenance | None = None
    for one in parts:
        found = joined(found, state.given[one.step].provenance if one.of == "step" else around)
    if call.trusted is None and call.private is None:
        return found
    feared: list[Label] = list(found.labels) if found is not None else []
    sources = found.sources if found is not None else ()
    marks = found.trusted if found is not None else ()
    if call.trusted is True:
        feared = [label for label in feared if label != "untrusted"]
    elif call.trusted is not None and "untrusted" not in feared:
        feared = ["untrusted", *feared]
    if isinstance(call.trusted, tuple):
        marks = (*marks, *fields_of(value, call.trusted))
    if call.private is not None:
        feared = [label for label in feared if label != "private"]
        if call.private:
            feared.append("private")
    return Provenance(tuple(feared), sources or (call.tool,), marks) if feared else None
