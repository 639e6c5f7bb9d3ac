"""The gate over a tree: what its agents may do, and what all of them share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..protocols.breakers import Breaker
from ..protocols.budget import Price, Spending
from ..protocols.errors import DefinitionError
from ..protocols.rates import Rate
from ..tools.checks.budget import Budgets
from ..tools.checks.shadow import shadow as in_shadow
from ..tools.gate import Gate
from ..tools.models.prices import load
from ..tools.starting import StartCheck
from ..tools.windows import check_windows
from .supervision.tree import Tree
from .team.undoing import UndoActor


def gate_of(
    tree: Tree,
    rates: Mapping[str, Rate] | None = None,
    breakers: Mapping[str, Breaker | None] | None = None,
    spending: Sequence[Spending] = (),
    prices: Mapping[str, Price] | None = None,
    skip: frozenset[str] = frozenset(),
    shadow: bool | Sequence[str] = False,
) -> Gate:
    """The deciding half of the gate.

    Args:
        rates, breakers: of tools and models, by name.
        spending: windows of the whole journal.
        prices: of models, by name.
        skip: checks that are left out; only tests do that.
        shadow: tools whose calls are simulated: all, or those named.

    Raises:
        DefinitionError: a window, price, rate or breaker is none, or is that of something that is not here.
    """
    windows, known = check_windows(spending), _checked(prices, tree.model_names)
    budgets = (*windows, *(mount.actor.budget for mount in tree.directory.mounts()))
    if any(one is not None and one.usd is not None for one in budgets):
        load()
    undoers = frozenset(mount.template for mount in tree.directory.mounts() if isinstance(mount.actor, UndoActor))
    pretends = in_shadow(shadow, tree.tools, undoers)
    first: tuple[StartCheck, ...] = () if pretends is None else (pretends,)
    return Gate(
        tree.grants, shared=(*first, Budgets(windows, known, tree.models), *tree.shared(rates, breakers)), skip=skip
    )


def _checked(prices: object, models: frozenset[str]) -> dict[str, Price]:
    if prices is None:
        return {}
    if not isinstance(prices, Mapping):
        raise DefinitionError(f"prices={prices!r}", hint='{"openai:my-model": us.Price(input=0.25, output=2.0)}')
    known: dict[str, Price] = {}
    for name, price in prices.items():  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(name, str) or not isinstance(price, Price):
            raise DefinitionError(f"prices: {name!r}: {price!r}", hint="a model's name, and a us.Price")
        if name not in models:
            hint = f"there are: {', '.join(sorted(models)) or 'none'}"
            raise DefinitionError(f"System(prices=…): there is no model {name!r} here", hint=hint)
        known[name] = price
    return known
