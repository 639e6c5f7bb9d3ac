"""A tool's approval rule as a policy: its name, and a version that changes when the rule does.

The version is a digest over what the rule is made of:

* its source text, or its code and constants where there is no source;
* its defaults, the values that it closes over, and the values of the global names that it uses;
* the same of every function of its own package that it calls by name, and theirs.

Not covered, because nobody can say what they hold: the inside of objects and classes of other kinds than plain data, modules, functions of
other packages, and whatever the rule looks up by itself (a file, a clock, an environment variable). A rule that depends on these should
not: what it says about a call must follow from the call.
"""

from __future__ import annotations

import builtins
import datetime as dt
import decimal
import enum
import functools
import inspect
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec

from ..protocols.codec import digest
from ..protocols.errors import DefinitionError

_PLAIN = (
    str,
    bytes,
    bool,
    int,
    float,
    complex,
    type(None),
    decimal.Decimal,
    dt.date,
    dt.time,
    dt.timedelta,
)
_DEEPEST = 8
"""Levels of values and helpers that are looked at."""

_sources: dict[types.CodeType, str] = {}


class Policy:
    """A rule that says which calls a person must approve.

    Attributes:
        rule: from a tool's arguments to whether a person is asked.
        name: its function's name.
        text: its docstring, shown to the person.
    """

    def __init__(self, rule: Callable[..., bool], text: str = "", *, version: str = "") -> None:
        """``version``: for rules of this package that never change, whatever their source looks like.

        Raises:
            DefinitionError: the rule is an ``async def``: rules are asked inside turns, which never wait.
        """
        if inspect.iscoroutinefunction(rule) or inspect.isasyncgenfunction(rule):
            raise DefinitionError(
                f"the approval rule {getattr(rule, '__name__', rule)!r} is an async def",
                hint="a rule decides at once, from the arguments: make it a plain function",
            )
        self.rule = rule
        self.name = getattr(rule, "__name__", "rule").replace("<lambda>", "lambda")
        self.text = text or (inspect.getdoc(rule) or "").strip()
        self._known = self._fixed = version

    @property
    def version(self) -> str:
        """Digest of what the rule was made of when this was asked first."""
        self._known = self._known or self._now()
        return self._known

    @property
    def label(self) -> str:
        """Name and version."""
        return f"{self.name}@{self.version}"

    def current(self) -> str:
        """Name and version as they are now, and stand in the journal: what a rule closes over can change while the process runs."""
        return f"{self.name}@{self._now()}"

    def _now(self) -> str:
        if self._fixed:
            return self._fixed
        parts = [*_of_function(self.rule, 0, set())]
        version = digest(*parts)[:12]
        if len(parts) == 1:  # source alone
            self._fixed = version
        return version


def _always(*_args: object, **_kwargs: object) -> bool:
    return True


def every_call(tool: str) -> Policy:
    """The policy of ``us.tool(approve=True)``. Its name and version are those under which journals know it."""
    policy = Policy(_always, f"Every call of {tool} needs an approval.", version="05a8908ae758")
    policy.name = "lambda"
    return policy


def _of_function(function: Any, depth: int, seen: set[int]) -> Iterator[str]:
    """What a callable is made of, in texts. The first is its source."""
    if isinstance(function, functools.partial):
        yield "partial"
        yield from _of_value((function.func, function.args, function.keywords), depth + 1, seen)
        return
    if isinstance(function, types.MethodType):
        yield from _of_function(function.__func__, depth, seen)
        yield from _of_value(function.__self__, depth + 1, seen)
        return
    if not isinstance(function, types.FunctionType):
        kind = cast("type[object]", type(function))
        call: object = getattr(kind, "__call__", None)  # noqa: B004 - an object that can be called
        yield f"callable {kind.__qualname__}"
        if isinstance(call, types.FunctionType):
            yield from _of_function(call, depth + 1, seen)
        yield from _of_value(getattr(function, "__dict__", None), depth + 1, seen)
        return
    code = function.__code__
    yield _source(function, code)
    if id(code) in seen or depth > _DEEPEST:
        return
    seen.add(id(code))
    if function.__defaults__ or function.__kwdefaults__:
        yield "defaults"
        yield from _of_value((function.__defaults__, function.__kwdefaults__), depth + 1, seen)
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        yield f"closure {name}"
        try:
            yield from _of_value(cell.cell_contents, depth + 1, seen)
        except ValueError:
            yield "empty"
    package = (function.__module__ or "").partition(".")[0]
    for name in sorted(_names(code)):
        if name in function.__globals__:
            value = function.__globals__[name]
            yield f"global {name}"
            yield from _of_value(value, depth + 1, seen, package)
        elif hasattr(builtins, name):
            continue


def _of_value(value: Any, depth: int, seen: set[int], package: str = "") -> Iterator[str]:
    """A value in texts: plain data whole, functions as they are made, other things by name."""
    whole = value  # as what it is: type checkers know less of it below
    if isinstance(value, enum.Enum):
        yield f"{type(value).__qualname__}.{value.name}={value.value!r}"
    elif isinstance(value, _PLAIN):
        yield f"{type(value).__name__} {value!r}"
    elif depth > _DEEPEST:
        yield f"{type(value).__qualname__} below {_DEEPEST} levels"
    elif isinstance(value, (list, tuple)):
        items = cast("Sequence[Any]", value)
        yield f"{type(items).__name__} of {len(items)}"
        for item in items:
            yield from _of_value(item, depth + 1, seen, package)
    elif isinstance(value, (set, frozenset)):
        members = cast("frozenset[Any]", value)
        yield f"set of {len(members)}"
        yield from sorted(digest(*_of_value(item, depth + 1, seen, package)) for item in members)
    elif isinstance(value, Mapping):
        yield f"{type(whole).__name__} of {len(whole)}"
        yield from sorted(digest(*_of_value((k, whole[k]), depth + 1, seen, package)) for k in whole)
    elif isinstance(value, msgspec.Struct):
        yield type(value).__qualname__
        yield from _of_value(msgspec.structs.asdict(value), depth + 1, seen, package)
    elif (isinstance(value, types.FunctionType) and _own(value, package)) or isinstance(
        value, (functools.partial, types.MethodType)
    ):
        yield from _of_function(value, depth + 1, seen)
    else:
        name: Any = getattr(value, "__qualname__", None) or getattr(value, "__name__", type(value).__qualname__)
        yield f"{type(value).__name__} {getattr(value, '__module__', '')}.{name}"


def _own(function: types.FunctionType, package: str) -> bool:
    """Whether a helper belongs to the rule: it is of the same package, or was closed over."""
    return not package or function.__module__.partition(".")[0] == package


def _names(code: types.CodeType) -> set[str]:
    """Names that code uses, with those of what is defined inside it."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names(constant)
    return found


def _body(source: str, code: types.CodeType) -> str:
    """Where a lambda's own text stands in its lines, and that text."""
    lines, first = source.splitlines(), code.co_firstlineno
    spans = [
        (a - first, c, b - first, d) for a, b, c, d in code.co_positions() if a and b and c is not None and d and d > c
    ]
    if not spans:
        return repr(code.co_code)
    (top, left), (bottom, right) = min((a, c) for a, c, _, _ in spans), max((b, d) for _, _, b, d in spans)
    own = [line.encode() for line in lines[top : bottom + 1]]  # columns are bytes
    if not own:
        return repr(code.co_code)
    own[-1] = own[-1][:right]
    own[0] = own[0][left:]
    return b"\n".join(own).decode(errors="replace")


def _source(function: types.FunctionType, code: types.CodeType) -> str:
    known = _sources.get(code)
    if known is None:
        try:
            known = inspect.getsource(function)
            if known.count("lambda") > 1:  # which of them it is
                known += _body(known, code)
        except (OSError, TypeError):
            known = repr(
                (code.co_code, [c for c in code.co_consts if not isinstance(c, types.CodeType)], code.co_names)
            )
        _sources[code] = known
    return known
