"""A run as people read it: a fold over the rows of its actors into lines that say who did what, when, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from ..actors.conversation import Began, Fell, Observed, Retasked, Thought, Told
from ..actors.patience import asked_of, was_asked
from ..protocols.approvals import Answer
from ..protocols.codec import NULL, decode
from ..protocols.effects import CALL, THINK, Effect
from ..protocols.envelope import OUTCOME, OutcomeBody
from ..protocols.failures import Failure
from ..protocols.ids import SYSTEM, Address
from ..protocols.journal import Record, Row, StoredEvent
from ..protocols.model import Usage
from ..protocols.tasks import Result, Task
from .conflicts import telling as conflicts
from .inbox import InboxItem, item
from .journal.batch import record_of
from .journal.reading import reading, row_name
from .offline import as_left
from .results import recorded
from .supervision import decisions
from .supervision.roster import Decided, GaveUp, Resolved, Restarting
from .team import telling
from .team.events import Asked, Received, Returned, Routed, TeamState
from .team.events import Retasked as TeamRetasked
from .team.progress import Progress, apply, progress

Tone = Literal["plain", "good", "bad", "person", "quiet"]
"""How a line should look: an answer, a failure, something for or by a person, a detail."""


class Line(Struct, frozen=True, omit_defaults=True):
    """One thing that happened.

    Attributes:
        after: seconds since the run began.
        who: the actor, without the run's own address.
        text: what happened, one line or a few.
        tone: how it should look.
        gid: the row that says so.
        about: ``people`` where it says what a person was asked or answered, ``supervision`` where a supervisor decided.
    """

    after: float
    who: str
    text: str
    tone: Tone = "plain"
    gid: int = 0
    about: Literal["", "people", "supervision"] = ""


class Story(Struct, frozen=True, omit_defaults=True):
    """A run.

    Attributes:
        run: its address.
        status: done, cannot, failed, waiting, ``erased`` where retention took what would say it,
            or ``unfinished`` where it goes on with the next process.
        task: what was asked.
        result: what came of it, where it is over.
        began, seconds: journal time of the first row; how long until the last.
        waiting: what people have to answer.
        thinks, calls: how often a model answered and a tool was called.
        simulated: calls that were not made, but simulated (shadow mode).
        usage, cost: tokens and US dollars of all its model calls, the unfinished ones' too.
        retries: attempts that were made again; ``restarts``: of its actors; ``lives``: processes that worked on it.
        lines: what happened.
        progress: of a team's run, how far it is.
        erased: rows whose text is gone.
    """

    run: str
    status: str
    task: Task | None
    result: Result | None
    began: float
    seconds: float
    waiting: tuple[InboxItem, ...]
    thinks: int = 0
    calls: int = 0
    usage: Usage = Usage()
    cost: float = 0.0
    retries: int = 0
    restarts: int = 0
    lives: int = 1
    lines: tuple[Line, ...] = ()
    progress: Progress | None = None
    erased: int = 0
    simulated: int = 0


def tell(run: Address, rows: Iterable[Row], around: Iterable[Row] = (), *, left: bool = False) -> Story:
    """Fold a run.

    Args:
        run: its address.
        rows: all rows of its actors, in any order.
        around: rows of its supervisors and of the journal itself; of these what concerns the run is told.
        left: nobody owns the journal; calls that its owner had begun when it died are in doubt.

    Raises:
        LookupError: there are no rows of it.
        JournalDamaged: one of them is not what was written.
    """
    teller = _Teller(run)
    mine = sorted(rows, key=lambda row: row.gid)
    if not mine:
        raise LookupError(f"there are no rows of {run}")
    first, last = mine[0].gid, mine[-1].gid
    others = [row for row in around if (row.gid < last if row.stream == SYSTEM else row.gid > first)]
    for row in sorted({row.gid: row for row in (*mine, *others)}.values(), key=lambda row: row.gid):
        with reading(row_name(row)):
            teller.take(row)
    with reading(f"what {run} left open"):
        if left:
            teller.leave()
        return teller.story()


class _Teller:
    def __init__(self, run: Address) -> None:
        self.run = run
        self.began = self.at = 0.0
        self.lines: list[Line] = []
        self.effects: dict[str, Effect] = {}
        self.task: Task | None = None
        self.result: Result | None = None
        self.failure: Failure | None = None
        self.usage, self.cost = Usage(), 0.0
        self.thinks = self.calls = self.retries = self.restarts = 0
        self.simulated = 0
        self.lives, self.in_order, self.pid = 1, False, ""
        self.erased = 0
        self.above: dict[str, Effect] = {}
        """Questions of supervisors about its actors."""
        self.row: Row | None = None
        self.team: TeamState | None = None

    def take(self, row: Row) -> None:
        """Tell one row."""
        self.row, record = row, record_of(row)
        mine = row.stream == self.run or row.stream.startswith(self.run + "/")
        if row.stream == SYSTEM:
            self._life(record)
            return
        if not mine:
            self._supervisor(record)
            return
        self.began, self.at = self.began or row.at, row.at
        if record.erased:
            self._erased()
            return
        for event in record.events:
            self._event(event, record)
        if row.kind in ("failed", "parked") and record.failure is not None:
            put = "its message is put aside" if row.kind == "failed" else "put aside without a turn"
            self._say(f"failed: {_failure(record.failure)}; {put}", "bad")
        if record.answer is not None:
            self._doubted(effect.id for effect in record.changes)
            self._answer(record.answer, record)
        for effect in record.changes:
            self._changed(effect, record)
        for effect in record.effects:
            self._intended(effect)
        self._said_inside(record)
        if row.kind == "turn" and record.life == "running":
            self.restarts += 1
            self._say(f"starts again (restart {row.incarnation})", "bad")
        if record.life == "stopped":
            self._say("is stopped", "bad")
        if row.stream == self.run:
            for reply in record.replies:
                self.failure = reply.failure
                self.result = recorded(reply.value) if reply.failure is None else None

    def _answer(self, answer: Answer, record: Record) -> None:
        why = f": {answer.reason}" if answer.reason else ""
        value = f" {_short(answer.value)}" if answer.value != NULL else ""
        stranger = any(not was_asked(e, answer.by) for e in record.changes if e.id == answer.item)
        who = f"{answer.by} (who was not asked)" if stranger else answer.by
        self._say(f"{who} answers {answer.item}: {answer.decision.replace('_', ' ')}{value}{why}", "person")

    def _from_above(self, record: Record) -> None:
        """What a supervisor asked people about actors of this run, and what they said."""
        for effect in record.effects:
            question = effect.question
            if question is not None and question.about and _within(question.about, self.run):
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

    def leave(self) -> None:
        """The owner has died, and nobody has taken the journal over."""
        self._doubted(tuple(self.effects))

    def story(self) -> Story:
        """What was told."""
        waiting = tuple(entry for effect in self.effects.values() if (entry := item(effect)) is not None)
        result = self.result or (
            Result("failed", reason=self.failure.message, failure=self.failure) if self.failure is not None else None
        )
        moving = any(e.state not in ("asking", "in_doubt", "inside") or e.answer for e in self.effects.values())
        status = result.status if result is not None else "waiting" if waiting and not moving else "unfinished"
        gone = self.result is None and self.erased > 0  # whoever asked again was told so, as a failure
        return Story(
            str(self.run), "erased" if gone else status, self.task, result, self.began, self.at - self.began, waiting,
            self.thinks, self.calls, self.usage, self.cost, self.retries, self.restarts, self.lives, tuple(self.lines),
            self._progress(result.status if result is not None else ""), self.erased, self.simulated,
        )  # fmt: skip

    def _progress(self, ended: str) -> Progress | None:
        if self.team is None or self.erased:
            return None
        return progress(self.team, (e for e in self.effects.values() if e.stream == self.run), ended)

    def _erased(self) -> None:
        """One line for all rows whose text is gone."""
        self.erased += 1
        if self.erased == 1:
            self._say(
                "what was said and done here was erased by retention; the rows are still there", "quiet", who="journal"
            )

    def _doubted(self, ids: Iterable[str]) -> None:
        """Tell of the doubt about calls that were under way when the owner died, where no row tells it."""
        row = self.row
        for before in [self.effects[id] for id in ids if id in self.effects]:
            doubted = as_left(before)
            if doubted is not before and row is not None:
                self.row = msgspec.structs.replace(row, stream=before.stream)
                self._changed(doubted, Record())
        self.row = row

    # -- what happened ------------------------------------------------------------------------------------------

    def _event(self, stored: StoredEvent, record: Record) -> None:
        if stored.wire.startswith("team."):
            self.team = apply(self.team or TeamState(), stored)
            if stored.wire in telling.LINES:
                self._say(*telling.line(stored))
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
            self._say(f"{stored.wire} {_short(stored.data)}")

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
            self._say(f"{event.by} answers{said}: {_short(result.output)}", "good")
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
        said = _short(reply.text) if reply.text else "calls " + ", ".join(call.name for call in reply.calls)
        self._say(f"{reply.model or 'model'}: {said}")
        self._say(f"{about}{reply.usage.input_tokens} + {reply.usage.output_tokens} tokens{cost}", "quiet")

    def _observed(self, event: Observed, record: Record) -> None:
        if not any(e.state == "settled" for e in record.changes) and record.took == "":
            self._say(f"{event.tool}: {_short(event.text)}", "bad")  # a call that never became one

    def _told(self, event: Told, record: Record) -> None:
        self._say(f"is told: {event.text}", "bad")

    def _retasked(self, event: Retasked, record: Record) -> None:
        self.task = event.task
        self._say(f"{event.by} changes the task: {_short(event.task.objective)}", "person")

    def _fell(self, event: Fell, record: Record) -> None:
        self._say(f"falls back to {event.to}: {_failure(event.failure)}", "bad")

    def _intended(self, effect: Effect) -> None:
        self.effects[effect.id] = effect
        if effect.verb == THINK:
            denied = next((v for v in effect.verdicts if v.verdict == "deny"), None)
            if denied is not None:
                self._say(f"may not ask {effect.name}: {denied.reason or denied.check}", "bad")
            return
        if effect.verb == CALL:
            self.calls += effect.state != "settled"
            self._say(f"{_call(effect)}  [{effect.effect}]")
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
            self._say(f"{before.name}: {_failure(effect.failure)}; {effect.name} is tried in its place", "bad")
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
                self._say(f"{effect.name}: {_failure(effect.failure)}; {again}", "bad")
            case "in_doubt" if effect.answer is None or before is None or before.state != "in_doubt":
                self._say(f"{_call(effect)} is in doubt", "person")
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
            self._say(f"{effect.id} goes to {who}, too: {_long(new.since - old.since)} without an answer", "person")
        else:
            self._say(f"{who} is reminded of {effect.id}, for the {new.reminded}. time", "person")
        return True

    def _settled(self, effect: Effect, record: Record, name: str) -> None:
        if effect.simulated:
            self.simulated += 1
            name = f"{name} (simulated)"
        if effect.failure is not None:
            self._say(f"{name}: {_failure(effect.failure)}", "bad")
        elif effect.verb == CALL and record.message is not None and record.message.wire == OUTCOME:
            self._say(f"{name} gives {_short(decode(record.message.body, OutcomeBody).value)}", "good")

    def _said_inside(self, record: Record) -> None:
        """An actor answers another: it may be what it made of a composite tool's call."""
        for sent in record.sends:
            body = decode(sent.body, OutcomeBody) if sent.wire == OUTCOME and sent.sender else None
            effect = self.effects.get(body.of) if body is not None and body.failure is None else None
            if body is not None and effect is not None and effect.state == "inside":
                self._say(f"{effect.name} gives {_short(body.value)}", "good")

    def _asks(self, effect: Effect) -> None:
        question = effect.question
        if question is not None and effect.state in ("asking", "in_doubt"):
            policy = f" [{question.policy}]" if question.policy else ""
            who = asked_of(effect) or "a person"
            self._say(f"asks {who} ({effect.id}): {question.text}{policy}", "person")

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
                self._say(f"restarts {who} in {event.delay:.2g} s: {_failure(event.failure)}", "bad", supervises=True)
            elif isinstance(event, GaveUp):
                self._say(f"gives up on {who}: {_failure(event.failure)}", "bad", supervises=True)
            elif isinstance(event, Resolved):
                why = f" ({event.answer.reason})" if event.answer.reason else ""
                said = event.answer.decision.replace("_", " ")
                self._say(f"{event.answer.by} decides about {who}: {said}{why}", "person", supervises=True)
            elif isinstance(event, Decided):
                rule = f", by {event.rule}" if event.rule else ""
                what = "leaves it to the one above" if event.directive == "escalate" else f"says {event.directive}"
                self._say(f"about {who}{rule}: {what}: {_failure(event.failure)}", "bad", supervises=True)

    def _say(self, text: str, tone: Tone = "plain", *, who: str = "", supervises: bool = False) -> None:
        assert self.row is not None
        about: Literal["", "people", "supervision"] = (
            "supervision" if supervises else "people" if tone == "person" else ""
        )
        after = max(0.0, self.row.at - (self.began or self.row.at))
        self.lines.append(Line(round(after, 6), who or self._who(self.row.stream), text, tone, self.row.gid, about))

    def _who(self, address: Address) -> str:
        if address == self.run:
            return self.run.split("/")[0]
        return address.removeprefix(self.run + "/")


_EVENTS: dict[str, Callable[[_Teller, Any, Record], None]] = {  # by wire name; each takes the event of that name
    "team.received": _Teller._received,
    "team.asked": _Teller._asked,
    "team.routed": _Teller._routed,
    "team.returned": _Teller._returned,
    "agent.began": _Teller._began,
    "agent.thought": _Teller._thought,
    "agent.observed": _Teller._observed,
    "agent.told": _Teller._told,
    "agent.fell_back": _Teller._fell,
    "agent.retasked": _Teller._retasked,
    "team.retasked": _Teller._retasked,
}
_FORMS: dict[str, type[Struct]] = {
    form.__wire__: form
    for form in (Received, Asked, Routed, Returned, Began, Thought, Observed, Told, Fell, Retasked, TeamRetasked)
}
_SILENT = frozenset(
    {"team.closed", "agent.stuck", "agent.helped", "agent.ended", "worker.accepted", "worker.ended"}
    | {f"composite.{what}" for what in ("began", "step_done", "step_failed", "ended")}
)  # the question and its answer, and the steps of a composite, are told by their own rows
_SUPERVISION: dict[str, type[Struct]] = {form.__wire__: form for form in (Restarting, GaveUp, Resolved, Decided)}


def _within(address: str, run: Address) -> bool:
    return address == run or address.startswith(run + "/")


def _long(seconds: float) -> str:
    """A length of time as people say it."""
    for unit, name in ((86_400.0, "days"), (3_600.0, "h"), (60.0, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.2g} {name}"
    return f"{seconds:.2g} s"


def _call(effect: Effect) -> str:
    values = msgspec.json.decode(effect.args, type=dict[str, Raw])
    return f"{effect.name}({', '.join(f'{name}={bytes(value).decode()}' for name, value in values.items())})"


def _failure(failure: Failure | None) -> str:
    if failure is None:
        return "no reason given"
    causes: Sequence[Failure] = failure.chain()[1:]
    below = "".join(f" < {cause.message}" for cause in causes if cause.message not in failure.message)
    return f"{failure.message}{below}"


def _short(value: Raw | str, most: int = 400) -> str:
    text = " ".join((value if isinstance(value, str) else bytes(value).decode()).split())
    return text if len(text) <= most else text[: most - 3] + "..."
