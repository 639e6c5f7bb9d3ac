"""What a composite tool's function is run with, once, where it is defined: placeholders, which stand for what is known only when it is
called. They can be handed on, and fields and items of them be named; whatever would have to look at them is refused, there and then.
"""

from __future__ import annotations

import dataclasses
import dis
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CodeType
from typing import Any, Final, NoReturn, cast, get_args, get_origin, get_type_hints, is_typeddict

import msgspec
from msgspec import Raw

from ..protocols.codec import encode
from ..protocols.composites import Part
from ..protocols.errors import DefinitionError
from .fitting import bare

HINT: Final = (
    "a composite only hands values from step to step: let a tool do this, and make that a step; "
    "or write one tool for all of it"
)


class Undecided(DefinitionError, TypeError):
    """A composite tool's function looked at what is known only when it is called."""


class Placeholder:
    """Stands for what a parameter holds, or what a step gave."""

    __slots__ = ("_us_form", "_us_part", "_us_refuse", "_us_what")
    _us_form: Any  # a type form
    _us_part: Part
    _us_refuse: Callable[[str], NoReturn]
    _us_what: str

    def __init__(self, form: Any, part: Part, what: str, refuse: Callable[[str], NoReturn]) -> None:  # a type form
        for name, value in (("form", form), ("part", part), ("what", what), ("refuse", refuse)):
            object.__setattr__(self, f"_us_{name}", value)

    def __getattr__(self, name: str) -> Placeholder:
        if name.startswith("__") or name in Placeholder.__slots__:
            raise AttributeError(name)
        fields = fields_of(self._us_form)
        if fields is None:
            self._us_refuse(f"asks for .{name} of {self._us_what}, which is no struct with fields that are known")
        if name not in fields:
            known = ", ".join(fields) or "none"
            self._us_refuse(f"asks for .{name} of {self._us_what}, which has no such field (it has: {known})")
        wire, form = fields[name]
        return self._us_at(wire, form, f"{self._us_what}.{name}")

    def __getitem__(self, key: object) -> Placeholder:
        if type(key) not in (int, str):
            self._us_refuse(f"asks for an item of {self._us_what} by something else than a constant name or number")
        form = item_of(self._us_form, cast("int | str", key))
        if form is _NONE:
            self._us_refuse(f"asks for [{key!r}] of {self._us_what}, which has no such items")
        return self._us_at(cast("int | str", key), form, f"{self._us_what}[{key!r}]")

    def _us_at(self, key: int | str, form: Any, what: str) -> Placeholder:  # a type form
        part = msgspec.structs.replace(self._us_part, path=(*self._us_part.path, key))
        return Placeholder(form, part, what, self._us_refuse)

    @property
    def __class__(self) -> type:  # what isinstance() asks for
        self._us_refuse(f"looks at the class of {self._us_what}")

    @__class__.setter
    def __class__(self, value: type) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._us_refuse(f"changes {self._us_what}")


_OPERATIONS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("bool",), "decides on"),
    **dict.fromkeys(("eq", "ne", "lt", "le", "gt", "ge"), "compares"),
    **dict.fromkeys(("hash",), "looks something up by"),
    **dict.fromkeys(("iter", "next", "reversed", "contains", "len", "aiter", "anext", "length_hint"), "goes through"),
    **dict.fromkeys(("str", "repr", "format", "bytes"), "makes a text of"),
    **dict.fromkeys(("int", "float", "complex", "index", "round", "trunc", "floor", "ceil"), "makes a number of"),
    **dict.fromkeys(("call", "await", "enter", "exit", "aenter", "aexit"), "calls, or waits for,"),
    **dict.fromkeys(("setattr", "delattr", "setitem", "delitem"), "changes"),
    **dict.fromkeys(
        (
            *(
                f"{kind}{name}"
                for kind in ("", "r", "i")
                for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor")
            ),
            *(f"{kind}{name}" for kind in ("", "r", "i") for name in ("lshift", "rshift")),
            *("divmod", "rdivmod", "neg", "pos", "abs", "invert"),
        ),
        "computes with",
    ),
}


def _refusing(words: str) -> Callable[..., NoReturn]:
    def refuse(self: Placeholder, *_: object, **__: object) -> NoReturn:
        self._us_refuse(f"{words} {self._us_what}")

    return refuse


for _name, _words in _OPERATIONS.items():
    setattr(Placeholder, f"__{_name}__", _refusing(_words))


_NONE: Final = object()


def fields_of(form: Any) -> dict[str, tuple[str, Any]] | None:  # a type form
    """The fields of a struct or a dataclass: how each is written in JSON, and its type. None for anything else."""
    form = bare(form)
    origin: Any = get_origin(form) or form
    if not isinstance(origin, type):
        return None
    origin = cast("type[Any]", origin)
    if issubclass(origin, msgspec.Struct):
        if origin.__struct_config__.array_like:
            return None
        return {field.name: (field.encode_name, field.type) for field in msgspec.structs.fields(origin)}
    if dataclasses.is_dataclass(origin):
        hints = get_type_hints(origin, include_extras=True)
        return {field.name: (field.name, hints[field.name]) for field in dataclasses.fields(origin)}
    return None


def item_of(form: Any, key: int | str) -> Any:  # type forms
    """The type of an item; ``_NONE`` where there can be none by this name or number."""
    form = bare(form)
    if form in (Any, object):
        return Any
    if is_typeddict(form):
        return get_type_hints(form, include_extras=True).get(cast("str", key), _NONE)
    origin, args = get_origin(form) or form, get_args(form)
    if not isinstance(origin, type):
        return _NONE
    if isinstance(key, str):
        return (args[1] if len(args) == 2 else Any) if issubclass(origin, Mapping) else _NONE
    if issubclass(origin, (str, bytes, bytearray)) or not issubclass(origin, Sequence):
        return _NONE
    if origin is tuple and args and args[-1] is not Ellipsis:
        return args[key] if -len(args) <= key < len(args) else _NONE
    return args[0] if args else Any


def part_of(value: Any, owner: Callable[[str], NoReturn]) -> Part:
    """Where an argument comes from. ``owner``: how the composite refuses; what another one's placeholders know it by is not it.

    Raises:
        NotStorable: a constant is not JSON.
    """
    if isinstance(value, Placeholder):  # first of all: any other look at it is refused
        if value._us_refuse is not owner:  # pyright: ignore[reportPrivateUsage]
            owner(f"uses {value._us_what} of another composite")  # pyright: ignore[reportPrivateUsage]
        return value._us_part  # pyright: ignore[reportPrivateUsage]
    if not any(True for _ in placeholders(value)):
        return Part("value", Raw(encode(value)))
    if isinstance(value, (list, tuple)):
        return Part("list", items=tuple(part_of(one, owner) for one in cast("Sequence[Any]", value)))
    if isinstance(value, dict):
        items: dict[Any, Any] = value  # pyright: ignore[reportUnknownVariableType]
        return Part("object", fields={str(name): part_of(one, owner) for name, one in items.items()})
    config, fields = value.__struct_config__, msgspec.structs.fields(value)
    made = {field.encode_name: part_of(getattr(value, field.name), owner) for field in fields}
    if config.tag is not None:
        made = {config.tag_field: Part("value", Raw(encode(config.tag))), **made}
    return Part("list", items=tuple(made.values())) if config.array_like else Part("object", fields=made)


def placeholders(value: Any) -> Iterator[Placeholder]:
    """All placeholders in lists, tuples, dicts and structs."""
    if isinstance(value, Placeholder):
        yield value
    elif isinstance(value, (list, tuple)):
        for one in cast("Sequence[Any]", value):
            yield from placeholders(one)
    elif isinstance(value, dict):
        items: dict[Any, Any] = value  # pyright: ignore[reportUnknownVariableType]
        for one in items.values():
            yield from placeholders(one)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from placeholders(getattr(value, name))


def silent(code: CodeType) -> bool:
    """Whether a function uses ``is``, by which it could decide on a placeholder without anybody's noticing."""
    for step in dis.get_instructions(code):
        if step.opname == "IS_OP" or step.opname.endswith(("IF_NONE", "IF_NOT_NONE")):
            return True
    return any(isinstance(inner, CodeType) and silent(inner) for inner in code.co_consts)
