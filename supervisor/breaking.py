"""Breakers as people see them, and as they open and close them by hand. A part of ``us.System``."""

from __future__ import annotations

from ..actors.releases import Switch
from ..protocols import given
from ..protocols.circuits import Circuit, circuits
from ..protocols.codec import roundtrip
from ..protocols.errors import BadArgument, UnknownItem
from ..protocols.journal import MAX_MESSAGE
from ..protocols.secrets import refuse_secrets
from .access import Access
from .supervision.tree import Tree

LONGEST = 10_000
"""Characters of who does it, and of why."""

MOST_SECONDS = 10 * 366 * 86_400.0


class Breaking(Access):
    """Shows, opens and closes breakers."""

    def breakers(self) -> tuple[Circuit, ...]:
        """Breakers of tools and models in trouble, by name: those that are open, and those that count failures. All others are closed."""
        return circuits(self._shell.kernel.books, self._shell.clock.now())

    async def close_breaker(self, name: str, *, by: str = "somebody", reason: str = "") -> None:
        """Close one that is open; returns when that is durable. Calls that wait for it go on at once, and its count begins anew.

        Args:
            name: of the tool or model.
            by, reason: who closes it and why; kept in the journal.

        Raises:
            UnknownItem: it is not open.
            BadArgument: ``by`` or ``reason`` is no text, or too long.
            NotStorable: the reason holds a secret.
        """
        await self.switch(switch(name, open=False, by=by, reason=reason))

    async def open_breaker(
        self, name: str, *, by: str = "somebody", reason: str = "", seconds: float | None = None
    ) -> None:
        """Take a tool or model out of service; returns when that is durable. Its calls wait, or are refused (``circuit_open``), as for
        any open breaker; what is under way ends. What has no breaker of its own waits as ``us.Breaker()`` says.

        Args:
            name: of the tool or model.
            by, reason: who opens it and why; kept in the journal.
            seconds: for how long; then it is closed. None: until ``close_breaker``.

        Raises:
            UnknownItem: this system has no tool and no model of that name.
            BadArgument: ``seconds`` is no time above 0, ten years at most; or as ``close_breaker``.
            NotStorable: the reason holds a secret.
        """
        await self.switch(switch(name, open=True, by=by, reason=reason, seconds=seconds))

    async def switch(self, thing: Switch) -> None:
        """``open_breaker`` or ``close_breaker``, for what is looked at already."""
        self._must_be_open()
        if thing.open:
            must_be_known(self.tree, thing.name)
        await self._shell.switch(thing).wait()


def switch(name: str, *, open: bool, by: str, reason: str, seconds: float | None = None) -> Switch:
    """What a person wants of a breaker, looked at. Raises BadArgument, NotStorable."""
    for field, text in (("name", name), ("by", by), ("reason", reason)):
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise BadArgument(f"{field}={text!r} is no text", hint='close_breaker("search", by="ada", reason="…")')
        if len(text) > LONGEST:
            raise BadArgument(f"{field} has {len(text):,} characters", hint=f"{LONGEST:,} at most")
    until = None if seconds is None else float(given.seconds("seconds", seconds))
    if until is not None and not 0.0 < until <= MOST_SECONDS:
        raise BadArgument(f"seconds={seconds!r}", hint="above 0, ten years at most; None: until somebody closes it")
    thing = Switch(name, open, by or "somebody", reason, until)
    refuse_secrets(bytes(roundtrip(thing, Switch, MAX_MESSAGE)[0]), "the reason")
    return thing


def must_be_known(tree: Tree, name: str) -> None:
    """Raises UnknownItem where nothing of that name is ever called."""
    known = tree.outgoing()
    if (why := tree.stays(name)) is not None:
        raise why
    if name not in known:
        hint = f"there are: {', '.join(sorted(known)) or 'none'}"
        raise UnknownItem(f"there is no tool and no model {name!r} here", hint=hint)
