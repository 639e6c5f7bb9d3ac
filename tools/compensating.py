"""``@tool.compensate``: another tool that undoes a call, given what that was called with and what it gave.

    @book.compensate
    @us.tool(effect="idempotent", kind="write")
    def cancel(seat: str, result: Booking) -> None: ...

It is a tool like any other: it has an effect class, passes the gate, stands in the ledger. Whoever undoes a plan calls it
(``supervisor/team/undoing.py``); models are not offered it unless their agent has it among its tools.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import msgspec
from msgspec import Raw

from ..protocols.codec import NULL, decode, encode
from ..protocols.effects import Effect, Retry
from ..protocols.errors import DefinitionError
from ..protocols.undoing import Undoable
from .tool import Tool

RESULT = "result"
"""The parameter that takes what the call gave."""

MOST = 100_000
"""Bytes of what a call is undone with; with more a person is asked."""


def made(tool: Tool[..., Any], function: object, *, depth: int) -> Tool[..., Any]:
    """The tool that undoes calls of another one. A plain function becomes one of the most careful class, ``<name>.undo``.

    Raises:
        DefinitionError: there is one already, there is nothing to undo, or it takes what nobody could give it.
    """
    name = tool.spec.name
    if tool.compensation is not None:
        raise DefinitionError(f"tool {name!r} has a compensation already: {tool.compensation.spec.name!r}")
    if tool.spec.effect == "read":
        raise DefinitionError(f"tool {name!r} only reads: there is nothing to undo", hint="leave @compensate out")
    if tool.composed:
        what = f"tool {name!r} is a composite, and is undone step by step, by what undoes the tools of its steps"
        raise DefinitionError(what, hint="declare @compensate on these tools")
    if tool.inside:
        raise DefinitionError(
            f"tool {name!r} is done by mail, and its calls are not undone", hint="use one that is performed"
        )
    undo: Tool[..., Any]
    if isinstance(function, Tool):
        undo = cast("Tool[..., Any]", function)
    elif callable(function):
        undo = Tool(
            function, name=f"{name}.undo", effect="once", timeout=30.0, retry=Retry(), key_ttl=86_400.0, depth=depth + 1
        )
        undo._spec = msgspec.structs.replace(undo.spec, version=tool.spec.version)
    else:
        raise DefinitionError(f"tool {name!r}: {function!r} undoes nothing", hint="a function, or a us.tool")
    if undo is tool or undo.compensation is not None or undo.spec.effect == "read" or undo.inside:
        raise DefinitionError(
            f"tool {name!r}: {undo.spec.name!r} cannot be what undoes it",
            hint="another tool, that changes something, is performed by the gate, and has no compensation itself",
        )
    _fits(tool, undo)
    return undo


def _fits(tool: Tool[..., Any], undo: Tool[..., Any]) -> None:
    """It takes parameters of the tool, of their types, and ``result``."""
    given: dict[str, Any] = {field.name: field.type for field in msgspec.structs.fields(tool.signature.form)}
    hint = f"it may take {', '.join((*given, RESULT))}: of each what it needs, in the tool's types"
    if RESULT in given:
        raise DefinitionError(
            f"tool {tool.spec.name!r} has a parameter {RESULT!r}, which is what its compensation knows the result by",
            hint="rename the parameter",
        )
    given[RESULT] = tool.returns
    for field in msgspec.structs.fields(undo.signature.form):
        if field.name not in given and not field.required:
            continue
        if field.name not in given:
            raise DefinitionError(f"tool {tool.spec.name!r}: {undo.spec.name!r} takes {field.name!r}", hint=hint)
        if field.type != given[field.name] and field.type is not Any:
            raise DefinitionError(
                f"tool {tool.spec.name!r}: {undo.spec.name!r} takes {field.name!r} as {field.type!r}, not {given[field.name]!r}",
                hint=hint,
            )


def undoing(tool: Tool[..., Any], effect: Effect, value: Raw | None) -> Undoable | None:
    """How a call that has happened is undone; None where nothing is declared. ``value``: what it gave, None where that is not known."""
    undo = tool.compensation
    if undo is None:
        return None
    spec, why = undo.spec, ""
    known: dict[str, Raw] = decode(effect.args, dict[str, Raw])
    if value is not None:
        known[RESULT] = value
    args = Raw(encode({name: known[name] for name in undo.order if name in known}))
    if value is None and RESULT in undo.order:
        args, why = NULL, "what the call gave is not known"
    elif len(args) > MOST:
        why, args = f"what it takes has {len(args):,} bytes, more than {MOST:,}", NULL
    return Undoable(effect.id, effect.stream, effect.name, spec.name, spec.version, args, why)


def compensations(tools: Iterable[Tool[..., Any]]) -> list[Tool[..., Any]]:
    """All that undo calls of these tools, each once.

    Raises:
        DefinitionError: two of them have one name and version.
    """
    found: dict[tuple[str, str], Tool[..., Any]] = {}
    for tool in tools:
        for one in (tool, *tool.versions.values()):
            undo = one.compensation
            if undo is None:
                continue
            spec = undo.spec
            if found.setdefault((spec.name, spec.version), undo) is not undo:
                raise DefinitionError(
                    f"two tools that undo calls are named {spec.name!r}",
                    hint="give one of them another name: us.tool(name=…)",
                )
    return list(found.values())
