"""Work and who has it: a place for it, the worker who gets it, and another one where that one was given up.

    offer -> (a place, where places are kept) -> hand to a worker -> its result
                                                      |
                                                      +-- given up -> somebody else who can, else the person who was asked about it

The same for a task and for each step of a plan; what to ask and what to do with the result is the subclass's.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from ...actors.actor import Actor, applies, handles, settles
from ...actors.outcome import Outcome
from ...actors.turn import Turn
from ...protocols.failures import Failure
from ...protocols.ids import Address
from ...protocols.lifecycle import Stop
from ...protocols.mail import Terminated
from ...protocols.messages import Request
from ...protocols.plans import Step
from ...protocols.provenance import joined
from ...protocols.tasks import Cancel, Task
from ..supervision.definitions import Supervisor
from .events import TASK, Asked, HandedOver, LeftToPerson, PutBack, Queue, Queued, TeamState, Work
from .panel import PANEL
from .places import Free, Keep, Place, Take, keeper
from .routing import able, counts

T = TypeVar("T")


class Offering(Actor):
    """Finds workers for what a team has to do."""

    State = TeamState

    def __init__(self, team: Supervisor) -> None:
        self.team = team
        self.budget = team.budget
        self.names = tuple(w.name for w in team.workers)
        self.counted = counts(team)
        self.keeper = keeper(team.name)

    # -- what the subclass says ---------------------------------------------------------------------------------

    def task_of(self, turn: Turn[TeamState], work: str, name: str) -> Task:
        """What a worker is asked; the same for the same state."""
        raise NotImplementedError

    def nobody(self, turn: Turn[TeamState], work: str, text: str, failure: Failure | None) -> None:
        """It cannot be given to anybody: ask a person."""
        raise NotImplementedError

    def held_back(self, turn: Turn[TeamState], work: str) -> bool:
        """Whether it may not begin now, though there is a place for it."""
        raise NotImplementedError

    def go_without(self, turn: Turn[TeamState], step: Step, by: Address, why: str) -> None:
        """An optional step has failed: the others go on."""
        raise NotImplementedError

    def step(self, state: TeamState, work: str) -> Step | None:
        """The step of that name; None for the task itself."""
        if state.plan is None or not work:
            return None
        return next(step for step in state.plan.steps if step.name == work)

    def convene(self, turn: Turn[TeamState], names: tuple[str, ...]) -> None:
        """Have these workers do the task side by side."""
        raise NotImplementedError

    # -- the way of a piece of work -----------------------------------------------------------------------------

    def offer(self, turn: Turn[TeamState], work: str, names: tuple[str, ...], *, together: bool = False) -> None:
        """Give it to one of these workers: the first, or, where places are kept, the one whom a place is free with. ``together``: to all
        of them, side by side."""
        if self.counted:
            turn.emit(Queued(names, turn.now, work, together))
            self._take(turn, work, turn.state.queued[work])
        elif together:
            self.convene(turn, names)
        else:
            self.hand(turn, work, names[0])

    def hand(self, turn: Turn[TeamState], work: str, name: str) -> None:
        """Ask this worker now."""
        state = turn.state
        known = (state.runs if work else state.tries).get(work or name, 0)
        followed = bool(work) or self.counted or bool(turn.state.task.needs)
        turn.emit(Asked(name, known + 1, work, turn.now if followed else None))
        at = self.place_of(turn, Work(name, known + 1), work)
        step = self.step(turn.state, work)
        if self.counted or (step is not None and step.optional) or self.others(turn.state, work):
            turn.watch(at)
        tag = {"step": work, "by": name, "try": known + 1} if work else name
        within = step.within if step is not None else None
        self.ask(turn, at, self.task_of(turn, work, name), work, tag, within)

    def ask(
        self, turn: Turn[TeamState], at: Address, what: Request[Any], work: str, tag: Any, within: float | None = None
    ) -> None:  # the tag is any JSON
        """Ask a worker, under the labels of this work: what it is told has nothing of what other steps gave."""
        state, before = turn.state, turn.context
        if before.provenance is not None:
            step, whose = self.step(state, work), state.origin
            for name in ("", *(step.after if step is not None else ())):
                whose = joined(whose, state.outputs_from.get(name) if name else state.plan_from)
            turn.under(whose)
        self.on_behalf(turn)
        turn.ask(at, what, tag=tag, within=within)
        turn.context = before

    def on_behalf(self, turn: Turn[TeamState]) -> None:
        """What is asked from here on is asked for the run's one request, whatever the turn is about (a person's answer, say, or a
        restart): its deadline and its cancellation go down with it."""
        turn.behalf = turn.behalf or turn.state.later

    def dismiss(self, turn: Turn[TeamState], at: Address, has: Work, why: Failure) -> None:
        """Tell a worker's run that nobody wants its work any more."""
        if has.given_up:  # it takes no mail while a person is asked about it, and nobody needs to be
            turn.order(at, Stop(why))
        else:
            turn.tell(at, Cancel(why.message))

    def free(self, turn: Turn[TeamState], work: str) -> None:
        """It is with nobody now; the run itself goes on."""
        if self.counted:
            turn.tell(self.keeper, Free(work))

    def put_back(self, turn: Turn[TeamState], work: str) -> None:
        """It waits for no place any more, and has none."""
        turn.emit(PutBack(work))
        self.free(turn, work)

    def others(self, state: TeamState, work: str) -> tuple[str, ...]:
        """Who else may take it over: those who can what it needs, where it says that it needs anything."""
        step = self.step(state, work)
        needs = state.task.needs if step is None else step.needs if not step.worker else ()
        has, tried = state.work.get(work), state.tried.get(work, ())
        if not needs or (has is not None and has.name not in self.names):
            return ()
        return tuple(n for n in able(self.team, needs) if n not in tried and (has is None or n != has.name))

    def take_up(self, turn: Turn[TeamState]) -> None:
        """After a restart: what was asked in the life before is heard of no more, so it is looked after anew. What workers have done
        meanwhile is not done again: a finished run repeats its answer."""
        for work, queue in turn.state.queued.items():
            self._take(turn, work, queue)
        for work, has in self.under_way(turn.state).items():
            if has.name == PANEL:
                continue
            if self.counted and not has.given_up and has.name in self.names:
                turn.tell(self.keeper, Keep(work, has.name))
            turn.watch(self.place_of(turn, has, work))

    def under_way(self, state: TeamState) -> dict[str, Work]:
        """All that is with a worker or with the front door, by work."""
        return self.by_state(state)

    @staticmethod
    def by_state(state: TeamState) -> dict[str, Work]:
        """``under_way``. A task that nobody else may have to take over is there only as what was asked and has not come back."""
        followed = state.work or state.queued or state.tried or state.plan is not None
        if followed or sum(state.tries.values()) - state.seats <= len(state.spent):
            return state.work
        name = state.to if state.to in state.tries else next(reversed(state.tries))
        return {TASK: Work(name, state.tries[name])}

    def place_of(self, turn: Turn[TeamState], has: Work, work: str) -> Address:
        """The run of the worker that has it."""
        if work:
            return Address(f"{turn.me}/{has.name}/{work}" + (f".{has.tries}" if has.tries > 1 else ""))
        return Address(f"{turn.me}/{has.name}" + (f"/{has.tries}" if has.tries > 1 else ""))

    @settles(Take)
    def placed(self, turn: Turn[TeamState], outcome: Outcome[Place]) -> None:
        work = str(outcome.tag["place"])
        if work not in turn.state.queued:
            return
        if outcome.failure is None and self.held_back(turn, work):
            self.put_back(turn, work)
        elif outcome.failure is None and turn.state.queued[work].together:
            self.convene(turn, outcome.value.workers)
        elif outcome.failure is None:
            self.hand(turn, work, outcome.value.workers[0])
        else:
            self.nobody(turn, work, f"There was no place to be had: {outcome.failure.message}.", outcome.failure)

    @handles(Terminated)
    def ended(self, turn: Turn[TeamState], msg: Terminated) -> None:
        """A worker takes no more mail. Where it has answered that is known already."""
        found = [
            (w, has) for w, has in self.under_way(turn.state).items() if self.place_of(turn, has, w) == msg.address
        ]
        if not found:
            return
        work, has = found[0]
        if msg.reason == "parked":
            self._given_up(turn, work, has, msg.failure)
        else:  # its answer went to a life of this actor before this one; it is repeated
            tag = {"step": work, "by": has.name, "try": has.tries} if work else has.name
            self.ask(turn, msg.address, self.task_of(turn, work, has.name), work, tag)

    def _given_up(self, turn: Turn[TeamState], work: str, has: Work, failure: Failure | None) -> None:
        why = failure.message if failure is not None else "it was given up"
        others, step, at = self.others(turn.state, work), self.step(turn.state, work), self.place_of(turn, has, work)
        if not others and step is not None and step.optional:
            over = Failure("abandon", "replaced", f"{at} was given up, and the others go on without it", cause=failure)
            turn.order(at, Stop(over))
            self.free(turn, work)
            self.go_without(turn, step, at, why)
            return
        if not others:
            turn.emit(LeftToPerson(has.name, why, work))
            self.free(turn, work)
            return
        turn.emit(HandedOver(has.name, why, work))
        over = Failure("abandon", "replaced", f"{at} was given up and somebody else has its work", cause=failure)
        turn.order(at, Stop(over))
        self.free(turn, work)
        self.offer(turn, work, others)

    def _take(self, turn: Turn[TeamState], work: str, queue: Queue) -> None:
        task = turn.state.task
        self.on_behalf(turn)
        take = Take(work, queue.names, task.priority, task.deadline, queue.together)
        turn.ask(self.keeper, take, tag={"place": work})

    @applies(Queued)
    def is_queued(self, state: TeamState, event: Queued) -> TeamState:
        return state.evolve(queued={**state.queued, event.step: Queue(event.names, event.at, event.together)})

    @applies(Asked)
    def has_asked(self, state: TeamState, event: Asked) -> TeamState:
        work = state.work
        if event.at is not None:
            work = {**work, event.step: Work(event.name, event.tries, event.at)}
        queued = state.queued
        if event.step in queued:
            queued = {name: queue for name, queue in queued.items() if name != event.step}
        if event.step:
            return state.evolve(work=work, queued=queued, runs={**state.runs, event.step: event.tries})
        seats = state.seats + 1 if event.seat else state.seats
        return state.evolve(work=work, queued=queued, tries={**state.tries, event.name: event.tries}, seats=seats)

    @applies(PutBack)
    def was_put_back(self, state: TeamState, event: PutBack) -> TeamState:
        return state.evolve(queued=without(state.queued, event.step))

    @applies(HandedOver)
    def was_handed_over(self, state: TeamState, event: HandedOver) -> TeamState:
        tried = {**state.tried, event.step: (*state.tried.get(event.step, ()), event.name)}
        return state.evolve(tried=tried, work=without(state.work, event.step))

    @applies(LeftToPerson)
    def was_left(self, state: TeamState, event: LeftToPerson) -> TeamState:
        has = msgspec.structs.replace(state.work[event.step], given_up=event.why)
        return state.evolve(work={**state.work, event.step: has})


def without(of: dict[str, T], name: str) -> dict[str, T]:
    """All but one."""
    return {known: value for known, value in of.items() if known != name}
