"""What the gate said and did about every call of a run, in order: a fold over the rows of its actors, and of those who did something
for them (``causes``), nothing else.

    intent, with its arguments -> each check's verdict -> who was asked and who answered -> what was reserved -> attempts -> outcome

Each row that changes a call holds what was said about it since the row before, so what is told here is all that there was; what
retention has erased, and what versions before this one did not write, is named (``AuditedCall.gaps``).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import Literal

from msgspec import Raw, Struct

from ..actors.patience import asked_of
from ..protocols.approvals import DEADLINE, Answer
from ..protocols.books import Entry
from ..protocols.codec import NULL, decode
from ..protocols.effects import CALL, THINK, Effect
from ..protocols.envelope import OUTCOME, OutcomeBody
from ..protocols.failures import Failure
from ..protocols.ids import Address
from ..protocols.journal import Record, Row
from ..protocols.verdicts import Verdict
from .causes import Causes
from .journal.batch import record_of
from .journal.reading import reading, row_name

What = Literal[
    "verdict", "asked", "answered", "books", "started", "failed", "waits", "in_doubt", "settled", "withdrawn", "sent"
]
"""
* ``verdict``: a check said something
* ``asked``: a person is asked, reminded, or the next one is
* ``answered``: a person answered, a standing approval did, or nobody did in time
* ``books``: entries of the gate's books changed with it: reserved, settled, counted
* ``started``: an attempt left
* ``failed``: an attempt failed, or was cut off by the end of the process
* ``waits``: it waits for its time
* ``in_doubt``: nobody knows whether it happened
* ``settled``, ``withdrawn``, ``sent``: how it ended; ``sent``: it is done by another actor of this journal, as mail (a composite tool is
  settled after that, by the answer)
"""

Outcome = Literal["done", "failed", "denied", "withdrawn", "sent", "waits for a person", "in doubt", "open"]


class AuditStep(Struct, frozen=True, omit_defaults=True):
    """One thing that was said or done about a call.

    Attributes:
        what: see ``What``.
        at: journal time.
        gid: the row that says so.
        check, verdict, reason: of a verdict; ``reason`` also of an answer.
        by, decision, digest: of an answer: who, what, and what it was bound to. ``by`` also: who is asked.
        value: of an answer: what was given with it, such as other arguments.
        attempt: number of the attempt that started or failed.
        due: until when it waits.
        failure: of an attempt, or of all of it.
        books: the entries.
    """

    what: What
    at: float
    gid: int
    check: str = ""
    verdict: str = ""
    reason: str = ""
    by: str = ""
    decision: str = ""
    digest: str = ""
    value: Raw = NULL
    attempt: int = 0
    due: float | None = None
    failure: Failure | None = None
    books: tuple[Entry, ...] = ()


class AuditedCall(Struct, frozen=True, omit_defaults=True):
    """One call of a tool or a model.

    Attributes:
        id: of the effect.
        actor: who intended it, under the name of which definition (``agent``).
        verb: ``call`` of a tool, ``think`` of a model.
        name, arguments: what was wanted, as it was intended.
        effect, key, digest: its effect class, idempotency key, digest of name and canonical arguments.
        labels: of its arguments.
        gid, at: the row and time of the intent.
        steps: all that was said and done about it, in order.
        outcome: what came of it.
        value: the result; null where there is none, or it is erased.
        gaps: what is not in the journal any more, or never was; none for a complete audit.
        simulated: it was not made, but simulated (shadow mode).
    """

    id: str
    actor: Address
    agent: str
    verb: str
    name: str
    arguments: Raw
    effect: str
    key: str
    digest: str
    gid: int
    at: float
    steps: tuple[AuditStep, ...]
    outcome: Outcome
    value: Raw = NULL
    gaps: tuple[str, ...] = ()
    labels: dict[str, tuple[str, ...]] = {}
    simulated: bool = False


class Audit(Struct, frozen=True):
    """A run.

    Attributes:
        run: its address.
        calls: all calls of its actors and of whoever did something for them, in the order of their intents.
        complete: nothing is missing.
        erased: rows whose text retention has erased; what they said of calls is gone.
    """

    run: Address
    calls: tuple[AuditedCall, ...]
    complete: bool = True
    erased: int = 0


def audit(run: Address, rows: Iterable[Row]) -> Audit:
    """Fold a run and what it has caused, as far as these rows go.

    Args:
        run: its address.
        rows: of its actors, and of others; in any order.

    Raises:
        JournalDamaged: one of them is not what was written.
    """
    causes = Causes(run, ())
    causes.take(rows)
    return audited(causes)


def audited(causes: Causes) -> Audit:
    """Fold a run with all that it has caused. Raises as ``audit``."""
    auditor = _Auditor(causes.effects)
    for _, row in sorted(causes.rows.items()):
        with reading(row_name(row)):
            auditor.take(row)
    calls = tuple(call.told() for call in auditor.calls.values())
    complete = not causes.erased and not any(call.gaps for call in calls)
    return Audit(causes.run, calls, complete, causes.erased)


class _Auditor:
    def __init__(self, effects: Container[str]) -> None:
        self.calls: dict[str, _Call] = {}
        self._effects = effects

    def take(self, row: Row) -> None:
        record = record_of(row)
        for effect in record.effects:
            if effect.verb in (CALL, THINK) and effect.id in self._effects:
                self.calls[effect.id] = _Call(effect, row)
        for effect in record.changes:
            call = self.calls.get(effect.id)
            if call is not None:
                call.changed(effect, row, record)
        for sent in record.sends:
            if sent.wire == OUTCOME:
                self._came(decode(sent.body, OutcomeBody))

    def _came(self, body: OutcomeBody) -> None:
        """Another actor answers somebody: it may have done a call."""
        call = self.calls.get(body.of)
        if call is not None and call.now.state == "inside" and body.failure is None:
            call.value = body.value


class _Call:
    """One call, as far as the rows have told."""

    def __init__(self, effect: Effect, row: Row) -> None:
        self.intent, self.now, self.row = effect, effect, row
        self.steps: list[AuditStep] = []
        self.value = NULL
        self._verdicts(effect, (), row)
        self._question(effect, None, row)
        if effect.state == "settled":
            self.steps.append(AuditStep("settled", row.at, row.gid, failure=effect.failure))
        elif effect.state in ("sent", "inside", "withdrawn"):
            self.steps.append(AuditStep("withdrawn" if effect.state == "withdrawn" else "sent", row.at, row.gid))

    def changed(self, effect: Effect, row: Row, record: Record) -> None:
        """A row in which it changed."""
        before, self.now = self.now, effect
        answer = record.answer if record.answer is not None and record.answer.item == effect.id else None
        if answer is not None:
            self._answer(answer, row)
        elif row.kind == "expired":
            self.steps.append(AuditStep("answered", row.at, row.gid, by=DEADLINE, decision="no"))
        self._verdicts(effect, before.verdicts, row)
        if record.books:
            self.steps.append(AuditStep("books", row.at, row.gid, books=record.books))
        match effect.state:
            case "started" if before.state != "started" or effect.attempt > before.attempt:
                self.steps.append(AuditStep("started", row.at, row.gid, attempt=effect.attempt))
            case "intended" if effect.interrupted > before.interrupted:
                cut = Failure("abandon", "interrupted", "the process ended while this was under way", where=effect.name)
                self.steps.append(AuditStep("failed", row.at, row.gid, attempt=effect.attempt or 1, failure=cut))
            case "waiting":
                self._failed(effect, before, row, record)
                self.steps.append(AuditStep("waits", row.at, row.gid, due=effect.due))
            case "in_doubt" if before.state != "in_doubt":
                self.steps.append(
                    AuditStep("in_doubt", row.at, row.gid, attempt=effect.attempt, failure=effect.failure)
                )
            case "settled":
                self._settled(effect, row, record)
            case "withdrawn":
                self.steps.append(AuditStep("withdrawn", row.at, row.gid))
            case "inside":
                self.steps.append(AuditStep("sent", row.at, row.gid))
            case _:
                pass
        self._question(effect, before, row)

    def told(self) -> AuditedCall:
        """What was told."""
        one = self.intent
        return AuditedCall(
            one.id, one.stream, one.agent, one.verb, one.name, one.args, one.effect, one.key, one.digest, self.row.gid, self.row.at,
            tuple(self.steps), self._outcome(), self.value, tuple(self._gaps()), {**one.labels},
            self.now.simulated,
        )  # fmt: skip

    def _verdicts(self, effect: Effect, before: tuple[Verdict, ...], row: Row) -> None:
        for verdict in effect.verdicts[len(before) :]:
            at = verdict.at or effect.at or row.at  # those of a start may stand in the row of the outcome
            self.steps.append(
                AuditStep("verdict", at, row.gid, check=verdict.check, verdict=verdict.verdict, reason=verdict.reason)
            )

    def _question(self, effect: Effect, before: Effect | None, row: Row) -> None:
        """That somebody is asked now who was not before."""
        if effect.state not in ("asking", "in_doubt") or effect.answer is not None or effect.question is None:
            return
        told = before is not None and before.state == effect.state and before.question == effect.question
        if told and before is not None and before.addressed == effect.addressed:
            return
        who = asked_of(effect)
        reason = effect.question.text if not told else "reminded" if before and _same(before, effect) else "asked, too"
        self.steps.append(AuditStep("asked", row.at, row.gid, by=who, reason=reason, due=effect.question.deadline))

    def _answer(self, answer: Answer, row: Row) -> None:
        self.steps.append(
            AuditStep(
                "answered", row.at, row.gid, by=answer.by, decision=answer.decision, reason=answer.reason, digest=answer.digest,
                value=answer.value,
            )
        )  # fmt: skip

    def _failed(self, effect: Effect, before: Effect, row: Row, record: Record) -> None:
        """That an attempt failed; one that waits for room has not begun."""
        if record.failure is not None:
            attempt = effect.attempt or before.attempt
            self.steps.append(AuditStep("failed", row.at, row.gid, attempt=attempt, failure=record.failure))

    def _settled(self, effect: Effect, row: Row, record: Record) -> None:
        if record.message is not None and record.message.wire == OUTCOME and effect.failure is None:
            self.value = decode(record.message.body, OutcomeBody).value
        self.steps.append(AuditStep("settled", row.at, row.gid, failure=effect.failure))

    def _outcome(self) -> Outcome:
        match self.now.state:
            case "settled" if self.now.failure is None:
                return "done"
            case "settled":
                last = [step for step in self.steps if step.what == "verdict"][-1:]
                return "denied" if last and last[0].verdict == "deny" else "failed"
            case "withdrawn":
                return "withdrawn"
            case "sent":
                return "sent"
            case "in_doubt":
                return "in doubt"
            case "asking":
                return "waits for a person"
            case _:
                return "open"

    def _gaps(self) -> Iterator[str]:
        """What the gate said when it started, where no row holds that: of versions before this one."""
        if self.intent.verb != CALL or self.now.state in ("intended", "sent", "asking") or self._outcome() == "denied":
            return
        if any(step.what == "sent" for step in self.steps):
            return  # whoever did it was told with that very row
        checks = [step.check for step in self.steps if step.what == "verdict"]
        ended = self.now.failure is None or any(step.what == "started" for step in self.steps)
        if self.now.state == "settled" and ended and checks.count("permission") < 2:
            yield "what the gate said when it was started was not written by the version that made it"


def _same(before: Effect, effect: Effect) -> bool:
    return before.addressed is not None and effect.addressed is not None and before.addressed.to == effect.addressed.to
