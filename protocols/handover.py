"""What may be handed from actor to actor as it is, and stored without its JSON being read back.

A value may if nobody can change it and JSON would give back the same: a number that is one, text, an enum member, a frozen
struct or a tuple of such, each of exactly the type that its field declares. Which types qualify is decided once a class, and
written down as one Python expression over a value; everything else goes through the codec.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Callable
from typing import Any, Literal, NewType, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Struct

from .bounds import SMALL
from .codec import encode, roundtrip

T = TypeVar("T")

PLAIN = (str, int, bool, bytes)

checks: dict[Any, Callable[[Any], bool]] = {}
"""What ``as_it_is`` has given, by form: for those who cannot afford the call."""


def as_it_is(form: Any) -> Callable[[Any], bool]:  # form is a type form
    """Says of a value whether it may be handed on as it is where ``form`` is wanted. Never wrong about yes; false costs a copy."""
    check = checks.get(form)
    if check is None:
        names: dict[str, Any] = {"as_it_is": as_it_is}
        try:
            source = _expression(form, "x", names, top=True)
        except Exception:  # noqa: BLE001 - a form that this page cannot read goes through the codec, which says what is wrong
            source = "False"
        check = checks[form] = eval(f"lambda x: {source}", names)
    return check


def hand_on(value: T) -> T:
    """A message or event as another actor gets it. Raises NotStorable as ``roundtrip`` where it must be copied and cannot be."""
    cls = type(value)
    return value if as_it_is(cls)(value) else roundtrip(value, cls)[1]


def stored(value: T) -> tuple[msgspec.Raw, T]:
    """``roundtrip`` of a message or event, for half the cost where ``as_it_is`` proves what it would find out. Raises what it raises."""
    cls = type(value)
    if (checks.get(cls) or as_it_is(cls))(value):
        data = encode(value)
        if len(data) <= SMALL:
            return msgspec.Raw(data), value
    return roundtrip(value, cls)


def _expression(form: Any, x: str, names: dict[str, Any], *, top: bool = False) -> str:
    """Python for: ``x`` is exactly a ``form``, and cannot be changed."""

    def name(thing: object) -> str:
        names[key := f"n{len(names)}"] = thing
        return key

    if isinstance(form, NewType):
        return _expression(form.__supertype__, x, names)
    if form is None or form is type(None):
        return f"{x} is None"
    if form is float:
        return f"(type({x}) is float and {x} - {x} == 0.0)"  # JSON has no infinity and no NaN
    if form in PLAIN or (isinstance(form, type) and issubclass(form, enum.Enum)):
        return f"type({x}) is {name(form)}"
    origin, args = get_origin(form), get_args(form)
    if origin is Literal:
        return f"({' or '.join(f'(type({x}) is {name(one.__class__)} and {x} == {name(one)})' for one in args)})"
    if origin in (Union, types.UnionType):
        return f"({' or '.join(_expression(one, x, names) for one in args)})"
    if origin is tuple and len(args) == 2 and args[1] is ...:
        each = f"y{len(names)}"
        names[each] = None  # a name of its own, also where tuples are nested
        return f"(type({x}) is tuple and all({_expression(args[0], each, names)} for {each} in {x}))"
    if origin is tuple:
        each_place = [_expression(one, f"{x}[{place}]", names) for place, one in enumerate(args)]
        return f"({' and '.join([f'type({x}) is tuple', f'len({x}) == {len(args)}', *each_place])})"
    if isinstance(form, type) and issubclass(form, Struct):
        if not top:
            return f"as_it_is({name(form)})({x})"  # looked up when it is used: a class may hold itself
        if not form.__struct_config__.frozen or hasattr(form, "__post_init__"):  # which decoding would run again
            return "False"
        parts = [_expression(field.type, f"{x}.{field.name}", names) for field in msgspec.structs.fields(form)]
        return " and ".join([f"type({x}) is {name(form)}", *parts])
    return "False"
