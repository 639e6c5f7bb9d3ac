"""``system.supervisor("desk")``: the children of one supervisor by name, from outside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from ...protocols import given
from ...protocols.children import ChildSpec, RestartType
from ...protocols.errors import AskFailed
from ...protocols.failures import Failure
from ...protocols.ids import Address
from ...protocols.messages import Request
from .live import (
    ChildCount,
    ChildInfo,
    CountChildren,
    DeleteChild,
    GetChildSpec,
    RestartChild,
    StartChild,
    StopChild,
    WhichChildren,
)

R = TypeVar("R")

LATE = ("timeout", "expired")
"""Codes of a request that nobody took in time."""


class Asks(Protocol):
    """What a handle needs of its system."""

    async def ask(self, to: str, request: Request[R], *, timeout: float | None) -> R:
        """See ``System.ask``."""
        ...


class SupervisorHandle:
    """One supervisor of a running system. Made by ``System.supervisor``.

    Each method returns when what it asked for is done and durable, and raises ``AskFailed``, with the reason as ``failure.code``:
    ``not_found`` (no such child, or no such supervisor: ``no_such_actor``), ``already_started``, ``already_present`` (it is known, and does
    not run), ``running``, ``restarting`` (it waits for its backoff), ``max_children``, ``failed_to_start`` (the cause is the
    child's failure), ``bad_spec``, ``stopped`` (the supervisor itself is to end), ``parked`` (it was given up, and a person is asked),
    ``supervisor_down`` (it did not run within ``timeout``: it, or one above it, is being restarted; ``failure.after`` says in how many
    seconds, where that is known), ``timeout``. A change that is refused, or comes too late, leaves the tree as it was.

    What makes no sense (a name that is no address, a word that is none) raises ``BadArgument``, which names it, and nothing is sent.

    Args:
        system: running.
        name: the supervisor's address; ``root`` for what is mounted directly.
        timeout: seconds to wait for an answer; None for ever.
        silent: says why the supervisor did not answer in time.
    """

    def __init__(
        self, system: Asks, name: str, timeout: float | None = 60.0,
        silent: Callable[[Address, Failure], Awaitable[Failure]] | None = None,
    ) -> None:  # fmt: skip
        self._silent = silent
        self._system, self._timeout = system, given.patience(timeout, "supervisor: timeout")
        self.address: Address = given.name("supervisor: name", name)

    async def start(
        self, child: str, *, restart: RestartType | None = None, significant: bool | None = None
    ) -> ChildInfo:
        """Start a member of a pool, an actor at one of its templates, or a child of the definition that was deleted. It is kept
        like the others from then on, and comes last in the order of starts.

        Args:
            child: its address, such as ``jobs/7``.
            restart, significant: where they differ from what the definition says.
        """
        if restart is not None:
            given.word("start: restart", restart, RestartType)
        if significant is not None:
            given.flag("start: significant", significant)
        return await self._ask(StartChild(given.name("start: child", child), restart, significant))

    async def stop(self, child: str) -> None:
        """End a child in order, within its own ``shutdown``. What waits for it is told; one that does not run stays so."""
        await self._ask(StopChild(given.name("stop: child", child)))

    async def restart(self, child: str) -> ChildInfo:
        """Start a child that has ended."""
        return await self._ask(RestartChild(given.name("restart: child", child)))

    async def delete(self, child: str) -> None:
        """Forget a child that has ended."""
        await self._ask(DeleteChild(given.name("delete: child", child)))

    async def which(self) -> tuple[ChildInfo, ...]:
        """Its children, in the order in which they are started. (Runs and actors at templates are virtual, and not among them.)"""
        return await self._ask(WhichChildren())

    async def count(self) -> ChildCount:
        """How many there are."""
        return await self._ask(CountChildren())

    async def spec(self, child: str) -> ChildSpec:
        """How a child is kept going."""
        return await self._ask(GetChildSpec(given.name("spec: child", child)))

    async def _ask(self, request: Request[R]) -> R:
        try:
            return await self._system.ask(self.address, request, timeout=self._timeout)
        except AskFailed as error:
            if self._silent is None or error.failure.code not in LATE:
                raise
            raise AskFailed(await self._silent(self.address, error.failure)) from error
