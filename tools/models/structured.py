"""An output type's JSON schema in the form that OpenAI's structured output takes, and the answer back from it.

Its root must be an object and may be neither a reference nor a choice; in *strict* mode, in which the provider
guarantees the shape, every object must be closed and name all its fields as required.
https://platform.openai.com/docs/guides/structured-outputs#supported-schemas

So a root that is something else is put into an object with the one field ``answer``; a default becomes a value that the
model has to write; and a schema that strict mode cannot hold (open objects, tuples, ``Any``) is sent as a wish. In all
cases the answer is validated against the type afterwards, by the agent.
"""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec
from msgspec import Raw, Struct

from ...protocols.bounds import check
from ...protocols.codec import decode
from ...protocols.errors import NotStorable
from ...protocols.journal import MAX_MESSAGE

_PLAIN: Final = frozenset({
    "type", "title", "description", "enum", "const", "format", "pattern", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "minLength", "maxLength", "$ref",
})  # fmt: skip
_TYPES: Final = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


class Structured(Struct, frozen=True):
    """What to send.

    Attributes:
        schema: the schema.
        strict: whether the provider can be held to it.
        wrapped: whether the answer is in the field ``answer``.
    """

    schema: dict[str, Any]
    strict: bool
    wrapped: bool


class _Wrapped(Struct, frozen=True):
    answer: Raw


class _Loose(Exception):
    """Strict mode cannot hold this schema."""


def structured(output: Raw) -> Structured:
    """Prepare the schema of an output type, as msgspec makes it."""
    root: dict[str, Any] = msgspec.json.decode(output, type=dict[str, Any])
    defs: dict[str, Any] = root.pop("$defs", {})
    while root.keys() == {"$ref"}:
        root = defs[root["$ref"].removeprefix("#/$defs/")]
    wrapped = root.get("type") != "object"
    if wrapped:
        root = {"type": "object", "properties": {"answer": root}, "required": ["answer"]}
    try:
        schema, names, strict = _closed(root), {name: _closed(form) for name, form in defs.items()}, True
    except _Loose:
        schema, names, strict = dict(root), defs, False
    return Structured({**schema, "$defs": names} if names else schema, strict, wrapped)


def unwrapped(text: str) -> str:
    """The JSON in the field ``answer``; the text itself where it is not in one (not every server keeps to a schema)."""
    try:
        check(text.encode(), "the answer", most=MAX_MESSAGE)
        found: _Wrapped = decode(text.encode(), _Wrapped)
        return bytes(found.answer).decode()
    except (msgspec.MsgspecError, NotStorable, ValueError):  # whoever takes it says what is wrong with it
        return text


def _closed(form: Any) -> dict[str, Any]:
    """A schema as strict mode takes it. Raises _Loose where there is none."""
    if not isinstance(form, dict) or not form:
        raise _Loose
    kept: dict[str, Any] = {}
    for key, value in cast(dict[str, Any], form).items():
        match key:
            case "properties":
                kept[key] = {name: _closed(field) for name, field in cast(dict[str, Any], value).items()}
            case "anyOf":
                kept[key] = [_closed(choice) for choice in value]
            case "items":
                kept[key] = _closed(value)
            case "default" | "discriminator" | "required":
                pass
            case "additionalProperties" if value is False:
                pass
            case _ if key in _PLAIN:
                kept[key] = value
            case _:
                raise _Loose
    if "enum" in kept and "type" not in kept:
        types = sorted({_TYPES[type(value)] for value in kept["enum"]})
        kept["type"] = types[0] if len(types) == 1 else types
    if kept.get("type") == "object":
        if "properties" not in kept:
            raise _Loose
        kept |= {"additionalProperties": False, "required": list(kept["properties"])}
    if kept.get("type") == "array" and "items" not in kept:
        raise _Loose
    return kept
