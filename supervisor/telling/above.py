"""What is told of supervisors, and of the lives of the process."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from ...protocols.journal import Record
from ..supervision.roster import Decided, GaveUp, Resolved, Restarting
from .events import OfEvents
from .words import in_words, within


class FromAbove(OfEvents):
    """See ``teller``."""

    def _from_above(self, record: Record) -> None:
        """What a supervisor asked people about actors of this run, and what they said."""
        for effect in record.effects:
            question = effect.question
            if question is not None and question.about and within(question.about, self.run):
                self.above[effect.id] = effect
                self._asks(effect)
        for effect in record.changes:
            before = self.above.get(effect.id)
            if before is not None:
                self._addressed(before, effect)
                self.above[effect.id] = effect
                if effect.state == "withdrawn":
                    self._say(f"{effect.id} needs no answer any more", "quiet")
                if record.answer is not None:
                    self._answer(record.answer, record)

    def _life(self, record: Record) -> None:
        note = record.note
        if "stopped" in note:
            self.in_order = True
        if note.get("for") == "one answer" or "epoch" not in note:
            return
        before, self.pid = self.pid, note.get("pid", "?")
        if self.began and before == self.pid:
            self._say("a commit failed; the kernel was built anew from the journal", "bad", who="journal")
        elif self.began:
            self.lives += 1
            how = "drained and stopped" if self.in_order else "died"
            self._say(f"process {before} {how}; process {self.pid} carries on", "bad", who="journal")
        self.in_order = False

    def _supervisor(self, record: Record) -> None:
        self._from_above(record)
        for stored in record.events:
            form = _SUPERVISION.get(stored.wire)
            if form is None:
                continue
            event: Any = msgspec.json.decode(stored.data, type=form)  # one of these events
            if event.child != self.run and not event.child.startswith(self.run + "/"):
                continue
            who = self._who(event.child)
            if isinstance(event, Restarting):
                self._say(f"restarts {who} in {event.delay:.2g} s: {in_words(event.failure)}", "bad", supervises=True)
            elif isinstance(event, GaveUp):
                self._say(f"gives up on {who}: {in_words(event.failure)}", "bad", supervises=True)
            elif isinstance(event, Resolved):
                why = f" ({event.answer.reason})" if event.answer.reason else ""
                said = event.answer.decision.replace("_", " ")
                self._say(f"{event.answer.by} decides about {who}: {said}{why}", "person", supervises=True)
            elif isinstance(event, Decided):
                rule = f", by {event.rule}" if event.rule else ""
                what = "leaves it to the one above" if event.directive == "escalate" else f"says {event.directive}"
                self._say(f"about {who}{rule}: {what}: {in_words(event.failure)}", "bad", supervises=True)


_SUPERVISION: dict[str, type[Struct]] = {form.__wire__: form for form in (Restarting, GaveUp, Resolved, Decided)}
