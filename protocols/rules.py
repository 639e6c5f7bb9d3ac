"""Rules about which calls wait for people, as data: given to an agent or a team, over all its tools.

    us.Agent("clerk", …, approvals=[
        us.ApprovalRule("large payments", money_above=50),
        us.ApprovalRule("what cannot be undone", irreversible=True, quorum=2),
    ])

A rule is its conditions: it asks where all that it says hold. Several rules stand side by side, and each may ask. Nothing here runs:
``tools.checks.rules`` says what each condition means.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Final, cast

import msgspec
from msgspec import Struct

from .codec import digest, encode
from .errors import DefinitionError
from .people import check_quorum
from .tool import KINDS, Kind

MEANING = "1"
"""Version of what the conditions mean; part of each rule's own."""

EXTERNAL: Final[frozenset[Kind]] = frozenset(("send", "egress"))
FINAL: Final[frozenset[Kind]] = frozenset(("destroy", "money"))
"""Kinds of effect that cannot be taken back."""


class ApprovalRule(Struct, frozen=True, omit_defaults=True, dict=True):
    """Calls that wait for a person's yes. A rule without conditions asks about every call.

    What a tool does not say of itself is taken for the worst: one without ``kind=`` (and not declared as ``effect="read"``) may be of
    every kind, and one that moves money without saying which parameter is the amount is always above it.

    Attributes:
        name: what people read, and the journal names with the version.
        tools: only calls of these tools, by name. Empty: of every tool.
        kinds: only calls of one of these kinds (``us.Kind``).
        external: only what leaves the house: kinds ``send`` and ``egress``.
        irreversible: only what cannot be taken back: kinds ``destroy`` and ``money``, in tools of effect class ``once``.
        money_above: only calls that move more than so much, either way; of kind ``money``, or with an amount. It is read from the parameter
            ``amount``, else from the one that the tool declares (``us.tool(amount=…)``).
        amount: a parameter's name, see there.
        tags: only calls of tools with one of these tags (``us.tool(tags=…)``), such as ``legal`` or ``medical``.
        first: only as long as nobody has said yes to a call of that tool in this run.
        tainted: only calls with an argument that may hold the words of a stranger (``provenance``), whatever it is for.
        quorum: how many different people must say yes.
        text: what the person reads; made from the conditions where it is empty.

    Raises:
        DefinitionError: a field cannot be meant so. That it names no tool, parameter or tag that there is, is found when a system is made.
    """

    name: str
    tools: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    external: bool = False
    irreversible: bool = False
    money_above: float | None = None
    amount: str = ""
    tags: tuple[str, ...] = ()
    first: bool = False
    tainted: bool = False
    quorum: int = 1
    text: str = ""

    def __post_init__(self) -> None:
        name: object = self.name  # callers who run no type checker
        if not isinstance(name, str) or not name.strip() or len(name) > 100 or not name.isprintable():
            raise DefinitionError(
                f"approval rule: {name!r} is no name", hint="one line of text, at most 100 characters"
            )
        if "," in name or "@" in name:
            raise DefinitionError(f"approval rule {name!r}: a name has no ',' and no '@'", hint="take other characters")
        for field in ("tools", "kinds", "tags"):
            msgspec.structs.force_setattr(self, field, _texts(name, field, getattr(self, field)))
        if unknown := [kind for kind in self.kinds if kind not in KINDS]:
            raise self._wrong("kinds", unknown[0], f"of {', '.join(KINDS)}")
        for field in ("external", "irreversible", "first", "tainted"):
            if not isinstance(getattr(self, field), bool):
                raise self._wrong(field, getattr(self, field), "True or False")
        above: object = self.money_above
        if above is not None:
            if isinstance(above, bool) or not isinstance(above, (int, float)) or not math.isfinite(above) or above < 0:
                raise self._wrong("money_above", above, "an amount, 0 or more")
            msgspec.structs.force_setattr(self, "money_above", float(above))
        if not isinstance(self.amount, str) or (self.amount and above is None):
            raise self._wrong("amount", self.amount, "the name of a parameter, beside money_above=")
        if not isinstance(self.text, str):
            raise self._wrong("text", self.text, "a sentence for whoever is asked")
        check_quorum(f"approval rule {name!r}", self.quorum)

    @cached_property
    def version(self) -> str:
        """Digest of all that it says, and of what that means."""
        return digest(encode(self), MEANING)[:12]

    @cached_property
    def label(self) -> str:
        """Name and version, as they stand in the journal."""
        return f"{self.name}@{self.version}"

    def _wrong(self, field: str, value: object, hint: str) -> DefinitionError:
        return DefinitionError(f"approval rule {self.name!r}: {field}={value!r}", hint=hint)


def approval_rules(who: str, given: object) -> tuple[ApprovalRule, ...]:
    """Rules as they were given to somebody. Raises DefinitionError for what is none, and for two of one name."""
    if not isinstance(given, Sequence) or isinstance(given, (str, bytes)):
        raise DefinitionError(f"{who}: approvals={given!r}", hint="a list of us.ApprovalRule(…)")
    rules = tuple(cast("Sequence[object]", given))
    known: list[ApprovalRule] = []
    for rule in rules:
        if not isinstance(rule, ApprovalRule):
            raise DefinitionError(f"{who}: {rule!r} is no approval rule", hint='us.ApprovalRule("name", …)')
        if any(one.name == rule.name for one in known):
            raise DefinitionError(f"{who} has two approval rules named {rule.name!r}", hint="name one otherwise")
        known.append(rule)
    return tuple(known)


def _texts(rule: str, field: str, given: object) -> tuple[str, ...]:
    if isinstance(given, str):
        given = (given,)
    texts = tuple(cast("Iterable[object]", given)) if isinstance(given, Iterable) else (given,)
    for text in texts:
        if not isinstance(text, str) or not text:
            raise DefinitionError(f"approval rule {rule!r}: {field}={text!r}", hint="a name, or a list of names")
    return tuple(dict.fromkeys(cast("tuple[str, ...]", texts)))
