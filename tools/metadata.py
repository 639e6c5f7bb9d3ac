"""Metadata of a tool, checked where it is declared: what a call does to the world, where it goes, what its result is worth.

What is not said is taken for the worst (``ToolSpec.kinds`` and its neighbours), so a mistake here would be a hole: each one is
named with its field.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast, get_type_hints

from msgspec import inspect as forms

from ..protocols.errors import DefinitionError
from ..protocols.tool import KINDS, MAX_RESULT, Kind, ToolRef, ToolSpec

LONGEST_VERSION = 100
"""Characters of a version."""


def metadata(
    spec: ToolSpec,
    returns: Any,  # a type form
    *,
    kind: Kind | Sequence[Kind] | None,
    sinks: Sequence[str] | None,
    payload: Sequence[str] | None,
    trusted: bool | Sequence[str] | None,
    private: bool | None,
    version: str,
    cost: float,
    amount: str,
    tags: Sequence[str],
    max_bytes: int,
    after: Sequence[str | ToolRef[..., Any]],
    excludes: Sequence[str | ToolRef[..., Any]],
) -> dict[str, Any]:  # fields of ``ToolSpec``
    """What was declared, as fields of a ``ToolSpec``.

    Raises:
        DefinitionError: names the tool and the field that cannot be meant so.
    """
    tool = spec.name
    if private is not None and not isinstance(private, bool):
        raise _no(tool, "private", private, "True or False, or leave it out")
    if not isinstance(version, str) or len(version) > LONGEST_VERSION or not version.isprintable():
        raise _no(tool, "version", version, f'printable text such as "2", {LONGEST_VERSION} characters at most')
    if isinstance(cost, bool) or not isinstance(cost, (int, float)) or not math.isfinite(cost) or cost < 0:
        raise _no(tool, "cost", cost, "US dollars that one call costs, 0 or more")
    if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or not 1 <= max_bytes <= MAX_RESULT:
        raise _no(tool, "max_bytes", max_bytes, f"bytes, 1 to {MAX_RESULT:,}")
    before, never = _others(tool, "after", after), _others(tool, "excludes", excludes)
    if both := [name for name in before if name in never]:
        raise DefinitionError(f"tool {tool!r}: {both[0]!r} stands in after and in excludes", hint="it can only be one")
    return {
        "description": "\n\n".join(filter(None, (spec.description, *_conditions(before, never)))),
        "after": before,
        "excludes": never,
        "kind": None if kind is None else _kinds(tool, kind),
        "sinks": None if sinks is None else _parameters(tool, "sinks", sinks, spec.names),
        "payload": None if payload is None else _parameters(tool, "payload", payload, spec.names),
        "trusted": bool(trusted) if trusted is None or isinstance(trusted, bool) else _fields(tool, trusted, returns),
        "private": private,
        "version": version,
        "cost": float(cost),
        "amount": _parameters(tool, "amount", [amount], spec.names)[0] if amount != "" else "",
        "tags": _names(tool, "tags", tags),
        "max_bytes": max_bytes,
    }


def transformed(tool: str, function: Callable[[Any], Any]) -> Any:  # a type form
    """What a transformer gives, as it says; anything, where it does not.

    Raises:
        DefinitionError: it cannot be one.
    """
    hint = "a plain function of one argument, from the result to what becomes of it"
    if not callable(function) or inspect.iscoroutinefunction(function):
        raise _no(tool, "transform", function, hint)
    try:
        inspect.signature(function).bind(None)
        said = get_type_hints(function, include_extras=True)
    except (TypeError, ValueError, NameError) as error:
        raise _no(tool, "transform", function, f"{hint} ({error})") from error
    return said.get("return", Any)


def _kinds(tool: str, kind: object) -> tuple[Kind, ...]:
    said = (kind,) if isinstance(kind, str) else _names(tool, "kind", kind)
    unknown: list[str | tuple[str, ...]] = [one for one in said if one not in KINDS] if said else [()]
    if unknown:
        raise _no(tool, "kind", unknown[0], f"one or more of {', '.join(KINDS)}")
    return tuple(one for one in KINDS if one in said)


def _parameters(tool: str, field: str, said: object, names: Sequence[str]) -> tuple[str, ...]:
    given = _names(tool, field, said)
    for name in given:
        if name not in names:
            hint = f"its parameters are: {', '.join(names)}" if names else "it has no parameters"
            raise DefinitionError(f"tool {tool!r}: {field} names {name!r}, which is no parameter of it", hint=hint)
    return given


def _fields(tool: str, said: object, returns: Any) -> tuple[str, ...]:  # a type form
    given = _names(tool, "trusted", said)
    form = forms.type_info(returns)
    for path in given:
        if not all(path.split(".")) or not _has(form, path.split(".")):
            raise DefinitionError(
                f"tool {tool!r}: trusted names {path!r}, which is no field of its result",
                hint="names of fields, dotted for fields of fields; or trusted=True for all of it",
            )
    return given


def _has(form: forms.Type, path: list[str]) -> bool:
    """Whether values of a type can have something at a path. Items of a list are meant by the list."""
    if isinstance(form, (forms.ListType, forms.SetType, forms.FrozenSetType, forms.VarTupleType)):
        return _has(form.item_type, path)
    if isinstance(form, (forms.UnionType, forms.TupleType)):
        return any(_has(one, path) for one in (form.types if isinstance(form, forms.UnionType) else form.item_types))
    if not path or isinstance(form, (forms.AnyType, forms.RawType, forms.CustomType)):
        return True
    if isinstance(form, forms.Metadata):
        return _has(form.type, path)
    if isinstance(form, forms.DictType):
        return _has(form.value_type, path[1:])
    if isinstance(form, (forms.StructType, forms.TypedDictType, forms.DataclassType)):
        return any(field.encode_name == path[0] and _has(field.type, path[1:]) for field in form.fields)
    return False


def _others(tool: str, field: str, said: object) -> tuple[str, ...]:
    hint = f"a list of tools, or of their names, such as {field}=[login]"
    if isinstance(said, (str, bytes)) or not isinstance(said, Iterable):
        raise _no(tool, field, said, hint)
    names: dict[str, None] = {}
    for one in cast("Iterable[object]", said):
        name: object = getattr(getattr(one, "spec", None), "name", one)
        if not isinstance(name, str) or not name:
            raise _no(tool, field, one, hint)
        names[name] = None
    if tool in names:
        raise DefinitionError(f"tool {tool!r}: {field} names the tool itself", hint="leave it out")
    return tuple(names)


def names_of(said: Iterable[object]) -> list[object]:
    """Names of tools that were given as tools or as names."""
    return [getattr(getattr(one, "spec", None), "name", one) for one in said]


def _conditions(after: Sequence[str], excludes: Sequence[str]) -> Iterator[str]:
    """What a model is told of them."""
    if after:
        yield f"Only after {' and '.join(after)} succeeded in this run."
    if excludes:
        yield f"Not in a run in which {' or '.join(excludes)} was called, and the other way round."


def _names(tool: str, field: str, said: object) -> tuple[str, ...]:
    """A sequence of texts, each once."""
    if isinstance(said, (str, bytes)) or not isinstance(said, Iterable):
        raise _no(tool, field, said, f'a list of names, such as {field}=["{said if isinstance(said, str) else "to"}"]')
    given = list(cast("Iterable[object]", said))
    for one in given:
        if not isinstance(one, str):
            raise _no(tool, field, one, "names, as text")
    return tuple(dict.fromkeys(cast("list[str]", given)))


def _no(tool: str, field: str, said: Any, hint: str) -> DefinitionError:
    shown = repr(said)
    return DefinitionError(f"tool {tool!r}: {field}={shown[:80]}{'…' if len(shown) > 80 else ''}", hint=hint)
