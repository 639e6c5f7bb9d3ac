"""May this call begin? What the gate asks, at the start of every attempt, about a call that works on a resource (``Tool.under_lease``).

The answer comes from the one actor that gives the resource's leases, so it is true at that moment; what is true a moment later, the
resource itself can tell by the token that the call carries.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Protocol

from ...protocols.effects import Effect
from ...protocols.errors import AskFailed, UnderstudyError
from ...protocols.failures import Failure
from ...protocols.ids import Address
from ...protocols.leases import Lease, LeaseEnter, lease_of
from ...tools.tool import LeaseRule

PATIENCE = 10.0
"""Seconds to wait for the answer."""


class Asks(Protocol):
    """``System.ask``."""

    def __call__(self, to: str, request: LeaseEnter, *, timeout: float | None) -> Awaitable[Lease]:
        """Ask an actor."""
        ...


class Entering:
    """Asks on behalf of one system. ``places``: the team of each agent, by the agent's template."""

    def __init__(self, places: Mapping[str, Address], ask: Asks) -> None:
        self._places, self._ask = places, ask

    async def __call__(self, effect: Effect, rule: LeaseRule) -> Lease | Failure:
        """The lease under which this attempt is made, or why it may not be."""
        to, request = entry(self._places, effect, rule)
        try:
            return await self._ask(to, request, timeout=PATIENCE)
        except AskFailed as error:
            return error.failure
        except UnderstudyError as error:
            why = f"it cannot be told who has {effect.resource}: {error.args[0]}"
            return Failure("retry_later", "lease_unknown", why, where=effect.name)


def entry(places: Mapping[str, Address], effect: Effect, rule: LeaseRule) -> tuple[Address, LeaseEnter]:
    """Who is asked, and what."""
    to = lease_of(places.get(effect.agent, "root"), effect.resource)
    return to, LeaseEnter(effect.resource, effect.stream, effect.id, rule.hold, rule.claim)
