"""What may undo the calls of a tool: found out where it is declared."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

import understudy as us
from understudy.protocols.effects import Effect
from understudy.protocols.ids import Address
from understudy.tools.compensating import MOST, compensations, undoing
from understudy.tools.declaring import Declared as Tool


def tools(**options: Any) -> tuple[Tool[..., Any], Tool[..., Any]]:
    @us.tool(effect="once", **options)
    def book(seat: str, row: int = 1) -> str:
        """Book."""
        return seat

    @us.tool(effect="idempotent", kind="write")
    def cancel(call: us.Call, seat: str, result: str) -> None:
        """Cancel."""

    return book, cancel


def effect(args: str) -> Effect:
    return Effect("7.1", Address("desk/r"), "call", "book", Raw(args.encode()), "tool:book", attempt=1)


def test_a_tool_that_undoes_another_is_a_tool_like_any_other_and_may_be_called_directly() -> None:
    book, cancel = tools()
    assert book.compensate(cancel) is cancel
    assert book.compensation is cancel
    assert (cancel.spec.name, cancel.spec.effect) == ("cancel", "idempotent")


def test_a_plain_function_becomes_one_of_the_most_careful_class() -> None:
    book, _ = tools(version="2")
    seen: list[str] = []

    @book.compensate
    def give_back(seat: str) -> None:
        """Give it back."""
        seen.append(seat)

    give_back("1a")
    assert seen == ["1a"]
    assert book.compensation is not None
    spec = book.compensation.spec
    assert (spec.name, spec.version, spec.effect) == ("book.undo", "2", "once")


def test_it_is_called_with_what_it_takes_of_the_arguments_and_the_result() -> None:
    book, cancel = tools()
    assert undoing(book, effect('{"seat":"1a"}'), Raw(b'"x"')) is None
    book.compensate(cancel)
    done = undoing(book, effect('{"row":2,"seat":"1a"}'), Raw(b'"x"'))
    assert done is not None
    assert (done.of, done.by, done.call, done.tool, done.why) == ("7.1", "desk/r", "book", "cancel", "")
    assert msgspec.json.decode(done.args) == {"seat": "1a", "result": "x"}


def test_what_is_not_known_or_too_large_is_left_to_a_person() -> None:
    book, cancel = tools()
    book.compensate(cancel)
    lost = undoing(book, effect('{"seat":"1a"}'), None)
    large = undoing(book, effect('{"seat":"1a"}'), Raw(b'"' + b"x" * MOST + b'"'))
    assert lost is not None
    assert large is not None
    assert lost.why == "what the call gave is not known"
    assert "bytes, more than 100,000" in large.why


def wrong() -> list[tuple[str, Any]]:
    def stranger(seat: str, colour: str) -> None: ...

    def other_type(seat: int) -> None: ...

    def other_result(result: int) -> None: ...

    @us.tool(effect="read")
    def reads(seat: str) -> str:
        """Read."""
        return seat

    return [
        ("takes 'colour'", stranger),
        ("takes 'seat' as", other_type),
        ("takes 'result' as", other_result),
        ("cannot be what undoes it", reads),
        ("undoes nothing", 7),
    ]


@pytest.mark.parametrize(("said", "function"), wrong())
def test_what_nobody_could_call_is_refused(said: str, function: Any) -> None:
    book, _ = tools()
    with pytest.raises(us.DefinitionError, match=said):
        book.compensate(function)
    assert book.compensation is None


def test_there_is_one_and_only_of_what_changes_something() -> None:
    book, cancel = tools()
    book.compensate(cancel)
    with pytest.raises(us.DefinitionError, match="has a compensation already"):
        book.compensate(cancel)

    @us.tool(effect="read")
    def look(seat: str) -> str:
        """Look."""
        return seat

    @us.tool(effect="once")
    def odd(result: str) -> str:
        """Odd."""
        return result

    with pytest.raises(us.DefinitionError, match="only reads"):
        look.compensate(cancel)
    with pytest.raises(us.DefinitionError, match="has a parameter 'result'"):
        odd.compensate(cancel)
    with pytest.raises(us.DefinitionError, match="cannot be what undoes it"):
        odd.compensate(book)


def test_two_that_undo_calls_may_not_have_one_name() -> None:
    (one, undo), (other, same) = tools(), tools()
    one.compensate(undo)
    other.compensate(same)
    with pytest.raises(us.DefinitionError, match="two tools that undo calls are named 'cancel'"):
        compensations([one, other])
    assert compensations([one, one]) == [undo]
