"""A function's signature as a schema, and the guard before JSON that would overflow the stack."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import understudy as us
from understudy.protocols.tool import Call
from understudy.tools.schema import MAX_ARGUMENTS, Signature


class Point(msgspec.Struct):
    x: int
    y: int = 0


def schema(function: Any) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(Signature(function, function.__name__, depth=1).parameters)
    return decoded


def test_parameters_are_an_object_that_takes_nothing_else() -> None:
    def f(a: int, b: str = "x") -> None: ...

    assert schema(f) == {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "string", "default": "x"}},
        "required": ["a"],
        "additionalProperties": False,
    }


def test_structs_come_along() -> None:
    def f(where: Point) -> None: ...

    found = schema(f)
    assert found["properties"]["where"] == {"$ref": "#/$defs/Point"}
    assert found["$defs"]["Point"]["required"] == ["x"]
    assert Signature(f, "f", depth=1).read(b'{"where":{"x":1}}') == {"where": Point(1)}


def test_the_call_is_handed_in_and_no_parameter_of_the_tool() -> None:
    def f(a: int, call: Call) -> None: ...

    signature = Signature(f, "f", depth=1)
    assert signature.wants_call == "call"
    assert signature.order == ("a",)
    assert "call" not in schema(f)["properties"]


def test_local_types_are_found() -> None:
    class Here(msgspec.Struct):
        a: int

    @us.tool(effect="read")
    def look(here: Here) -> None:
        """Look."""

    assert b'"Here"' in bytes(look.spec.parameters)


def test_a_declaration_that_cannot_work_is_refused_when_it_is_made() -> None:
    def untyped(a) -> None: ...  # type: ignore[no-untyped-def]

    def mute(a: int): ...  # type: ignore[no-untyped-def]

    def many(*a: int) -> None: ...

    def named(**a: int) -> None: ...

    def positional(a: int, /) -> None: ...

    def unknown(a: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    def odd(a: set[complex]) -> None: ...

    functions: list[Any] = [untyped, mute, many, named, positional, unknown, odd]
    for function in functions:
        with pytest.raises(us.DefinitionError, match=function.__name__):
            Signature(function, function.__name__, depth=1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b'{"value": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "nested deeper"),
        (b'{"value": "' + b"x" * MAX_ARGUMENTS + b'"}', "bytes, more than"),
        (b'{"value": {' + b",".join(b'"%d":0' % n for n in range(60_000)) + b"}}", "60,001 members"),
    ],
    ids=["deep", "large", "many"],
)
def test_arguments_beyond_the_bounds_are_refused_before_they_are_decoded(text: bytes, why: str) -> None:
    def takes(value: Any) -> None:
        pass

    with pytest.raises(ValueError, match=why):
        Signature(takes, "takes", depth=1).read(text)
