"""Effects under way: from intent to outcome, as far as the kernel decides it.

    launch -> (the shell performs one attempt) -> settle -> land | try again | doubt
    answer (a person) -> launch | land
    resume (after a crash) -> launch | doubt | land

The gate says what is right (``hooks.Gate``), this file makes the rows.
"""

from __future__ import annotations

from typing import Protocol

import msgspec
from msgspec import Raw

from ..protocols.approvals import Answer, allowed
from ..protocols.bounds import check
from ..protocols.codec import NULL, decode, encode
from ..protocols.effects import PERSON, THINK, Effect, ThinkArgs, Verdict
from ..protocols.errors import NotStorable, UnderstudyError, UnknownItem, WrongAnswer
from ..protocols.failures import Failure, of_exception, said
from ..protocols.hooks import Gate, Next, Rng
from ..protocols.journal import MAX_MESSAGE, Record, RowKind
from ..protocols.model import ModelRequest
from .blocked import Blocked, Watch
from .cell import Cell
from .mailbox import Item
from .outcome import effect_outcome
from .releases import Done, Refused, Release, Settlement, Start
from .sizes import asked_briefly, brief

ENDED = ("finished", "stopped")


class Pump(Protocol):
    """What flights need of the kernel."""

    now: float
    watch: Watch

    def write(self, cell: Cell, kind: RowKind, record: Record, cause: str) -> None:
        """Make a row without a turn. Raises NotStorable, and then nothing has changed."""
        ...

    def after(self, release: Release) -> None:
        """Release something once every row made so far is durable."""
        ...

    def put(self, cell: Cell, item: Item, kind: RowKind) -> None:
        """Deliver mail that is not durable yet; ``kind`` of the row that makes it so if no turn takes it before the cut."""
        ...

    def alarm(self, due: float, id: str) -> None:
        """Call ``ring`` for this effect at a journal time."""
        ...

    def effect(self, id: str) -> Effect | None:
        """An open effect."""
        ...


class Flights:
    """All effects under way in one kernel."""

    def __init__(self, pump: Pump, gate: Gate, rng: Rng, flying: dict[str, int]) -> None:
        self._pump = pump
        self._gate = gate
        self._rng = rng
        self.flying = flying
        """Attempt number of each effect that the shell performs now, also of those it began for a kernel before this one."""
        self.hold = False
        """While the node drains nothing new leaves; it stays intended, and leaves in the next life."""
        self._landing: set[str] = set()

    def launch(self, cell: Cell, effect: Effect) -> None:
        """Let an effect leave: at once for what may run twice, after a ``started`` row for what may not."""
        if cell.mount is None or self.hold:
            return
        if cell.memory.life in ENDED:
            self.land(cell, effect, NULL, _over(cell))
            return
        try:
            verdicts, request = self._pump.watch.run(effect, lambda: self._asked(cell, effect))
        except Blocked as blocked:
            self.land(cell, effect, NULL, blocked.failure)
            return
        except Exception as error:  # noqa: BLE001 - the actor's own code: its failure is the outcome
            self.land(cell, effect, NULL, of_exception(error, where=effect.name, code="render_failed"))
            return
        denied = next((v for v in verdicts if v.verdict == "deny"), None)
        if denied is not None:
            code = "denied_" + denied.check.split(".")[0]
            self.land(cell, effect, NULL, Failure("abandon", code, denied.reason, where=effect.name))
            return
        begun = msgspec.structs.replace(
            effect, state="started", attempt=effect.attempt + 1, verdicts=effect.verdicts + verdicts, due=None
        )
        if effect.effect in ("once", "reconcilable"):
            try:
                self._pump.write(cell, "started", Record(changes=(begun,)), effect.id)
            except NotStorable as error:
                self.land(cell, effect, NULL, of_exception(error, where=effect.name, code="too_large"))
                return
        self.flying[effect.id] = begun.attempt
        self._pump.after(Start(begun, request))

    def _asked(self, cell: Cell, effect: Effect) -> tuple[tuple[Verdict, ...], ModelRequest | None]:
        """What the gate says now, and what a model is to be asked. Runs people's rules and ``render``, and raises what they do."""
        verdicts = self._gate.start(effect, cell.memory.counters, self._pump.now)
        if effect.verb != THINK or cell.mount is None or any(v.verdict == "deny" for v in verdicts):
            return verdicts, None
        mark = decode(effect.args, ThinkArgs).mark
        rendered = cell.mount.actor.render(cell.state, mark)
        return verdicts, msgspec.structs.replace(rendered, key=f"{effect.stream}:{mark}")

    def settle(self, cell: Cell, settlement: Settlement) -> None:
        """Take the outcome of one attempt. Late and double ones find nothing open, or settle a doubt."""
        effect = self._pump.effect(settlement.effect)
        current = self.flying.get(settlement.effect, 0)
        stale = settlement.failure is not None and settlement.attempt < current
        if effect is None or effect.id in self._landing or stale:
            self._pump.after(Done(settlement.id))
            return
        self.flying.pop(effect.id, None)
        tried = msgspec.structs.replace(effect, attempt=max(effect.attempt, settlement.attempt))
        if settlement.failure is None:
            self.land(cell, tried, Raw(settlement.value or b"null"), None, settlement.id)
        elif effect.state == "in_doubt" and settlement.unknown:
            self._pump.after(Done(settlement.id))
        else:
            judge = self._gate.unknown if settlement.unknown else self._gate.failed
            step = judge(tried, settlement.failure, self._pump.now, self._rng)
            self._follow(cell, tried, settlement.failure, step, settlement.id)

    def land(
        self,
        cell: Cell,
        effect: Effect,
        value: Raw,
        failure: Failure | None,
        input: str = "",
        kind: RowKind = "settled",
    ) -> None:
        """The outcome is known: deliver it to the actor."""
        self._landing.add(effect.id)
        try:
            envelope = effect_outcome(f"{effect.id}!", effect, value, failure, self._pump.now)
        except NotStorable as error:  # a failure in words that no journal holds: it is this effect's, and nobody else's
            told = of_exception(error, where=effect.name, code=failure.code if failure else "crashed")
            envelope = effect_outcome(f"{effect.id}!", effect, NULL, said(told), self._pump.now)
        self._pump.put(cell, Item(envelope, False, settles=effect.id, inputs=(input,) if input else ()), kind)

    def answer(self, cell: Cell, answer: Answer, input: str) -> None:
        """Take a person's answer. The first one wins."""
        effect = self._pump.effect(answer.item)
        try:
            accepted = accept(effect, answer, self._pump.now, taken=answer.item in self._landing)
        except UnderstudyError as error:
            self._pump.after(Refused(input, error))
            return
        try:
            self._pump.write(cell, "accepted", Record(changes=(accepted,), answer=answer), answer.item)
        except NotStorable as error:
            self._pump.after(Refused(input, error))
            return
        self._pump.after(Done(input))
        self._answered(cell, accepted)

    def stands(self, effect: Effect) -> bool:
        """Whether this attempt is still to be performed, now that its row is durable."""
        if self._pump.effect(effect.id) is None:
            self.flying.pop(effect.id, None)
        return self.flying.get(effect.id) == effect.attempt

    def over(self, id: str) -> None:
        """It is settled or withdrawn: nothing of it is remembered here."""
        self.flying.pop(id, None)
        self._landing.discard(id)

    def ring(self, cell: Cell, effect: Effect | None) -> None:
        """The time of a waiting effect has come, or the time to answer is over."""
        if (
            effect is None
            or effect.due is None
            or effect.due > self._pump.now
            or effect.id in self._landing
            or effect.id in self.flying
        ):
            return
        if effect.state == "waiting":
            self._again(cell, effect)
        elif effect.state == "asking" and effect.answer is None:
            failure = Failure("abandon", "no_answer", "nobody answered in time, which counts as no", where=effect.name)
            self.land(cell, effect, NULL, failure, kind="expired")

    def resume(self, cell: Cell, effect: Effect, *, died: bool) -> None:
        """Go on with an open effect found in the journal, after its actor was loaded. ``died``: the last life did not stop in order."""
        if effect.id in self.flying or effect.id in self._landing:
            return
        if effect.answer is not None and effect.state in ("asking", "in_doubt"):
            self._answered(cell, effect)
        elif effect.state in ("intended", "started"):
            step = self._gate.interrupted(effect, self._pump.now)
            begun = died and (
                effect.state == "started" or effect.effect in ("read", "idempotent")
            )  # as far as anybody knows
            cut = msgspec.structs.replace(effect, interrupted=effect.interrupted + 1) if begun else effect
            if effect.state == "intended" and step.step == "start":
                try:
                    if begun:
                        self._pump.write(cell, "attempt", Record(changes=(cut,)), effect.id)
                except NotStorable as error:
                    self.land(cell, effect, NULL, of_exception(error, where=effect.name, code="too_large"))
                    return
                self.launch(cell, cut)
                return
            why = Failure("abandon", "interrupted", "the process ended while this was under way", where=effect.name)
            self._follow(cell, cut, why, step, "")

    def _again(self, cell: Cell, effect: Effect) -> None:
        """The wait before the next attempt is over, unless so much time has passed that it may not be made any more."""
        step = self._gate.interrupted(effect, self._pump.now)
        if step.step == "start":
            self.launch(cell, effect)
        else:
            self._follow(cell, effect, step.failure or effect.failure or _over(cell), step, "")

    def _follow(self, cell: Cell, effect: Effect, failure: Failure, step: Next, input: str) -> None:
        if step.step == "settle" or (step.step == "start" and cell.memory.life in ENDED):
            self.land(cell, effect, NULL, step.failure or failure, input)
            return
        if step.step == "doubt":
            after = msgspec.structs.replace(
                effect, state="in_doubt", question=step.question, failure=failure, answer=None, due=None
            )
        else:
            after = msgspec.structs.replace(effect, state="waiting", due=step.due or self._pump.now, failure=failure)
        try:
            self._pump.write(cell, "attempt", Record(changes=(after,), failure=failure), effect.id)
        except NotStorable:  # it is the failure that is too long
            failure = brief(failure)
            after = msgspec.structs.replace(
                after, failure=failure, question=step.question and asked_briefly(step.question)
            )
            self._pump.write(cell, "attempt", Record(changes=(after,), failure=failure), effect.id)
        if input:
            self._pump.after(Done(input))
        if after.due is not None:
            self._pump.alarm(after.due, effect.id)

    def _answered(self, cell: Cell, effect: Effect) -> None:
        answer = effect.answer
        assert answer is not None
        if effect.verb == PERSON:
            self.land(cell, effect, Raw(encode(answer)), None)
        elif answer.decision in ("approve", "run_again"):
            self.launch(cell, effect)
        elif answer.decision == "happened":
            self.land(cell, effect, answer.value, None)
        elif answer.decision == "not_happened":
            reason = f"{answer.by} found that it did not happen" + (f": {answer.reason}" if answer.reason else "")
            self.land(cell, effect, NULL, Failure("abandon", "did_not_happen", reason, where=effect.name))
        else:
            reason = f"{answer.by} said no" + (f": {answer.reason}" if answer.reason else "")
            self.land(cell, effect, NULL, Failure("abandon", "person_rejected", reason, where=effect.name))


def _over(cell: Cell) -> Failure:
    return Failure("abandon", "stopped", f"{cell.address} has ended", where=cell.address)


def accept(effect: Effect | None, answer: Answer, now: float, *, taken: bool = False) -> Effect:
    """An open effect with a person's answer. Pure: the command line uses it on a journal that nobody owns.

    Raises:
        UnknownItem: nothing is open under that id, or it is answered.
        WrongAnswer: the answer does not fit the question.
        TooLarge, TooComplex: its value is.
    """
    if effect is not None and (effect.answer is not None or (taken and effect.question is not None)):
        by = effect.answer.by if effect.answer else "the deadline"
        raise UnknownItem(f"{answer.item} was answered before, by {by}", hint="the first answer counts")
    if effect is None or effect.question is None or effect.state not in ("asking", "in_doubt"):
        raise UnknownItem(
            f"nothing with the id {answer.item!r} waits for an answer", hint="'understudy inbox' lists what does"
        )
    kind = effect.question.kind
    if effect.due is not None and effect.due <= now:
        late = f"the time to answer {answer.item} is over, and silence counts as no"
        raise UnknownItem(late, hint="the next run will say so")
    check(answer.value, f"the answer to {answer.item}", most=MAX_MESSAGE)
    if answer.decision not in allowed(effect.question):
        raise WrongAnswer(
            f"{answer.item} is of the kind {kind!r}: {answer.decision!r} does not answer it",
            hint=f"it takes: {', '.join(allowed(effect.question))}",
        )
    if answer.decision == "reject" and not answer.reason:
        raise WrongAnswer(f"rejecting {answer.item} needs a reason", hint="the reason is told to the agent and kept")
    if answer.decision == "answer" and answer.value == NULL:
        raise WrongAnswer(f"answering {answer.item} needs the answer")
    if answer.digest and answer.digest != effect.digest:
        raise WrongAnswer(
            f"{answer.item} is not what was shown: its arguments have another digest",
            hint="look at it again, then answer",
        )
    again = effect.verb != PERSON and answer.decision in ("approve", "run_again")
    if again:
        return msgspec.structs.replace(effect, answer=answer, state="intended", interrupted=0, cleared=now, due=None)
    return msgspec.structs.replace(effect, answer=answer, due=None)
