"""An offline model: patterns and scores decide between answers and tool calls.

It is the rule rung of a fallback chain and the model of a demonstration: no network, no key, no chance. A rule looks at
the task's text and at which tools have answered; of the rules that fit, the one with the highest score wins, of equals
the first. The same conversation always gets the same reply.

    Rules("front_door", [
        Rule(Use("look_up", {"topic": "burns"}), score={"burn(s|t)": 1.0, "joke": -2.0}, before=("look_up",)),
        Rule(lambda facts: Say(facts.results["look_up"][0]), after=("look_up",)),
    ])
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct, structs

from ...protocols import codec
from ...protocols.errors import Abandon, DefinitionError, Failed, NotStorable
from ...protocols.failures import Failure, of_exception
from ...protocols.model import ModelMessage, ModelReply, ModelRequest, ToolCall
from ...protocols.provenance import unframed
from .standin import estimated, numbered

CANNOT_COMPLETE = "cannot_complete"
"""Name of the tool that is every agent's exit "I can't complete this"; its arguments are ``reason`` and ``partial``."""


class Facts(Struct, frozen=True):
    """What a rule may look at.

    Attributes:
        text: the task: all user messages, a line break between them.
        results: what the tools that answered returned, by tool name, in order.
        failures: messages of the tools' failures (with the hint, if any), by tool name, in order.
        score: the score with which the rule won.
    """

    text: str
    results: dict[str, tuple[Any, ...]] = {}
    failures: dict[str, tuple[str, ...]] = {}
    score: float = 0.0


class Say(Struct, frozen=True):
    """The final answer. A str is said as it is where plain text is asked for; everything else is said as JSON."""

    answer: object


class Use(Struct, frozen=True):
    """Call a tool."""

    tool: str
    arguments: dict[str, Any] = {}


class Cannot(Struct, frozen=True):
    """Take the exit "I can't complete this", with what there is so far."""

    reason: str
    partial: object = None


NO_RULE = Cannot("no rule fits")

Move: TypeAlias = Say | Use | Cannot
Then: TypeAlias = Move | Callable[[Facts], Move | tuple[Use, ...]]
"""What a rule does, or a function that says so; several ``Use`` in a tuple are called side by side."""


class Rule(Struct, frozen=True):
    """One rule.

    Attributes:
        then: what it does.
        score: weight of each regular expression that is found in the text; their sum is the rule's score. Upper and
            lower case are one. Empty: 1.0.
        at_least: the rule is out below this score.
        after: tools that must have answered, with a result or a failure.
        before: tools that must not have answered yet.
    """

    then: Then
    score: dict[str, float] = {}
    at_least: float = 1.0
    after: tuple[str, ...] = ()
    before: tuple[str, ...] = ()


class Rules:
    """A model that follows rules. It costs neither money nor tokens, so no budget keeps it from answering.

    Args:
        name: its name in the journal is ``rules:<name>``.
        rules: in the order in which they win when their scores are equal.
        otherwise: what it does when no rule fits.

    Raises:
        DefinitionError: a rule that cannot work, named by its number (from 1).
    """

    rule = True

    def __init__(self, name: str, rules: Sequence[Rule], otherwise: Then = NO_RULE) -> None:
        if not name:
            raise DefinitionError("rules need a name", hint='Rules("front_door", [...])')
        self.name = f"rules:{name}"
        self.rules = tuple(rules)
        self.otherwise = otherwise
        self._patterns = tuple(
            _checked(rule, f"rule {number} of {self.name}") for number, rule in enumerate(self.rules, 1)
        )

    def __repr__(self) -> str:
        return f"<Rules {self.name}, {len(self.rules)} rules>"

    def decide(self, facts: Facts) -> Move | tuple[Use, ...]:
        """What the rules do about these facts (their ``score`` is ignored and set to the winner's).

        Raises:
            Failed: ``abandon``, code ``rule_failed``: a rule's function raised, or returned what is no move.
        """
        text = unicodedata.normalize("NFC", facts.text)
        answered = facts.results.keys() | facts.failures.keys()
        then, best, where = self.otherwise, -math.inf, f"otherwise of {self.name}"
        for number, (rule, patterns) in enumerate(zip(self.rules, self._patterns, strict=True), 1):
            if not answered.issuperset(rule.after) or not answered.isdisjoint(rule.before):
                continue
            score = sum(weight for pattern, weight in patterns if pattern.search(text)) if patterns else 1.0
            if score >= rule.at_least and score > best:
                then, best, where = rule.then, score, f"rule {number} of {self.name}"
        if isinstance(then, Say | Use | Cannot):
            return then
        try:
            move = then(structs.replace(facts, score=best if best > -math.inf else 0.0))
        except Failed:
            raise
        except Exception as error:
            raise Failed(
                Failure("abandon", "rule_failed", f"{where} raised {type(error).__name__}", cause=of_exception(error))
            ) from error
        if isinstance(move, Say | Use | Cannot) or (
            isinstance(move, tuple) and move and all(isinstance(use, Use) for use in move)
        ):
            return move
        raise Abandon(
            f"{where} returned {move!r}"[:500], hint="return Say, Use, Cannot or a tuple of Use", code="rule_failed"
        )

    async def complete(self, request: ModelRequest, on_delta: Callable[[str], None]) -> ModelReply:
        """Answer by the rules. The whole text comes as one delta."""
        move = self.decide(facts_of(request.messages))
        text = ""
        calls: tuple[ToolCall, ...] = ()
        match move:
            case Say(answer):
                text = answer if isinstance(answer, str) and request.output is None else _json(answer, self.name)
                on_delta(text)
            case Cannot(reason, partial):
                calls = self._calls(request, [Use(CANNOT_COMPLETE, {"reason": reason, "partial": partial})])
            case Use():
                calls = self._calls(request, [move])
            case _:
                calls = self._calls(request, move)
        reply = ModelReply(text, calls, "tool_calls" if calls else "stop", model=self.name)
        return structs.replace(reply, usage=estimated(request, reply))

    def _calls(self, request: ModelRequest, uses: Iterable[Use]) -> tuple[ToolCall, ...]:
        return numbered(request, (ToolCall("", use.tool, _json(use.arguments, self.name)) for use in uses))


def facts_of(messages: Iterable[ModelMessage]) -> Facts:
    """The facts that stand in a conversation.

    Raises:
        Failed: ``abandon``, code ``unreadable_transcript``: a tool's message is neither ``{"result": …}`` nor
            ``{"failure": {…}}``.
    """
    said: list[str] = []
    results: dict[str, list[Any]] = {}
    failures: dict[str, list[str]] = {}
    for message in messages:
        if message.role == "user":
            said.append(message.text)
        elif message.role == "tool":
            answer = _answer(message)
            if isinstance(answer, Failure):
                text = f"{answer.message} ({answer.hint})" if answer.hint else answer.message
                failures.setdefault(message.name, []).append(text)
            else:
                results.setdefault(message.name, []).append(answer["result"])
    return Facts(
        "\n".join(said),
        {tool: tuple(values) for tool, values in results.items()},
        {tool: tuple(texts) for tool, texts in failures.items()},
    )


def _answer(message: ModelMessage) -> dict[str, Any] | Failure:
    """A tool's message: ``{"result": …}``, or the failure it tells of; a ``note``, and the ``tool`` that gave it in the place of another,
    may stand beside."""
    try:
        told: dict[str, Any] = codec.decode(unframed(message.text).encode(), dict[str, Any])
        what = told.keys() - {"note", "tool"}
        if what == {"result"}:
            return told
        if what == {"failure"}:
            return msgspec.convert(told["failure"], Failure)
        if told.pop("note", None) is not None:  # that a person had the call made with other arguments
            return told if "result" in told else msgspec.convert(told["failure"], Failure)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
        raise _unreadable(message) from error
    raise _unreadable(message)


def _unreadable(message: ModelMessage) -> Abandon:
    return Abandon(
        f"the answer of tool {message.name!r} is not readable: {message.text[:100]!r}",
        hint='a tool message is {"result": …} or {"failure": {…}}',
        code="unreadable_transcript",
    )


def _checked(rule: Rule, where: str) -> tuple[tuple[re.Pattern[str], float], ...]:
    """The rule's patterns, compiled. Raises DefinitionError for a rule that cannot work."""
    patterns: list[tuple[re.Pattern[str], float]] = []
    for source, weight in rule.score.items():
        try:
            patterns.append((re.compile(unicodedata.normalize("NFC", source), re.IGNORECASE), weight))
        except (re.error, OverflowError, RecursionError) as error:
            raise DefinitionError(f"{where}: {source!r} is not a regular expression: {error}") from error
        if not math.isfinite(weight):
            raise DefinitionError(f"{where}: the weight of {source!r} is {weight}", hint="weights are finite numbers")
    if both := set(rule.after) & set(rule.before):
        raise DefinitionError(f"{where}: it never fits, {sorted(both)} is in both after and before")
    if not isinstance(rule.then, Say | Use | Cannot) and not callable(rule.then):
        raise DefinitionError(f"{where}: {rule.then!r} is no move", hint="give a Say, Use, Cannot or a function")
    return tuple(patterns)


def _json(value: object, where: str) -> str:
    """JSON text. Raises Failed (abandon) for what has none."""
    try:
        return codec.encode(value).decode()
    except NotStorable as error:
        raise Abandon(f"{where}: {error}", code="rule_failed") from error
