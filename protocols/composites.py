"""Composite tools as data: the steps of one, and the request of a call of it. What a step is called with is made of constants, of the
parameters of the composite and of what earlier steps gave: nothing is computed, so a journal holds all that there is to know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from .codec import NULL, decode
from .effects import EffectClass
from .messages import Request

MOST_STEPS = 50
"""Steps of one composite tool."""

DEEPEST = 4
"""Composite tools inside each other."""

MOST_BYTES = 400_000
"""Bytes of one call's arguments, with the steps."""


class Part(Struct, frozen=True, omit_defaults=True):
    """Where an argument comes from.

    Attributes:
        of: ``value``: a constant; ``parameter``, ``step``: what that parameter holds, or that step gave; ``list``, ``object``: made of
            parts.
        value: of a constant, as JSON.
        name: the parameter.
        step: the number of the step, from 0.
        path: which field, or which item, of it; outer ones first.
        items, fields: the parts of a list, of an object.
    """

    of: Literal["value", "parameter", "step", "list", "object"]
    value: Raw = NULL
    name: str = ""
    step: int = 0
    path: tuple[str | int, ...] = ()
    items: tuple[Part, ...] = ()
    fields: dict[str, Part] = {}

    def parts(self) -> Iterator[Part]:
        """It, and all that it is made of."""
        yield self
        for one in (*self.items, *self.fields.values()):
            yield from one.parts()


class ComposedStep(Struct, frozen=True, omit_defaults=True):
    """One step: a call of a tool.

    Attributes:
        tool, version: which.
        args: its arguments.
        effect: the tool's effect class.
        undo: the tool that undoes it; empty where none does.
        inner: of a composite: the steps that it comes to in the end, without their arguments.
    """

    tool: str
    args: dict[str, Part]
    version: str = ""
    effect: EffectClass = "once"
    undo: str = ""
    inner: tuple[ComposedStep, ...] = ()

    @property
    def calls(self) -> tuple[ComposedStep, ...]:
        """It, or what it is made of: calls that are performed."""
        return self.inner or (self,)


class Compose(Request[Any], wire="us.compose", omit_defaults=True):
    """A call of a composite tool: its steps, as they were when it was called. The answer is what it gives, as JSON.

    Attributes:
        tool: its name.
        steps, result: what is done, and what it gives.
        arguments: what it was called with, a JSON object with every parameter.
        undo: steps that are done are undone where a later one fails.
        trusted: the result is as good as a trusted source's (True), or these fields of it are; None: as what it is made of.
        private: the result is private data, or is not; None: as what it is made of.
    """

    tool: str
    steps: tuple[ComposedStep, ...]
    result: Part
    arguments: Raw
    undo: bool = True
    trusted: bool | tuple[str, ...] | None = None
    private: bool | None = None


_NOTHING: dict[str | int, Any] = {}


class Absent(LookupError):
    """What a part names is not there."""


def made(part: Part, arguments: Mapping[str, Any], given: Sequence[Raw]) -> Any:  # plain JSON
    """What a part comes to. ``given``: by the steps so far. Raises Absent."""
    match part.of:
        case "value":
            return msgspec.json.decode(part.value)
        case "list":
            return [made(one, arguments, given) for one in part.items]
        case "object":
            return {name: made(one, arguments, given) for name, one in part.fields.items()}
        case "parameter":
            return _at(arguments[part.name], part.path, part.name)
        case "step":
            return _at(msgspec.json.decode(given[part.step]), part.path, f"what step {part.step + 1} gave")


def _at(found: Any, path: tuple[str | int, ...], what: str) -> Any:  # plain JSON
    for key in path:
        has = type(found) is (dict if isinstance(key, str) else list)  # letters of a text are no items
        try:
            found = found[key] if has else _NOTHING[key]
        except (KeyError, IndexError):
            raise Absent(f"{what} has no {key!r}") from None
        what = f"{what}[{key!r}]"
    return found


def arguments_of(request: Raw) -> dict[str, Any]:
    """What a composite was called with, by parameter."""
    found: dict[str, Any] = decode(request, dict[str, Any])
    return found


def used(steps: Sequence[ComposedStep], result: Part) -> frozenset[int]:
    """The steps whose results are asked for later."""
    parts = (one for step in steps for arg in step.args.values() for one in arg.parts())
    return frozenset(one.step for one in (*parts, *result.parts()) if one.of == "step")
