"""A function's signature as a schema: what a model is shown, and what its arguments are checked against."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

import msgspec
from msgspec import Raw

from ..protocols.bounds import check
from ..protocols.codec import decode
from ..protocols.errors import DefinitionError, NotStorable
from ..protocols.secrets import Secret
from ..protocols.tool import Call
from .describing import described

MAX_ARGUMENTS = 1_000_000
"""Bytes of one call's arguments."""


class Signature:
    """The parameters and the result of a tool's function.

    Attributes:
        form: a struct with one field a parameter; unknown and missing ones are refused.
        parameters: its JSON schema.
        returns: type form of the result.
        order: names of the parameters.
        wants_call: name of the parameter that takes the ``Call``; empty for none.
    """

    def __init__(self, function: Callable[..., Any], name: str, *, depth: int) -> None:
        try:
            hints = get_type_hints(function, localns=sys._getframe(depth).f_locals, include_extras=True)
        except NameError as error:
            raise DefinitionError(
                f"tool {name!r}: {error}", hint="annotate it with types that are known where it is defined"
            ) from error
        fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
        self.wants_call = ""
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
                raise DefinitionError(
                    f"tool {name!r}: parameter {parameter} must have a name of its own", hint="no *args, **kwargs or /"
                )
            if parameter.name not in hints:
                raise DefinitionError(f"tool {name!r}: parameter {parameter.name!r} has no type", hint="annotate it")
            hint = described(hints[parameter.name])
            if hint is Call:
                self.wants_call = parameter.name
            elif (
                hints[parameter.name] is Secret
            ):  # its default is what the function gets: nobody gives it, and no model sees it
                if not isinstance(parameter.default, Secret):
                    what = f"tool {name!r}: parameter {parameter.name!r} is a us.Secret and has none"
                    raise DefinitionError(what, hint=f"give it as its default: {parameter.name}: us.Secret = KEY")
            elif parameter.default is parameter.empty:
                fields.append((parameter.name, hint))
            else:
                fields.append((parameter.name, hint, parameter.default))
        if "return" not in hints:
            raise DefinitionError(
                f"tool {name!r} does not say what it returns", hint="annotate the result, None for nothing"
            )
        self.returns = hints["return"]
        self.order = tuple(field[0] for field in fields)
        try:
            self.form = msgspec.defstruct(
                f"{name}_arguments", fields, kw_only=True, frozen=True, forbid_unknown_fields=True
            )
            schema, components = msgspec.json.schema_components([self.form], ref_template="#/$defs/{name}")
            found: dict[str, Any] = (
                components.pop(self.form.__name__) if self.form.__name__ in components else schema[0]
            )
        except TypeError as error:
            raise DefinitionError(f"tool {name!r}: {error}") from error
        found.pop("title", None)
        if components:
            found["$defs"] = components
        found["additionalProperties"] = False
        self.parameters = Raw(msgspec.json.encode(found))

    def read(self, arguments: bytes | Raw) -> dict[str, Any]:  # values of the parameters' types
        """Arguments from JSON.

        Raises:
            ValueError: they are no JSON, too large or too deep, or do not fit; the message names what is missing, unknown or wrong.
        """
        try:
            check(arguments, "what was given", most=MAX_ARGUMENTS)
            value = decode(arguments, self.form)
        except (NotStorable, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValueError(str(error.args[0])) from error
        return {name: getattr(value, name) for name in self.order}


def bound(values: Mapping[str, Any], wants_call: str, call: Call) -> dict[str, Any]:  # arguments of a tool's function
    """The arguments a tool's function is called with."""
    return {**values, wants_call: call} if wants_call else dict(values)
