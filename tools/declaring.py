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
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Concatenate, Final, Protocol, TypeVar, cast, get_args, overload

import msgspec

from ..protocols.effects import EffectClass, Retry
from ..protocols.errors import DefinitionError
from ..protocols.ids import Address
from ..protocols.secrets import Secret
from ..protocols.tool import MAX_RESULT, Call, Kind, P, ToolRef
from .compensating import made
from .fallback import fits
from .policies import every_call
from .pretending import stand_in
from .tool import Isolation, Tool

R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any] | ToolRef[..., Any])

TIMEOUT: Final = float("30")
"""Seconds that an attempt may take where nobody says it: this very object, so that a lint can tell it from a 30 that was said."""

TRYING = Call(id="0.0", key="unit-test", attempt=1, run=Address("unit-test"), deadline=30.0)
"""What a tool that takes a ``us.Call`` is handed when it is called directly."""


class Declared(Tool[P, R]):
    """A tool as its author sees it: besides its rules it is told of other functions and tools."""

    def compensate(self, function: F) -> F:
        """How a call is undone, where the plan that it was made for is given up: a ``us.tool`` (with its own effect class, approval
        rule and so on), or a plain function, which becomes one of the class ``once``, named ``<tool>.undo``. It takes parameters
        of this tool, by name, and ``result``: what the call gave. Gives back what it was given.

        Raises:
            DefinitionError: there is one already, the tool only reads, or the function takes something else.
        """
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
            from .process import importable, variables  # programs without such tools never load it

            self.environ, self.apart = variables(environ, self.spec.name), importable(self.function, self.spec.name)

    def falls_back(self, tools: Sequence[ToolRef[..., Any]]) -> None:
        """Say which tools are tried in its place (``us.tool(fallback=…)``).

        Raises:
            DefinitionError: one of them is no tool, does not take what this one takes, or gives something else.
        """
        self._spec = msgspec.structs.replace(self._spec, fallback=fits(self, tools))


class SyncTool(Declared[P, R]):
    """A tool that is a plain function; the gate runs it in a thread."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function here and now, past the gate."""
        result = self.function(**self.bind(self.arguments(args, kwargs), TRYING))
        given: R = result if self.transformer is None else self.transformer(result)
        return given


class AsyncTool(Declared[P, R]):
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

    def make(function: Callable[..., Any]) -> Declared[..., Any]:
        # Not subscripted where it is called: that puts a frame of `typing` between here and the user's names.
        form = cast("type[Declared[..., Any]]", AsyncTool if inspect.iscoroutinefunction(function) else SyncTool)
        declared: Declared[..., Any] = form(
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
        declared.said = frozenset(option for option, is_said in said.items() if is_said)
        if transform is not None:
            declared.transform(transform)
        declared.declare(
            kind=kind, sinks=sinks, payload=payload, trusted=trusted, private=private, version=version, cost=cost,
            amount=amount, tags=tags,
            max_bytes=max_bytes, after=after, excludes=excludes,
        )  # fmt: skip
        if fallback:
            declared.falls_back(fallback)
        if isolation is not None or environ:
            declared.isolate(isolation or declared.isolation, environ)
        asks_about(declared, approve)
        return declared

    return cast(ToolDecorator, make)


def asks_about(declared: Tool[..., Any], approve: object) -> None:
    """What was said as ``approve=``. Raises DefinitionError."""
    if approve is True:
        declared.policy = every_call(declared.spec.name)
    elif callable(approve):
        declared.approve_if(cast("Callable[..., bool]", approve))
    elif approve is not False:
        hint = "True, or a function of its parameters that says which calls a person approves"
        raise DefinitionError(f"tool {declared.spec.name!r}: approve={approve!r}"[:300], hint=hint)
