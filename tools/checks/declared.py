"""Rates and breakers as they are declared for all that one journal runs, looked at where they are declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ...protocols.breakers import Breaker
from ...protocols.errors import DefinitionError
from ...protocols.rates import Rate
from ...protocols.tool import ToolSpec
from .breaker import PROBES


def declared(
    rates: Mapping[str, Rate] | None, breakers: Mapping[str, Breaker | None] | None, specs: Mapping[str, list[ToolSpec]],
    models: frozenset[str],
) -> tuple[dict[str, Rate], dict[str, Breaker | None]]:  # fmt: skip
    """What was declared: rates, breakers.

    Args:
        rates, breakers: by name of a tool or model.
        specs: the tools of each name.
        models: names of models.

    Raises:
        DefinitionError: no such tool or model, not a ``us.Rate`` or ``us.Breaker``, or one that would never do anything.
    """
    fields: tuple[tuple[str, object, type[Rate | Breaker]], ...] = (
        ("rates", rates, Rate), ("breakers", breakers, Breaker)
    )  # fmt: skip
    for field, given, form in fields:
        if given is not None and not isinstance(given, Mapping):
            hint = f"names of tools and models, each with a us.{form.__name__}"
            raise DefinitionError(f"System({field}={given!r})", hint=hint)
        for name, one in cast("Mapping[object, object]", given or {}).items():
            _known(field, name, specs, models)
            if not isinstance(one, form) and not (one is None and form is Breaker):
                raise DefinitionError(f"System({field}={{{name!r}: {one!r}}})", hint=f"it takes a us.{form.__name__}")
    for name, rate in (rates or {}).items():
        for spec in specs.get(name, []):
            if rate.tokens is not None:
                raise DefinitionError(f"rates[{name!r}] limits tokens, and a tool has none", hint="limit its requests")
            if rate.usd is not None and spec.cost == 0.0:
                hint = f"say what a call of {name} costs: us.tool(cost=…)"
                raise DefinitionError(
                    f"rates[{name!r}] limits money, and the tool does not say what it costs", hint=hint
                )
            if rate.usd is not None and spec.cost > rate.usd:
                what = f"rates[{name!r}]: one call of {name} costs {spec.cost:g} USD, more than the {rate.usd:g} of a whole window"
                raise DefinitionError(what, hint="none could ever begin: allow more, or a longer window (per=)")
    for name, breaker in (breakers or {}).items():
        risky = [spec.effect for spec in specs.get(name, []) if spec.effect not in PROBES]
        if breaker is not None and risky and not breaker.probe:
            hint = "probe='ask': a person is asked first; probe=True: one real call may show whether it works again"
            raise DefinitionError(
                f"breakers[{name!r}]: no {risky[0]} call may be its probe, so it would never close", hint=hint
            )
    return dict(rates or {}), dict(breakers or {})


def _known(field: str, name: object, specs: Mapping[str, Any], models: frozenset[str]) -> None:
    if name not in specs and name not in models:
        known = ", ".join(sorted({*specs, *models})) or "none"
        raise DefinitionError(
            f"System({field}=…): there is no tool and no model {name!r} here", hint=f"there are: {known}"
        )
