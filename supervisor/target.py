"""From ``module:name`` to a team or a system: how the command line and replay find definitions."""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from ..actors.agent import Agent
from ..protocols.errors import TargetError
from ..tools.composite import steps_of
from ..tools.tool import Tool
from .program import Program, Team
from .supervision.definitions import Supervisor
from .system import System
from .worker import Worker

_OURS = Path(__file__).parents[1]
"""This package: what is wrong with a definition is to be found in the lines that made it."""


def load(target: str) -> Program:
    """Import ``module:name``, with the working directory importable. A function without arguments is called for its ``us.System``.

    Raises:
        TargetError: it is not written like that, cannot be imported (the cause and its line are named), is no agent,
            worker, supervisor or system, or is a system that was opened.
    """
    module_name, _, name = target.partition(":")
    if not module_name or not name:
        raise TargetError(f"{target!r} names nothing that can run", hint="write module:name, such as desk:desk")
    found = _find(module_name, name)
    if inspect.isfunction(found):
        found = _given(target, found)
    if _runs(found):
        return Program(target, cast("Team | System", found))
    raise TargetError(
        f"{target} is a {type(found).__name__}, and only a us.Agent, a us.Worker, a us.Supervisor or a us.System can run",
        hint=_offers(sys.modules[module_name], module_name),
    )


def tools_of(target: str) -> list[Tool[..., Any]]:
    """The tools of a team or system or of a tool itself (``module:name``), or all of a module (``module``), by name.

    Raises:
        TargetError: it cannot be imported, or there is no tool in it.
        DefinitionError: the team cannot be mounted.
    """
    module_name, colon, name = target.partition(":")
    if not module_name or (colon and not name):
        raise TargetError(f"{target!r} names no tools", hint="write module:name, or a module, such as desk")
    found: object = _find(module_name, name)
    known: dict[int, Tool[..., Any]] = {}
    if isinstance(found, Tool):
        one = cast("Tool[..., Any]", found)
        known[id(one)] = one
    elif _runs(found) or inspect.isfunction(found):
        for granted in load(target).tree().tools.values():
            for tool in granted.values():
                known.update((id(one), one) for one in (tool, *tool.versions.values()))
    elif not name:
        for value in cast("dict[str, object]", vars(found)).values():
            several = cast("Sequence[object]", value if isinstance(value, (list, tuple)) else (value,))
            tools = (cast("Tool[..., Any]", one) for one in several if isinstance(one, Tool))
            known.update((id(tool), tool) for tool in tools)
    for tool in list(known.values()):
        known.update((id(one), one) for one in steps_of(tool))
    if not known:
        raise TargetError(f"there are no tools in {target}", hint=_offers(sys.modules[module_name], module_name))
    return sorted(known.values(), key=lambda tool: (tool.spec.name, tool.spec.version))


def _given(target: str, function: Any) -> object:
    """What a function gives that makes a system."""
    needs = [
        name
        for name, one in inspect.signature(function).parameters.items()
        if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    if needs or inspect.iscoroutinefunction(function):
        what = "an async def" if inspect.iscoroutinefunction(function) else f"a function that needs {', '.join(needs)}"
        raise TargetError(
            f"{target} is {what}", hint="a plain function without arguments may give the us.System to run"
        )
    try:
        given = function()
    except Exception as error:
        raise _broken(target, error, "failed when it was called") from error
    except SystemExit as error:
        raise _broken(target, error, "failed when it was called") from error
    if isinstance(given, System):
        return given
    raise TargetError(f"{target}() gives a {type(given).__name__}", hint="it must give a us.System")


def _find(module_name: str, name: str) -> Any:  # whatever it is
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    found: Any = _import(module_name)
    for part in name.split(".") if name else ():
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise TargetError(f"{module_name} has no {name!r}", hint=_offers(found, module_name)) from error
    return found


def _import(name: str) -> Any:  # a module
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")) and not _there(name):
            hint = "it is looked for in the working directory and among what is installed"
            raise TargetError(f"there is no module {name!r}", hint=hint) from error
        raise _broken(name, error) from error
    except Exception as error:
        raise _broken(name, error) from error
    except SystemExit as error:
        raise _broken(name, error) from error


def _there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _broken(name: str, error: BaseException, what: str = "could not be imported") -> TargetError:
    """Their own code failed: say why and where, in the user's own lines."""
    message = f"{name} {what}: {type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        return TargetError(message)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and not Path(frame.filename).is_relative_to(_OURS)
    ]
    return TargetError(message, hint=f"at {frames[-1].filename}, line {frames[-1].lineno}" if frames else "")


def _offers(holder: object, name: str) -> str:
    names = [key for key, value in vars(holder).items() if _runs(value)]
    return f"what can run there: {', '.join(f'{name}:{key}' for key in names)}" if names else ""


def _runs(thing: object) -> bool:
    return isinstance(thing, Agent | Worker | Supervisor | System)
