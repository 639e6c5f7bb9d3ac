"""Output types as OpenAI's strict mode takes them."""

from typing import Any, Literal

import msgspec
import pytest
from msgspec import Raw, Struct

from understudy.tools.models.structured import Structured, structured, unwrapped


class Fire(Struct, frozen=True, tag=True):
    floor: int
    smoke: bool = False


class Medical(Struct, frozen=True, tag=True):
    age: int | None = None


class Open(Struct, frozen=True):
    extra: dict[str, int]


class Tree(Struct, frozen=True):
    branches: list["Tree"] = []


def _prepared(form: Any) -> Structured:
    return structured(Raw(msgspec.json.encode(msgspec.json.schema(form))))


def test_an_object_is_closed_and_names_all_its_fields_as_required() -> None:
    made = _prepared(Fire)
    assert (made.strict, made.wrapped) == (True, False)
    assert made.schema == {
        "title": "Fire",
        "type": "object",
        "properties": {
            "type": {"enum": ["Fire"], "type": "string"},
            "floor": {"type": "integer"},
            "smoke": {"type": "boolean"},
        },
        "additionalProperties": False,
        "required": ["type", "floor", "smoke"],
        "$defs": made.schema["$defs"],
    }


@pytest.mark.parametrize("form", [int, str, list[Fire], Literal["a", "b"], Fire | Medical, int | None])
def test_what_is_no_object_is_put_into_one(form: Any) -> None:
    made = _prepared(form)
    assert (made.strict, made.wrapped) == (True, True)
    assert (made.schema["type"], made.schema["required"]) == ("object", ["answer"])


@pytest.mark.parametrize("form", [Open, dict[str, int], tuple[int, str], Any, list[Any], list[dict[str, Any]]])
def test_what_strict_mode_cannot_hold_is_sent_as_a_wish(form: Any) -> None:
    made = _prepared(form)
    assert not made.strict
    assert made.schema["type"] == "object"


def test_a_type_that_holds_itself_keeps_its_definition() -> None:
    made = _prepared(Tree)
    assert made.schema["properties"]["branches"]["items"] == {"$ref": "#/$defs/Tree"}
    assert made.schema["$defs"]["Tree"]["required"] == ["branches"]


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        ('{"answer": [1, "é"]}', '[1, "é"]'),
        ('{"answer": null}', "null"),
        ("3", "3"),
        ("not json", "not json"),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_the_answer_is_taken_out_and_one_that_is_in_nothing_left_alone(text: str, inner: str) -> None:
    assert unwrapped(text) == inner
