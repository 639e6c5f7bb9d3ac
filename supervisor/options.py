"""What ``us.System`` and its methods are given, looked at where it is written: a wrong value is named there, not where it does harm."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import get_args

from ..protocols.errors import DefinitionError
from ..protocols.model import Model
from ..tools.models.registry import model as resolve
from .journal.connect import Durability


def seconds(name: str, value: object) -> None:
    """An option that is a time. Raises DefinitionError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0.0:
        raise DefinitionError(f"System({name}={value!r}) is no time", hint="give seconds, 0 or more")


def limit(name: str, value: object) -> None:
    """An option that is a time limit, or None for none. Raises DefinitionError."""
    if value is None:
        return
    seconds(name, value)
    if not value:
        raise DefinitionError(
            f"System({name}={value!r}) leaves no time", hint="give seconds above 0, or None for no limit"
        )


def number(name: str, value: object) -> None:
    """An option that is a number of things. Raises DefinitionError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise DefinitionError(f"System({name}={value!r})", hint="give a whole number, 1 or more")


def file(value: object) -> None:
    """Where the journal is to be. Raises DefinitionError."""
    if value is not None and (not isinstance(value, (str, os.PathLike)) or not os.fspath(value)):
        raise DefinitionError(
            f"System(journal={value!r}) is no file", hint="give its path; None keeps everything in memory"
        )


def others(
    durability: object,
    model: str | Model | None,
    target: object,
    control: object,
    on_stop: Callable[[], None] | object | None,
) -> None:
    """The rest. Raises DefinitionError."""
    known = get_args(Durability)
    if durability not in known:
        raise DefinitionError(f"System(durability={durability!r})", hint=f"it is {' or '.join(map(repr, known))}")
    if model is not None:
        try:
            resolve(model)
        except DefinitionError as error:
            raise DefinitionError(f"System(model={model!r}): {error.args[0]}", hint=error.hint) from error
    if not isinstance(target, str):
        raise DefinitionError(f"System(target={target!r})", hint="give text: 'module:name'")
    if not isinstance(control, bool):
        raise DefinitionError(f"System(control={control!r})", hint="True or False")
    if on_stop is not None and not callable(on_stop):
        raise DefinitionError(f"System(on_stop={on_stop!r}) cannot be called", hint="give a function, or None")
