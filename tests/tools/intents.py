"""Intents and effects for tests of the gate."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from understudy.protocols.codec import encode
from understudy.protocols.counters import Counters
from understudy.protocols.effects import Effect, Intent
from understudy.protocols.hooks import Admission
from understudy.protocols.ids import Address
from understudy.protocols.limits import Limits
from understudy.protocols.rules import ApprovalRule
from understudy.tools.gate import Gate, Grants
from understudy.tools.tool import Tool

AGENT = "clerk/{run}"
RUN = Address("clerk/1")


def gate(
    *tools: Tool[..., Any],
    limits: Limits | None = None,
    skip: tuple[str, ...] = (),
    other: Any = None,
    rules: tuple[ApprovalRule, ...] = (),
) -> Gate:
    """A gate in which one agent may call these tools (and another one ``other``)."""
    grants = {AGENT: Grants({t.spec.name: t for t in tools}, limits or Limits(), rules=rules)}
    if other is not None:
        grants["boss/{run}"] = Grants({other.spec.name: other})
    return Gate(grants, skip=frozenset(skip))


def call(name: str, args: object = None, *, raw: bytes | None = None, run: Address = RUN, agent: str = AGENT) -> Intent:
    """An intent to call a tool; ``raw`` is what a model may write instead of fitting JSON."""
    return Intent("call", name, Raw(raw if raw is not None else encode({} if args is None else args)), agent, run)


def think(agent: str = AGENT) -> Intent:
    """An intent to ask a model."""
    return Intent("think", "scripted", Raw(b'{"mark":1}'), agent, RUN)


def effect(intent: Intent, admission: Admission, id: str = "1.0", **more: Any) -> Effect:
    """The effect that a turn makes of an intent that was let through."""
    state = {"ask": "asking", "deny": "settled", "allow": "intended"}[admission.decision]
    made = Effect(
        id, intent.run, intent.verb, intent.name, intent.args, "tool:*", intent.agent, effect=admission.effect,
        key=admission.key, digest=admission.digest, verdicts=admission.verdicts, failure=admission.failure,
        timeout=admission.timeout, retry=admission.retry, key_ttl=admission.key_ttl, state=state,  # type: ignore[arg-type]
    )  # fmt: skip
    return msgspec.structs.replace(made, **more)


def admit(
    gate: Gate, intent: Intent, counters: Counters, *, settles: bool = True, now: float = 0.0
) -> tuple[Admission, Counters]:
    """Ask the gate, count what it says, and settle what it lets through."""
    admission = gate.admit(intent, counters, now)
    made = effect(intent, admission)
    counters = counters.intended(made)
    if settles and admission.decision == "allow" and intent.verb == "call":
        counters = counters.changed(msgspec.structs.replace(made, state="settled"))
    return admission, counters
