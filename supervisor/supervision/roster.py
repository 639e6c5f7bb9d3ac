"""What a supervisor remembers: its children, what it is in the middle of, and who failed how often. Its events, and the state they make.

A child's status goes

    down -> starting -> running -> lost -> waiting (for its backoff) -> starting ...
                           |         +---> ended (nobody restarts it)
                           +-> stopping -> down

``given_up``: a person is asked about it. Virtual children (runs, actors at templates) are known only while they fail: by their
restarts in the window, their streak of failures, and whether they were given up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct

from ...actors.actor import Actor, applies
from ...protocols.approvals import Answer
from ...protocols.children import ChildSpec, Directive, Policy
from ...protocols.failures import Failure
from ...protocols.ids import Address
from ...protocols.messages import Event, State
from .backoff import Streak
from .strategy import Unit

V = TypeVar("V")

Status = Literal["down", "starting", "running", "stopping", "waiting", "ended", "given_up"]

Goal = Literal["start", "restart", "add", "stop", "shutdown", "end", "exit"]
"""What a supervisor is in the middle of: its own start; a restart after a failure; the start, or the stop, of one child that somebody
asked for; its own end as it was ordered, because it gave up, or because significant children have ended."""


class Kid(Struct, frozen=True, omit_defaults=True):
    """A child that is started and stopped by this supervisor.

    Attributes:
        spec: as it was defined, or started live.
        status: see the module.
        attempt: number of the last order about its life; answers to others are of no account.
        alarm: the reminder that rings where that order is not answered in time; empty for none.
        incarnation: of its last start; -1 before the first.
        since: journal time of its status.
        restarts: of its own, in the window of its ``budget``.
        streak: its failures in a row.
        failure: the last one.
        live: it was started by name, not by the definition.
    """

    spec: ChildSpec
    status: Status = "down"
    attempt: int = 0
    alarm: str = ""
    incarnation: int = -1
    since: float = 0.0
    restarts: tuple[float, ...] = ()
    streak: Streak | None = None
    failure: Failure | None = None
    live: bool = False


class Job(Struct, frozen=True, omit_defaults=True):
    """What a supervisor is in the middle of: stops first, then starts, each unit after the one before it has answered.

    Attributes:
        goal: what for.
        stop, start: units that are still to be stopped, and to be started.
        now: those that are waited for.
        cause: what led to it.
        child: whom it is about, where it is about one.
        attempt: the order of the supervisor above that it answers; 0 for none.
        later: the request that it answers; empty for none.
        since: when it began to stop them; 0 while it does not.
        incarnation: of this supervisor, at its start.
        final: who is stopped does not come back.
        hard: who is stopped has no time left.
    """

    goal: Goal
    stop: tuple[Unit, ...] = ()
    start: tuple[Unit, ...] = ()
    now: Unit = ()
    cause: Failure | None = None
    child: Address = Address("")
    attempt: int = 0
    later: str = ""
    since: float = 0.0
    incarnation: int = 0
    final: bool = False
    hard: bool = False


# -- events ---------------------------------------------------------------------------------------------------------


class Listed(Event, wire="supervisor.listed"):
    """A child is known; it comes last in the order of starts. ``live``: somebody started it by name."""

    spec: ChildSpec
    live: bool = False


class Respecified(Event, wire="supervisor.respecified"):
    """The definition says something else about a child than it did before."""

    spec: ChildSpec


class Forgotten(Event, wire="supervisor.forgotten"):
    """A child is not known any more. ``gone``: it is not listed again, though the definition names it, before this supervisor is
    restarted."""

    child: Address
    gone: bool = False


class Arranged(Event, wire="supervisor.arranged"):
    """The order of starts has changed: that of the definition, then those that were started by name."""

    children: tuple[Address, ...]


class Starting(Event, wire="supervisor.starting"):
    """A child is ordered to start."""

    child: Address
    attempt: int
    alarm: str
    at: float


class WaitedOn(Event, wire="supervisor.waited_on"):
    """Its alarm came late itself, for the process was down: the child has its time once more."""

    child: Address
    alarm: str


class Up(Event, wire="supervisor.up"):
    """A child has started."""

    child: Address
    incarnation: int
    at: float


class Stopping(Event, wire="supervisor.stopping"):
    """A child is ordered to end."""

    child: Address
    attempt: int
    alarm: str
    at: float


class Down(Event, wire="supervisor.down"):
    """A child has ended, as it was ordered to.

    ``how``: in order (``shutdown``); calls had to be cancelled (``killed``); it failed at it (``failed``); it did not answer in time
    and was left alone (``leaked``); it was memory-only, and went with the process (``lost``).
    """

    child: Address
    how: str
    at: float
    left: tuple[str, ...] = ()


class Ended(Event, wire="supervisor.ended"):
    """A child has ended and is not restarted. ``why``: ``normal``, ``ignored``, ``stopped``, or the code of a failure."""

    child: Address
    why: str
    at: float
    failure: Failure | None = None


class Decided(Event, wire="supervisor.decided"):
    """What was decided about a failure, by which rule, where that was not a restart."""

    child: Address
    directive: Directive
    rule: str
    failure: Failure
    item: str = ""


class Restarting(Event, wire="supervisor.restarting"):
    """A child will be restarted.

    Attributes:
        restarts: restarts in the window, this one included: its own where it is virtual, else those of all children.
        delay: seconds from now.
        streak: its failures in a row, this one included.
        forgotten: children that have been quiet for so long that nothing needs to be known of them.
        others: who is stopped and started with it.
        slow: restarts in the long window.
        alone: restarts of this child in the window of its own budget.
        at: journal time of the failure.
        known: whether it is a child that this supervisor starts and stops.
        alarm: the reminder at the end of the wait; empty for no wait.
    """

    child: Address
    restarts: tuple[float, ...]
    delay: float
    failure: Failure
    item: str
    streak: int = 1
    forgotten: tuple[Address, ...] = ()
    others: tuple[Address, ...] = ()
    slow: tuple[float, ...] = ()
    alone: tuple[float, ...] = ()
    at: float = 0.0
    known: bool = False
    alarm: str = ""


class GaveUp(Event, wire="supervisor.gave_up"):
    """A child failed too often; somebody above is asked."""

    child: Address
    failure: Failure


class Resolved(Event, wire="supervisor.resolved"):
    """It was decided about a child that was given up."""

    child: Address
    answer: Answer


class Exhausted(Event, wire="supervisor.exhausted"):
    """The supervisor itself gives up: its children are stopped, and the one above decides."""

    failure: Failure


class Governed(Event, wire="supervisor.governed"):
    """By which policy it decides from now on: what the definition says, for whoever looks at the journal without it."""

    policy: Policy


class Doing(Event, wire="supervisor.doing"):
    """What the supervisor is in the middle of from now on; None for nothing. ``paused``: seconds that the stops took."""

    job: Job | None = None
    paused: float = 0.0
    up: bool | None = None


class Went(Event, wire="supervisor.went"):
    """It has come to the next unit of what it is doing: ``stop`` or ``start``. (That alone: a job names everybody whom it is about, and a
    row for each of them that did so, too, would grow with their square.)"""

    on: Literal["stop", "start"]


# -- state ----------------------------------------------------------------------------------------------------------


class SupervisorState(State):
    """What a supervisor remembers.

    Attributes:
        restarts, streaks, given_up: of virtual children: restarts in the window, failures in a row, and who waits for a person.
        kids: children that it starts and stops, in the order of starts.
        window, slow: restarts of these, in the two windows. Stops take no time there (``paused``): a shutdown that is longer than
            the window does not make room for another failure.
        job: what it is in the middle of.
        orders: numbers given to orders so far.
        gone: children of the definition that are over for good, or were deleted.
        up: its children have been started, and it has not ended since.
        policy: by which it decided last; None while it had nothing to decide.
    """

    restarts: dict[Address, tuple[float, ...]] = msgspec.field(default_factory=dict[Address, tuple[float, ...]])
    streaks: dict[Address, Streak] = msgspec.field(default_factory=dict[Address, Streak])
    given_up: dict[Address, Failure] = msgspec.field(default_factory=dict[Address, Failure])
    kids: dict[Address, Kid] = msgspec.field(default_factory=dict[Address, Kid])
    window: tuple[float, ...] = ()
    slow: tuple[float, ...] = ()
    paused: float = 0.0
    job: Job | None = None
    orders: int = 0
    gone: dict[Address, None] = msgspec.field(default_factory=dict[Address, None])
    up: bool = False
    policy: Policy | None = None


class Roster(Actor):
    """The remembering half of a supervisor."""

    State = SupervisorState

    @applies(Listed)
    def listed(self, state: SupervisorState, event: Listed) -> SupervisorState:
        kids = {**state.kids, event.spec.id: Kid(event.spec, live=event.live)}
        return state.evolve(kids=kids, gone=without(state.gone, (event.spec.id,)))

    @applies(Respecified)
    def respecified(self, state: SupervisorState, event: Respecified) -> SupervisorState:
        return _changed(state, event.spec.id, spec=event.spec)

    @applies(Forgotten)
    def is_forgotten(self, state: SupervisorState, event: Forgotten) -> SupervisorState:
        gone = {**state.gone, event.child: None} if event.gone else state.gone
        return state.evolve(kids=without(state.kids, (event.child,)), gone=gone)

    @applies(Arranged)
    def arranged(self, state: SupervisorState, event: Arranged) -> SupervisorState:
        return state.evolve(kids={child: state.kids[child] for child in event.children})

    @applies(Starting)
    def starting(self, state: SupervisorState, event: Starting) -> SupervisorState:
        changed = _changed(
            state, event.child, status="starting", attempt=event.attempt, alarm=event.alarm, since=event.at
        )
        return changed.evolve(orders=event.attempt)

    @applies(WaitedOn)
    def waited_on(self, state: SupervisorState, event: WaitedOn) -> SupervisorState:
        return _changed(state, event.child, alarm=event.alarm)

    @applies(Up)
    def started(self, state: SupervisorState, event: Up) -> SupervisorState:
        return _changed(state, event.child, status="running", alarm="", incarnation=event.incarnation, since=event.at)

    @applies(Stopping)
    def stopping(self, state: SupervisorState, event: Stopping) -> SupervisorState:
        changed = _changed(
            state, event.child, status="stopping", attempt=event.attempt, alarm=event.alarm, since=event.at
        )
        return changed.evolve(orders=event.attempt)

    @applies(Down)
    def went_down(self, state: SupervisorState, event: Down) -> SupervisorState:
        return _changed(state, event.child, status="down", alarm="", since=event.at)

    @applies(Ended)
    def ended(self, state: SupervisorState, event: Ended) -> SupervisorState:
        if event.child not in state.kids:
            return state
        return _changed(state, event.child, status="ended", alarm="", since=event.at, failure=event.failure)

    @applies(Decided)
    def was_decided(self, state: SupervisorState, event: Decided) -> SupervisorState:
        return state

    @applies(Restarting)
    def restarting(self, state: SupervisorState, event: Restarting) -> SupervisorState:
        if not event.known:
            last = Streak(event.streak, event.restarts[-1] + event.delay)
            return state.evolve(
                restarts=without({**state.restarts, event.child: event.restarts}, event.forgotten),
                streaks=without({**state.streaks, event.child: last}, event.forgotten),
            )
        changed = _changed(
            state, event.child, status="waiting", alarm=event.alarm, since=event.at, restarts=event.alone,
            failure=event.failure, streak=Streak(event.streak, event.at + event.delay),
        )  # fmt: skip
        for other in event.others:  # whoever waits among them is started with this one
            if changed.kids[other].status == "waiting":
                changed = _changed(changed, other, status="down", alarm="")
        return changed.evolve(window=event.restarts, slow=event.slow)

    @applies(GaveUp)
    def gave_up(self, state: SupervisorState, event: GaveUp) -> SupervisorState:
        if event.child in state.kids:
            state = _changed(state, event.child, status="given_up", failure=event.failure, alarm="")
        return state.evolve(given_up={**state.given_up, event.child: event.failure})

    @applies(Resolved)
    def resolved(self, state: SupervisorState, event: Resolved) -> SupervisorState:
        if event.child in state.kids:  # whatever becomes of it, counting begins anew
            state = _changed(state, event.child, status="down", restarts=(), streak=None)
        return state.evolve(
            given_up=without(state.given_up, (event.child,)),
            restarts=without(state.restarts, (event.child,)),
            streaks=without(state.streaks, (event.child,)),
        )

    @applies(Exhausted)
    def exhausted(self, state: SupervisorState, event: Exhausted) -> SupervisorState:
        return state

    @applies(Governed)
    def governed(self, state: SupervisorState, event: Governed) -> SupervisorState:
        return state.evolve(policy=event.policy)

    @applies(Went)
    def went(self, state: SupervisorState, event: Went) -> SupervisorState:
        job = state.job
        if job is None:
            return state
        if event.on == "stop":
            return state.evolve(job=msgspec.structs.replace(job, stop=job.stop[1:], now=job.stop[0]))
        return state.evolve(job=msgspec.structs.replace(job, start=job.start[1:], now=job.start[0]))

    @applies(Doing)
    def doing(self, state: SupervisorState, event: Doing) -> SupervisorState:
        up = state.up if event.up is None else event.up
        anew = event.up is False  # the next incarnation counts from zero, as one of OTP's would
        changed = state.evolve(job=event.job, paused=state.paused + event.paused, up=up)
        if not anew:
            return changed
        kids = {child: msgspec.structs.replace(kid, restarts=()) for child, kid in state.kids.items()}
        return changed.evolve(window=(), kids=kids)


def _changed(state: SupervisorState, child: Address, **changes: object) -> SupervisorState:
    kid = state.kids[child]
    return state.evolve(kids={**state.kids, child: msgspec.structs.replace(kid, **changes)})


def without(known: dict[Address, V], children: Sequence[Address]) -> dict[Address, V]:
    """A copy without these."""
    return {child: value for child, value in known.items() if child not in children}
