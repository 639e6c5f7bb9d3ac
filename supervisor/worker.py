"""``us.Worker``: a function that does a piece of work, as a definition. ``actors/worker.py`` runs it.

async def fetch(task: us.Task) -> Page: ...

worker = us.Worker("fetcher", fetch, effect="read")
print(us.run(worker, "https://example.org", id="page-1").output)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Generic, TypeVar, cast, overload

import msgspec

from ..protocols.effects import EffectClass, Retry
from ..protocols.errors import DefinitionError
from ..protocols.ids import address
from ..protocols.plans import texts
from ..protocols.tasks import Task
from ..protocols.tool import Call, Kind
from ..tools.declaring import AsyncTool, Declared, SyncTool
from ..tools.tool import Tool

T = TypeVar("T")

Work = Callable[[Task], T] | Callable[[str], T] | Callable[[Call, Task], T] | Callable[[Call, str], T]
"""Takes the task, or its objective; a ``us.Call`` before it says how the world should know the call."""


class Worker(Generic[T]):
    """A function that takes tasks. Each task is an actor of its own; its function is called by the gate, like a tool.

    Args:
        name: its address, one segment.
        function: ``def`` or ``async def`` with one parameter, a ``us.Task`` or the objective as ``str``, and a result type;
            a parameter of type ``us.Call`` is handed in besides. A ``us.tool`` with such a parameter keeps its own options
            (and its ``reconcile`` function and approval rule).
        effect: what is safe after a crash in the middle; ``once``, the most careful class, by default: a task that was
            under way when the process died, or whose function raised, is put before a person.
        timeout: seconds one attempt may take; 300 by default.
        retry: how failures are tried again, where the effect class allows it.
        can: what it is able to do, such as ``("german", "billing")``; tasks and steps say what they need (``needs=``).
        heartbeat: the longest silence, in seconds, as of a ``us.tool``.
        kind, trusted, private: what its function does to the world and what its result is worth, as of a ``us.tool``; not said: the worst.

    Attributes:
        output: type form of the result.
        instructions: the function's docstring, by which a team finds who takes a task.

    Raises:
        DefinitionError: a bad name, another number or type of parameters, options for a tool that has its own.
    """

    @overload
    def __init__(
        self, name: str, function: Work[Coroutine[Any, Any, T]], *,
        effect: EffectClass | None = None, timeout: float | None = None, retry: Retry | None = None,
        can: Sequence[str] = (),
        heartbeat: float | None = None,
        kind: Kind | Sequence[Kind] | None = None, trusted: bool | Sequence[str] = False, private: bool | None = None,
    ) -> None: ...  # fmt: skip
    @overload
    def __init__(
        self, name: str, function: Work[T], *,
        effect: EffectClass | None = None, timeout: float | None = None, retry: Retry | None = None,
        can: Sequence[str] = (),
        heartbeat: float | None = None,
        kind: Kind | Sequence[Kind] | None = None, trusted: bool | Sequence[str] = False, private: bool | None = None,
    ) -> None: ...  # fmt: skip
    def __init__(
        self, name: str, function: Any, *,  # one of the above, or a us.tool of that shape
        effect: EffectClass | None = None, timeout: float | None = None, retry: Retry | None = None,
        can: Sequence[str] = (),
        heartbeat: float | None = None,
        kind: Kind | Sequence[Kind] | None = None, trusted: bool | Sequence[str] = False, private: bool | None = None,
    ) -> None:  # fmt: skip
        try:
            address(name)
        except (ValueError, TypeError) as error:
            raise DefinitionError(f"worker: {error}") from error
        if "/" in name:
            raise DefinitionError(f"worker {name!r}: a name is one segment, without '/'")
        work: Declared[..., Any]
        if isinstance(function, Tool):
            work = cast("Declared[..., Any]", function)
            given = (effect, timeout, retry, heartbeat, kind, trusted or None, private)
            if any(option is not None for option in given):
                raise DefinitionError(
                    f"worker {name!r}: {work.spec.name!r} is a tool and has its options already",
                    hint="say effect, timeout, retry, heartbeat, kind, trusted and private where the tool is declared",
                )
        else:
            form = cast("type[Declared[..., Any]]", AsyncTool if inspect.iscoroutinefunction(function) else SyncTool)
            work = form(
                function,
                name=name,
                effect=effect or "once",
                timeout=300.0 if timeout is None else timeout,
                retry=retry or Retry(),
                key_ttl=86_400.0,
                depth=2,
                heartbeat=heartbeat,
            )
            work.declare(kind=kind, trusted=trusted, private=private)
        fields = msgspec.structs.fields(work.signature.form)
        if len(fields) != 1 or fields[0].type not in (Task, str):
            takes = ", ".join(f"{f.name}: {getattr(f.type, '__name__', f.type)}" for f in fields) or "nothing"
            raise DefinitionError(
                f"worker {name!r}: its function takes {takes}",
                hint="one parameter: task: us.Task, or objective: str; us.Call may come before it",
            )
        self.name = name
        self.work = work
        self.whole: bool = fields[0].type is Task
        self.output: Any = work.returns  # a type form
        self.instructions = work.__doc__ or ""
        self.can = texts(f"worker {name!r}: can", tuple(can) if not isinstance(can, str) else can)

    def simulate(self, function: Work[T]) -> Work[T]:
        """What its function would give where calls are simulated (``us.System(shadow=…)``), as ``Tool.simulate``.

        Raises:
            DefinitionError: see there.
        """
        self.work.simulate(cast("Any", function))
        return function

    def __repr__(self) -> str:
        return f"<worker {self.name} ({self.work.spec.effect})>"
