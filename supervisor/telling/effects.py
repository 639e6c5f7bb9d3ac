"""What is told of calls and of questions to people."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ...actors.patience import asked_of, was_asked
from ...protocols.approvals import Answer
from ...protocols.codec import NULL, decode
from ...protocols.effects import CALL, THINK, Effect
from ...protocols.envelope import OUTCOME, OutcomeBody
from ...protocols.journal import Record
from ..offline import as_left
from .lines import Lines
from .words import as_called, in_short, in_words, long


class OfEffects(Lines):
    """See ``teller``."""

    def _answer(self, answer: Answer, record: Record) -> None:
        why = f": {answer.reason}" if answer.reason else ""
        value = f" {in_short(answer.value)}" if answer.value != NULL else ""
        stranger = any(not was_asked(e, answer.by) for e in record.changes if e.id == answer.item)
        who = f"{answer.by} (who was not asked)" if stranger else answer.by
        self._say(f"{who} answers {answer.item}: {answer.decision.replace('_', ' ')}{value}{why}", "person")

    def _doubted(self, ids: Iterable[str]) -> None:
        """Tell of the doubt about calls that were under way when the owner died, where no row tells it."""
        row = self.row
        for before in [self.effects[id] for id in ids if id in self.effects]:
            doubted = as_left(before)
            if doubted is not before and row is not None:
                self.row = msgspec.structs.replace(row, stream=before.stream)
                self._changed(doubted, Record())
        self.row = row

    def _intended(self, effect: Effect) -> None:
        self.effects[effect.id] = effect
        if effect.verb == THINK:
            denied = next((v for v in effect.verdicts if v.verdict == "deny"), None)
            if denied is not None:
                self._say(f"may not ask {effect.name}: {denied.reason or denied.check}", "bad")
            return
        if effect.verb == CALL:
            self.calls += effect.state != "settled"
            self._say(f"{as_called(effect)}  [{effect.effect}]")
        for verdict in effect.verdicts:
            if verdict.verdict == "deny":
                self._say(f"refused by {verdict.check}: {verdict.reason}", "bad")
        allowed = [v.check + (f" ({v.reason})" if v.reason else "") for v in effect.verdicts if v.verdict == "allow"]
        if allowed:
            self._say(f"allowed by {', '.join(allowed)}", "quiet")
        self._asks(effect)
        if effect.state in ("settled", "sent"):
            self.effects.pop(effect.id)

    def _changed(self, effect: Effect, record: Record) -> None:
        before = self.effects.get(effect.id)
        self.effects[effect.id] = effect
        name = effect.name if effect.verb != "person" else "the question"
        if self._addressed(before, effect):
            return
        if before is not None and effect.name != before.name:
            self._say(f"{before.name}: {in_words(effect.failure)}; {effect.name} is tried in its place", "bad")
            if effect.state == "asking":
                self._asks(effect)
        match effect.state:
            case "started" if effect.simulated:
                self._say(f"{effect.name} is simulated, not called", "quiet")
            case "started":
                self._say(f"{effect.name} is about to leave, attempt {effect.attempt - effect.before}", "quiet")
            case "waiting":
                cut = effect.failure is not None and effect.failure.code == "interrupted"
                self.retries += not cut
                again = "is made again" if cut else f"again in {max(0.0, (effect.due or self.at) - self.at):.2g} s"
                self._say(f"{effect.name}: {in_words(effect.failure)}; {again}", "bad")
            case "in_doubt" if effect.answer is None or before is None or before.state != "in_doubt":
                self._say(f"{as_called(effect)} is in doubt", "person")
                self._asks(effect)
            case "settled":
                self._settled(effect, record, name)
            case "withdrawn":
                self._say(f"{name} is withdrawn", "quiet")
            case _:
                pass
        if effect.state in ("settled", "withdrawn"):
            self.effects.pop(effect.id)

    def _addressed(self, before: Effect | None, effect: Effect) -> bool:
        """Tell that a person was reminded or the next one asked, where that is all that changed."""
        old, new = before.addressed if before is not None else None, effect.addressed
        if new is None or old is None or old == new or effect.answer is not None:
            return False
        who = asked_of(effect)
        if new.to > old.to:
            self._say(f"{effect.id} goes to {who}, too: {long(new.since - old.since)} without an answer", "person")
        else:
            self._say(f"{who} is reminded of {effect.id}, for the {new.reminded}. time", "person")
        return True

    def _settled(self, effect: Effect, record: Record, name: str) -> None:
        if effect.simulated:
            self.simulated += 1
            name = f"{name} (simulated)"
        if effect.failure is not None:
            self._say(f"{name}: {in_words(effect.failure)}", "bad")
        elif effect.verb == CALL and record.message is not None and record.message.wire == OUTCOME:
            self._say(f"{name} gives {in_short(decode(record.message.body, OutcomeBody).value)}", "good")

    def _said_inside(self, record: Record) -> None:
        """An actor answers another: it may be what it made of a composite tool's call."""
        for sent in record.sends:
            body = decode(sent.body, OutcomeBody) if sent.wire == OUTCOME and sent.sender else None
            effect = self.effects.get(body.of) if body is not None and body.failure is None else None
            if body is not None and effect is not None and effect.state == "inside":
                self._say(f"{effect.name} gives {in_short(body.value)}", "good")

    def _asks(self, effect: Effect) -> None:
        question = effect.question
        if question is not None and effect.state in ("asking", "in_doubt"):
            policy = f" [{question.policy}]" if question.policy else ""
            who = asked_of(effect) or "a person"
            self._say(f"asks {who} ({effect.id}): {question.text}{policy}", "person")
