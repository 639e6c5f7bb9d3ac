"""``@tool.simulate``: what gives a call's result where it is not made but simulated (shadow mode).

    @pay.simulate
    def pretend(to: str, usd: float) -> str:
        return "p-simulated"

It stands in for the tool's function: it takes the same arguments, and what it gives is checked and transformed as that's would be.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

from ..protocols.effects import Attempt, Effect
from ..protocols.errors import DefinitionError
from ..protocols.failures import Failure
from ..protocols.secrets import Secret
from ..protocols.tool import Call
from .tool import Tool


def stand_in(tool: Tool[..., Any], function: Callable[..., Any]) -> Tool[..., Any]:
    """The tool as it is where its calls are simulated.

    Raises:
        DefinitionError: there is one already, its calls are never simulated, or the function takes something else.
    """
    name, spec = tool.spec.name, tool.spec
    if tool.pretence is not None:
        raise DefinitionError(f"tool {name!r} says already how it is simulated")
    if tool.inside:
        raise DefinitionError(f"tool {name!r} is done inside the node, and is done in shadow mode, too")
    if spec.effect == "read" and spec.pure_read:
        raise DefinitionError(
            f"tool {name!r} only looks: its calls are made in shadow mode, too", hint="leave @simulate out"
        )
    if not callable(function):
        raise DefinitionError(f"tool {name!r}: {function!r} cannot be called", hint="a function that gives a result")
    asks, named = "", set[str]()
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise DefinitionError(f"what simulates {name!r} takes {parameter}", hint=_hint(tool))
        if parameter.name in tool.order:
            named.add(parameter.name)
        elif parameter.name == tool.signature.wants_call or parameter.annotation in (Call, "Call", "us.Call"):
            asks = parameter.name
        elif not isinstance(parameter.default, Secret):
            raise DefinitionError(f"what simulates {name!r} takes {parameter.name!r}", hint=_hint(tool))
    if lacking := [one for one in tool.order if one not in named]:
        raise DefinitionError(f"what simulates {name!r} does not take {lacking[0]!r}", hint=_hint(tool))
    made = copy.copy(tool)
    made.function, made.is_async = function, inspect.iscoroutinefunction(function)
    made.isolation = "task" if made.is_async else "thread"
    made.signature = copy.copy(tool.signature)
    made.signature.wants_call = asks
    return made


def as_begun(tool: Tool[..., Any], effect: Effect) -> Tool[..., Any] | Attempt:
    """What an attempt runs: the tool, or what stands in for it; what it comes to where nothing does."""
    if not effect.simulated:
        return tool
    if tool.pretence is not None:
        return tool.pretence
    message = f"{effect.name} was not called: this system runs in shadow, and the tool does not say what it would give"
    hint = f"@{effect.name}.simulate declares it"
    return Attempt(failure=Failure("abandon", "shadowed", message, hint, where=effect.name))


def _hint(tool: Tool[..., Any]) -> str:
    return f"it takes ({', '.join(tool.order)}), by name; secrets may be left out, and a us.Call added"
