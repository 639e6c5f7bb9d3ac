"""From ``module:name`` to a team: how the command line and replay find definitions."""

from __future__ import annotations

import importlib
import sys
import traceback
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..actors.agent import Agent
from ..protocols.errors import TargetError
from .supervision.definitions import Supervisor
from .worker import Worker

Team = Agent[Any] | Worker[Any] | Supervisor


def load(target: str) -> Team:
    """Import ``module:name``, with the working directory importable.

    Raises:
        TargetError: it is not written like that, cannot be imported (the cause and its line are named), or is no agent,
            worker or supervisor.
    """
    module_name, _, name = target.partition(":")
    if not module_name or not name:
        raise TargetError(f"{target!r} names nothing that can run", hint="write module:name, such as desk:desk")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    found: Any = _import(module_name)
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise TargetError(f"{module_name} has no {name!r}", hint=_offers(found, module_name)) from error
    if _runs(found):
        team: Team = found
        return team
    raise TargetError(
        f"{target} is a {type(found).__name__}, and only a us.Agent, a us.Worker or a us.Supervisor can run",
        hint=_offers(sys.modules[module_name], module_name),
    )


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


def _broken(name: str, error: BaseException) -> TargetError:
    """The import failed: say why and where, in the user's own lines."""
    message = f"{name} could not be imported: {type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        return TargetError(message)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and frame.filename != __file__
    ]
    return TargetError(message, hint=f"at {frames[-1].filename}, line {frames[-1].lineno}" if frames else "")


def _offers(holder: object, name: str) -> str:
    names = [key for key, value in vars(holder).items() if _runs(value)]
    return f"what can run there: {', '.join(f'{name}:{key}' for key in names)}" if names else ""


def _runs(thing: object) -> bool:
    return isinstance(thing, Agent | Worker | Supervisor)
