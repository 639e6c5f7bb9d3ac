"""``@us.tool``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

import understudy as us
from understudy.protocols.effects import Retry
from understudy.tools.policies import Policy


@us.tool(effect="read", timeout=5.0, retry=Retry(attempts=2))
def rate(currency: str, digits: int = 2) -> float:
    """Exchange rate of a currency.

    More about it.
    """
    return round(1.23456, digits)


def test_called_directly_it_runs_the_function() -> None:
    assert rate("EUR") == 1.23
    assert rate("EUR", digits=4) == 1.2346


def test_an_async_tool_is_awaited() -> None:
    @us.tool(effect="read")
    async def slow(currency: str) -> float:
        """Exchange rate."""
        await asyncio.sleep(0)
        return 1.5

    async def main() -> float:
        return await slow("EUR")

    assert asyncio.run(main()) == 1.5


def test_a_tool_that_takes_its_call_gets_one_when_it_is_called_directly() -> None:
    @us.tool(effect="idempotent")
    def book(call: us.Call, what: str) -> str:
        """Book something."""
        return f"{what} under {call.key}"

    assert book("x") == "x under unit-test"


def test_what_it_is_as_data() -> None:
    spec = rate.spec
    assert (spec.name, spec.effect, spec.timeout, spec.retry.attempts, spec.policy) == ("rate", "read", 5.0, 2, "")
    assert spec.description.startswith("Exchange rate of a currency.")


def test_the_most_careful_class_is_meant_where_none_is_said() -> None:
    @us.tool()
    def act() -> None:
        """Do something."""

    assert act.spec.effect == "once"


def test_arguments_that_do_not_fit_are_a_type_error_in_python() -> None:
    with pytest.raises(TypeError, match="takes 2 arguments, 3 were given"):
        rate.arguments(("EUR", 2, 3), {})
    with pytest.raises(TypeError, match="got currency twice"):
        rate.arguments(("EUR",), {"currency": "USD"})


@pytest.mark.parametrize(
    "options",
    [
        {"effect": "sometimes"},
        {"timeout": 0.0},
        {"timeout": -1.0},
        {"retry": Retry(attempts=0)},
        {"retry": Retry(base=-1.0)},
        {"retry": Retry(base=float("inf"))},
        {"retry": Retry(cap=float("nan"))},
        {"retry": Retry(attempts=True)},
        {"retry": Retry(attempts=float("inf"))},  # type: ignore[arg-type]
        {"retry": 3},
        {"key_ttl": 0.0},
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(us.DefinitionError, match="pay"):

        @us.tool(**options)  # type: ignore[arg-type]
        def pay() -> None:
            """Pay."""


def test_a_rule_must_take_what_the_tool_takes_and_there_is_one() -> None:
    @us.tool(effect="once")
    def pay(to: str, usd: float) -> None:
        """Pay."""

    with pytest.raises(us.DefinitionError, match=r"takes \(usd\)"):

        @pay.approve_if  # type: ignore[arg-type]
        def wrong(usd: float) -> bool:
            return True

    @pay.approve_if
    def large(to: str, usd: float) -> bool:
        """Large ones."""
        return usd > 50

    assert large("ada", 60.0), "the rule stays a plain function that a test can call"
    assert pay.policy is not None
    assert pay.spec.policy == pay.policy.label == f"large@{Policy(large).version}"
    with pytest.raises(us.DefinitionError, match="has an approval rule already"):
        pay.approve_if(large)


def test_a_lambda_is_sugar_for_a_rule() -> None:
    rule = cast("Callable[..., bool]", lambda to: to != "ada")  # pyright: ignore[reportUnknownLambdaType]

    @us.tool(effect="once", approve=rule)
    def greet(to: str) -> None:
        """Greet."""

    assert greet.policy is not None
    assert greet.policy.name == "lambda"


def test_only_what_can_be_reconciled_takes_a_reconcile_function() -> None:
    with pytest.raises(us.DefinitionError, match="'read'"):
        rate.reconcile(lambda key: 1.0)
