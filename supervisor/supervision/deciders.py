"""Deciders: from a failure to what is done about it. Data, or a pure function of the supervisor's owner.

    us.Supervisor("desk", [...], decide={"rate_limited": "resume", "change_arguments": "stop", "KeyError": "escalate"})

A mapping is asked for the name of the exception that it was, then for its code, then for its kind. What it does not
name is restarted.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import cast, get_args

from msgspec import Struct

from ...protocols.children import Directive
from ...protocols.errors import DefinitionError
from ...protocols.failures import Failure, of_exception

Decider = Mapping[str, Directive] | Callable[[Failure], Directive | None]
"""By code, exception or kind of the failure; or a function, which gives None for "as usual"."""

DIRECTIVES: tuple[str, ...] = get_args(Directive)

_RAISED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*): ")


class Decision(Struct, frozen=True):
    """What a decider came to, and by which rule. ``trouble``: the decider itself failed, so the supervisor above decides."""

    directive: Directive
    rule: str = ""
    trouble: Failure | None = None


def decide(decider: Decider | None, failure: Failure, where: str, otherwise: Directive = "restart") -> Decision:
    """What is done about a failure. Never raises: a decider that does, or that gives nonsense, hands the failure on."""
    if decider is None:
        return Decision(otherwise)
    if not callable(decider):
        for rule in names(failure):
            directive = decider.get(rule)
            if directive is not None:
                return Decision(directive, rule)
        return Decision(otherwise)
    name = getattr(decider, "__name__", type(decider).__name__)
    try:
        said = decider(failure)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the owner's rule: its failure is handed on with the one it was about
        return Decision("escalate", name, of_exception(error, where=where, code="decider_failed"))
    if said is None:
        return Decision(otherwise, name)
    if (
        not isinstance(said, str) or said not in DIRECTIVES
    ):  # what it is, not its repr, which may be another one in a replay
        what = repr(said[:100]) if isinstance(said, str) else f"a {type(said).__name__}"
        why = f"{name} said {what}, which is none of {', '.join(DIRECTIVES)}"
        return Decision("escalate", name, Failure("abandon", "decider_failed", why, where=where))
    return Decision(said, name)


def names(failure: Failure) -> tuple[str, ...]:
    """What a rule may call a failure, the narrowest name first."""
    raised = _RAISED.match(failure.message) if failure.code == "crashed" else None
    return (*((raised[1],) if raised else ()), failure.code, failure.kind)


def check_decider(who: str, decider: object) -> None:
    """Raises DefinitionError for one that is none, or that names an unknown directive."""
    if callable(decider) and (inspect.iscoroutinefunction(decider) or inspect.isgeneratorfunction(decider)):
        raise DefinitionError(
            f"{who}: decide={decider!r} does not decide at once", hint="a plain function: no turn waits"
        )
    if decider is None or (callable(decider) and not isinstance(decider, Mapping)):
        return
    if not isinstance(decider, Mapping):
        raise DefinitionError(f"{who}: decide={decider!r}", hint="a mapping from failures to directives, or a function")
    for rule, directive in cast("Mapping[object, object]", decider).items():
        if not isinstance(rule, str) or not rule:
            raise DefinitionError(
                f"{who}: decide has the key {rule!r}", hint="the code or kind of a failure, or an exception's name"
            )
        if directive not in DIRECTIVES:
            raise DefinitionError(f"{who}: decide[{rule!r}]={directive!r}", hint=f"one of: {', '.join(DIRECTIVES)}")
