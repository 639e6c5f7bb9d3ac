"""What is handed on, or stored, without its JSON being read back is what would have come back."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import example
from hypothesis import given as cases
from hypothesis import strategies as st

import understudy as us
from understudy.protocols.codec import roundtrip
from understudy.protocols.errors import NotStorable
from understudy.protocols.handover import as_it_is, hand_on, stored


class Colour(enum.Enum):
    RED = "red"


class Inner(us.Message):
    amount: int
    share: float = 0.0


class Wide(us.Message):
    name: str
    count: int = 0
    ratio: float = 0.5
    sure: bool = False
    colour: Colour | None = None
    word: Literal["yes", "no"] = "yes"
    inner: Inner | None = None
    several: tuple[int, ...] = ()
    pair: tuple[str, Inner] | None = None
    data: bytes = b""


class Loose(us.Message):
    anything: Any = None
    listed: list[int] = msgspec.field(default_factory=list[int])


class Doubling(us.Message):
    """Is another one each time that it is made."""

    amount: int

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "amount", self.amount * 2)


_scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(), st.binary(max_size=8),
    st.sampled_from([Colour.RED, "red", "yes", "perhaps", Inner(1), Inner(1, math.nan), Inner(1, -0.0), 2**63, 2**64, "\ud800"]),
)  # fmt: skip
_values = st.one_of(_scalars, st.tuples(_scalars), st.tuples(_scalars, _scalars), st.lists(_scalars, max_size=2))
_FIELDS = ("name", "count", "ratio", "sure", "colour", "word", "inner", "several", "pair", "data")


def _read_back(value: us.Message) -> tuple[msgspec.Raw, us.Message]:
    return roundtrip(value, type(value))


def _of(function: Callable[[us.Message], tuple[msgspec.Raw, us.Message]], value: us.Message) -> object:
    try:
        data, back = function(value)
    except Exception as error:  # noqa: BLE001 - which one it is, is compared
        return type(error)
    return bytes(data), repr(back)


@cases(st.dictionaries(st.sampled_from(_FIELDS), _values, max_size=4))
@example({"count": True})
@example({"ratio": 1})
@example({"ratio": -0.0})
@example({"ratio": math.inf})
@example({"name": "\ud800"})
@example({"count": 2**64})
@example({"pair": ("a", Inner(2, 1))})
def test_a_message_is_stored_and_seen_as_if_its_json_had_been_read_back(fields: dict[str, Any]) -> None:
    given: dict[str, Any] = {"name": "a", **fields}
    value = Wide(**given)
    assert _of(stored, value) == _of(_read_back, value)


@cases(_values, st.lists(_scalars, max_size=2))
def test_what_can_hold_anything_goes_through_its_json(anything: Any, listed: Any) -> None:
    value = Loose(anything, listed)
    assert not as_it_is(Loose)(value)
    assert _of(stored, value) == _of(_read_back, value)


def test_most_messages_need_no_copy() -> None:
    value = Wide("a", 1, 0.5, True, Colour.RED, "no", Inner(3), (1, 2), ("x", Inner(4)), b"\0")
    assert hand_on(value) is value
    assert stored(value)[1] is value


def test_a_class_that_is_another_when_it_is_made_again_is_never_handed_on_as_it_is() -> None:
    value = Doubling(1)
    assert not as_it_is(Doubling)(value)
    with pytest.raises(NotStorable, match="comes back"):
        stored(value)
