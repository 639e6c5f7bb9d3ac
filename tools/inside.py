"""Tools that are done inside the node, as a kind of tool.

What such a call comes to is decided by another actor of the same journal, so nothing has to be performed: the intent passes the gate
like any other, and the row that holds it also sends the request. It is done once, whatever crashes, because mail is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from msgspec import Raw

from ..protocols.codec import encode
from ..protocols.effects import EffectClass, Retry
from ..protocols.errors import DefinitionError
from ..protocols.hooks import Inside
from ..protocols.ids import Address, address
from ..protocols.messages import Request
from ..protocols.tasks import Task
from ..protocols.tool import Kind, P
from .declaring import SyncTool
from .tool import R

Ask = Callable[..., tuple[Address, Request[Any]]]
"""From the team's address and the arguments: who is asked, and what."""


class InsideTool(SyncTool[P, R]):
    """A tool whose call is a request to an actor of the caller's own team."""

    inside = True

    def __init__(
        self, function: Callable[..., Any], effect: EffectClass, ask: Ask, *, name: str = "", depth: int = 2
    ) -> None:
        super().__init__(
            function,
            name=name or function.__name__,
            effect=effect,
            timeout=30.0,
            retry=Retry(),
            key_ttl=86_400.0,
            depth=depth,
        )
        self.said = frozenset(("effect",))
        self._ask = ask

    def request(
        self, place: str, run: Address, key: str, arguments: dict[str, Any]
    ) -> Inside:  # arguments of the function
        """Who is to be asked, and what.

        Args:
            place: the address of the caller's team.
            run: the caller.
            key: the call's own key; names a run that the call begins.
            arguments: as they were read.

        Raises:
            ValueError: no request can be made of them.
        """
        to, request = self._ask(place, **arguments)
        if isinstance(request, Task):
            to = _run_of(place, run, to, key[:16])
        kind = type(request)
        return Inside(to, kind.__wire__, kind.__version__, Raw(encode(request)))

    def approve_if(self, rule: Callable[P, bool]) -> Callable[P, bool]:
        raise DefinitionError(f"tool {self.spec.name!r} is built in and takes no approval rule")


def inside(
    effect: EffectClass, ask: Ask, kind: Kind, payload: Sequence[str] = (), trusted: Sequence[str] | bool = False
) -> Callable[[Callable[P, R]], InsideTool[P, R]]:
    """What is done inside goes nowhere else: it has no sinks, and what is written or handed over keeps its labels."""

    def make(function: Callable[P, R]) -> InsideTool[P, R]:
        made: InsideTool[P, R] = InsideTool(function, effect, ask)
        made.declare(kind=kind, sinks=(), payload=payload, trusted=trusted, private=False)
        return made

    return make


def only_there(name: str, *given: object) -> NoReturn:
    raise DefinitionError(
        f"{name}{given} is done inside a running system", hint="give it to an agent, or use turn.call"
    )


def _run_of(place: str, run: Address, worker: str, name: str) -> Address:
    """A run of its own for a worker that is given a task: below the run of its team; without a team, beside others of its name."""
    below = run.removeprefix(f"{place}/").split("/") if run.startswith(f"{place}/") else []
    return address(f"{place}/{below[0]}/{worker}/{name}" if len(below) >= 2 else f"{worker}/{name}")
