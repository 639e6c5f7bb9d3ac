"""From definitions to a running tree: which actor owns which address, what the gate grants, which tools and models there are.

root                     the supervisor of everything; what it gives up on goes to a person
  <agent>/{run}          an agent or worker mounted by itself: one actor a run
  <team>                 a supervisor
    <team>/{run}         one task of the team
      <team>/{run}/<worker>[/{try}]
  <template>             a plain actor
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from ...actors.actor import Actor
from ...actors.agent import Agent
from ...actors.planner import Planner
from ...actors.react import AgentActor
from ...actors.registry import Begun, Directory, Mount
from ...actors.router import Router
from ...actors.worker import WorkerActor
from ...protocols.board import board_of
from ...protocols.breakers import Breaker
from ...protocols.children import Policy
from ...protocols.errors import DefinitionError, UnderstudyError, UnknownItem
from ...protocols.ids import SYSTEM, Address, fits
from ...protocols.model import Model
from ...protocols.people import People
from ...protocols.rates import Rate
from ...protocols.rules import ApprovalRule
from ...protocols.tool import ToolSpec
from ...protocols.undoing import UNDO
from ...tools.checks.breaker import BreakerCheck
from ...tools.checks.declared import declared
from ...tools.checks.rate import RateCheck
from ...tools.checks.rules import check_rules
from ...tools.compensating import compensations
from ...tools.composite import CompositeTool, steps_of
from ...tools.gate import Grants
from ...tools.inside import InsideTool
from ...tools.models.registry import model as resolve
from ...tools.person import PersonTool
from ...tools.starting import StartCheck
from ...tools.together import complete
from ...tools.tool import Tool
from ..addressing import address_people
from ..composing import composing
from ..conflicts.actor import ConflictActor
from ..conflicts.board import BoardActor
from ..conflicts.known import Known
from ..conflicts.leases import LeaseActor
from ..conflicts.policy import Conflicts
from ..team.dispatch import TeamActor
from ..team.panel import PANEL, PanelActor
from ..team.places import PlacesActor, keeper
from ..team.routing import counts
from ..team.undoing import UndoActor
from ..worker import Worker
from .children import Child, Pool
from .definitions import Supervisor, is_led, is_led_by_root, leads, pool_of
from .supervisor import SupervisorActor

ROOT = Address("root")
Definition = Agent[Any] | Worker[Any] | Supervisor | Child
"""What can be mounted."""


_STAYS = (InsideTool, PersonTool)
"""Tools whose calls do not leave the node."""


class Tree:
    """Everything that was mounted.

    Attributes:
        directory: who owns which address.
        grants: tools and limits, by agent.
        places: the team of each agent.
        tools, models: what the performer runs, by agent and name.
        override: the model that replaces every agent's, if one does.
    """

    def __init__(self, definitions: Sequence[Definition], *, model: str | Model | None = None) -> None:
        """``model`` replaces every agent's model, as ``--model`` does.

        Raises:
            DefinitionError: two definitions at one address, or something that is none.
        """
        self.directory = Directory()
        self.grants: dict[str, Grants] = {}
        self.tools: dict[str, dict[str, Tool[..., Any]]] = {}
        self.models: dict[str, dict[str, Model]] = {}
        self.places: dict[str, Address] = {}
        self.override = model
        self._rules: dict[Address, tuple[ApprovalRule, ...]] = {}
        """Approval rules that hold below each supervisor."""
        self._declared: list[tuple[str, tuple[ApprovalRule, ...]]] = []
        """Who declared which of them."""
        self._replaced: set[str] = set()
        self._spared: dict[str, frozenset[str]] = {}
        """Models after which an agent has another one."""
        self._by_worker: dict[str, str] = {}
        """Names of what workers do, by template."""
        top = SupervisorActor(
            Policy(),
            [definition.spec for definition in definitions if is_led_by_root(definition)],
            pools=[pool_of(d) for d in definitions if isinstance(d, Child) and not d.fixed],
        )
        self._add(str(ROOT), top, Address(""))
        for definition in definitions:
            self._mount(definition)
        self._shared(Conflicts(), {}, Known(ROOT))
        self._undoers(definitions)
        address_people(self.directory, definitions)
        for who, rules in self._declared:
            mine = [grants for grants in self.grants.values() if any(rule in grants.rules for rule in rules)]
            check_rules(who, rules, [tool for grants in mine for tool in grants.tools.values()])

    def unready(self, name: str) -> UnderstudyError | None:
        """Why an agent of this definition has no model that could be asked: a missing key or library. None where each has one."""
        for template, models in self.models.items():
            if template.partition("/")[0] != name:
                continue
            why: list[UnderstudyError] = []
            for model in models.values():
                ready = getattr(model, "ready", None)  # adapters that need nothing have no such method
                try:
                    if ready is not None:
                        ready()
                except UnderstudyError as error:
                    why.append(error)
            if why and len(why) == len(models):
                return why[0]
        return None

    @property
    def model_names(self) -> frozenset[str]:
        """Of all models that are asked, and of those in whose place one is."""
        return frozenset(self._replaced.union(*self.models.values()))

    def shared(
        self, rates: Mapping[str, Rate] | None, breakers: Mapping[str, Breaker | None] | None
    ) -> tuple[StartCheck, ...]:
        """The checks of what all share, as declared. Raises DefinitionError as ``checks.declared``."""
        for field, said in (("rates", rates), ("breakers", breakers)):
            for name in said if isinstance(said, Mapping) else ():
                if (why := self.stays(name)) is not None:
                    raise DefinitionError(f"System({field}=…): {why.args[0]}", hint=why.hint)
        specs: dict[str, list[ToolSpec]] = {}
        for named in self.tools.values():
            for name, tool in named.items():
                specs.setdefault(name, []).append(tool.spec)
        fast, broken = declared(rates, breakers, specs, self.model_names)
        tools = {name for agent, named in self.tools.items() if agent not in self._by_worker for name in named}
        alone = frozenset(self._by_worker.values()) - tools
        return RateCheck(fast, alone), BreakerCheck(broken, self._spared, alone)

    def outgoing(self) -> frozenset[str]:
        """Names of all tools and models that leave the node: what rates and breakers are about."""
        called = {name for named in self.tools.values() for name, tool in named.items() if not isinstance(tool, _STAYS)}
        return self.model_names | called

    def stays(self, name: str) -> UnknownItem | None:
        """Why no rate and no breaker holds calls of a tool: they are done inside the node. None for any other name."""
        if name in self.outgoing():
            return None
        found = next((named[name] for named in self.tools.values() if name in named), None)
        if found is None:
            return None
        if isinstance(found, CompositeTool):
            steps = (
                ", ".join(sorted({one.spec.name for one in steps_of(found) if not isinstance(one, _STAYS)})) or "none"
            )
            return UnknownItem(f"{name!r} is made of calls of other tools", hint=f"name those of its steps: {steps}")
        return UnknownItem(f"calls of {name!r} are done inside the node", hint="no rate and no breaker holds them")

    def _mount(self, definition: Definition) -> None:
        if isinstance(definition, Supervisor):
            self._team(definition, ROOT)
        elif isinstance(definition, (Agent, Worker)):
            self._member(definition, f"{definition.name}/{{run}}", ROOT)
        elif isinstance(definition, Child):
            self._child(definition, ROOT, led=is_led_by_root(definition))
        else:
            raise DefinitionError(
                f"{definition!r} cannot be mounted", hint="a us.Agent, us.Worker, us.Supervisor or us.Child can"
            )

    def _team(self, team: Supervisor, above: Address) -> None:
        name = Address(team.name)
        self._rules[name] = self._rules.get(above, ()) + self._said(f"supervisor {team.name!r}", team.approvals)
        actor = SupervisorActor(team.policy, team.specs, decider=team.decide, above=above, pools=team.pools)
        self._add(team.name, actor, above, "in order" if leads(team) else "by mail")
        if team.workers:
            self._add(f"{team.name}/{{run}}", TeamActor(team), name)
        if counts(team):
            self._add(str(keeper(team.name)), PlacesActor(team.parallel), name)
        routers = [team.route] if isinstance(team.route, (Router, Planner)) else []
        for worker in (*team.workers, *routers):
            self._member(worker, f"{team.name}/{{run}}/{worker.name}", name)
            self._member(worker, f"{team.name}/{{run}}/{worker.name}/{{try}}", name)
        for child in team.children:
            self._child(child, name, led=is_led(child, team.policy))
        for below in team.supervisors:
            self._team(below, name)
        if team.workers:
            forms = {worker.name: worker.output for worker in team.workers}
            for template in (f"{team.name}/{{run}}/{PANEL}", f"{team.name}/{{run}}/{PANEL}/{{try}}"):
                self._add(template, PanelActor(team.conflicts, forms), name)
        known = Known(name, tuple(w.name for w in team.workers), tuple(c.template for c in team.children))
        skills = {worker.name: worker.instructions for worker in team.workers}
        self._shared(team.conflicts, {worker.name: worker.output for worker in team.workers}, known, skills)

    def _shared(
        self, policy: Conflicts, forms: dict[str, Any], known: Known, skills: dict[str, str] | None = None
    ) -> None:
        """What a team has besides its workers: a board, leases, and who sees to conflicts."""
        team = known.team
        template = f"{team}/{{run}}/conflict/{{id}}"
        self._add(template, ConflictActor(policy, forms, known, skills or {}), team)
        self._add(board_of(team), BoardActor(policy, known), team)
        self._add(f"{team}/shared/lease/{{resource}}", LeaseActor(policy, known), team)
        for judge in policy.judges():
            self._agent(judge, f"{template}/{judge.name}/{{try}}", team)

    def _undoers(self, definitions: Sequence[Definition]) -> None:
        """Where any tool says how it is undone, each team that takes plans has somebody who does that."""
        found = compensations(tool for named in self.tools.values() for tool in named.values())
        waiting = list(definitions) if found else []
        for team in waiting:
            if not isinstance(team, Supervisor):
                continue
            waiting += team.supervisors
            if not team.workers or not team.undo:
                continue
            if any(worker.name == UNDO for worker in team.workers):
                what = f"supervisor {team.name!r}: a worker may not be called {UNDO!r} where tools have compensations"
                raise DefinitionError(what, hint="the team has an actor of its own by that name")
            template, name = f"{team.name}/{{run}}/{UNDO}", Address(team.name)
            tools = complete(template, found)
            self._add(template, UndoActor(), name)
            self.grants[template] = Grants(tools, limits=None, place=name, rules=self._rules.get(name, ()))
            self.places[template] = name
            self.tools[template] = tools
            mount = self.directory.find(Address(f"{team.name}/-"))
            assert mount is not None
            assert isinstance(mount.actor, TeamActor)
            mount.actor.undoes = True

    def _member(self, member: Agent[Any] | Worker[Any], template: str, supervisor: Address) -> None:
        if isinstance(member, Agent):
            self._agent(member, template, supervisor)
        else:
            self._worker(member, template, supervisor)

    def _agent(self, agent: Agent[Any], template: str, supervisor: Address) -> None:
        if self.override is not None:
            self._replaced.update(agent.model_names())
            agent = copy.copy(agent)
            agent.models = (self.override,)
        given: list[Tool[..., Any]] = []
        for tool in agent.tools:
            if not isinstance(tool, Tool):
                raise DefinitionError(
                    f"agent {agent.name!r}: {tool!r} is no tool", hint="decorate the function with @us.tool(effect=…)"
                )
            given.append(tool)
        tools = complete(f"agent {agent.name!r}", given)
        self._add(template, AgentActor(agent), supervisor)
        rules = self._rules.get(supervisor, ()) + self._said(f"agent {agent.name!r}", agent.approvals)
        self.grants[template] = Grants(tools, agent.limits, supervisor, rules)
        self._spared[template] = frozenset(agent.model_names()[:-1])
        self.places[template] = supervisor
        self.tools[template] = tools
        self.models[template] = {name: resolve(m) for name, m in zip(agent.model_names(), agent.models, strict=True)}
        self._composites(template, agent.people)

    def _worker(self, worker: Worker[Any], template: str, supervisor: Address) -> None:
        tools = complete(f"worker {worker.name!r}", [worker.work])
        self._by_worker[template] = worker.work.spec.name
        self._add(template, WorkerActor(worker.work, whole=worker.whole, can=worker.can), supervisor)
        self.grants[template] = Grants(tools, limits=None, place=supervisor, rules=self._rules.get(supervisor, ()))
        self.places[template] = supervisor
        self.tools[template] = tools
        self._composites(template)

    def _composites(self, template: str, people: People | None = None) -> None:
        """Who makes the steps of its composite tools, and who undoes them: only they may call the tools of the steps."""
        mine = self.grants[template]
        if not any(isinstance(tool, CompositeTool) for tool in mine.tools.values()):
            return
        for inner in composing(template, mine.tools, people):
            self._add(inner.template, inner.actor, self.places[template])
            self.grants[inner.template] = Grants(
                inner.tools, limits=None, place=mine.place, rules=mine.rules, times=mine.limits
            )
            self.places[inner.template] = self.places[template]
            self.tools[inner.template] = inner.tools

    def _said(self, who: str, rules: tuple[ApprovalRule, ...]) -> tuple[ApprovalRule, ...]:
        """Rules that somebody declared; that they name what there is can be told when everything is mounted."""
        if rules:
            self._declared.append((who, rules))
        return rules

    def _child(self, child: Child, supervisor: Address, *, led: bool) -> None:
        begun: Begun = (
            "by name" if isinstance(child, Pool) else "in order" if led and child.actor.durable else "by mail"
        )
        self._add(child.template, child.actor, supervisor, begun)
        tools = complete(f"child {child.template!r}", child.tools)
        self.grants[child.template] = Grants(
            tools, limits=None, place=supervisor, rules=self._rules.get(supervisor, ())
        )
        self.places[child.template] = supervisor
        self.tools[child.template] = tools
        self._composites(child.template)

    def _add(self, template: str, actor: Actor, supervisor: Address, begun: Begun = "by mail") -> None:
        for name, whose in ((SYSTEM, "the journal's own rows"), (ROOT, "the supervisor of everything")):
            if supervisor and fits(template, name):
                raise DefinitionError(
                    f"{template!r} cannot be mounted: {str(name)!r} is the address of {whose}",
                    hint="give it another name; a template of holes only needs a segment in front, such as 'accounts/{key}'",
                )
        self.directory.add(Mount(template, actor, supervisor, template, begun=begun))
