"""JSON from elsewhere is bounded over its bytes: right about every value, and fast about every text."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

import understudy as us
from understudy.protocols.bounds import MAX_DEPTH, MAX_MEMBERS, SMALL, check
from understudy.protocols.codec import decode, roundtrip
from understudy.protocols.errors import NotStorable, TooComplex, TooLarge
from understudy.protocols.journal import Record

MOST = 1_000_000


def nested(depth: int, left: bytes = b"[", right: bytes = b"]", core: bytes = b"") -> bytes:
    return left * depth + core + right * depth


def members(count: int) -> bytes:
    return b"{" + b",".join(b'"%x":0' % n for n in range(count)) + b"}"


def depth_of(value: Any) -> int:  # plain JSON
    kind: type = type(value)  # pyright: ignore[reportUnknownVariableType]
    if kind not in (dict, list):
        return 0
    below: list[Any] = list(value.values() if kind is dict else value)
    return 1 + max(map(depth_of, below), default=0)


@pytest.mark.parametrize("core", [b"", b"[],[],{}", b'"]]]]"', b'{"a":[{"b":"\\"["}]}'])
@pytest.mark.parametrize(("left", "right"), [(b"[" + b"[0,[],{}]," * 50, b"]"), (b'{"a":[],"b":', b"}")])
def test_the_depth_that_is_allowed_passes_and_one_more_does_not(core: bytes, left: bytes, right: bytes) -> None:
    fits = b"[" + core + b"]"
    while depth_of(msgspec.json.decode(longer := left + fits + right)) <= MAX_DEPTH:
        fits = longer
    assert depth_of(msgspec.json.decode(fits)) == MAX_DEPTH
    check(fits, "it", most=MOST)
    with pytest.raises(TooComplex, match=f"nested deeper than {MAX_DEPTH}"):
        check(longer, "it", most=MOST)


def test_the_members_that_are_allowed_pass_and_one_more_does_not() -> None:
    check(members(MAX_MEMBERS), "it", most=MOST)
    with pytest.raises(TooComplex, match="50,001 members"):
        check(members(MAX_MEMBERS + 1), "it", most=MOST)
    check(msgspec.json.encode({"a": [":" * 60_000, '"x":' * 60_000]}), "it", most=MOST)  # texts have none


def test_the_size_that_is_allowed_passes_and_one_more_does_not() -> None:
    check(b" " * 5_000, "it", most=5_000)
    with pytest.raises(TooLarge, match="it is 5,001 bytes, more than 5,000"):
        check(b" " * 5_001, "it", most=5_000)


json_values = st.recursive(
    st.none() | st.integers() | st.text(st.sampled_from('[]{}:,"\\ab'), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.sampled_from('[]{}:"\\'), max_size=5), inner)
    ),
)


@given(json_values, st.integers(0, 2 * MAX_DEPTH))
def test_depth_is_told_as_a_decoder_sees_it(value: Any, more: int) -> None:
    for _ in range(more):
        value = [value, "[[", []] if more % 2 else {"]": value, "a": {}}
    data = msgspec.json.encode(value)
    if depth_of(value) <= MAX_DEPTH:
        check(data, "it", most=MOST)
    elif len(data) > SMALL:
        with pytest.raises(TooComplex):
            check(data, "it", most=MOST)


@given(st.binary(max_size=600))
def test_what_is_no_json_is_told_by_the_decoder_alone(data: bytes) -> None:
    check(data, "it", most=MOST)  # too few bytes to be deep or many, whatever they are


HOSTILE = {
    "a chain": nested(240_000),
    "a chain of objects": nested(80_000, b'{"a":', b"}", b"0"),
    "an open chain": b"[" * 500_000,
    "a comb": b"[[]," * 120_000,
    "a finer comb": b"[[[[],[[]],[]]," * 33_000,
    "a comb as deep as allowed": (nested(MAX_DEPTH - 1) + b",") * 2_500,
    "many": members(52_000),
    "many small objects": b"[" + b'{"a":0},' * 62_000 + b"{}]",
    "a long text": b'["' + b"[{:" * 160_000 + b'"]',
    "escapes": b'["' + b'\\"[:' * 120_000 + b'"]',
    "texts without an end": b'"[\\' * 160_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_holds_the_loop(name: str) -> None:
    """500 kB, the most that comes in from outside. A pause of some milliseconds is what a batch of turns takes, too."""
    data = HOSTILE[name]
    assert len(data) <= 500_000
    best = 1.0
    for _ in range(5):
        begin = time.process_time()
        with suppress(NotStorable):
            check(data, "it", most=500_000)
        best = min(best, time.process_time() - begin)
    print(f"{name}: {best * 1e3:.2f} ms")
    assert best < 0.05


def test_a_million_keys_are_refused_by_their_size_alone() -> None:
    begin = time.process_time()
    data = members(1_000_000)
    made = time.process_time() - begin
    begin = time.process_time()
    with pytest.raises(TooLarge):
        check(data, "it", most=500_000)
    assert time.process_time() - begin < made / 10


def test_decoding_ends_in_a_typed_error_however_deep() -> None:
    for form in (object, dict[str, Raw], Raw, Record, us.Result):
        with pytest.raises(msgspec.DecodeError):
            decode(nested(200_000), form)
    with pytest.raises(msgspec.DecodeError):
        decode(b'{"took":' + nested(200_000) + b"}", Record)


class Loose(us.Message):
    value: Any


def test_a_value_in_memory_is_refused_with_the_reason() -> None:
    deep: list[Any] = []
    for _ in range(200_000):
        deep = [deep]
    circle: list[Any] = []
    circle.append(circle)
    level: list[Any] = []
    for _ in range(MAX_DEPTH + 5):
        level = [level, "more than the brackets", {}]
    for value, error in (
        (deep, NotStorable),
        (circle, NotStorable),
        (level, TooComplex),
        ({str(n): n for n in range(60_000)}, TooComplex),
        ({str(n): n for n in range(1_000_000)}, TooLarge),
    ):
        with pytest.raises(error):
            roundtrip(Loose(value), Loose)
    while deep:
        deep = deep.pop()  # or freeing it recurses
