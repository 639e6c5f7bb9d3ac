"""A tool: a typed function, what is said of it, and its rules. ``declaring`` makes them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, TypeVar, overload

import msgspec

from ..protocols.effects import EffectClass, Retry
from ..protocols.errors import DefinitionError
from ..protocols.leases import MAX_SECONDS
from ..protocols.secrets import Secret
from ..protocols.tool import MAX_RESULT, Call, Kind, P, ToolRef, ToolSpec
from .describing import told
from .metadata import metadata, transformed
from .policies import Policy
from .schema import Signature, bound

R = TypeVar("R")
EFFECTS: Final = ("read", "idempotent", "reconcilable", "once")


Isolation = Literal["task", "thread", "process"]
"""Where a call runs: in the event loop; in a thread of its own; in a process of its own."""


class NotDone:
    """What a ``reconcile`` function returns when the action did not happen: ``us.NOT_DONE``."""


NOT_DONE: Final = NotDone()


HOLD = 300.0
"""Seconds that a call has its resource at least, where nothing else is said."""


class LeaseRule:
    """Which resource a call works on, and what is to be done about its lease (``Tool.under_lease``).

    Attributes:
        rule: from the arguments to the resource's name.
        hold: seconds that a call has it at least.
        claim: it is taken at the start where nobody has it; otherwise whoever calls must have it.
    """

    def __init__(self, rule: Callable[..., str], hold: float, claim: bool) -> None:
        self.rule, self.hold, self.claim = rule, hold, claim


class Tool(ToolRef[P, R]):
    """A tool: its function, its spec, its rules. ``R`` is what it results in, also for an ``async def``."""

    inside: ClassVar[bool] = False
    """Whether its calls are done inside the node, by another actor, rather than performed."""
    composed: ClassVar[bool] = False
    """Whether its calls are calls of other tools."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str,
        effect: EffectClass,
        timeout: float,
        retry: Retry,
        key_ttl: float,
        depth: int,
        heartbeat: float | None = None,
    ) -> None:
        if effect not in EFFECTS:
            raise DefinitionError(f"tool {name!r}: effect={effect!r}", hint=f"one of {', '.join(EFFECTS)}")
        for field, seconds in (("timeout", timeout), ("key_ttl", key_ttl)):
            if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or math.isnan(seconds):
                raise DefinitionError(f"tool {name!r}: {field}={seconds!r}", hint="a number of seconds, above 0")
        if timeout <= 0 or key_ttl <= 0:
            raise DefinitionError(f"tool {name!r}: timeout and key_ttl must be above 0")
        _check_retry(name, retry)
        if heartbeat is not None and (
            isinstance(heartbeat, bool) or not isinstance(heartbeat, (int, float)) or not heartbeat > 0
        ):
            raise DefinitionError(
                f"tool {name!r}: heartbeat={heartbeat!r}",
                hint="seconds above 0, or None for a tool that beats no heart",
            )
        self.function = function
        self.signature = Signature(function, name, depth=depth + 1)
        if heartbeat is not None and not self.signature.wants_call:
            raise DefinitionError(
                f"tool {name!r} has heartbeat={heartbeat:g} and nothing to beat it with",
                hint="give its function a parameter of type us.Call, and call call.heartbeat()",
            )
        self.gives = self.signature.returns
        """Type form of what the function gives; ``returns`` is that of what comes of a call, after ``transform``."""
        self.returns = self.gives
        self.transformer: Callable[[Any], Any] | None = None
        self.order = self.signature.order
        self.said: frozenset[str] = frozenset()
        """Options that were said although they are as they would be otherwise: to a lint that makes a difference."""
        self.versions: dict[str, Tool[..., Any]] = {}
        """Other versions of it that the same agent has; set where the agent's tools are put together."""
        self.policy: Policy | None = None
        self._told: Policy | None = None
        self.lease: LeaseRule | None = None
        self.reconciler: Callable[..., Any] | None = None
        self.compensation: Tool[..., Any] | None = None
        """What undoes its calls (``compensate``)."""
        self.pretence: Tool[..., Any] | None = None
        """What stands in for it where its calls are simulated (``simulate``)."""
        self.is_async = inspect.iscoroutinefunction(function)
        self.isolation: Isolation = "task" if self.is_async else "thread"
        self.environ: Sequence[str] | Mapping[str, str | Secret] = ()
        self.apart: tuple[str, str] | None = None
        """Module and name under which a process of its own finds the function."""
        self.fixed: dict[str, Any] = {}
        """Arguments of that function which no caller gives."""
        description = (inspect.getdoc(function) or "").strip()
        self._spec = ToolSpec(
            name,
            "\n\n".join(filter(None, (description, told(self.returns)))),
            self.signature.parameters,
            effect,
            timeout,
            retry,
            key_ttl,
            "",
            heartbeat,
        )
        self.__name__ = name
        self.__doc__ = description

    @property
    def spec(self) -> ToolSpec:  # type: ignore[override]  # not a field: the policy may be declared after the tool
        """The tool as data. The same object as long as nothing more is declared."""
        if self.policy is not self._told:
            self._told = self.policy
            self._spec = msgspec.structs.replace(self._spec, policy="" if self._told is None else self._told.label)
        return self._spec

    def declare(
        self,
        *,
        kind: Kind | Sequence[Kind] | None = None,
        sinks: Sequence[str] | None = None,
        payload: Sequence[str] | None = None,
        trusted: bool | Sequence[str] | None = None,
        private: bool | None = None,
        version: str = "",
        cost: float = 0.0,
        amount: str = "",
        tags: Sequence[str] = (),
        max_bytes: int = MAX_RESULT,
        after: Sequence[str | ToolRef[..., Any]] = (),
        excludes: Sequence[str | ToolRef[..., Any]] = (),
    ) -> None:
        """Say what calls do to the world and what is to be thought of their results (the arguments of ``us.tool``).

        Raises:
            DefinitionError: names the field that cannot be meant so.
        """
        said = metadata(
            self._spec, self.returns, kind=kind, sinks=sinks, payload=payload, trusted=trusted, private=private,
            version=version, cost=cost, amount=amount, tags=tags, max_bytes=max_bytes, after=after, excludes=excludes,
        )  # fmt: skip
        if trusted is not None:
            self.said |= {"trusted"}
        self._spec = msgspec.structs.replace(self._spec, **said)

    def approve_if(self, rule: Callable[P, bool]) -> Callable[P, bool]:
        """Calls for which the rule says true wait for a person. Its docstring is what the person reads.

        Raises:
            DefinitionError: the tool has a rule already, or the rule's parameters are not the tool's.
        """
        if self.policy is not None:
            raise DefinitionError(f"tool {self.spec.name!r} has an approval rule already")
        names = tuple(inspect.signature(rule).parameters)
        if names != self.order:
            raise DefinitionError(
                f"the approval rule of {self.spec.name!r} takes ({', '.join(names)})",
                hint=f"it must take ({', '.join(self.order)})",
            )
        self.policy = Policy(rule)
        return rule

    def under_lease(
        self, *, hold: float | None = None, claim: bool = True
    ) -> Callable[[Callable[P, str]], Callable[P, str]]:
        """Calls work on a resource and need a lease of it; the decorated function says on which, from the arguments.

        Every attempt asks, when it starts, whether the actor that calls has the lease. If so it gets the fencing token
        (``us.Call.fence``); if the lease was lost it is refused (``lease_lost``); if somebody else has it, the team's
        ``us.Conflicts(claims=…)`` decide, and a refusal says who has it (``lease_held``).

        Args:
            hold: seconds that a call has the resource at least, from its start. By default 300, or the tool's ``timeout`` where that is
                longer, so that nobody else gets it while an attempt is under way.
            claim: take it at the start where nobody has it. False: whoever calls must have acquired it before (``us.LeaseAcquire``).

        Raises:
            DefinitionError: the tool has such a rule already, its parameters are not the tool's, or ``hold`` is no time.
        """
        if self.lease is not None:
            raise DefinitionError(f"tool {self.spec.name!r} has a lease rule already")
        seconds = max(HOLD, min(self.spec.timeout, MAX_SECONDS)) if hold is None else hold
        if not 0.0 < seconds <= MAX_SECONDS:
            raise DefinitionError(
                f"tool {self.spec.name!r}: hold={hold}", hint=f"seconds, above 0, {MAX_SECONDS:,.0f} at most"
            )

        def take(rule: Callable[P, str]) -> Callable[P, str]:
            names = tuple(inspect.signature(rule).parameters)
            if names != self.order:
                raise DefinitionError(
                    f"the lease rule of {self.spec.name!r} takes ({', '.join(names)})",
                    hint=f"it must take ({', '.join(self.order)})",
                )
            self.lease = LeaseRule(rule, seconds, claim)
            return rule

        return take

    @overload
    def reconcile(
        self, function: Callable[[str], Coroutine[Any, Any, R | NotDone]]
    ) -> Callable[[str], Coroutine[Any, Any, R | NotDone]]: ...

    @overload
    def reconcile(self, function: Callable[[str], R | NotDone]) -> Callable[[str], R | NotDone]: ...

    def reconcile(self, function: Callable[[str], Any]) -> Callable[[str], Any]:
        """How to find out, by idempotency key, whether a call happened: its result, or ``us.NOT_DONE``. May be ``async``."""
        if self.spec.effect != "reconcilable":
            raise DefinitionError(
                f"tool {self.spec.name!r} is {self.spec.effect!r}",
                hint='only effect="reconcilable" takes a reconcile function',
            )
        self.reconciler = function
        return function

    def at(self, version: str) -> Tool[..., Any] | None:
        """It in a version; None where that is gone. Empty: the one without a version or, where there is none, this one, the newest."""
        if version == self._spec.version:
            return self
        return self.versions.get(version) if version else self.versions.get("", self)

    def transform(self, function: Callable[[Any], Any]) -> None:
        """Say what becomes of a result (``us.tool(transform=…)``).

        Raises:
            DefinitionError: it takes something else than one argument, or is an ``async def``.
        """
        self.transformer, self.returns = function, transformed(self._spec.name, function)
        words = "\n\n".join(filter(None, (self.__doc__, told(self.returns))))
        self._spec = msgspec.structs.replace(self._spec, description=words)

    def bind(self, values: dict[str, Any], call: Call) -> dict[str, Any]:  # arguments of the function
        """The arguments the function is called with."""
        return bound(values, self.signature.wants_call, call)

    def __repr__(self) -> str:
        return f"<tool {self.spec.name} ({self.spec.effect})>"


def _check_retry(name: str, retry: object) -> None:
    """Whether a policy of retries can be meant. Raises DefinitionError."""
    if not isinstance(retry, Retry):
        raise DefinitionError(f"tool {name!r}: retry={retry!r}"[:300], hint="us.Retry(attempts=4, base=0.2, cap=30.0)")
    attempts: object = retry.attempts
    if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
        raise DefinitionError(f"tool {name!r}: retry.attempts={attempts!r}", hint="a whole number, at least 1")
    for field in ("base", "cap"):
        given: object = getattr(retry, field)
        if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 <= given < math.inf:
            raise DefinitionError(f"tool {name!r}: retry.{field}={given!r}", hint="seconds, at least 0")
