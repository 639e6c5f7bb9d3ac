"""What a tool does not say of itself, and should: the rules of ``understudy tools check``.

Each rule is a function from one tool to its findings. ``missing``: something that the gate, a model or a person needs, and without
which the worst is assumed. ``advice``: something that would be better said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from ..protocols.tool import Kind
from .composite import CompositeTool
from .describing import fields_of, parameters_of, result_of
from .tool import Tool

Level = Literal["missing", "advice"]

ADDRESSES: Final = ("url", "uri", "host", "hostname", "endpoint", "webhook", "domain", "server")
"""Words in a parameter's name by which a read looks as if it sent something out."""

ELSEWHERE: Final[tuple[Kind, ...]] = ("send", "egress", "money")
"""Kinds that go over a network."""

AIMED: Final[tuple[Kind, ...]] = ("write", "send", "money", "destroy", "account", "egress", "execute")
"""Kinds that go somewhere; what they carry matters for all but ``write``."""

MODELS_TAKE = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""Names of tools that the large providers take."""

BOUNDS: Final = frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"))

_IF_MISSING = re.compile(
    r"missing|default|omit|left out|not given|not said|without|otherwise|empty|none|optional", re.IGNORECASE
)


class Finding(Struct, frozen=True):
    """Something that a tool does not say.

    Attributes:
        tool: its name.
        field: what is missing, by the argument of ``us.tool``, or ``parameter NAME``, ``result NAME``.
        level: ``missing`` or ``advice``.
        why: what follows from its not being said.
        fix: what to write.
    """

    tool: str
    field: str
    level: Level
    why: str
    fix: str


Findings = Iterator[tuple[str, Level, str, str]]
"""Field, level, why and fix."""


def lint(tool: Tool[..., Any]) -> list[Finding]:
    """Everything that one tool does not say, in the order of the rules."""
    return [Finding(tool.spec.name, *found) for rule in RULES for found in rule(tool)]


def _name(tool: Tool[..., Any]) -> Findings:
    if not MODELS_TAKE.fullmatch(tool.spec.name):
        why = "providers of models refuse such a name"
        yield "name", "missing", why, "letters, digits, _ and -, 64 at most: us.tool(name=…)"


def _description(tool: Tool[..., Any]) -> Findings:
    if not (tool.__doc__ or "").strip():
        why = "a model does not know what it is for, and people are asked about a bare name"
        yield "description", "missing", why, "a docstring: what it does, when to use it, what it does not do"


def _parameters(tool: Tool[..., Any]) -> Findings:
    schema: dict[str, Any] = msgspec.json.decode(tool.spec.parameters)
    documented = parameters_of(tool.function)
    required = schema.get("required", ())
    for name, form in schema.get("properties", {}).items():
        said = form.get("description", "") or documented.get(name, "")
        if not said:
            why = "a model guesses what belongs there"
            yield f"parameter {name}", "missing", why, f'{name}: Annotated[…, "what it means, which values are valid"]'
        elif name not in required and form.get("default") in (None, "", [], {}) and not _IF_MISSING.search(said):
            why = "it may be left out, and nobody says what that means"
            yield f"parameter {name}", "missing", why, 'add "If missing: …" to its description'
        if not form.keys() & {"type", "enum", "const", "anyOf", "$ref"}:
            why = "any value is valid, so nothing is checked before the tool runs"
            yield f"parameter {name}", "advice", why, "a type that says what it may be: a Struct, a Literal, a text"
        elif form.get("type") in ("integer", "number") and not BOUNDS & form.keys():
            why = "no bounds: any number is valid, negative ones too"
            yield f"parameter {name}", "advice", why, "Annotated[…, msgspec.Meta(ge=…, le=…)]"


def _result(tool: Tool[..., Any]) -> Findings:
    form = result_of(tool.returns)
    if form is None:
        if tool.returns in (Any, object, dict) or getattr(tool.returns, "__origin__", None) is dict:
            why = "a change of what it gives cannot be found, and would be passed on as fact"
            yield "result", "advice", why, "return a msgspec.Struct with a field for each thing"
        return
    for name, said in fields_of(form).items():
        if not said:
            why = f"nobody says what {name} of {form.__name__} means"
            fix = f'{name}: Annotated[…, "what it means"], or an entry under "Attributes:" in its docstring'
            yield f"result {name}", "missing", why, fix


def _kind(tool: Tool[..., Any]) -> Findings:
    spec = tool.spec
    if spec.kind is None and spec.effect != "read":
        why = "it is taken to send, pay, destroy and all the rest, so people are asked more often than they need be"
        yield "kind", "missing", why, 'kind="write", "send", "money", "destroy", "account", "egress" or "execute"'
    changing = [kind for kind in spec.kind or () if kind not in ("read", "egress", "execute")]
    if spec.effect == "read" and changing:
        why = f"the class read says that it may be run again after a crash, and the kind {changing[0]} that it changes something"
        yield "effect", "missing", why, 'effect="once", "idempotent" or "reconcilable"'
    aimed = spec.kind is not None and any(kind in AIMED for kind in spec.kinds)
    if aimed and spec.sinks is None and spec.names:
        why = "every parameter is taken to say where the effect goes"
        yield "sinks", "missing", why, "sinks=[…]: the parameters that do; [] for none"
    if aimed and spec.payload is None and spec.names and spec.kind != ("write",):
        why = "the content of every parameter is taken to go there"
        yield "payload", "missing", why, "payload=[…]: the parameters whose content does; [] for none"


def _outward(tool: Tool[..., Any]) -> Findings:
    spec = tool.spec
    if not spec.pure_read:
        return
    for name in spec.names:
        if set(re.split(r"[_\W]+", name.lower())) & set(ADDRESSES):
            why = f"it counts as a read that nobody hears of, and {name!r} looks as if something were sent there"
            yield "kind", "missing", why, f'kind=("read", "egress"), sinks=["{name}"], payload=["{name}"]'
            return


def _trust(tool: Tool[..., Any]) -> Findings:
    spec = tool.spec
    if tool.returns in (None, type(None)):
        return
    if "trusted" not in tool.said:
        why = "whatever it gives is taken for a stranger's words, ids and numbers too"
        yield (
            "trusted",
            "missing",
            why,
            'trusted=["id"]: the fields that no stranger can write; False where there are none',
        )
    if spec.private is None and spec.pure_read:
        why = "what it gives is taken for no secret"
        yield "private", "advice", why, "private=True for mail, files, accounts and the like; else False"


def _classes(tool: Tool[..., Any]) -> Findings:
    spec = tool.spec
    if "effect" not in tool.said:
        why = "it is taken for once: after a crash in the middle a person is asked whether it happened"
        yield "effect", "advice", why, 'effect="read", "idempotent", "reconcilable" or, where that is so, "once"'
    if spec.effect == "reconcilable" and tool.reconciler is None:
        why = "after a crash nobody could say whether it happened, and no agent can be given it"
        yield "reconcile", "missing", why, f"a function under @{spec.name}.reconcile"
    if spec.effect == "idempotent" and not tool.signature.wants_call and any(kind in ELSEWHERE for kind in spec.kinds):
        why = "it is run again after a crash, and the other side is not given the key by which it would know"
        yield "effect", "advice", why, 'a parameter of type us.Call, whose "key" is sent along; or effect="once"'
    elsewhere = spec.kind is not None and (any(kind in ELSEWHERE for kind in spec.kinds))
    if (elsewhere or any(_outward(tool))) and "timeout" not in tool.said:
        why = f"it waits for a network, and its time is what nobody chose: {spec.timeout:g} s"
        yield "timeout", "advice", why, "timeout=…: seconds that one attempt may take"


def _steps(tool: Tool[..., Any]) -> Findings:
    if not isinstance(tool, CompositeTool):
        return
    names = {one.spec.name: one for one in tool.tools}
    for number, step in enumerate(tool.steps[:-1], 1):
        if tool.undo and step.effect != "read" and not step.undo and not isinstance(names[step.tool], CompositeTool):
            why = f"where a later step fails, what {step.tool} did stays as it is"
            yield (
                f"step {number}",
                "advice",
                why,
                f"@{step.tool}.compensate, if it can be undone; a step that cannot, last",
            )


RULES: tuple[Callable[[Tool[..., Any]], Findings], ...] = (
    _name,
    _description,
    _parameters,
    _result,
    _kind,
    _outward,
    _trust,
    _classes,
    _steps,
)
