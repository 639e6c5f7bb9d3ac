"""``@us.composite``: a tool that is made of calls of other tools, one after the other, each of them a call of its own.

    @us.composite
    def transfer(do: us.Steps, source: str, target: str, usd: float) -> str:
        \"\"\"Move money from one account to another.\"\"\"
        taken = do(withdraw, account=source, usd=usd)
        return do(deposit, account=target, usd=usd, memo=taken)

The function is run once, here, with placeholders (``placeholders.py``): what it does becomes data, and what it would have to decide is
refused. A call of the tool is done by an actor of its own (``supervisor/composing.py``), which makes each step a call like any other: with
its own row, its own entry in the ledger, its own checks.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Any, Concatenate, NoReturn, Protocol, cast, overload

import msgspec
from msgspec import Raw

from ..protocols.codec import encode
from ..protocols.composites import DEEPEST, MOST_BYTES, MOST_STEPS, Compose, ComposedStep, Part
from ..protocols.effects import EffectClass
from ..protocols.errors import DefinitionError, NotStorable
from ..protocols.hooks import Inside
from ..protocols.ids import Address, segment
from ..protocols.tasks import Result
from ..protocols.tool import KINDS, Kind, P, ToolRef
from .declaring import asks_about
from .describing import told
from .fitting import misfit
from .inside import InsideTool
from .metadata import names_of
from .placeholders import HINT, Placeholder, Undecided, part_of, placeholders, silent
from .tool import R, Tool


class Steps(Protocol):
    """What a composite tool's function is handed first: ``do(tool, …)`` makes a call of the tool the next step, and gives what stands for
    its result."""

    def __call__(self, tool: ToolRef[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """The next step.

        Raises:
            TypeError: no tool, or arguments that do not fit its parameters.
        """
        ...


class CompositeTool(InsideTool[P, R]):
    """A tool that is made of calls of others.

    Attributes:
        tools: those that its steps call, each once.
        steps, result: what is done, and what it gives.
        undo: whether steps that are done are undone where a later one fails.
    """

    composed = True

    def __init__(self, function: Callable[..., Any], name: str, undo: bool, *, depth: int) -> None:
        if inspect.iscoroutinefunction(function):
            what = f"composite {name!r} is an async def"
            raise DefinitionError(
                what, hint='make it a plain "def": it only says what is done, and async tools may be steps'
            )
        if segment(name) != name:
            what = f"composite {name!r}: its name is a part of an address"
            raise DefinitionError(what, hint="1 to 200 characters without white space, '/', '{' or '}'")
        plain = _without_do(function, name)
        super().__init__(plain, "once", _unasked, name=name, depth=depth + 2)
        if self.signature.wants_call:
            raise DefinitionError(
                f"composite {name!r} takes a us.Call", hint="its function runs once, where it is defined: leave it out"
            )
        if any(p not in self.order for p in inspect.signature(plain).parameters):
            raise DefinitionError(f"composite {name!r} takes a us.Secret", hint="give it to the tool that needs it")
        self.undo = undo
        trace = _Trace(self)
        self.steps, self.result, self.tools = trace.run(function)
        self.depth: int = 1 + max((tool.depth for tool in self.tools if isinstance(tool, CompositeTool)), default=0)
        if self.depth > DEEPEST:
            raise DefinitionError(f"composite {name!r}: composites are nested {self.depth} deep, {DEEPEST} at most")
        self._trusted: bool | tuple[str, ...] | None = None
        self._private: bool | None = None

    def describe(
        self,
        *,
        kind: Kind | Sequence[Kind] | None,
        sinks: Sequence[str] | None,
        payload: Sequence[str] | None,
        trusted: bool | Sequence[str] | None,
        private: bool | None,
        version: str,
        amount: str,
        tags: Sequence[str],
        after: Sequence[str | ToolRef[..., Any]],
        excludes: Sequence[str | ToolRef[..., Any]],
    ) -> None:
        """Say what is said of it; the rest follows from its steps. Raises DefinitionError as ``declare``."""
        names = dict.fromkeys(step.tool for step in self.steps)
        line = f"Does, in this order: {', then '.join(step.tool for step in self.steps)}."
        words = "\n\n".join(filter(None, (self.__doc__, line, told(self.returns))))
        self._spec = msgspec.structs.replace(self._spec, description=words, effect=_effect(self.tools))
        if own := [one for one in (*names_of(after), *names_of(excludes)) if one in names]:
            what = f"composite {self.spec.name!r}: after and excludes are about other calls of its agent, and {own[0]!r} is a step of it"
            raise DefinitionError(what, hint="leave it out")
        self.declare(
            kind=kind if kind is not None else _kinds(self.tools),
            sinks=sinks if sinks is not None else self._flowing(lambda tool: tool.spec.goes_to),
            payload=payload if payload is not None else self._flowing(lambda tool: tool.spec.carries),
            trusted=trusted if trusted is not None else self._source(),
            private=private if private is not None else self._gives_private(),
            version=version,
            amount=amount or self._amount(),
            tags=tags,
            after=after,
            excludes=excludes,
        )
        said = self._spec.trusted
        self._trusted = None if trusted is None else said
        self._private = private
        self.said = frozenset(("effect", "timeout", "trusted"))

    def request(
        self, place: str, run: Address, key: str, arguments: dict[str, Any]
    ) -> Inside:  # arguments of the function
        request = Compose(
            self.spec.name, self.steps, self.result, Raw(encode(arguments)), self.undo, self._trusted, self._private
        )
        body = Raw(encode(request))
        if len(body) > MOST_BYTES:
            raise ValueError(f"its arguments and steps have {len(body):,} bytes, more than {MOST_BYTES:,}")
        return Inside(Address(f"{run}/{self.spec.name}"), Compose.__wire__, Compose.__version__, body, settles=True)

    def approve_if(self, rule: Callable[P, bool]) -> Callable[P, bool]:
        return super(InsideTool, self).approve_if(rule)

    def under_lease(self, *, hold: float | None = None, claim: bool = True) -> NoReturn:
        raise DefinitionError(
            f"composite {self.spec.name!r} works on nothing itself",
            hint="declare under_lease on the tools of its steps",
        )

    def _flowing(self, into: Callable[[Tool[..., Any]], frozenset[str]]) -> list[str]:
        """The parameters that come to such parameters of its steps."""
        found = {
            one.name
            for step, tool in self._each()
            for name, part in step.args.items()
            if name in into(tool)
            for one in part.parts()
            if one.of == "parameter"
        }
        return [name for name in self.order if name in found]

    def _amount(self) -> str:
        for step, tool in self._each():
            part = step.args.get(tool.spec.amount) if tool.spec.amount else None
            if part is not None and part.of == "parameter" and not part.path:
                return part.name
        return ""

    def _source(self) -> bool:
        """Whether its result comes from trusted tools alone. (Fields of it are known by what their own tool says when it is called.)"""
        steps = list(self._each())
        from_steps = [one.step for one in self.result.parts() if one.of == "step"]
        others = any(one.of == "parameter" for one in self.result.parts())
        return not others and all(steps[n][1].spec.trusted is True for n in from_steps)

    def _gives_private(self) -> bool:
        steps = list(self._each())
        return any(steps[one.step][1].spec.is_private for one in self.result.parts() if one.of == "step")

    def _each(self) -> Iterable[tuple[ComposedStep, Tool[..., Any]]]:
        known = {(tool.spec.name, tool.spec.version): tool for tool in self.tools}
        return [(step, known[step.tool, step.version]) for step in self.steps]


def steps_of(tool: Tool[..., Any]) -> Iterator[Tool[..., Any]]:
    """The tools that a composite's steps call, and theirs; none of any other tool."""
    for one in tool.tools if isinstance(tool, CompositeTool) else ():
        yield one
        yield from steps_of(one)


class _Trace:
    """Runs a composite tool's function once, and takes down what it does."""

    def __init__(self, tool: CompositeTool[..., Any]) -> None:
        self._tool, self._name = tool, tool.spec.name
        self._steps: list[ComposedStep] = []
        self._tools: dict[tuple[str, str], Tool[..., Any]] = {}
        self._forms: list[tuple[Any, str]] = []
        self._fault: Undecided | None = None
        self._over = False
        self._refuses = self._refuse
        """One object, by which the placeholders of this composite are known."""

    def run(self, function: Callable[..., Any]) -> tuple[tuple[ComposedStep, ...], Part, tuple[Tool[..., Any], ...]]:
        """Its steps, its result and its tools. Raises DefinitionError, Undecided."""
        code = getattr(inspect.unwrap(function), "__code__", None)
        if code is not None and silent(code):
            self._refuse('uses "is", which could decide on what is known only when it is called')
        fields = msgspec.structs.fields(self._tool.signature.form)
        given = {
            field.name: Placeholder(
                field.type, Part("parameter", name=field.name), f"the parameter {field.name!r}", self._refuses
            )
            for field in fields
        }
        try:
            result = function(self._do, **given)
        except Exception:
            if self._fault is not None:
                raise self._fault from None  # whatever the function made of it
            raise
        finally:
            self._over = True
        if self._fault is not None:
            raise self._fault
        if not self._steps:
            raise DefinitionError(
                f"composite {self._name!r} has no steps", hint="do(tool, …) for each; or make it a us.tool"
            )
        return tuple(self._steps), self._result(result), tuple(self._tools.values())

    def _do(self, tool: object, /, *args: object, **kwargs: object) -> Any:  # what stands for the tool's result
        if self._over:
            raise TypeError(f"composite {self._name!r}: do() was called after its function had returned")
        number = len(self._steps) + 1
        where = f"composite {self._name!r}, step {number}"
        if isinstance(tool, Placeholder) or not isinstance(tool, Tool):
            shown = "a placeholder" if isinstance(tool, Placeholder) else repr(tool)[:100]
            raise Undecided(
                f"{where}: do({shown}, …) names no tool", hint="decorate the function with @us.tool(effect=…)"
            )
        called = cast("Tool[..., Any]", tool)
        spec = called.spec
        if isinstance(called, InsideTool) and called.returns is Result:
            what = (
                f"{where}: {spec.name} hands a task on, and how often a run may do that is looked at in its own calls"
            )
            raise DefinitionError(what, hint="give the agent that tool beside the composite, or make it a us.Plan")
        if number > MOST_STEPS:
            raise DefinitionError(f"composite {self._name!r} has more than {MOST_STEPS} steps")
        if self._tools.setdefault((spec.name, spec.version), called) is not called:
            raise DefinitionError(
                f"{where}: there are two tools named {spec.name!r}", hint="rename one, or give it a version"
            )
        named = self._named(called, args, kwargs, where)
        forms = {field.name: field.type for field in msgspec.structs.fields(called.signature.form)}
        parts = {
            name: self._part(value, forms[name], f"{where}: {spec.name}({name}=…)") for name, value in named.items()
        }
        undo = called.compensation.spec.name if called.compensation is not None else ""
        inner = [one for step in called.steps for one in step.calls] if isinstance(called, CompositeTool) else []
        bare = tuple([msgspec.structs.replace(one, args={}) for one in inner])
        self._steps.append(ComposedStep(spec.name, parts, spec.version, spec.effect, undo, bare))
        what = f"what step {number} ({spec.name}) gave"
        return Placeholder(called.returns, Part("step", step=number - 1), what, self._refuses)

    def _named(
        self, tool: Tool[..., Any], args: tuple[object, ...], kwargs: Mapping[str, object], where: str
    ) -> dict[str, object]:
        name, takes = tool.spec.name, ", ".join(tool.order) or "nothing"
        try:
            named = tool.arguments(args, kwargs)
        except TypeError as error:
            raise Undecided(f"{where}: {error}", hint=f"{name} takes: {takes}") from error
        required = [field.name for field in msgspec.structs.fields(tool.signature.form) if field.required]
        if unknown := [one for one in named if one not in tool.order]:
            raise Undecided(f"{where}: {name} has no parameter {unknown[0]!r}", hint=f"{name} takes: {takes}")
        if missing := [one for one in required if one not in named]:
            raise Undecided(f"{where}: {name} is not given {', '.join(missing)}", hint=f"{name} takes: {takes}")
        return named

    def _part(self, value: object, form: Any, where: str) -> Part:  # a type form
        if isinstance(value, Placeholder):
            if misfit(value._us_form, form):  # pyright: ignore[reportPrivateUsage]
                got = f"{value._us_what}, of type {_shown(value._us_form)}"  # pyright: ignore[reportPrivateUsage]
                raise Undecided(f"{where} takes {_shown(form)}, and is given {got}", hint="hand on what fits")
            return part_of(value, self._refuses)
        try:
            part = part_of(value, self._refuses)
            if part.of == "value":
                msgspec.json.decode(part.value, type=form)
        except (NotStorable, msgspec.MsgspecError) as error:
            raise Undecided(f"{where}: the constant does not fit: {error}", hint=f"it takes {_shown(form)}") from error
        return part

    def _result(self, value: object) -> Part:
        returns, name = self._tool.returns, self._name
        if isinstance(value, Placeholder):
            if returns not in (None, type(None)) and misfit(value._us_form, returns):  # pyright: ignore[reportPrivateUsage]
                got = f"{value._us_what}, of type {_shown(value._us_form)}"  # pyright: ignore[reportPrivateUsage]
                raise Undecided(f"composite {name!r} returns {_shown(returns)}, and gives {got}")
            if returns in (None, type(None)):
                raise Undecided(
                    f"composite {name!r} returns None, and gives {value._us_what}",  # pyright: ignore[reportPrivateUsage]
                    hint="say its type, or leave the return out",
                )
            return part_of(value, self._refuses)
        if value is None and not misfit(type(None), returns):
            return Part("value", Raw(b"null"))
        if not any(True for _ in placeholders(value)):
            raise Undecided(
                f"composite {name!r} gives {repr(value)[:80]}, whatever its steps give",
                hint="return what a step gave, a field of it, or a parameter; or declare that it returns None",
            )
        return part_of(value, self._refuses)

    def _refuse(self, what: str) -> NoReturn:
        message = f"composite {self._name!r} {what}: its function runs once, where it is defined, and nothing is known by then"
        self._fault = self._fault or Undecided(message, hint=HINT)
        raise self._fault


def _unasked(*_: object, **__: object) -> NoReturn:
    raise TypeError("a composite's request is made of its steps")


def _now(tool: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """``do`` of a composite that is called directly: the tool's function, here and now."""
    given = tool(*args, **kwargs)
    return _finished(given) if inspect.iscoroutine(given) else given


def _finished(running: Coroutine[Any, Any, Any]) -> Any:
    """What an async tool gives. There may be a loop here, which must not be entered twice: it runs in a thread of its own."""
    came: list[Any] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            came.append(asyncio.run(running))
        except BaseException as error:  # noqa: BLE001 - it is raised below, where it belongs
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return came[0]


def _without_do(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The function as people call it: without ``do``, which is given."""
    signature = inspect.signature(function)
    first, *rest = signature.parameters.values() or (None,)
    positional = first is not None and first.kind in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD)
    if first is None or not positional or _said(function, first.name) not in (first.empty, Steps):
        raise DefinitionError(
            f"composite {name!r} takes no us.Steps", hint=f"def {name}(do: us.Steps, …): do(tool, …) is a step"
        )

    @functools.wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        return function(_now, *args, **kwargs)

    plain.__signature__ = signature.replace(parameters=rest)  # type: ignore[attr-defined]
    plain.__annotations__ = {k: v for k, v in function.__annotations__.items() if k != first.name}
    return plain


def _said(function: Callable[..., Any], name: str) -> Any:  # an annotation
    """What a parameter is annotated with; nothing, where that is known only inside of another function."""
    try:
        found = inspect.signature(function, eval_str=True)
    except (NameError, AttributeError, TypeError, SyntaxError):
        return inspect.Parameter.empty
    return found.parameters[name].annotation


def _effect(tools: Iterable[Tool[..., Any]]) -> EffectClass:
    """That of a call of it: whether doing it again is another one."""
    found = {tool.spec.effect for tool in tools}
    if found <= {"read"}:
        return "read"
    return "idempotent" if found <= {"read", "idempotent"} else "once"


def _kinds(tools: Iterable[Tool[..., Any]]) -> tuple[Kind, ...]:
    found = frozenset[Kind]().union(*(tool.spec.kinds for tool in tools))
    return tuple(kind for kind in KINDS if kind in found)


def _shown(form: Any) -> str:  # a type form
    return str(getattr(form, "__name__", form)).replace("typing.", "")


@overload
def composite(function: Callable[Concatenate[Steps, P], R], /) -> CompositeTool[P, R]: ...
@overload
def composite(
    *,
    name: str = "",
    undo: bool = True,
    approve: bool | Callable[..., bool] = False,
    kind: Kind | Sequence[Kind] | None = None,
    sinks: Sequence[str] | None = None,
    payload: Sequence[str] | None = None,
    trusted: bool | Sequence[str] | None = None,
    private: bool | None = None,
    version: str = "",
    amount: str = "",
    tags: Sequence[str] = (),
    after: Sequence[str | ToolRef[..., Any]] = (),
    excludes: Sequence[str | ToolRef[..., Any]] = (),
) -> Callable[[Callable[Concatenate[Steps, P], R]], CompositeTool[P, R]]: ...
def composite(
    function: Callable[..., Any] | None = None, /, *, name: str = "", undo: bool = True,
    approve: bool | Callable[..., bool] = False, kind: Kind | Sequence[Kind] | None = None,
    sinks: Sequence[str] | None = None, payload: Sequence[str] | None = None,
    trusted: bool | Sequence[str] | None = None, private: bool | None = None, version: str = "", amount: str = "",
    tags: Sequence[str] = (), after: Sequence[str | ToolRef[..., Any]] = (),
    excludes: Sequence[str | ToolRef[..., Any]] = (),
) -> Any:  # fmt: skip
    """Make a tool of calls of other tools. To a model it is one tool; each step is a call of its own, with all checks, made once through
    any crash. The agent needs the composite only: its steps' tools are granted to the actor that does a call of it, and to nobody else.

    The function says what is done: ``do(tool, …)`` for each step, in order. It runs once, here, so it can only hand on parameters, what
    steps give, fields and items of both, and constants. Called directly, it runs the tools' functions, past the gate, for unit tests.

    Args:
        name: what models call it; the function's name by default.
        undo: where a step fails for good, those that are done are undone, the last one first, as far as their tools say how
            (``compensate``). False: they stay as they are.
        approve: True: a person approves every call of it. A function: sugar for ``approve_if``.
        kind, sinks, payload, trusted, private, amount: as in ``us.tool``. Not said: what follows from the steps. The kinds of all; the
            parameters that come to a sink, or to a payload; what is to be thought of the steps that give the result.
        version, tags, after, excludes: as in ``us.tool``, of the composite as a whole.

    Raises:
        DefinitionError: it has no steps, gives the same whatever they give, or is declared in another way that cannot work.
        TypeError: it decides on, computes with or looks at what is known only when it is called, or a step is given what its tool does
            not take. (A DefinitionError, too.)
    """
    if not isinstance(undo, bool):
        raise DefinitionError(f"composite: undo={undo!r}", hint="True or False")

    def make(function: Callable[..., Any], depth: int = 2) -> CompositeTool[..., Any]:
        if not callable(function) or isinstance(function, Tool):
            raise DefinitionError(
                f"composite: {function!r} is no function", hint="@us.composite stands on a plain function"
            )
        made: CompositeTool[..., Any] = CompositeTool(function, name or function.__name__, undo, depth=depth)
        made.describe(
            kind=kind, sinks=sinks, payload=payload, trusted=trusted, private=private, version=version, amount=amount,
            tags=tags, after=after, excludes=excludes,
        )  # fmt: skip
        asks_about(made, approve)
        return made

    return make if function is None else make(function, 3)
