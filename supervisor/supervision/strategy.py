"""Who is stopped and started with a child that failed. Pure functions over the order in which the children were started.

    one_for_one     the child alone
    one_for_all     all of them: stopped in reverse order, then started forwards
    rest_for_one    those after it: stopped in reverse order, then it and they are started forwards

The members of a pool are one unit: stopped together, under one timer. (erlang/otp, lib/stdlib/src/supervisor.erl, ``restart/3``)
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ...protocols.children import Strategy
from ...protocols.ids import Address

Unit = tuple[Address, ...]
"""Children that are started, or stopped, together: one alone, or the members of a pool."""


class Steps(Struct, frozen=True):
    """What is to be done, in order: each unit is waited for before the next."""

    stop: tuple[Unit, ...]
    start: tuple[Unit, ...]


def units(children: Sequence[tuple[Address, str]]) -> tuple[Unit, ...]:
    """Children in start order, each with its pool's template (empty for none), as units: a pool stands where its first member does."""
    found: dict[str, list[Address]] = {}
    for child, pool in children:
        found.setdefault(pool or f"={child}", []).append(child)
    return tuple(tuple(unit) for unit in found.values())


def steps(strategy: Strategy, order: Sequence[Unit], failed: Address) -> Steps:
    """What the failure of a child comes to. The failed one itself is not running: it is started, never stopped."""
    at = next(n for n, unit in enumerate(order) if failed in unit)
    if strategy == "one_for_one":
        return Steps((), ((failed,),))
    if strategy == "one_for_all":
        return Steps(_reverse((*order[:at], *order[at + 1 :])), tuple(order))
    return Steps(_reverse(order[at + 1 :]), tuple(order[at:]))


def all_of(order: Sequence[Unit]) -> tuple[Unit, ...]:
    """Everybody, last first."""
    return _reverse(order)


def _reverse(order: Sequence[Unit]) -> tuple[Unit, ...]:
    return tuple(reversed(order))
