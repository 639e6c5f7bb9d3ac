"""Calls that are alike but for a counter in a text."""

from __future__ import annotations

import time

import pytest
from msgspec import Raw

from understudy.protocols.codec import encode
from understudy.protocols.shapes import LONGEST, shape_of


def shape(args: object, name: str = "read") -> str:
    return shape_of(name, Raw(encode(args)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"q": "part 1"}, {"q": "part 22"}),
        ({"q": "part 1", "n": 7}, {"n": 7, "q": "part 2"}),
        ({"q": ["try3", {"deep": "x-4"}]}, {"q": ["try5", {"deep": "x-6"}]}),
        ({"q": "versuch ١"}, {"q": "versuch ٢"}),
        ({"q": "find it "}, {"q": "find it   "}),
        ({"q": "find it."}, {"q": "find it!!"}),
        ({"q": "find  it"}, {"q": "find \n it"}),
        ({"q": "ask 9073926b-929f31"}, {"q": "ask 07fe1c2d-abc9fa"}),
    ],
)
def test_they_have_one_shape(one: object, other: object) -> None:
    assert shape(one) == shape(other) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"q": "part 1"}, {"q": "page 1"}),
        ({"q": "part 1"}, {"p": "part 1"}),
        ({"q": "part 1", "n": 1}, {"q": "part 1", "n": 2}),
        ({"q": "part 1", "id": "17"}, {"q": "part 1", "id": "18"}),
    ],
)
def test_they_have_two(one: object, other: object) -> None:
    assert shape(one) != shape(other)
    assert shape(one, "read") != shape(one, "write")


@pytest.mark.parametrize(
    "args", [{}, {"n": 1}, {"id": "17"}, {"q": "Oslo"}, [1, 2], "17", "2026-11-21", None, {"q": "1" * LONGEST + "a"}]
)
def test_most_calls_have_none(args: object) -> None:
    assert shape(args) == ""


@pytest.mark.parametrize("raw", [b"{", b'"part 1', b"\xff1a", b"[" * 9_000 + b'"a1"'])
def test_what_is_no_json_has_none(raw: bytes) -> None:
    assert shape_of("read", Raw(raw)) == ""


@pytest.mark.parametrize(
    "text", ["a" * 19_000, "aaaa-" * 3_900, "1 " * 9_000, " ." * 9_000 + "a", "a" * 19_000 + "1", "abcdef01" * 2_400]
)
def test_a_long_text_takes_no_longer_than_it_is_long(text: str) -> None:
    """It took three seconds, in the turn: so much that the watchdog broke it off."""
    began = time.perf_counter()
    shape({"q": text})
    assert time.perf_counter() - began < 0.5
