"""What is given with an ask, and what is answered later, comes back from its JSON as it was, or is refused."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

import understudy as us
from tests.actors.crew import said
from understudy.protocols.errors import NotStorable
from understudy.testing import Simulated


class Number(us.Request[float]): ...


class Anything(us.Request[object]): ...


class Point(msgspec.Struct):
    x: float


class Points(us.Request[list[Point]]): ...


class Plain(us.Request[int]): ...


class Tagged(us.Request[str]): ...


class Clerk(us.Actor):
    """Answers with what the test gives, and gives it as a tag."""

    gives: Any = None

    @us.handles(Number)
    def number(self, turn: us.Turn[us.State], msg: Number) -> us.Later[float]:
        return self._answer(turn, turn.later(msg))

    @us.handles(Anything)
    def anything(self, turn: us.Turn[us.State], msg: Anything) -> us.Later[object]:
        return self._answer(turn, turn.later(msg))

    @us.handles(Points)
    def points(self, turn: us.Turn[us.State], msg: Points) -> us.Later[list[Point]]:
        later = turn.later(msg)
        try:
            turn.reply(later, self.gives)
        except NotStorable:
            turn.reply(later, [])
        return later

    @us.handles(Plain)
    def plain(self, turn: us.Turn[us.State], msg: Plain) -> int:
        return 1

    @us.handles(Tagged)
    def tagged(self, turn: us.Turn[us.State], msg: Tagged) -> us.Later[str]:
        later = turn.later(msg)
        turn.ask("b", Plain(), tag=[later.id, self.gives] if self.gives != {"later": "x"} else self.gives)
        return later

    @us.settles(Plain)
    def counted(self, turn: us.Turn[us.State], outcome: us.Outcome[int]) -> None:
        turn.reply(us.Later[str](outcome.tag[0]), repr(outcome.tag[1]))

    def _answer(self, turn: us.Turn[us.State], later: us.Later[Any]) -> us.Later[Any]:
        turn.reply(later, self.gives)
        return later


def told(request: us.Request[Any], value: Any) -> Any:
    class Giving(Clerk):
        gives = value

    board = Simulated(us.Supervisor("s", [us.Child("a", Giving), us.Child("b", Giving)]))
    sent = board.ask("a", request)
    board.rest()
    return said(sent)


@pytest.mark.parametrize("value", [math.nan, ("t", 1), {1: 2}, math.inf, [math.nan]], ids=repr)
def test_an_answer_given_later_that_would_come_back_different_is_refused(value: Any) -> None:
    assert told(Anything(), value) == "crashed"


@pytest.mark.parametrize(
    ("request_", "value", "answer"),
    [
        (Number(), math.nan, "crashed"),
        (Number(), "many", "crashed"),
        (Number(), 1, 1.0),
        (Anything(), {"a": [1, None, "x"]}, {"a": [1, None, "x"]}),
        (Points(), [Point(1.0)], [{"x": 1.0}]),
    ],
    ids=str,
)
def test_an_answer_given_later_has_the_type_of_its_request(request_: us.Request[Any], value: Any, answer: Any) -> None:
    assert told(request_, value) == answer


def test_a_request_whose_answer_was_refused_is_open_still() -> None:
    assert told(Points(), [Point(math.nan)]) == []


@pytest.mark.parametrize("value", [math.nan, (1, 2), {1: 2}, {"later": "x"}, Point(1.0)], ids=repr)
def test_a_tag_that_would_come_back_different_is_refused(value: Any) -> None:
    assert told(Tagged(), value) == "crashed"


def test_a_tag_of_plain_values_comes_back_as_it_was() -> None:
    value = {"a": [1, 2.5, None, True, "x"], "later": 3}
    assert told(Tagged(), value) == repr(value)


async def test_an_asker_outside_is_told_of_an_answer_that_does_not_fit() -> None:
    class Other(us.Request[object], wire="Number"): ...

    class Elsewhere(us.Actor):
        @us.handles(Other)
        def number(self, turn: us.Turn[us.State], msg: Other) -> object:
            return "many"

    async with us.System(us.Child("a", Elsewhere)) as system:
        with pytest.raises(us.AskFailed, match="does not fit") as refused:
            await system.ask("a", Number(), timeout=20)
    assert refused.value.failure.code == "schema_drift"
