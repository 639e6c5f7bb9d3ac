"""What people write of the actors below a supervisor: ``us.Child``, one or as many as its template has addresses, and ``us.Pool``.

Data and its checks, nothing that runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...actors.actor import Actor
from ...protocols.children import SHUTDOWN, START, Backoff, ChildSpec, Intensity, RestartPolicy, RestartType, check_spec
from ...protocols.errors import DefinitionError
from ...protocols.ids import Address, check_template
from ...tools.tool import Tool


class Child:
    """A plain actor: what class, at which address or template, and which tools it may call.

    At an address (``"ledger"``) it is started with its supervisor, in order, and what is sent to it before waits. At a template
    (``"accounts/{key}"``) each actor begins with its first mail, and nobody waits for that; one may also be started by name
    (``system.supervisor("desk").start("accounts/7")``) and is then kept like the others.

    Args:
        template: an address, or a template with holes.
        actor: a ``us.Actor`` class, or an object of one.
        tools: what it may call.
        restart: when it is restarted after it has ended: ``transient``, unless it ended in order (``turn.stop()``); ``permanent``,
            always; ``temporary``, never: it is forgotten, and does not come back with others. (OTP's default is ``permanent``; here
            an actor that stops itself means it, and goes on giving its recorded answers.)
        shutdown: seconds that its calls under way have when it is ordered to end; 0 for none, None for as long as they take.
        significant: whether its end counts for its supervisor's ``auto_shutdown``; not with ``permanent``.
        start: seconds in which it has to start.
        on_restart: what it begins with after a restart, ``keep`` or ``fresh``; None: as its supervisor says.
        backoff: waits between its restarts; None: its supervisor's.
        budget: restarts that it alone may have, beside what its supervisor allows all; None for no limit of its own. At a
            template: what each may have, instead of the supervisor's intensity.

    Raises:
        DefinitionError: no template, an unknown word, a negative number, a permanent significant child, tools for a memory-only actor.
    """

    def __init__(
        self, template: str, actor: Actor | type[Actor], *, tools: Sequence[Tool[..., Any]] = (),
        restart: RestartType = "transient", shutdown: float | None = SHUTDOWN, significant: bool = False,
        start: float = START, on_restart: RestartPolicy | None = None, backoff: Backoff | None = None,
        budget: Intensity | None = None,
    ) -> None:  # fmt: skip
        try:
            self.template = check_template(template)
        except (ValueError, TypeError) as error:
            raise DefinitionError(str(error)) from error
        self.actor = actor() if isinstance(actor, type) else actor
        if not isinstance(self.actor, Actor):
            raise DefinitionError(f"child {template!r}: {actor!r} is no us.Actor")
        self.tools = tuple(tools)
        if self.tools and not self.actor.durable:
            raise DefinitionError(
                f"{type(self.actor).__name__} is memory-only (durable = False) and calls no tools",
                hint="let a durable actor make the call and tell this one",
            )
        self.spec = check_spec(
            ChildSpec(
                Address(self.template),
                "worker",
                restart,
                significant,
                shutdown,
                start,
                on_restart,
                backoff,
                budget,
                memory_only=not self.actor.durable,
            )
        )

    @property
    def fixed(self) -> bool:
        """Whether it is one actor, at an address of its own."""
        return "{" not in self.template


class Pool(Child):
    """Actors of one kind that are started by name and ended one by one: what is sent to one that was not started is refused.

    They are stopped together, under one timer. One that fails is restarted alone, and has a restart window to itself, unless ``counts``;
    one that fails too often is given up alone.

    Args:
        template: with a hole, such as ``"jobs/{key}"``.
        max_children: how many there may be at a time; None for no limit.
        counts: whether their restarts count toward the intensity of the supervisor.

    The others are those of ``us.Child``. Raises DefinitionError as that, for a template without a hole, for fewer than one child, and for a
    memory-only actor.
    """

    def __init__(
        self, template: str, actor: Actor | type[Actor], *, max_children: int | None = None, counts: bool = False,
        tools: Sequence[Tool[..., Any]] = (), restart: RestartType = "transient", shutdown: float | None = SHUTDOWN,
        significant: bool = False, start: float = START, on_restart: RestartPolicy | None = None,
        backoff: Backoff | None = None, budget: Intensity | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            template, actor, tools=tools, restart=restart, shutdown=shutdown, significant=significant, start=start,
            on_restart=on_restart, backoff=backoff, budget=budget,
        )  # fmt: skip
        who = f"pool {template!r}"
        if self.fixed:
            raise DefinitionError(f"{who} has no hole for the names of its members", hint="such as 'jobs/{key}'")
        if not self.actor.durable:
            raise DefinitionError(
                f"{who}: {type(self.actor).__name__} is memory-only (durable = False)", hint="use a us.Child"
            )
        if max_children is not None and (
            isinstance(max_children, bool) or not isinstance(max_children, int) or max_children < 1
        ):
            raise DefinitionError(
                f"{who}: max_children={max_children!r}", hint="a whole number, 1 or more; None for no limit"
            )
        if not isinstance(counts, bool):
            raise DefinitionError(f"{who}: counts={counts!r}", hint="True or False")
        self.max_children = max_children
        spec = self.spec
        self.spec = ChildSpec(
            spec.id, "member", restart, significant, shutdown, start, on_restart, backoff, budget, self.template, counts
        )
