"""Rules: calls that the agent's (or its team's) declared rules name wait for a person. What a condition means stands here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import msgspec

from ...protocols.codec import digest
from ...protocols.errors import DefinitionError
from ...protocols.rules import EXTERNAL, FINAL, ApprovalRule
from ...protocols.tool import ToolSpec
from ..composite import CompositeTool
from ..inside import InsideTool
from ..person import PersonTool
from ..tool import Tool
from .approval import asked
from .case import Case, Ruling, allow, ask


def rules(case: Case) -> Ruling:
    """Ask a person where one rule or several say so; one question for all of them."""
    assert case.tool is not None
    meant = _meant(case.rules, case.tool.spec)
    if isinstance(case.tool, CompositeTool):
        meant = tuple(rule for rule in meant if _of_composite(rule))
    asking = [(rule, why) for rule in meant if (why := _why(rule, case)) is not None]
    if not asking:
        return allow("rules", idle(case.rules))
    why = " ".join(rule.text or f"The rule {rule.name!r} asks: {reason}." for rule, reason in asking)
    labels = ", ".join(rule.label for rule, _ in asking)
    question = asked(case, why, labels, max(rule.quorum for rule, _ in asking))
    return ask("rules", msgspec.structs.replace(question, first=any(rule.first for rule, _ in asking)))


def idle(all_rules: tuple[ApprovalRule, ...]) -> str:
    """The reason of a call that no rule asks about: which rules they were."""
    known = _idle.get(id(all_rules))
    if known is None or known[0] is not all_rules:
        said = f"none of {len(all_rules)} rules applies ({digest(*(rule.label for rule in all_rules))[:12]})"
        known = _idle[id(all_rules)] = (all_rules, said)
    return known[1]


_idle: dict[int, tuple[tuple[ApprovalRule, ...], str]] = {}
"""Of each agent's rules, which are there as long as its gate is."""


def asks(rule: ApprovalRule, case: Case) -> str | None:
    """Why a rule asks about this call; None where it does not."""
    assert case.tool is not None
    if isinstance(case.tool, CompositeTool) and not _of_composite(rule):
        return None
    return _why(rule, case) if _may_ask(rule, case.tool.spec) else None


def about(tool: Tool[..., Any] | None) -> bool:
    """Whether anybody is asked about calls of it because a rule says so: not where a call is mail, or a question to a person itself."""
    return isinstance(tool, CompositeTool) or not isinstance(tool, (InsideTool, PersonTool))


def _of_composite(rule: ApprovalRule) -> bool:
    """Whether a rule is about a composite itself, because it names it or its tag; any other is asked at the step that it is about, once."""
    return bool(rule.tools or rule.tags)


def _why(rule: ApprovalRule, case: Case) -> str | None:
    """The same of a rule that may ask about calls of this tool."""
    assert case.tool is not None
    spec, whys = case.tool.spec, list[str]()
    for holds in _CONDITIONS:
        why = holds(rule, spec, case)
        if why is None:
            return None
        if why:
            whys.append(why)
    return "; ".join(whys) or "it asks about every call"


def _meant(all_rules: tuple[ApprovalRule, ...], spec: ToolSpec) -> tuple[ApprovalRule, ...]:
    """Those rules that may ask about calls of this tool: most are about others, which is found out once."""
    known = _of_tool.get((id(all_rules), id(spec)))
    if known is None or known[0] is not all_rules or known[1] is not spec:
        meant = tuple(rule for rule in all_rules if _may_ask(rule, spec))
        known = _of_tool[id(all_rules), id(spec)] = (all_rules, spec, meant)
    return known[2]


_of_tool: dict[tuple[int, int], tuple[tuple[ApprovalRule, ...], ToolSpec, tuple[ApprovalRule, ...]]] = {}
"""As ``_idle``, for each tool."""


def _may_ask(rule: ApprovalRule, spec: ToolSpec) -> bool:
    """Whether a rule can ask about any call of a tool, whatever its arguments."""
    if rule.tools and spec.name not in rule.tools:
        return False
    if rule.money_above is not None and "money" not in spec.kinds and not spec.amount and rule.amount not in spec.names:
        return False
    wanted = (frozenset[str](rule.kinds), EXTERNAL if rule.external else None, FINAL if rule.irreversible else None)
    if any(kinds and not kinds & spec.kinds for kinds in wanted) or (rule.irreversible and spec.effect != "once"):
        return False
    return not rule.tags or bool(set(rule.tags) & set(spec.tags))


def _kinds(rule: ApprovalRule, spec: ToolSpec, _: Case) -> str | None:
    whys: list[str] = []
    for wanted, words in (
        (frozenset(rule.kinds), "is of the kind"),
        (EXTERNAL if rule.external else frozenset[str](), "leaves the house, as"),
        (FINAL if rule.irreversible else frozenset[str](), "cannot be taken back, as"),
    ):
        if not wanted:
            continue
        found = " and ".join(sorted(wanted & spec.kinds))
        whys.append(f"{spec.name} {words} {found}" + ("" if spec.kind else " (its kind is not declared)"))
    return "; ".join(whys)


def _money(rule: ApprovalRule, spec: ToolSpec, case: Case) -> str | None:
    if rule.money_above is None:
        return ""
    name = rule.amount if rule.amount in spec.names else spec.amount
    if not name:
        return f"{spec.name} does not declare which parameter is the amount" if "money" in spec.kinds else None
    amount = _number(case.arguments.get(name))
    if amount is None:
        return f"{name} is no amount that can be compared"
    return f"{name} is above {rule.money_above:g}" if abs(amount) > rule.money_above else None


def _tags(rule: ApprovalRule, spec: ToolSpec, _: Case) -> str | None:
    if not rule.tags:
        return ""
    return f"{spec.name} is tagged {' and '.join(tag for tag in rule.tags if tag in spec.tags)}"


def _first(rule: ApprovalRule, spec: ToolSpec, case: Case) -> str | None:
    if not rule.first:
        return ""
    return None if spec.name in case.counters.allowed else f"it is the first {spec.name} that {case.intent.run} wants"


def _tainted(rule: ApprovalRule, _: ToolSpec, case: Case) -> str | None:
    if not rule.tainted:
        return ""
    names = [name or "every argument" for name, labels in case.intent.labels.items() if "untrusted" in labels]
    return f"{' and '.join(names)} may hold the words of a stranger" if names else None


_CONDITIONS: tuple[Callable[[ApprovalRule, ToolSpec, Case], str | None], ...] = (
    _money,
    _first,
    _tainted,
    _kinds,
    _tags,
)
"""Each says why it holds (nothing where the rule does not name it), or None where it does not. Asked where ``_may_ask``."""


def _number(value: object) -> float | None:
    """An argument as an amount; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return math.inf
    return None if math.isnan(number) else number


def check_rules(who: str, given: Iterable[ApprovalRule], tools: Iterable[Tool[..., Any]]) -> None:
    """Whether rules name what there is. ``tools``: all that whoever has the rules can call.

    Raises:
        DefinitionError: a tool, parameter or tag that is none, or a tool about which nobody is ever asked.
    """
    specs: list[ToolSpec] = []
    inside: set[str] = set()
    for tool in tools:
        if isinstance(tool, InsideTool) and not isinstance(tool, CompositeTool):
            inside.add(tool.spec.name)
        else:
            specs.append(tool.spec)
    names = sorted({spec.name for spec in specs})
    for rule in given:
        said = f"{who}: approval rule {rule.name!r} names"
        for name in rule.tools:
            if name in inside:
                what = f"{said} {name!r}, which is done inside the node: nobody is asked about it"
                raise DefinitionError(what, hint="leave it out")
            if name not in names:
                raise DefinitionError(
                    f"{said} a tool {name!r} that there is not", hint=f"tools: {', '.join(names) or 'none'}"
                )
        meant = [spec for spec in specs if not rule.tools or spec.name in rule.tools]
        lacking = [spec for spec in meant if rule.amount not in spec.names]
        if rule.amount and ((rule.tools and lacking) or len(lacking) == len(meant)):
            which = f"{lacking[0].name} has not" if rule.tools else "no tool has"
            known = ", ".join(sorted({name for spec in lacking for name in spec.names})) or "none"
            raise DefinitionError(f"{said} a parameter {rule.amount!r}, which {which}", hint=f"parameters: {known}")
        tags = {tag for spec in meant for tag in spec.tags}
        for tag in rule.tags:
            if tag not in tags:
                hint = f"tags: {', '.join(sorted(tags)) or 'none'}; a tool is tagged with us.tool(tags=[…])"
                raise DefinitionError(f"{said} a tag {tag!r} that no tool has", hint=hint)
