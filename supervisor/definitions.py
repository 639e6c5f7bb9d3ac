"""What people write to have work kept going: ``us.Supervisor``, a team under one policy, and ``us.Child``, a plain actor in it.

Data and its checks, nothing that runs: ``supervisor.py`` is the actor that decides, ``tree.py`` makes the running tree of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..actors.actor import Actor
from ..actors.agent import Agent
from ..actors.planner import Planner
from ..actors.router import Router
from ..protocols.children import Backoff, Intensity, RestartPolicy, Strategy
from ..protocols.errors import DefinitionError
from ..protocols.ids import address, check_template
from ..protocols.plans import Parallel, PlanLimits
from ..protocols.plans import parallel as check_parallel
from ..protocols.tasks import Task
from ..tools.tool import Tool
from .conflicts.policy import Conflicts
from .worker import Worker

Rule = Callable[[Task], str | tuple[str, ...]]
"""Says which worker takes a task, by name; ``person`` when none does. A tuple of names: these do it side by side."""

RESERVED = ("panel", "conflict", "board", "lease")
"""What a team has besides its workers, at their place: no worker may be called so."""


class Child:
    """A plain actor: what class, at which address or template, and which tools it may call."""

    def __init__(self, template: str, actor: Actor | type[Actor], *, tools: Sequence[Tool[..., Any]] = ()) -> None:
        try:
            self.template = check_template(template)
        except (ValueError, TypeError) as error:
            raise DefinitionError(str(error)) from error
        self.actor = actor() if isinstance(actor, type) else actor
        self.tools = tuple(tools)
        if self.tools and not self.actor.durable:
            raise DefinitionError(
                f"{type(self.actor).__name__} is memory-only (durable = False) and calls no tools",
                hint="let a durable actor make the call and tell this one",
            )


class Supervisor:
    """A team: workers, who routes tasks to them, and how their failures are handled.

    Args:
        name: its address, one segment.
        workers: agents and ``us.Worker``s (each run is an actor of its own), and ``us.Child`` specs of plain actors.
        route: a ``us.Router``; a ``us.Planner``, which makes a plan of each task; ``us.least_busy``; or a function from a task to a
            worker's name, or to a tuple of names: these do it side by side, and where they contradict each other ``conflicts``
            decides. A task that ``needs`` something goes to those who ``can`` only; of several, where this says nothing
            else, to the one with the least under way. By default the worker whose name and
            instructions share most words with the task; where that is not clear, a person.
        parallel: how much of its work runs at once, a number or a ``us.Parallel``; None for no limit. What waits goes by
            priority, then deadline, then arrival.
        plans: how large a plan it takes may be, and what it may spend; ``us.PlanLimits()`` by default.
        strategy: ``one_for_one``: a failed child is restarted alone.
        intensity: restarts allowed in a window, for each run and each fixed child.
        backoff: waits between restarts.
        on_restart: ``keep`` the state (a failed turn left nothing of it), or begin ``fresh``, which teams of ``us.Child`` may.
        conflicts: who decides when answers, entries of the board, claims or delegations contradict each other.

    Raises:
        DefinitionError: a bad or double name, an unknown strategy, a router to somebody else's workers, a negative number,
            agents that would begin ``fresh``.
    """

    def __init__(
        self, name: str, workers: Sequence[Agent[Any] | Worker[Any] | Child], *, route: Router | Planner | Rule | None = None,
        parallel: int | Parallel | None = None, plans: PlanLimits | None = None,
        strategy: Strategy = "one_for_one",
        intensity: Intensity | None = None, backoff: Backoff | None = None, on_restart: RestartPolicy = "keep",
        conflicts: Conflicts | None = None,
    ) -> None:  # fmt: skip
        try:
            address(name)
        except (ValueError, TypeError) as error:
            raise DefinitionError(f"supervisor: {error}") from error
        self.name = name
        self.workers = tuple(w for w in workers if isinstance(w, (Agent, Worker)))
        self.children = tuple(w for w in workers if isinstance(w, Child))
        self.route = route
        names = tuple(w.name for w in self.workers)
        self.plans = plans or PlanLimits()
        if not isinstance(self.plans, PlanLimits):
            raise DefinitionError(f"supervisor {name!r}: plans={plans!r}", hint="a us.PlanLimits")
        try:
            self.parallel = check_parallel(parallel, names)
        except DefinitionError as error:
            raise DefinitionError(f"supervisor {name!r}: {error.args[0]}", hint=error.hint) from error
        self.intensity = intensity or Intensity()
        self.backoff = backoff or Backoff()
        self.on_restart: RestartPolicy = on_restart
        agents = [w.name for w in self.workers] + ([route.name] if isinstance(route, (Router, Planner)) else [])
        if not workers:
            raise DefinitionError(f"supervisor {name!r} has no workers")
        if twice := sorted({n for n in agents if agents.count(n) > 1}):
            raise DefinitionError(f"supervisor {name!r} has two workers named {twice[0]!r}")
        if strategy != "one_for_one":
            raise DefinitionError(f"supervisor {name!r}: strategy={strategy!r}", hint="this version knows one_for_one")
        if on_restart not in ("keep", "fresh"):
            raise DefinitionError(f"supervisor {name!r}: on_restart={on_restart!r}", hint="keep or fresh")
        if on_restart == "fresh" and agents:
            raise DefinitionError(
                f"supervisor {name!r}: on_restart='fresh' with {agents[0]!r}, which would forget whom to answer",
                hint="agents and workers keep their state: a failed turn left nothing in it; 'fresh' is for teams of us.Child only",
            )
        if (
            self.intensity.max_restarts < 0
            or self.intensity.within <= 0
            or min(self.backoff.base, self.backoff.cap, self.backoff.reset) < 0
        ):
            raise DefinitionError(
                f"supervisor {name!r}: intensity and backoff must not be negative, the window must be above 0"
            )
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
