"""Who keeps a team's places: how much of its work runs at once, and what waits. One actor a team, at ``<team>/shared/places``.

    a run  -> Take (an ask)  -> there is room: Place, at once
                             -> none: it waits, by priority, then deadline, then arrival, and is answered when there is
           -> Free (a tell)  -> the next one's turn
    it watches each run that takes a place: whatever ends one (done, cancelled, stopped, given up), nothing of it is kept

It is there only where somebody has to know (``routing.counts``). All that it knows is an event of its own, so a crash at any
point loses no place and keeps none: what a run has is what was given to it and neither freed nor ended.
"""

from __future__ import annotations

from bisect import insort
from math import inf

import msgspec
from msgspec import Struct

from ...actors.actor import Actor, applies, handles
from ...actors.outcome import Later
from ...actors.turn import Turn
from ...protocols.envelope import Context
from ...protocols.errors import Rejected
from ...protocols.failures import Failure
from ...protocols.ids import Address
from ...protocols.lifecycle import Restarted
from ...protocols.mail import Terminated
from ...protocols.messages import Event, Message, Request, State
from ...protocols.plans import Parallel

MOST_WAITING = 10_000
"""Pieces of work that may wait in one team: they are part of this actor's state, which has a bound."""


def keeper(team: str) -> Address:
    """Where the places of a team are kept."""
    return Address(f"{team}/shared/places")


class Place(Struct, frozen=True):
    """A place was given.

    Attributes:
        workers: whose it is; several where it is one with each of them.
    """

    workers: tuple[str, ...]


class Take(Request[Place], wire="team.take"):
    """Asked by a run that has work for one of these workers. Asked again for work that has a place, it gets the same one.

    Attributes:
        work: name of the work in its run: a step, or empty for the task.
        workers: who can do it; the one with the least under way gets it, the first of them among equals.
        priority, deadline: what waits goes by.
        together: it is work for all of these workers at once, and has a place with each of them or none.

    Refused where nobody could ever get it: it is for more workers at once than may work at once.
    """

    work: str
    workers: tuple[str, ...]
    priority: int = 0
    deadline: float | None = None
    together: bool = False


class Keep(Message, wire="team.keep"):
    """Told by a run that was begun anew: it has this work under way still, whether there is room for it or not."""

    work: str
    worker: str


class Free(Message, wire="team.free"):
    """Told by a run: this work is no longer under way."""

    work: str


class Waiting(Struct, frozen=True, omit_defaults=True):
    """A piece of work that waits for a place. ``arrival``: a number, in the order in which they came; ``later``: the ask to answer."""

    run: Address
    work: str
    workers: tuple[str, ...]
    arrival: int
    later: str
    priority: int = 0
    deadline: float | None = None
    together: bool = False
    context: Context = Context()


class Came(Event, wire="places.came"):
    """There was no room: it waits."""

    waiting: Waiting


class Given(Event, wire="places.given"):
    """It has a place, and waits no more, if it did."""

    run: Address
    work: str
    workers: tuple[str, ...]


class Freed(Event, wire="places.freed"):
    """A piece of work is over, or waits no more."""

    run: Address
    work: str


class Left(Event, wire="places.left"):
    """A run is over, or was given up: all of its places are free, and nothing of it waits."""

    run: Address


class PlacesState(State):
    """Places and who waits for one.

    Attributes:
        held: for each run, the workers of each piece of work under way.
        busy: for each worker, how much it has under way.
        waiting: in the order in which they are to get a place.
        came: how many have waited so far.
    """

    held: dict[Address, dict[str, tuple[str, ...]]] = msgspec.field(
        default_factory=dict[Address, dict[str, tuple[str, ...]]]
    )
    busy: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    waiting: tuple[Waiting, ...] = ()
    came: int = 0


class PlacesActor(Actor):
    """Keeps the places of one team. ``limits``: None where it only counts."""

    State = PlacesState
    inner = True
    sticky = False
    vital = True  # no user's code runs here: none of its mail kills the process, and all of it is waited for

    def __init__(self, limits: Parallel | None) -> None:
        self.limits = limits or Parallel()

    @handles(Take)
    def take(self, turn: Turn[PlacesState], msg: Take) -> Later[Place]:
        run, context = turn.sender, turn.context
        turn.context = Context()  # its rows are on nobody's behalf; its answers are on that of whoever gets them
        if msg.together and self.limits.tasks is not None and len(msg.workers) > self.limits.tasks:
            many = f"it is for {len(msg.workers)} workers at once, and {self.limits.tasks} may work at once"
            raise Rejected(many, hint="raise the team's parallel=, or consult fewer")
        later = turn.later(msg)
        workers = turn.state.held.get(run, {}).get(msg.work, ())
        if not workers:
            turn.watch(run)
            workers = self._room(turn.state, msg.workers, together=msg.together)
            if workers:
                turn.emit(Given(run, msg.work, workers))
        if workers:
            self._answer(turn, later.id, workers, context)
        elif len(turn.state.waiting) < MOST_WAITING:
            came = turn.state.came + 1
            before = next((w for w in turn.state.waiting if (w.run, w.work) == (run, msg.work)), None)
            if before is not None:  # a run that was begun anew asks again: it keeps its turn
                came = before.arrival
                turn.refuse(Later[Place](before.later), Failure("abandon", "replaced", "it was asked for once more"))
            turn.emit(
                Came(
                    Waiting(
                        run, msg.work, msg.workers, came, later.id, msg.priority, msg.deadline, msg.together, context
                    )
                )
            )
        else:
            raise Rejected(f"{MOST_WAITING:,} pieces of work wait here already", hint="try again when some are done")
        return later

    @handles(Keep)
    def keep(self, turn: Turn[PlacesState], msg: Keep) -> None:
        turn.watch(turn.sender)
        if turn.state.held.get(turn.sender, {}).get(msg.work) != (msg.worker,):
            turn.emit(Given(turn.sender, msg.work, (msg.worker,)))

    @handles(Free)
    def free(self, turn: Turn[PlacesState], msg: Free) -> None:
        for waiting in turn.state.waiting:
            if (waiting.run, waiting.work) == (turn.sender, msg.work):
                over = Failure("abandon", "withdrawn", "it waits for no place any more", where=turn.me)
                turn.refuse(Later[Place](waiting.later), over)
        turn.emit(Freed(turn.sender, msg.work))
        self._go_on(turn)

    @handles(Terminated)
    def ended(self, turn: Turn[PlacesState], msg: Terminated) -> None:
        for waiting in turn.state.waiting:
            if waiting.run == msg.address:  # it hears no answer; what is left open would be remembered for ever
                turn.rare.answered.append(waiting.later)
        turn.emit(Left(msg.address))
        self._go_on(turn)

    @handles(Restarted)
    def again(self, turn: Turn[PlacesState], msg: Restarted) -> None:
        """Its watches ended with the life before: what ended meanwhile is told at once."""
        for run in dict.fromkeys((*turn.state.held, *(waiting.run for waiting in turn.state.waiting))):
            turn.watch(run)
        self._go_on(turn)

    def _go_on(self, turn: Turn[PlacesState]) -> None:
        """Give what is free to those who wait for it."""
        if not turn.state.waiting:
            return
        for waiting in turn.state.waiting:
            if self._full(turn.state):
                break
            workers = self._room(turn.state, waiting.workers, together=waiting.together)
            if workers:
                turn.emit(Given(waiting.run, waiting.work, workers))
                self._answer(turn, waiting.later, workers, waiting.context)
            elif waiting.together:
                break  # what comes after it would take its places one by one, for ever

    def _answer(self, turn: Turn[PlacesState], later: str, workers: tuple[str, ...], context: Context) -> None:
        mine, turn.context = turn.context, context
        turn.reply(Later[Place](later), Place(workers))
        turn.context = mine

    def _full(self, state: PlacesState) -> bool:
        return self.limits.tasks is not None and sum(state.busy.values()) >= self.limits.tasks

    def _room(self, state: PlacesState, workers: tuple[str, ...], *, together: bool) -> tuple[str, ...]:
        """Of these workers the least busy one that has room, or all of them where each has; none where not."""
        if self._full(state):
            return ()
        free = tuple(w for w in workers if (most := self.limits.of(w)) is None or state.busy.get(w, 0) < most)
        if together:
            total = sum(state.busy.values()) + len(workers)
            fits = free == workers and (self.limits.tasks is None or total <= self.limits.tasks)
            return workers if fits else ()
        least = min(free, key=lambda w: state.busy.get(w, 0), default=None)
        return (least,) if least is not None else ()

    # -- what is remembered -------------------------------------------------------------------------------------

    @applies(Came)
    def has_come(self, state: PlacesState, event: Came) -> PlacesState:
        new = event.waiting
        waiting = list(_but(state.waiting, new.run, new.work))
        insort(waiting, new, key=_rank)
        return state.evolve(waiting=tuple(waiting), came=max(state.came, new.arrival))

    @applies(Given)
    def was_given(self, state: PlacesState, event: Given) -> PlacesState:
        before = state.held.get(event.run, {})
        return state.evolve(
            held={**state.held, event.run: {**before, event.work: event.workers}},
            busy=_counted(state.busy, event.workers, before.get(event.work, ())),
            waiting=_but(state.waiting, event.run, event.work),
        )

    @applies(Freed)
    def was_freed(self, state: PlacesState, event: Freed) -> PlacesState:
        before = state.held.get(event.run, {})
        kept = {work: workers for work, workers in before.items() if work != event.work}
        held = {run: works for run, works in state.held.items() if run != event.run}
        return state.evolve(
            held={**held, event.run: kept} if kept else held,
            busy=_counted(state.busy, (), before.get(event.work, ())),
            waiting=_but(state.waiting, event.run, event.work),
        )

    @applies(Left)
    def has_left(self, state: PlacesState, event: Left) -> PlacesState:
        return state.evolve(
            held={run: works for run, works in state.held.items() if run != event.run},
            busy=_counted(state.busy, (), tuple(w for held in state.held.get(event.run, {}).values() for w in held)),
            waiting=_but(state.waiting, event.run),
        )


def _rank(waiting: Waiting) -> tuple[int, float, int]:
    return (-waiting.priority, inf if waiting.deadline is None else waiting.deadline, waiting.arrival)


def _but(waiting: tuple[Waiting, ...], run: Address, work: str | None = None) -> tuple[Waiting, ...]:
    """All but those of a run; the same tuple where there are none."""
    if not any(one.run == run for one in waiting):
        return waiting
    return tuple(one for one in waiting if one.run != run or (work is not None and one.work != work))


def _counted(busy: dict[str, int], more: tuple[str, ...], less: tuple[str, ...]) -> dict[str, int]:
    counts = dict(busy)
    for worker in more:
        counts[worker] = counts.get(worker, 0) + 1
    for worker in less:
        counts[worker] -= 1
        if not counts[worker]:
            del counts[worker]
    return counts
