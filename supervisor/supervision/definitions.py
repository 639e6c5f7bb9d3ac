"""What people write to have work kept going: ``us.Supervisor``, a team under one policy.

Data and its checks, nothing that runs: ``supervisor.py`` is the actor that decides, ``tree.py`` makes the running tree of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeGuard

from ...actors.agent import Agent
from ...actors.planner import Planner
from ...actors.router import Router
from ...protocols.budget import Budget
from ...protocols.budget import budget as checked
from ...protocols.children import (
    SLOW,
    AutoShutdown,
    Backoff,
    ChildSpec,
    Intensity,
    Policy,
    RestartPolicy,
    RestartType,
    Strategy,
    check_policy,
    check_spec,
)
from ...protocols.errors import DefinitionError
from ...protocols.ids import Address, address
from ...protocols.people import People
from ...protocols.plans import Parallel, PlanLimits, work_limits
from ...protocols.rules import ApprovalRule, approval_rules
from ...protocols.tasks import Task
from ..conflicts.policy import Conflicts
from ..worker import Worker
from .children import Child, Pool
from .deciders import Decider, check_decider

Rule = Callable[[Task], str | tuple[str, ...]]
"""Says which worker takes a task, by name; ``person`` when none does. A tuple of names: these do it side by side."""

RESERVED = ("panel", "conflict", "board", "lease", "places")
"""What a team has besides its workers, at their place: no worker may be called so."""


class Supervisor:
    """A team: workers, who routes tasks to them, and how their failures are handled.

    Args:
        name: its address, one segment.
        workers: agents and ``us.Worker``s (each run is an actor of its own), ``us.Child`` and ``us.Pool`` specs of plain actors, and
            supervisors: the tree. Fixed children and supervisors are started in this order and stopped in the reverse one.
        route: a ``us.Router``; a ``us.Planner``, which makes a plan of each task; ``us.least_busy``; or a function from a task to a
            worker's name, or to a tuple of names: these do it side by side, and where they contradict each other ``conflicts``
            decides. A task that ``needs`` something goes to those who ``can`` only; of several, where this says nothing
            else, to the one with the least under way. By default the worker whose name and
            instructions share most words with the task; where that is not clear, a person.
        parallel: how much of its work runs at once, a number or a ``us.Parallel``; None for no limit. What waits goes by
            priority, then deadline, then arrival.
        plans: how large a plan it takes may be, and what it may spend; ``us.PlanLimits()`` by default.
        strategy: who is restarted with a fixed child that fails: it alone (``one_for_one``), all (``one_for_all``), those that were
            started after it (``rest_for_one``).
        intensity: restarts allowed in a window: of all fixed children together, and of each run and each actor at a template.
        slow: a second limit, for loops too slow for the first; None for none.
        budget: what one of its tasks may spend, with all who work on it. None for no limit but the task's own.
        cost: US dollars that a run (or whatever says what it has ``spent``) may have cost when it fails; above that it is given up
            instead of restarted. None for no limit.
        backoff: waits between restarts of one child.
        people: whom questions go to that arise here: about workers on which it gave up, about tasks, and of agents that do not say
            so themselves; by default those of the supervisor above. None at the top: nobody in particular, and for ever.
        approvals: rules about which calls of all below it wait for a person; those of the supervisors above hold, too.
        on_restart: ``keep`` the state (a failed turn left nothing of it), or begin ``fresh``, which teams of ``us.Child`` may.
        auto_shutdown: whether the supervisor ends when significant children have ended by themselves: ``never``, at the first
            (``any_significant``), at the last (``all_significant``).
        decide: what is done about which failure, see ``deciders``; by default children are restarted.
        restart, shutdown, significant: of the supervisor itself, as a child of the one above, as in ``us.Child``. It ends when its
            tree has.
        undo: whether the calls made for a plan that is given up are undone, as far as their tools say how (``Tool.compensate``).
        conflicts: who decides when answers, entries of the board, claims or delegations contradict each other.

    Raises:
        DefinitionError: a bad or double name, an unknown word, a router to somebody else's workers, a negative number,
            significant children that count for nothing, agents that would begin ``fresh``. The message names the field.
    """

    def __init__(
        self, name: str, workers: Sequence[Agent[Any] | Worker[Any] | Child | Supervisor], *,
        route: Router | Planner | Rule | None = None, parallel: int | Parallel | None = None,
        plans: PlanLimits | None = None, strategy: Strategy = "one_for_one",
        intensity: Intensity | None = None, slow: Intensity | None = SLOW, cost: float | None = None, backoff: Backoff | None = None,
        on_restart: RestartPolicy = "keep", auto_shutdown: AutoShutdown = "never", decide: Decider | None = None,
        conflicts: Conflicts | None = None,
        restart: RestartType = "transient", shutdown: float | None = None, significant: bool = False,
        people: People | None = None, approvals: Sequence[ApprovalRule] = (), budget: Budget | None = None, undo: bool = True,
    ) -> None:  # fmt: skip
        try:
            address(name)
        except (ValueError, TypeError) as error:
            raise DefinitionError(f"supervisor: {error}") from error
        self.name = name
        who = f"supervisor {name!r}"
        if not isinstance(workers, Sequence):
            raise DefinitionError(f"{who}: workers={workers!r}", hint="a list of them, in the order of starts")
        for worker in workers:
            if not isinstance(worker, (Agent, Worker, Child, Supervisor)):
                raise DefinitionError(
                    f"{who}: {worker!r} is no worker",
                    hint="a us.Agent, us.Worker, us.Child, us.Pool or us.Supervisor is",
                )
        self.budget, self.undo = checked(who, budget), _flag(who, "undo", undo)
        self.workers = tuple(w for w in workers if isinstance(w, (Agent, Worker)))
        self.children = tuple(w for w in workers if isinstance(w, Child))
        self.supervisors = tuple(w for w in workers if isinstance(w, Supervisor))
        self.route = route
        names = tuple(w.name for w in self.workers)
        try:
            self.parallel, self.plans = work_limits(parallel, plans, names)
        except DefinitionError as error:
            raise DefinitionError(f"supervisor {name!r}: {error.args[0]}", hint=error.hint) from error
        agents = [w.name for w in self.workers] + ([route.name] if isinstance(route, (Router, Planner)) else [])
        self.people = _checked(people, name, agents)
        self.approvals = approval_rules(who, approvals)
        if not workers:
            raise DefinitionError(f"{who} has no workers")
        all_names = [*agents, *(s.name for s in self.supervisors), *(c.template for c in self.children)]
        if twice := sorted({n for n in all_names if all_names.count(n) > 1}):
            raise DefinitionError(f"{who} has two workers named {twice[0]!r}")
        self.policy = check_policy(
            who,
            Policy(strategy, intensity or Intensity(), slow, cost, auto_shutdown, backoff or Backoff(), on_restart),
        )
        if on_restart == "fresh" and agents:
            raise DefinitionError(
                f"{who}: on_restart='fresh' with {agents[0]!r}, which would forget whom to answer",
                hint="agents and workers keep their state: a failed turn left nothing in it; 'fresh' is for teams of us.Child only",
            )
        check_decider(who, decide)
        self.decide = decide
        self.spec = check_spec(ChildSpec(Address(name), "supervisor", restart, significant, shutdown))
        for spec in (*(c.spec for c in self.children), *(s.spec for s in self.supervisors)):
            check_spec(spec, self.policy)
        self.specs = tuple(w.spec for w in workers if is_led(w, self.policy))
        """Of the children that it starts and stops, in the order of starts."""
        self.pools = tuple(pool_of(c) for c in self.children if not c.fixed)
        """What may be started by name, and how many of each."""
        if isinstance(route, (Router, Planner)) and (strangers := sorted(set(route.to) - set(names))):
            what = f"router sends tasks to {', '.join(strangers)}"
            if isinstance(route, Planner):
                what = f"planner plans with {', '.join(strangers)}"
            raise DefinitionError(f"supervisor {name!r}: its {what}, who is no worker here")
        if reserved := [n for n in agents if n in RESERVED]:
            raise DefinitionError(
                f"supervisor {name!r}: a worker may not be called {reserved[0]!r}",
                hint="the team has an actor of its own by that name",
            )
        if conflicts is not None and not isinstance(conflicts, Conflicts):
            raise DefinitionError(
                f"supervisor {name!r}: conflicts={conflicts!r}",
                hint="us.Conflicts(answers=…, entries=…, claims=…, delegation=…)",
            )
        self.conflicts = conflicts or Conflicts()
        known = {w.name for w in self.workers} | {c.template for c in self.children} | {"outside"}
        self.conflicts.check(name, known, len(self.workers))


def _flag(who: str, field: str, said: object) -> bool:
    if not isinstance(said, bool):
        raise DefinitionError(f"{who}: {field}={said!r}", hint="True or False")
    return said


def is_led(worker: object, policy: Policy) -> TypeGuard[Child | Supervisor]:
    """Whether it is started and stopped by its supervisor: a fixed child, or a supervisor that has some, or a pool. A memory-only
    child that stands for itself is virtual: it comes and goes with its mail, and leaves no row."""
    if isinstance(worker, Supervisor):
        return leads(worker)
    if not isinstance(worker, Child) or not worker.fixed:
        return False
    return worker.actor.durable or worker.spec.significant or policy.strategy != "one_for_one"


def leads(supervisor: Supervisor) -> bool:
    """Whether it has anybody to start and stop, now or by name."""
    return bool(supervisor.specs) or any(isinstance(child, Pool) for child in supervisor.children)


def is_led_by_root(definition: object) -> TypeGuard[Child | Supervisor]:
    """Whether the root starts and stops it: a supervisor, or an actor that says how its own life goes. Others that are mounted directly
    belong to no group: they are virtual, as actors at templates are, and begin with their first mail."""
    if isinstance(definition, Child) and definition.spec == ChildSpec(definition.spec.id):
        return False
    return is_led(definition, Policy())


def pool_of(child: Child) -> tuple[ChildSpec, int | None]:
    """What may be started by name at a template, and how many."""
    return child.spec, child.max_children if isinstance(child, Pool) else None


def _checked(people: People | None, name: str, agents: Sequence[str]) -> People | None:
    """People whose default fits some question that arises below a supervisor. Raises DefinitionError."""
    if people is not None and not isinstance(people, People):
        raise DefinitionError(f"supervisor {name!r}: people={people!r}", hint="us.People(ask=…, deadline=…)")
    if people is not None and people.default == "skip" and agents:
        raise DefinitionError(
            f"supervisor {name!r}: people.default='skip' with {agents[0]!r}, whose tasks have no part that could be skipped",
            hint="stop or retry; 'skip' is for teams of us.Child only",
        )
    return people
