"""The deciding half of the gate: every intent goes through every check, and each verdict stands in the journal.

Pure and synchronous: the kernel asks it inside the turn (``hooks.Gate``), replay asks it again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from ..protocols.approvals import Question
from ..protocols.binding import approves, as_allowed
from ..protocols.books import Books, Entry
from ..protocols.codec import digest
from ..protocols.counters import Counters
from ..protocols.effects import CALL, PERSON, THINK, Attempt, Effect, EffectClass, Intent, Retry
from ..protocols.errors import NotStorable
from ..protocols.failures import Failure, of_exception
from ..protocols.hooks import Admission, Booked, Clearance, Inside, Instead, Next, Rng
from ..protocols.limits import Limits
from ..protocols.model import ModelRequest
from ..protocols.provenance import Provenance
from ..protocols.rules import ApprovalRule
from ..protocols.shadow import by_shadow
from ..protocols.undoing import Undoable
from ..protocols.verdicts import Verdict
from . import ledger
from .checks.approval import approval
from .checks.approved import approved, other_rules
from .checks.arguments import arguments
from .checks.case import Case, Ruling, ask, deny, in_a_line, joined
from .checks.conditions import conditions, excluded, parts
from .checks.lease import lease
from .checks.limits import FAMILY, LIMITS, calls, family, loop, refused_again, steps, still, waited
from .checks.permission import permission
from .checks.provenance import gives, provenance
from .checks.rules import about, rules
from .checks.shadow import Shadow, reasked
from .checks.shadow import still as still_simulated
from .compensating import undoing
from .composite import CompositeTool
from .fallback import instead
from .inside import InsideTool
from .person import PersonTool
from .starting import Ending, StartCheck, Starting, booked, said_at, started
from .tool import Tool

Check = Callable[[Case], Ruling]

CALL_CHECKS: tuple[tuple[str, Check], ...] = (
    ("permission", permission),
    ("schema", arguments),
    ("conditions", conditions),
    ("provenance", provenance),
    ("limits.calls", calls),
    ("limits.loop", loop),
    ("approval", approval),
    ("rules", rules),
)
"""At the intent of a tool call, in this order. Permission comes first because it finds the tool whose schema is checked."""

THINK_CHECKS: tuple[tuple[str, Check], ...] = (("limits.steps", steps),)

MODEL_RETRY = Retry(attempts=5, base=0.5, cap=30.0)


class Grants(Struct, frozen=True):
    """What one agent may do: its tools and its limits.

    ``place``: the address of its team, for what is done inside it. ``rules``: its approval rules, and those of the teams that it is in.

    Without limits, as for an actor that is no agent, its calls are not counted: they would add up for as long as it lives.
    """

    tools: dict[str, Tool[..., Any]] = {}
    limits: Limits | None = Limits()
    place: str = "root"
    rules: tuple[ApprovalRule, ...] = ()
    times: Limits | None = None
    """Where calls are not counted: whose times for people hold, those of the agent on whose behalf they are made."""


class Gate:
    """All agents' grants, and the checks."""

    def __init__(
        self, grants: Mapping[str, Grants], *, shared: Sequence[StartCheck] = (), skip: frozenset[str] = frozenset()
    ) -> None:
        """``shared``: checks that look beyond one actor, in the order in which they are asked. ``skip`` names checks to leave out; tests
        use it to show what each of them keeps out."""
        self._grants = dict(grants)
        self._shared = tuple(check for check in shared if check.name not in skip)
        self._shadow = next((check for check in self._shared if isinstance(check, Shadow)), None)
        self._names = frozenset(name for g in grants.values() for name in g.tools)
        tools = [tool for g in grants.values() for tool in g.tools.values()]
        barred = {n for tool in tools for n in excluded(tool)}
        self._conditional = {
            t.spec.name for t in tools if t.spec.after or excluded(t) or not barred.isdisjoint(parts(t))
        }
        self._composed = frozenset(
            name
            for g in grants.values()
            for name, tool in g.tools.items()
            if any(isinstance(one, CompositeTool) for one in (tool, *tool.versions.values()))
        )
        self._skip = skip

    def admit(self, intent: Intent, counters: Counters, now: float) -> Admission:
        """Run the checks in order; the first one that refuses decides. What two of them ask becomes one question."""
        case = self._case(intent, counters, now)
        checks = CALL_CHECKS if intent.verb == CALL else THINK_CHECKS if intent.verb == THINK else ()
        free = self._of(intent.agent).limits is None
        verdicts: list[Verdict] = []
        stopped: Ruling | None = None
        for name, check in checks:
            if free and name.startswith("limits."):
                continue
            if name == "rules" and (not case.rules or not about(case.tool)):
                continue
            if name == "conditions" and intent.name not in self._conditional:
                continue
            if name in self._skip and name not in ("permission", "schema"):
                continue
            try:
                ruling = check(case)
            except Exception as error:  # noqa: BLE001 - as in ``_guarded``
                ruling = _broken(name, error)
            verdicts.append(ruling.verdict)
            if ruling.verdict.verdict != "allow":
                stopped = ruling = joined(case.asked, ruling)
                case.asked = ruling.question
            if ruling.verdict.verdict == "deny":
                break
        if stopped is not None and stopped.verdict.check in ("permission", "schema", "conditions") and not free:
            again = refused_again(case, digest(intent.name, bytes(intent.args)))
            if again is not None:
                stopped = again
                verdicts.append(again.verdict)
        denied = stopped is not None and stopped.verdict.verdict == "deny"
        if case.tool is not None and case.tool.lease is not None and not denied:
            ruling = _guarded("lease", lease, case)
            verdicts.append(ruling.verdict)
            stopped = ruling if ruling.verdict.verdict == "deny" else stopped
        if isinstance(case.tool, InsideTool) and not denied:
            return self._inside(case, case.tool, tuple(verdicts), stopped)
        if isinstance(case.tool, PersonTool) and not denied:
            return self._person(case, case.tool, tuple(verdicts), stopped)
        return self._admission(case, tuple(verdicts), stopped)

    def _inside(
        self, case: Case, tool: InsideTool[..., Any], verdicts: tuple[Verdict, ...], stopped: Ruling | None
    ) -> Admission:
        """A call that is done inside the node: nobody is asked about it, so what a person would be asked is a refusal. (A composite is made
        of calls, so somebody may be.)"""
        if stopped is not None and (stopped.question is None or not isinstance(tool, CompositeTool)):
            failure = Failure("abandon", "loop", stopped.verdict.reason, where=tool.spec.name)
            return self._admission(case, verdicts, deny(stopped.verdict.check, failure))
        allowed = self._admission(case, verdicts, stopped)
        inside = self._request(case, tool, allowed.key)
        if isinstance(inside, Failure):
            return self._admission(case, verdicts, deny("schema", inside))
        return allowed if stopped is not None else msgspec.structs.replace(allowed, inside=inside)

    def _request(self, case: Case, tool: InsideTool[..., Any], key: str) -> Inside | Failure:
        """What the actor is asked that does this call; why there is no such request."""
        try:
            return tool.request(self._of(case.intent.agent).place, case.intent.run, key, case.arguments)
        except (ValueError, TypeError, NotStorable) as error:
            return Failure("change_arguments", "bad_arguments", f"{tool.spec.name}: {error}", where=tool.spec.name)

    def _person(
        self, case: Case, tool: PersonTool[..., Any], verdicts: tuple[Verdict, ...], stopped: Ruling | None
    ) -> Admission:
        """A call that is a question: nobody is asked whether it may be asked, so what a person would be asked is a refusal."""
        if stopped is not None:
            failure = Failure("abandon", "loop", stopped.verdict.reason, where=tool.spec.name)
            return self._admission(case, verdicts, deny(stopped.verdict.check, failure))
        question, around = tool.question(case.intent.run, case.now, case.arguments), case.intent.around
        if around is not None and "untrusted" in around.labels:
            sources = ", ".join(in_a_line(source)[1:-1] for source in around.sources)
            note = f"(It has read what came from {sources}: a stranger may have put this question into its mouth.)"
            question = msgspec.structs.replace(question, text=f"{question.text} {note}")
        asked = ask("person", question)
        return self._admission(case, (*verdicts, asked.verdict), asked)

    def hands_on(self, intent: Intent, admission: Admission, handed: int) -> Admission:
        """Whether the family of its run may hand on one more task."""
        limits = self._of(intent.agent).limits
        if limits is None or FAMILY in self._skip:
            return admission
        ruling = family(intent, limits.family, handed)
        verdicts = (*admission.verdicts, ruling.verdict)
        if ruling.failure is None:
            return msgspec.structs.replace(admission, verdicts=verdicts)
        return msgspec.structs.replace(
            admission, decision="deny", verdicts=verdicts, failure=ruling.failure, inside=None
        )

    def start(
        self,
        effect: Effect,
        counters: Counters,
        now: float,
        books: Mapping[str, Entry],
        request: ModelRequest | None = None,
        until: float | None = None,
        known: Callable[[str], Effect | None] | None = None,
    ) -> Clearance:
        """What may have changed since the intent; then what is shared with others: budgets, rates, breakers."""
        clear = self._still(effect, counters, now, books, until)
        if effect.name in self._composed:
            composite = _tool(self._of(effect.agent), effect)
            if isinstance(composite, CompositeTool):
                return self._enter(effect, composite, clear, counters, now)
        checks = [check for check in self._shared if check.concerns(effect)]
        if effect.simulated and not any(v.verdict == "deny" for v in clear.verdicts):
            return still_simulated(clear, now)
        if not checks or clear.question is not None or any(v.verdict == "deny" for v in clear.verdicts):
            return clear
        grants = self._of(effect.agent)
        tool = _tool(grants, effect)
        starting = Starting(
            effect, now, Books(books), tool, request, grants.limits or grants.times or Limits(), known=known
        )
        return started(checks, clear, starting, books)

    def _enter(
        self, effect: Effect, tool: CompositeTool[..., Any], clear: Clearance, counters: Counters, now: float
    ) -> Clearance:
        """A composite about which a person was asked. What many share is looked at where its steps start."""
        if clear.question is not None or any(v.verdict == "deny" for v in clear.verdicts):
            return clear
        case = self._case(_intent(effect, effect.name), counters, now)
        permission(case)  # which finds the tool
        ruling = _guarded("schema", arguments, case)
        inside = ruling.failure or self._request(case, tool, effect.key)
        if isinstance(inside, Failure):
            denied = Verdict("schema", "deny", inside.message, now)
            return msgspec.structs.replace(clear, verdicts=(*clear.verdicts, denied), failure=inside)
        return msgspec.structs.replace(clear, inside=inside)

    def _still(
        self, effect: Effect, counters: Counters, now: float, books: Mapping[str, Entry], until: float | None
    ) -> Clearance:
        """Permission again, a grant may be gone since the intent; after a wait the limits; where a person said yes, whether it was to
        this; and where nobody was asked, whether the rules are those that did not ask.
        """
        late = waited(effect, now) and LIMITS not in self._skip
        if effect.verb != CALL and not late:
            return Clearance()
        case = self._case(_intent(effect, effect.name), counters, now)
        rulings = [_guarded("permission", permission, case)] if effect.verb == CALL else []
        if late and (not rulings or rulings[0].failure is None):
            rulings.append(_guarded(LIMITS, partial(still, effect=effect, until=until), case))
        if case.tool is not None and rulings[-1].failure is None and "approval" not in self._skip:
            effect = as_allowed(effect)
            checks: tuple[tuple[str, Check], ...] = ()
            if by_shadow(effect.answer) and not self.pretends(effect):  # nobody's yes
                rulings.append(reasked(effect, case))
                case.asked = rulings[-1].question
            elif _allowed_by_person(effect):
                checks = (("schema", arguments), ("approval", partial(approved, effect=effect, books=books)))
            elif (case.tool.policy is not None or case.rules) and other_rules(case, effect):
                checks = (("schema", arguments), ("approval", approval), ("rules", rules))[: 3 if case.rules else 2]
            for name, check in checks:
                rulings.append(_guarded(name, check, case))
                case.asked = rulings[-1].question or case.asked
                if rulings[-1].verdict.verdict == "deny":
                    break
        verdicts = tuple([r.verdict if now == effect.at else said_at(r.verdict, now) for r in rulings])
        question = _about(case.asked, case.tool, case.rules) if case.asked is not None else None
        failure = rulings[-1].failure if rulings[-1].verdict.check != "permission" else None
        return Clearance(verdicts, failure=failure, question=question)

    def book(self, effect: Effect, attempt: Attempt | None, now: float, books: Mapping[str, Entry]) -> Booked:
        """Settle what was reserved for an attempt."""
        if effect.simulated:
            return Booked()
        checks = [check for check in self._shared if check.concerns(effect)]
        if not checks:
            return Booked()
        tool = _tool(self._of(effect.agent), effect)
        return booked(checks, Ending(effect, attempt, now, Books(books), tool), books)

    @property
    def shadow(self) -> str:
        """Which tools are in shadow, as the journal says it; empty for none."""
        return "" if self._shadow is None else self._shadow.note

    def pretends(self, effect: Effect) -> bool:
        """Whether a call will be simulated."""
        return effect.simulated or (self._shadow is not None and self._shadow.concerns(effect))

    def gives(self, effect: Effect, value: Raw) -> Provenance | None:
        """See ``checks.provenance.gives``."""
        if "provenance" in self._skip:
            return None
        tool = _tool(self._of(effect.agent), effect)
        return gives(effect, value, tool.spec if tool is not None else None)

    def failed(self, effect: Effect, failure: Failure, now: float, rng: Rng) -> Next:
        """See ``ledger.after_failure``."""
        return ledger.after_failure(effect, failure, now, rng)

    def unknown(self, effect: Effect, failure: Failure, now: float, rng: Rng) -> Next:
        """See ``ledger.after_silence``."""
        return ledger.after_silence(effect, failure, now, rng)

    def instead(self, effect: Effect, failure: Failure, counters: Counters, now: float) -> Instead | None:
        """See ``fallback.instead``."""
        tools = self._of(effect.agent).tools
        return instead(effect, failure, tools, lambda name: self.admit(_intent(effect, name), counters, now))

    def undoing(self, effect: Effect, value: Raw | None) -> Undoable | None:
        """See ``compensating.undoing``."""
        tool = _tool(self._of(effect.agent), effect)
        return None if tool is None else undoing(tool, effect, value)

    def interrupted(self, effect: Effect, now: float) -> Next:
        """See ``ledger.after_crash``."""
        return ledger.after_crash(effect, now)

    def _case(self, intent: Intent, counters: Counters, now: float) -> Case:
        grants = self._of(intent.agent)
        by_code = grants.limits is None
        limits = grants.limits or grants.times or Limits()
        return Case(intent, grants.tools, self._names, limits, counters, now, rules=grants.rules, by_code=by_code)

    def _of(self, agent: str) -> Grants:
        return self._grants.get(agent, Grants())

    def _admission(self, case: Case, verdicts: tuple[Verdict, ...], stopped: Ruling | None) -> Admission:
        intent, tool = case.intent, case.tool
        effect: EffectClass = "read"
        timeout, retry, key_ttl, key, occurrence = case.limits.model, MODEL_RETRY, 86_400.0, "", 0
        if intent.verb == CALL:
            case.digest = case.digest or digest(intent.name, bytes(intent.args))
            occurrence = case.counters.occurrence(case.digest)
            key = digest(intent.run, case.digest, str(occurrence))
        if tool is not None:
            spec = tool.spec
            effect, timeout, retry, key_ttl = spec.effect, spec.timeout, spec.retry, spec.key_ttl
        question = intent.question if intent.verb == PERSON else stopped.question if stopped else None
        if question is not None:
            question = _about(question, tool, case.rules)
        decision: Literal["allow", "deny", "ask"] = (
            "ask" if question is not None else "deny" if stopped is not None else "allow"
        )
        failure = stopped.failure if stopped else None
        return Admission(
            decision,
            verdicts,
            effect,
            key,
            case.digest,
            timeout,
            retry,
            key_ttl,
            failure,
            question,
            occurrence,
            case.resource,
            version="" if tool is None else tool.spec.version,
        )


def _about(question: Question, tool: Tool[..., Any] | None, rules: tuple[ApprovalRule, ...]) -> Question:
    """A question with what a person should know of the tool."""
    if tool is None:
        return question
    spec = tool.spec
    amounts = tuple(dict.fromkeys(name for name in (spec.amount, *(rule.amount for rule in rules)) if name))
    if not (spec.version or spec.sinks or amounts):
        return question
    return msgspec.structs.replace(question, version=spec.version, sinks=spec.sinks or (), amounts=amounts)


def _tool(grants: Grants, effect: Effect) -> Tool[..., Any] | None:
    """The tool of a call, in its version."""
    tool = grants.tools.get(effect.name) if effect.verb == CALL else None
    return None if tool is None else tool.at(effect.version)


def _intent(effect: Effect, name: str) -> Intent:
    """A call that was intended, as it was; ``name``: of the tool that is to do it."""
    version = effect.version if name == effect.name else ""
    around = effect.context.provenance
    return Intent(
        "call",
        name,
        effect.args,
        effect.agent,
        effect.stream,
        None,
        effect.labels,
        around,
        version,
        0,
        effect.context.granted,
    )


def _allowed_by_person(effect: Effect) -> bool:
    question, answer = effect.question, effect.answer
    return approves(question) and answer is not None and answer.decision in ("approve", "change")


def _guarded(name: str, check: Check, case: Case) -> Ruling:
    try:
        return check(case)
    except Exception as error:  # noqa: BLE001 - a check that raises is a refusal that says so
        return _broken(name, error)


def _broken(name: str, error: Exception) -> Ruling:
    return deny(name, of_exception(error, where=name, code="check_failed"))
