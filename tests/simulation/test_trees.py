"""Storms over trees of supervisors, and planted bugs that the same storms must find.

In CI some dozens of small trees and one of 1,000 actors; with ``UNDERSTUDY_SOAK`` 200 of those.
``UNDERSTUDY_TREES=20 UNDERSTUDY_SEED=300 pytest tests/simulation/test_trees.py -s`` runs so many small ones, from that seed on.
"""

from __future__ import annotations

import copy
import os
from collections import Counter
from collections.abc import Callable

import msgspec
import pytest

from tests import soak
from tests.simulation.run_trees import run
from tests.simulation.trees import LARGE, SMALL, Shape
from tests.telling import Tell
from understudy.actors.speaking import Speaking
from understudy.actors.turn import Turn
from understudy.protocols.children import Intensity, Strategy
from understudy.protocols.ids import Address
from understudy.protocols.lifecycle import ChildStarted, ChildStopped
from understudy.protocols.messages import State
from understudy.supervisor.supervision import jobs, supervisor
from understudy.supervisor.supervision.intensity import count
from understudy.supervisor.supervision.jobs import Jobs
from understudy.supervisor.supervision.roster import (
    Arranged,
    Doing,
    Forgotten,
    Job,
    Kid,
    Restarting,
    Roster,
    SupervisorState,
)
from understudy.supervisor.supervision.strategy import Steps, Unit, steps
from understudy.supervisor.supervision.supervisor import SupervisorActor

TREES = int(os.environ.get("UNDERSTUDY_TREES", soak.count("trees")))
FIRST = int(os.environ.get("UNDERSTUDY_SEED", "0"))
FORESTS = soak.count("forests")
WITHIN = 30
"""Seeds within which each planted bug must be found: fewer than CI runs."""


def storm(shape: Shape, seeds: range, every: float, progress: soak.Progress) -> Counter[tuple[str, str]]:
    """Run these, and count what hit what."""
    hits = Counter[tuple[str, str]]()
    for seed in seeds:
        try:
            made = run(seed, shape=shape, every=every)
        except Exception as error:  # noqa: BLE001 - told with its seed
            pytest.fail(f"seed {seed}: {type(error).__name__}: {error}", pytrace=isinstance(error, KeyError))
        hits.update({("fault", f"{fault} during {what}"): n for (fault, what), n in made.node.hits.items()})
        hits.update({("rows", what): n for what, n in made.rules.saw.items()})
        hits.update({("befell", what): n for what, n in made.did.items()})
        hits["all", "rows"] += made.rules.rows
        hits["all", "actors"] += made.forest.actors
        hits["all", "crashes"] += made.node.crashes
        progress.step()
    return hits


def told(hits: Counter[tuple[str, str]]) -> str:
    """One line for each kind of thing."""
    kinds = sorted({kind for kind, _ in hits})
    return "\n".join(
        f"  {kind:7} " + ", ".join(f"{what} {n:,}" for (k, what), n in sorted(hits.items()) if k == kind)
        for kind in kinds
    )


def test_trees_survive_a_storm_of_failures_orders_and_crashes(tell: Tell) -> None:
    hits = storm(SMALL, range(FIRST, FIRST + TREES), 60.0, soak.Progress("trees", TREES))
    tell(f"{TREES} trees of about 70 actors, 10,000 s each:\n{told(hits)}")
    if soak.count("trees", 0.0) <= TREES:
        for seen in SEEN:
            assert hits["rows", seen] >= 5, f"{seen} was seen {hits['rows', seen]} times, which proves nothing"
        assert hits["all", "crashes"] >= 50


def test_a_tree_of_a_thousand_actors_survives_it(tell: Tell) -> None:
    hits = storm(LARGE, range(FIRST, FIRST + FORESTS), 30.0, soak.Progress("forests", FORESTS))
    tell(f"{FORESTS} trees of about 1,000 actors, 10,000 s each:\n{told(hits)}")
    assert hits["all", "actors"] / FORESTS > 950


SEEN = (
    "supervisor.listed", "supervisor.forgotten", "supervisor.starting", "supervisor.up", "supervisor.stopping", "supervisor.down",
    "supervisor.ended", "supervisor.decided", "supervisor.restarting", "supervisor.gave_up", "supervisor.resolved",
    "supervisor.exhausted", "down: shutdown", "down: failed", "down: killed", "down: leaked",
)  # fmt: skip
"""What must have happened, each several times."""


def test_the_same_seed_makes_the_same_rows() -> None:
    one, two = run(3), run(3)
    assert one.rules.saw == two.rules.saw
    assert one.node.hits == two.node.hits
    assert one.rules.rows == two.rules.rows


# -- planted bugs -------------------------------------------------------------------------------------------------------

Plant = Callable[[pytest.MonkeyPatch], None]
_TurnOf = Turn[SupervisorState]


def _stopped_forwards(patch: pytest.MonkeyPatch) -> None:
    running = Jobs.running

    def forwards(self: Jobs, state: SupervisorState) -> tuple[Unit, ...]:
        return tuple(reversed(running(self, state)))

    patch.setattr(Jobs, "running", forwards)


def _group_stopped_forwards(patch: pytest.MonkeyPatch) -> None:
    def forwards(strategy: Strategy, order: tuple[Unit, ...], failed: Address) -> Steps:
        found = steps(strategy, order, failed)
        return Steps(tuple(reversed(found.stop)), found.start)

    patch.setattr(jobs, "steps", forwards)


def _counted_after_the_attempt(patch: pytest.MonkeyPatch) -> None:
    def after(restarts: tuple[float, ...], now: float, limit: Intensity) -> tuple[tuple[float, ...], bool]:
        recent, _ = count(restarts, now, limit)
        return recent, len(recent) <= limit.max_restarts + 1

    patch.setattr(supervisor, "count", after)


def _window_forgotten(patch: pytest.MonkeyPatch) -> None:
    restarting = Roster.restarting

    def forgetful(self: Roster, state: SupervisorState, event: Restarting) -> SupervisorState:
        return restarting(self, state, msgspec.structs.replace(event, restarts=event.restarts[-1:]))

    patch.setattr(Roster, "restarting", forgetful)
    _reapplied(patch, "supervisor.restarting", forgetful)


def _temporary_brought_back(patch: pytest.MonkeyPatch) -> None:
    def never(job: Job, kid: Kid) -> bool:
        return job.final

    patch.setattr(jobs, "goes", never)


def _stale_start_believed(patch: pytest.MonkeyPatch) -> None:
    def believing(self: SupervisorActor, turn: _TurnOf, msg: ChildStarted) -> None:
        kid = turn.state.kids.get(msg.child)
        attempt = msg.attempt if kid is None else kid.attempt
        started(self, turn, msgspec.structs.replace(msg, attempt=attempt))

    started = SupervisorActor.child_started
    _handled(patch, "us.child_started", believing)


def _stale_stop_believed(patch: pytest.MonkeyPatch) -> None:
    def believing(self: SupervisorActor, turn: _TurnOf, msg: ChildStopped) -> None:
        kid = turn.state.kids.get(msg.child)
        attempt = msg.attempt if kid is None else kid.attempt
        stopped(self, turn, msgspec.structs.replace(msg, attempt=attempt))

    stopped = SupervisorActor.child_stopped
    _handled(patch, "us.child_stopped", believing)


def _never_unstashed(patch: pytest.MonkeyPatch) -> None:
    unstash: Callable[[object], None] = vars(Speaking)["unstash"]

    def forgetful(self: Turn[State]) -> None:
        if not isinstance(self.state, SupervisorState):
            unstash(self)

    patch.setattr(Turn, "unstash", forgetful)


def _alarms_never_forgotten(patch: pytest.MonkeyPatch) -> None:
    def keep(self: Jobs, turn: _TurnOf, kid: Kid) -> None:
        pass

    def any_attempt(self: SupervisorActor, turn: _TurnOf, msg: jobs.Overdue) -> None:
        kid = turn.state.kids.get(msg.child)
        overdue(self, turn, msgspec.structs.replace(msg, attempt=kid.attempt if kid is not None else msg.attempt))

    overdue = SupervisorActor.overdue
    patch.setattr(Jobs, "forget_alarm", keep)
    _handled(patch, "supervisor.overdue", any_attempt)


def _started_all_at_once(patch: pytest.MonkeyPatch) -> None:
    order = Jobs.order

    def flat(self: Jobs, state: SupervisorState) -> tuple[Unit, ...]:
        units = order(self, state)
        return (tuple(child for unit in units for child in unit),) if units else ()

    patch.setattr(Jobs, "order", flat)


def _siblings_go_on_after_a_failed_restart(patch: pytest.MonkeyPatch) -> None:
    def careless(self: SupervisorActor, state: SupervisorState, kid: Kid, after: Unit = ()) -> Steps:
        found = find(self, state, kid, after)
        return Steps((), found.start) if kid.status == "down" else found

    find = SupervisorActor.steps
    patch.setattr(SupervisorActor, "steps", careless)


def _job_lost_at_the_next_load(patch: pytest.MonkeyPatch) -> None:
    """What it is in the middle of is remembered, but not by the rows."""

    def forgetful(self: Roster, state: SupervisorState, event: Doing) -> SupervisorState:
        if event.job is not None and event.job.start and len(event.job.start) % 3 == 0:
            event = msgspec.structs.replace(event, job=msgspec.structs.replace(event.job, start=()))
        return doing(self, state, event)

    doing = Roster.doing
    _reapplied(patch, "supervisor.doing", forgetful)


def _relisted_at_the_end(patch: pytest.MonkeyPatch) -> None:
    def as_it_is(self: Roster, state: SupervisorState, event: Arranged) -> SupervisorState:
        return state

    _reapplied(patch, "supervisor.arranged", as_it_is)


def _subtrees_left_behind(patch: pytest.MonkeyPatch) -> None:
    def nobody(self: Jobs, turn: _TurnOf, job: Job) -> None:
        pass

    patch.setattr(Jobs, "_end_the_rest", nobody)


def _forgotten_while_it_runs(patch: pytest.MonkeyPatch) -> None:
    def hasty(self: Jobs, turn: _TurnOf, child: Address, job: Job) -> None:
        order(self, turn, child, job)
        kid = turn.state.kids.get(child)
        if kid is not None and kid.spec.restart == "temporary":
            turn.emit(Forgotten(child, gone=True))

    order = Jobs._order_start
    patch.setattr(Jobs, "_order_start", hasty)


def _handled(patch: pytest.MonkeyPatch, wire: str, method: Callable[..., object]) -> None:
    found = SupervisorActor.behaviour.handlers[wire]
    planted = copy.copy(found)
    planted.method = method
    patch.setitem(SupervisorActor.behaviour.handlers, wire, planted)


def _reapplied(patch: pytest.MonkeyPatch, wire: str, method: Callable[..., object]) -> None:
    appliers = SupervisorActor.behaviour.appliers
    event, _ = appliers[wire]
    patch.setitem(appliers, wire, (event, method))
    patch.setattr(SupervisorActor.behaviour, "reads", {})  # filled from the other one


PLANTED: dict[str, Plant] = {
    "stopped in the order of starts": _stopped_forwards,
    "a group stopped in the order of starts": _group_stopped_forwards,
    "intensity counted after the attempt": _counted_after_the_attempt,
    "earlier restarts forgotten": _window_forgotten,
    "a temporary bystander brought back": _temporary_brought_back,
    "a stale word of a start believed": _stale_start_believed,
    "a stale word of an end believed": _stale_stop_believed,
    "what was stashed never comes back": _never_unstashed,
    "alarms never forgotten": _alarms_never_forgotten,
    "all started at once": _started_all_at_once,
    "siblings go on after a failed restart": _siblings_go_on_after_a_failed_restart,
    "part of a job lost": _job_lost_at_the_next_load,
    "listed again at the end of the order": _relisted_at_the_end,
    "subtrees left behind": _subtrees_left_behind,
    "forgotten while it runs": _forgotten_while_it_runs,
}


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_found(bug: str, monkeypatch: pytest.MonkeyPatch, tell: Tell) -> None:
    PLANTED[bug](monkeypatch)
    for seed in range(WITHIN):
        try:
            run(seed)
        except Exception as found:  # noqa: BLE001 - any way of noticing it will do
            tell(f"found at seed {seed}: {type(found).__name__}: {str(found)[:140]}")
            return
    pytest.fail(f"{bug}: not found within {WITHIN} seeds")
