"""``us.Agent``: what an agent is, as data: instructions, models, tools, the type of its answer, limits. ``react`` runs it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Generic, TypeVar, overload

import msgspec
from msgspec import Raw

from ..protocols import given
from ..protocols.budget import Budget
from ..protocols.budget import budget as checked
from ..protocols.decisions import Decision
from ..protocols.errors import DefinitionError
from ..protocols.ids import address
from ..protocols.limits import Limits
from ..protocols.model import Model
from ..protocols.people import UNATTENDED, People
from ..protocols.plans import texts
from ..protocols.rules import ApprovalRule, approval_rules
from ..protocols.tool import ToolRef

T = TypeVar("T")

EXIT = "cannot_complete"
"""Name of the tool by which a model says that it can't complete a task; every agent has it."""


TAKES: tuple[Decision, ...] = ("retry", "change", "result", "stop")
"""What the questions of an agent take."""

FALLBACKS = tuple(word for word in UNATTENDED if word in TAKES)
"""What of it can be decided with nobody there."""


class Agent(Generic[T]):
    """An agent: instructions, a model, tools, the type of its answer, limits.

    Args:
        name: its address, one segment.
        instructions: what it is for and how it works.
        model: ``provider:name``, a model object, or several of these as a fallback chain, tried in order.
        tools: what it may call; nothing else.
        output: type of its answer; plain text by default.
        limits: bounds of one run; ``us.Limits()`` by default.
        can: what it is able to do, such as ``("german", "billing")``; tasks and steps say what they need (``needs=``).
        people: whom its questions go to; by default those of its supervisor, then of the system.
        approvals: rules about which of its calls wait for a person, besides those of its teams.
        budget: what one run of it may spend; None for no limit but those of whoever it works for.

    Raises:
        DefinitionError: a bad name, no model, two tools of one name, an output type that has no JSON schema.
    """

    @overload
    def __init__(
        self: Agent[str], name: str, instructions: str, *, model: str | Model | Sequence[str | Model],
        tools: Sequence[ToolRef[..., Any]] = (), limits: Limits | None = None,
        can: Sequence[str] = (),
        people: People | None = None,
        approvals: Sequence[ApprovalRule] = (),
        budget: Budget | None = None,
    ) -> None: ...  # fmt: skip
    @overload
    def __init__(
        self, name: str, instructions: str, *, model: str | Model | Sequence[str | Model],
        tools: Sequence[ToolRef[..., Any]] = (), output: type[T], limits: Limits | None = None,
        can: Sequence[str] = (),
        people: People | None = None,
        approvals: Sequence[ApprovalRule] = (),
        budget: Budget | None = None,
    ) -> None: ...  # fmt: skip
    def __init__(
        self, name: str, instructions: str, *, model: str | Model | Sequence[str | Model],
        tools: Sequence[ToolRef[..., Any]] = (), output: Any = str, limits: Limits | None = None,
        can: Sequence[str] = (),
        people: People | None = None,
        approvals: Sequence[ApprovalRule] = (),
        budget: Budget | None = None,
    ) -> None:  # fmt: skip
        try:
            address(name)
        except (ValueError, TypeError) as error:
            raise DefinitionError(f"agent: {error}") from error
        if "/" in name:
            raise DefinitionError(f"agent {name!r}: a name is one segment, without '/'")
        self.name = name
        self.instructions = instructions
        self.models: tuple[str | Model, ...] = (
            (model,) if isinstance(model, str) or not isinstance(model, Sequence) else tuple(model)
        )
        self.tools = tuple(tools)
        self.output: Any = output  # a type form
        self.limits = limits or Limits()
        self.can = texts(f"agent {name!r}: can", tuple(can) if not isinstance(can, str) else can)
        self.people = people
        self.approvals = approval_rules(f"agent {name!r}", approvals)
        self.budget = checked(f"agent {name!r}", budget)
        names = [(tool.spec.name, tool.spec.version) for tool in self.tools]
        if not self.models:
            raise DefinitionError(f"agent {name!r} has no model")
        if twice := sorted({one[0] for one in names if names.count(one) > 1 or one[0] == EXIT}):
            raise DefinitionError(f"agent {name!r} has two tools named {twice[0]!r}", hint=f"{EXIT!r} is built in")
        for field, least in (
            ("steps", 1),
            ("calls", 0),
            ("repeats", 1),
            ("cycles", 1),
            ("varied", 1),
            ("stalled", 1),
            ("handed", 0),
            ("family", 0),
            ("depth", 0),
            ("invalid", 0),
        ):
            given.count(f"agent {name!r}: limits.{field}", getattr(self.limits, field), least=least)
        if self.limits.answer is not None:
            given.count(f"agent {name!r}: limits.answer", self.limits.answer, least=1)
        per_tool: object = self.limits.per_tool
        if not isinstance(per_tool, dict):
            raise DefinitionError(f"agent {name!r}: limits.per_tool={per_tool!r}", hint='calls by tool: {"search": 5}')
        for tool, most in self.limits.per_tool.items():
            if tool not in (known := {one for one, _ in names}):
                has = ", ".join(sorted(known)) or "none"
                raise DefinitionError(f"agent {name!r}: limits.per_tool names {tool!r}", hint=f"its tools: {has}")
            given.count(f"agent {name!r}: limits.per_tool[{tool!r}]", most, least=0)
        for field in ("model", "step", "run", "approval", "approved"):
            seconds: object = getattr(self.limits, field)
            if seconds is None and field != "model":
                continue
            if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < math.inf:
                raise DefinitionError(f"agent {name!r}: limits.{field}={seconds!r} is no time", hint="seconds, above 0")
        if people is not None and people.default not in TAKES:
            raise DefinitionError(
                f"agent {name!r}: people.default={people.default!r} answers none of its questions",
                hint=f"{' or '.join(FALLBACKS)}",
            )
        self.schema = self._schema(output)

    def _schema(self, output: Any) -> Raw | None:
        if output is str:
            return None
        try:
            return Raw(msgspec.json.encode(msgspec.json.schema(output)))
        except TypeError as error:
            raise DefinitionError(f"agent {self.name!r}: output type {output!r}: {error}") from error

    def model_names(self) -> tuple[str, ...]:
        """Names of the chain's models."""
        return tuple(m if isinstance(m, str) else m.name for m in self.models)
