"""What becomes of a result: ``transform=`` and ``max_bytes=``, after it was found to be of the tool's type."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from msgspec import Struct

import understudy as us
from tests.tools import apart
from tests.tools.test_perform import perform
from understudy.protocols.effects import HAPPENED
from understudy.protocols.provenance import unframed
from understudy.tools.models.scripted import call as say


class Page(Struct, frozen=True):
    """A page.

    Attributes:
        title: its title.
    """

    title: str
    body: str


class Short(Struct, frozen=True):
    """A page, in short.

    Attributes:
        headline: its title, loud.
    """

    headline: str


def short(page: Page) -> Short:
    return Short(page.title.upper())


@us.tool(effect="read", transform=short)
def fetched(title: str, size: int = 10) -> Page:
    """Fetch a page."""
    return Page(title, "x" * size)


async def test_what_is_stored_is_what_the_transformer_made() -> None:
    assert (await perform(fetched, {"title": "news"})).value == b'{"headline":"NEWS"}'


def test_called_directly_it_gives_the_same() -> None:
    assert fetched("news") == Short("NEWS")  # type: ignore[comparison-overlap]


async def test_an_async_tool_is_transformed_too() -> None:
    @us.tool(effect="read", transform=short)
    async def later() -> Page:
        """Fetch."""
        await asyncio.sleep(0)
        return Page("news", "")

    assert (await perform(later)).value == b'{"headline":"NEWS"}'
    assert await later() == Short("NEWS")  # type: ignore[comparison-overlap]


async def test_so_is_one_in_a_process_of_its_own() -> None:
    attempt = await perform(apart.large_page, {"size": 1_000_000})
    assert attempt.value == b'{"pages":1000000}'


def test_models_are_told_of_what_they_get() -> None:
    assert "- headline: its title, loud." in fetched.spec.description
    assert "- title" not in fetched.spec.description


async def test_a_result_may_be_large_before_it_is_made_small() -> None:
    assert (await perform(fetched, {"title": "news", "size": 2_000_000})).value == b'{"headline":"NEWS"}'
    attempt = await perform(fetched, {"title": "news", "size": 9_000_000})
    assert attempt.failure is not None
    assert attempt.failure.code == "result_too_large"


async def test_what_is_not_of_the_tools_type_never_comes_to_the_transformer() -> None:
    def lies() -> Page:
        """Lie."""
        return Page(1, "x")  # type: ignore[arg-type]

    seen: list[Any] = []
    attempt = await perform(us.tool(effect="read", transform=seen.append)(lies))
    assert attempt.failure is not None
    assert (attempt.failure.code, seen) == ("schema_drift", [])


@pytest.mark.parametrize("how", ["raises", "drifts", "is no JSON", "is too large"])
async def test_a_transformer_that_fails_is_a_failure_of_a_call_that_happened(how: str) -> None:
    def bad(text: str) -> int:
        if how == "raises":
            raise KeyError(text)
        made: Any = {"drifts": "no number", "is no JSON": object(), "is too large": "x" * 300_000}[how]
        return made  # type: ignore[no-any-return]

    @us.tool(effect="once", transform=bad)
    def act() -> str:
        """Act."""
        return "done"

    attempt = await perform(act)
    assert attempt.failure is not None
    assert not attempt.unknown
    assert attempt.failure.code == ("result_too_large" if how == "is too large" else "transform_failed")
    assert attempt.failure.code in HAPPENED


async def test_a_reconciled_result_is_transformed_too() -> None:
    @us.tool(effect="reconcilable", transform=str.upper)
    def act() -> str:
        """Act."""
        raise AssertionError

    @act.reconcile
    def found(key: str) -> str:
        return "done"

    assert (await perform(act, attempt=2)).value == b'"DONE"'


async def test_the_cap_of_a_tool_counts_bytes_of_json() -> None:
    @us.tool(effect="read", max_bytes=10)
    def text(size: int) -> str:
        """Text."""
        return "x" * size

    assert (await perform(text, {"size": 8})).value == b'"xxxxxxxx"'
    attempt = await perform(text, {"size": 9})
    assert attempt.failure is not None
    assert (attempt.failure.code, attempt.failure.hint) == ("result_too_large", "ask for less")
    assert "11 bytes, more than 10" in attempt.failure.message


def test_a_model_sees_what_the_transformer_made() -> None:
    model = us.Scripted(say("fetched", title="news"), "Read.")
    agent = us.Agent("reader", "Reads.", model=model, tools=[fetched])
    assert us.run(agent, "Read.").output == "Read."
    assert msgspec.json.decode(unframed(model.requests[1].messages[-1].text)) == {"result": {"headline": "NEWS"}}


async def coroutine(page: Page) -> Page:
    return page


def nothing() -> None:
    return


@pytest.mark.parametrize("transform", [1, "short", coroutine, nothing])
def test_what_is_no_transformer_is_refused(transform: Any) -> None:
    with pytest.raises(us.DefinitionError, match="tool 'act': transform="):

        @us.tool(transform=transform)
        def act() -> Page:
            """Act."""
            raise AssertionError


@pytest.mark.parametrize("max_bytes", [0, -1, 256_001, 1.5, True, "10", None])
def test_what_is_no_cap_is_refused(max_bytes: Any) -> None:
    with pytest.raises(us.DefinitionError, match="tool 'act': max_bytes="):

        @us.tool(max_bytes=max_bytes)
        def act() -> Page:
            """Act."""
            raise AssertionError
