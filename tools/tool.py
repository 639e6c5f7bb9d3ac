"""``@us.tool``: a typed function as a tool.

    @us.tool(effect="read")
    def forecast(city: str) -> str:
        \"\"\"Weather forecast for a city, one line.\"\"\"
        return lookup(city)

Called directly it runs the function, for unit tests. ``turn.call(forecast, "Oslo")`` is the intent: the gate checks it,
performs it and records what came of it.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Concatenate, Final, Literal, Protocol, TypeVar, cast, get_args, overload

import msgspec

from ..protocols.effects import EffectClass, Retry
from ..protocols.errors import DefinitionError
from ..protocols.ids import Address
from ..protocols.leases import MAX_SECONDS
from ..protocols.secrets import Secret
from ..protocols.tool import MAX_RESULT, Call, Kind, P, ToolRef, ToolSpec
from .describing import told
from .metadata import metadata, transformed
from .policies import Policy, every_call
from .schema import Signature, bound

R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any] | ToolRef[..., Any])
EFFECTS: Final = ("read", "idempotent", "reconcilable", "once")

TIMEOUT: Final = float("30")
"""Seconds that an attempt may take where nobody says it: this very object, so that a lint can tell it from a 30 that was said."""

Isolation = Literal["task", "thread", "process"]
"""Where a call runs: in the event loop; in a thread of its own; in a process of its own."""


class NotDone:
    """What a ``reconcile`` function returns when the action did not happen: ``us.NOT_DONE``."""


NOT_DONE: Final = NotDone()

TRYING = Call(id="0.0", key="unit-test", attempt=1, run=Address("unit-test"), deadline=30.0)
"""What a tool that takes a ``us.Call`` is handed when it is called directly."""


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

    def reconcile(self, function: Callable[[str], R | NotDone]) -> Callable[[str], R | NotDone]:
        """How to find out, by idempotency key, whether a call happened: its result, or ``us.NOT_DONE``. May be ``async``."""
        if self.spec.effect != "reconcilable":
            raise DefinitionError(
                f"tool {self.spec.name!r} is {self.spec.effect!r}",
                hint='only effect="reconcilable" takes a reconcile function',
            )
        self.reconciler = function
        return function

    def compensate(self, function: F) -> F:
        """How a call is undone, where the plan that it was made for is given up: a ``us.tool`` (with its own effect class, approval
        rule and so on), or a plain function, which becomes one of the class ``once``, named ``<tool>.undo``. It takes parameters
        of this tool, by name, and ``result``: what the call gave. Gives back what it was given.

        Raises:
            DefinitionError: there is one already, the tool only reads, or the function takes something else.
        """
        from .compensating import made  # it looks at tools

        self.compensation = made(self, function, depth=1)
        return function

    @overload
    def simulate(  # type: ignore[overload-overlap]
        self, function: Callable[Concatenate[Call, P], Coroutine[Any, Any, R]], /
    ) -> Callable[Concatenate[Call, P], Coroutine[Any, Any, R]]: ...
    @overload
    def simulate(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Callable[P, Coroutine[Any, Any, R]]: ...
    @overload
    def simulate(self, function: Callable[Concatenate[Call, P], R], /) -> Callable[Concatenate[Call, P], R]: ...
    @overload
    def simulate(self, function: Callable[P, R], /) -> Callable[P, R]: ...
    def simulate(self, function: Callable[..., Any], /) -> Callable[..., Any]:
        """What a call would give, where it is simulated (``us.System(shadow=…)``): a function, also an ``async def``, with the tool's
        parameters (a ``us.Secret`` may be left out, a ``us.Call`` be added). It must touch nothing. What it gives is checked, cut and
        transformed as the tool's own result; it may raise ``us.Abandon`` and so on. Without one such a call fails (``shadowed``).

        Raises:
            DefinitionError: there is one already, the tool only looks, is done inside the node or asks a person, or the
                function takes something else.
        """
        from .pretending import stand_in  # it looks at tools

        self.pretence = stand_in(self, function)
        return function

    def isolate(self, isolation: Isolation, environ: Sequence[str] | Mapping[str, str | Secret] = ()) -> None:
        """Say where calls run (``us.tool(isolation=…, environ=…)``).

        Raises:
            DefinitionError: the function cannot run there.
        """
        if isolation not in get_args(Isolation):
            hint = f"one of {', '.join(get_args(Isolation))}"
            raise DefinitionError(f"tool {self.spec.name!r}: isolation={isolation!r}", hint=hint)
        if isolation == "task" and not self.is_async:
            raise DefinitionError(
                f'tool {self.spec.name!r}: isolation="task", but it is a plain function and would block the loop',
                hint='make it "async def", or take isolation="thread"',
            )
        if isolation != "process" and environ:
            raise DefinitionError(
                f"tool {self.spec.name!r}: environ= says what a process of its own sees",
                hint='add isolation="process"; tasks and threads see everything',
            )
        self.isolation = isolation
        if isolation == "process":
            from .process import importable, variables

            self.environ, self.apart = variables(environ, self.spec.name), importable(self.function, self.spec.name)

    def at(self, version: str) -> Tool[..., Any] | None:
        """It in a version; None where that is gone. Empty: the one without a version or, where there is none, this one, the newest."""
        if version == self._spec.version:
            return self
        return self.versions.get(version) if version else self.versions.get("", self)

    def falls_back(self, tools: Sequence[ToolRef[..., Any]]) -> None:
        """Say which tools are tried in its place (``us.tool(fallback=…)``).

        Raises:
            DefinitionError: one of them is no tool, does not take what this one takes, or gives something else.
        """
        from .fallback import fits  # it looks at tools

        self._spec = msgspec.structs.replace(self._spec, fallback=fits(self, tools))

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


class SyncTool(Tool[P, R]):
    """A tool that is a plain function; the gate runs it in a thread."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function here and now, past the gate."""
        result = self.function(**self.bind(self.arguments(args, kwargs), TRYING))
        given: R = result if self.transformer is None else self.transformer(result)
        return given


class AsyncTool(Tool[P, R]):
    """A tool that is an ``async def``."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Run the function here and now, past the gate."""
        running: Coroutine[Any, Any, R] = self.function(**self.bind(self.arguments(args, kwargs), TRYING))
        return running if self.transformer is None else _then(running, self.transformer)


async def _then(running: Coroutine[Any, Any, Any], transformer: Callable[[Any], R]) -> R:
    return transformer(await running)


class ToolDecorator(Protocol):
    """What ``@us.tool(…)`` is: a parameter of type ``us.Call`` is handed in and no part of the tool's own parameters."""

    # Overloads that overlap: the first that fits is meant, and the more special ones come first.
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[Concatenate[Call, P], Coroutine[Any, Any, R]], /
    ) -> AsyncTool[P, R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncTool[P, R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Call, P], R], /) -> SyncTool[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> SyncTool[P, R]: ...


def tool(
    *,
    effect: EffectClass | None = None,
    name: str = "",
    timeout: float = TIMEOUT,
    retry: Retry | None = None,
    key_ttl: float = 86_400.0,
    approve: bool | Callable[..., bool] = False,
    heartbeat: float | None = None,
    isolation: Isolation | None = None,
    environ: Sequence[str] | Mapping[str, str | Secret] = (),
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
    transform: Callable[[Any], Any] | None = None,
    fallback: Sequence[ToolRef[..., Any]] = (),
    after: Sequence[str | ToolRef[..., Any]] = (),
    excludes: Sequence[str | ToolRef[..., Any]] = (),
) -> ToolDecorator:
    """Make a typed function a tool.

    Args:
        effect: what is safe after a crash in the middle; the most careful class, ``once``, where it is not said.
        name: what models call it; the function's name by default.
        timeout: seconds one attempt may take; 30 by default.
        retry: how failures are tried again.
        key_ttl: seconds for which the other side remembers an idempotency key.
        heartbeat: the longest silence, in seconds: a call that does not say ``call.heartbeat()`` (on its ``us.Call``) for longer has failed
            (``silent``), before its timeout is over. None: it need not.
        approve: True: a person approves every call. A function: sugar for ``approve_if``.
        isolation: where calls run. ``task``: in the event loop, the default of an ``async def``. ``thread``: in a thread of its own, the
            default of a ``def``. ``process``: in a process of its own, which is killed with all its children when the call times out or
            is cancelled, and whose environment holds only what is granted; for functions at the top of a module.
        environ: names of the environment variables that such a process sees, or names with values, ``{"KEY": us.Secret(…)}``.
        kind: what a call does to the world (``us.Kind``), one or several. Not said: ``read`` where ``effect="read"`` was said,
            else everything. A read that sends something out, such as a fetch of an address, must say ``egress``.
        sinks: names of the parameters that say where the effect goes. Not said: every one, but none of a pure read.
        payload: names of the parameters whose content goes there. Not said: every one, but none of a pure read.
        trusted: the result comes from a source that is trusted like the program itself; or dotted names of such fields of it. Not
            said: it is not trusted.
        private: the result is private data. Not said: True where neither ``kind`` nor ``effect="read"`` was said.
        version: tells versions of one tool apart. An agent may have several of one name: the last one is for new runs, and a run keeps
            the version that it began with.
        cost: US dollars that one call costs, for budgets.
        amount: name of the parameter that says how much money a call moves, for ``us.ApprovalRule(money_above=…)``.
        tags: what else approval rules may go by, such as ``legal`` or ``medical``.
        max_bytes: bytes that a result may have as JSON, 256,000 at most; a larger one is a failure (``result_too_large``).
        transform: a plain function from what the function gives, found to be of its type, to what becomes of it: what is stored,
            what a model sees, what a direct call gives. It should be quick and only rearrange. If it fails the call has happened
            (``transform_failed``). What it takes may be 8 MB.
        fallback: tools that are tried in its place, in order, when a call has failed for good (``abandon``: no more attempts, an open
            breaker) and it is known that nothing happened; never after a doubt, nor where somebody said no. They take what it takes
            and give what it gives, the agent must have them too, and each passes every check itself.
        after: tools, or names of tools, that must have succeeded in the same run before (a log-in, a look at what is to be changed).
        excludes: tools, or names of tools, of which none may be called in the same run as this one. It holds both ways.

    Raises:
        DefinitionError: a parameter or the result has no type, or an option is out of range.
    """

    def make(function: Callable[..., Any]) -> Tool[..., Any]:
        # Not subscripted where it is called: that puts a frame of `typing` between here and the user's names.
        form = cast("type[Tool[..., Any]]", AsyncTool if inspect.iscoroutinefunction(function) else SyncTool)
        made: Tool[..., Any] = form(
            function,
            name=name or function.__name__,
            effect="once" if effect is None else effect,
            timeout=timeout,
            retry=retry or Retry(),
            key_ttl=key_ttl,
            depth=2,
            heartbeat=heartbeat,
        )
        said = {"effect": effect is not None, "timeout": timeout is not TIMEOUT}
        made.said = frozenset(option for option, is_said in said.items() if is_said)
        if transform is not None:
            made.transform(transform)
        made.declare(
            kind=kind, sinks=sinks, payload=payload, trusted=trusted, private=private, version=version, cost=cost,
            amount=amount, tags=tags,
            max_bytes=max_bytes, after=after, excludes=excludes,
        )  # fmt: skip
        if fallback:
            made.falls_back(fallback)
        if isolation is not None or environ:
            made.isolate(isolation or made.isolation, environ)
        if approve is True:
            made.policy = every_call(made.spec.name)
        elif callable(approve):
            made.approve_if(approve)
        return made

    return cast(ToolDecorator, make)


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
