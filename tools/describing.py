"""What is said of parameters and of what comes back: from ``Annotated`` texts and from docstrings to what a model is shown.

``Annotated[str, "Who gets it."]`` is the same as ``Annotated[str, Meta(description="Who gets it.")]``; the first text counts. The fields of
a result are told of in the tool's description, because a schema of results is nothing that models are shown.
"""

from __future__ import annotations

import inspect
import re
import types
from typing import Annotated, Any, Union, cast, get_args, get_origin, get_type_hints

from msgspec import Meta

LONGEST = 2_000
"""Characters that a result is told of in."""

_ENTRY = re.compile(r"([\w, ]+?)(?: \([^)]*\))?:\s+(\S.*)")
_HEAD = re.compile(r"([A-Z]\w*):\s*")


def described(hint: Any) -> Any:  # type forms
    """A type whose ``Annotated`` texts are descriptions in its schema."""
    origin = get_origin(hint)
    if origin is Annotated:
        form, *extras = get_args(hint)
        texts = [extra for extra in extras if isinstance(extra, str) and extra.strip()]
        said = any(isinstance(extra, Meta) and extra.description for extra in extras)
        found = described(form)
        if texts and not said:
            extras = [*extras, Meta(description=" ".join(texts[0].split()))]
        return Annotated[(found, *extras)]  # pyright: ignore[reportInvalidTypeForm]
    if origin in (Union, types.UnionType):
        return Union[tuple(described(part) for part in get_args(hint))]  # noqa: UP007 - made at run time
    return hint


def text_of(hint: Any) -> str:  # a type form
    """The description that an annotation holds; empty for none."""
    if get_origin(hint) is Annotated:
        form, *extras = get_args(hint)
        for extra in extras:
            if isinstance(extra, Meta) and extra.description:
                return extra.description
        texts = [extra for extra in extras if isinstance(extra, str)]
        return texts[0] if texts else text_of(form)
    if get_origin(hint) in (Union, types.UnionType):
        return next((text for part in get_args(hint) if (text := text_of(part))), "")
    return ""


def section(docstring: str, *titles: str) -> dict[str, str]:
    """The entries of a section such as ``Args:``, as Google's style writes them: name -> text."""
    found: dict[str, str] = {}
    names: list[str] = []
    inside, indent = False, -1
    for line in inspect.cleandoc(docstring).splitlines():
        stripped = line.strip()
        depth = len(line) - len(line.lstrip())
        if depth == 0 and stripped:
            head = _HEAD.fullmatch(stripped)
            inside, indent, names = head is not None and head[1] in titles, -1, []
        elif inside and stripped:
            indent = depth if indent < 0 else indent
            entry = _ENTRY.fullmatch(stripped) if depth == indent else None
            if entry is not None:
                names = [name.strip() for name in entry[1].split(",")]
                found.update(dict.fromkeys(names, entry[2]))
            else:
                for name in names:
                    found[name] += f" {stripped}"
    return found


def result_of(form: Any) -> type | None:
    """The class with fields that a result is, or that the items of a list are; None where it has no fields."""
    origin, args = get_origin(form), get_args(form)
    if origin is Annotated:
        return result_of(args[0])
    if origin in (Union, types.UnionType):
        return next((found for part in args if (found := result_of(part)) is not None), None)
    if origin in (list, tuple, set, frozenset, dict):
        return next((found for part in reversed(args) if (found := result_of(part)) is not None), None)
    if origin is not None:
        return result_of(origin)
    if not isinstance(form, type):
        return None
    found = cast("type[object]", form)
    marks = ("__struct_fields__", "__required_keys__", "__dataclass_fields__")  # a Struct, a TypedDict, a dataclass
    return found if any(hasattr(found, mark) for mark in marks) else None


def fields_of(form: type) -> dict[str, str]:
    """The fields of a class, each with what is said of it; empty where nothing is."""
    try:
        hints = get_type_hints(form, include_extras=True)
    except NameError:  # a class of a function's own
        hints = dict.fromkeys(getattr(form, "__annotations__", {}))
    documented = section(form.__doc__ or "", "Attributes", "Fields")
    names = getattr(form, "__struct_fields__", None) or hints
    return {str(name): text_of(hints.get(name)) or documented.get(name, "") for name in names}


def told(form: Any) -> str:  # a type form
    """The fields of a result, for a tool's description; empty where nothing is said of them."""
    found = result_of(form)
    said = {name: text for name, text in (fields_of(found) if found is not None else {}).items() if text}
    if not said:
        return ""
    lines = [f"- {name}: {' '.join(text.split()).replace('``', '`')}" for name, text in said.items()]
    text = "\n".join(["What it gives:", *lines])
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def parameters_of(function: Any) -> dict[str, str]:  # a tool's function
    """What its docstring says of its parameters."""
    return section(cast(str, function.__doc__) or "", "Args", "Arguments", "Parameters")
