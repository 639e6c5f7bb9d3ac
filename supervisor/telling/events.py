"""What is told of the events of agents and teams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from ...actors.conversation import Began, Fell, Observed, Retasked, Thought, Told
from ...protocols.journal import Record, StoredEvent
from ..conflicts import telling as conflicts
from ..supervision import decisions
from ..team import telling as teams
from ..team.events import Asked, Received, Returned, Routed, TeamState
from ..team.events import Retasked as TeamRetasked
from ..team.progress import apply
from .effects import OfEffects
from .words import in_short, in_words


class OfEvents(OfEffects):
    """See ``teller``."""

    def _event(self, stored: StoredEvent, record: Record) -> None:
        if stored.wire.startswith("team."):
            self.team = apply(self.team or TeamState(), stored)
            if stored.wire in teams.LINES:
                self._say(*teams.line(stored))
                return
        if stored.wire in conflicts.LINES:
            self._say(*conflicts.line(stored))
            return
        decided = decisions.line_of(stored)
        if decided is not None:  # it is a supervisor that is told of
            if decided:
                self._say(decided)
            return
        told = _EVENTS.get(stored.wire)
        if told is not None:
            told(self, msgspec.json.decode(stored.data, type=_FORMS[stored.wire]), record)
        elif stored.wire not in _SILENT and stored.wire not in conflicts.SILENT:
            self._say(f"{stored.wire} {in_short(stored.data)}")

    def _received(self, event: Received, record: Record) -> None:
        self.task = self.task or event.task
        self._say("takes the task")

    def _asked(self, event: Asked, record: Record) -> None:
        again = f", for the {event.tries}. time" if event.tries > 1 else ""
        self._say(f"asks {event.name}{f' for step {event.step}' if event.step else ''}{again}")

    def _routed(self, event: Routed, record: Record) -> None:
        route = event.route
        why = f": {route.why}" if route.why else ""
        sure = f" ({route.confidence:.0%} sure)" if route.to != "person" else ""
        self._say(f"{event.by} sends it to {'a person' if route.to == 'person' else route.to}{sure}{why}")

    def _returned(self, event: Returned, record: Record) -> None:
        result = event.result
        what = f"step {event.step}" if event.step else "it"
        if result.status == "done":
            said = f" ({what})" if event.step else ""
            self._say(f"{event.by} answers{said}: {in_short(result.output)}", "good")
        else:
            word = (
                f"can't complete {what}" if result.status == "cannot" else f"fails{f' at {what}' if event.step else ''}"
            )
            self._say(f"{event.by} {word}: {result.reason}", "bad")

    def _began(self, event: Began, record: Record) -> None:
        self.task = self.task or event.task
        self._say("begins")

    def _thought(self, event: Thought, record: Record) -> None:
        reply = event.reply
        self.thinks += 1
        self.usage += reply.usage
        self.cost += reply.cost or 0.0
        cost = f", ${reply.cost:.4f}" if reply.cost else ""
        about = "about " if reply.usage.estimated else ""
        said = in_short(reply.text) if reply.text else "calls " + ", ".join(call.name for call in reply.calls)
        self._say(f"{reply.model or 'model'}: {said}")
        self._say(f"{about}{reply.usage.input_tokens} + {reply.usage.output_tokens} tokens{cost}", "quiet")

    def _observed(self, event: Observed, record: Record) -> None:
        if not any(e.state == "settled" for e in record.changes) and record.took == "":
            self._say(f"{event.tool}: {in_short(event.text)}", "bad")  # a call that never became one

    def _told(self, event: Told, record: Record) -> None:
        self._say(f"is told: {event.text}", "bad")

    def _retasked(self, event: Retasked, record: Record) -> None:
        self.task = event.task
        self._say(f"{event.by} changes the task: {in_short(event.task.objective)}", "person")

    def _fell(self, event: Fell, record: Record) -> None:
        self._say(f"falls back to {event.to}: {in_words(event.failure)}", "bad")


_EVENTS: dict[str, Callable[[OfEvents, Any, Record], None]] = {  # by wire name; each takes the event of that name
    "team.received": OfEvents._received,
    "team.asked": OfEvents._asked,
    "team.routed": OfEvents._routed,
    "team.returned": OfEvents._returned,
    "agent.began": OfEvents._began,
    "agent.thought": OfEvents._thought,
    "agent.observed": OfEvents._observed,
    "agent.told": OfEvents._told,
    "agent.fell_back": OfEvents._fell,
    "agent.retasked": OfEvents._retasked,
    "team.retasked": OfEvents._retasked,
}
_FORMS: dict[str, type[Struct]] = {
    form.__wire__: form
    for form in (Received, Asked, Routed, Returned, Began, Thought, Observed, Told, Fell, Retasked, TeamRetasked)
}
_SILENT = frozenset(
    {"team.closed", "agent.stuck", "agent.helped", "agent.ended", "worker.accepted", "worker.ended"}
    | {f"composite.{what}" for what in ("began", "step_done", "step_failed", "ended")}
)  # the question and its answer, and the steps of a composite, are told by their own rows
