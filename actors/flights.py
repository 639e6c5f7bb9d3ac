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

from ..protocols.approvals import Answer, Question
from ..protocols.binding import approves, leave
from ..protocols.books import Entry
from ..protocols.circuits import answered, declined, free, moot
from ..protocols.codec import NULL, decode, encode
from ..protocols.effects import CALL, PERSON, THINK, Attempt, Effect, ThinkArgs
from ..protocols.errors import NotStorable, UnderstudyError, WrongAnswer
from ..protocols.failures import Failure, of_exception, said
from ..protocols.grants import made, standing
from ..protocols.hooks import Clearance, Gate, Next, Rng
from ..protocols.journal import Record, RowKind, Timer
from ..protocols.model import ModelRequest
from ..protocols.shadow import by_shadow, waved
from ..protocols.verdicts import Verdict
from ..protocols.watch import Blocked, Watch
from .answers import YES, accept, allowed_by, considered, worded
from .cell import Cell
from .editing import edited
from .handing_in import handed_in
from .mailbox import Item
from .outcome import effect_outcome
from .patience import addressed, opened, pressed, silence
from .provenance import comes_from
from .releases import Done, Refused, Release, Resolve, Settlement, Start
from .reporting import happened, reported
from .sizes import asked_briefly, brief
from .unsure import judged, no_time, not_again, told, until

ENDED = ("finished", "stopped")


class Pump(Protocol):
    """What flights need of the kernel."""

    now: float
    watch: Watch
    died: bool
    """Whether the life before this one did not stop in order."""

    @property
    def books(self) -> dict[str, Entry]:
        """The gate's books."""
        ...

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

    def alive(self, id: str) -> Effect | None:
        """An open effect that goes on by itself, or when people say so."""
        ...

    def timers(self, cell: Cell) -> list[Timer]:
        """An actor's open timers."""
        ...

    def put_right(self, thing: Resolve) -> None:
        """Write what a person decided about a message that was put aside. Raises NotStorable."""
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
        self._checked: dict[str, tuple[Verdict, ...]] = {}
        """What the gate said at the start of effects that left without a row of their own: for the row that settles them."""

    def launch(self, cell: Cell, effect: Effect) -> None:
        """Let an effect leave: at once for what may run twice, after a ``started`` row for what may not."""
        if cell.mount is None or self.hold:
            return
        if cell.memory.life in ENDED:
            self.land(cell, effect, NULL, _over(cell))
            return
        try:
            clear, request = self._pump.watch.run(effect, lambda: self._asked(cell, effect))
        except Blocked as blocked:
            self._refuse(cell, effect, Clearance(), blocked.failure)
            return
        except Exception as error:  # noqa: BLE001 - the actor's own code: its failure is the outcome
            self._refuse(cell, effect, Clearance(), of_exception(error, where=effect.name, code="render_failed"))
            return
        if clear.shut and clear.failure is not None and self._instead(cell, effect, clear.failure, clear):
            return
        if (denied := _denied(clear)) is not None:
            code = "denied_" + denied.check.split(".")[0]
            why = clear.failure or Failure("abandon", code, denied.reason, where=effect.name)
            self._refuse(cell, effect, clear, why)
            return
        if clear.due is not None and not self._has_time(cell, effect, clear.due):
            why = clear.failure or Failure("retry_later", "no_room", "there is no room for it", where=effect.name)
            self._refuse(cell, effect, clear, no_time(effect, clear.due - self._pump.now, why))
            return
        effect = msgspec.structs.replace(effect, due=None)
        try:
            if clear.question is not None:
                self._ask(cell, effect, clear, clear.question)
            elif clear.due is not None:
                self._wait(cell, effect, clear, clear.due)
            elif clear.inside is not None:
                self._pump.write(cell, "attempt", handed_in(cell, effect, clear, self._pump.now), effect.id)
            else:
                self._begin(cell, effect, clear, request)
        except NotStorable as error:
            self.land(cell, effect, NULL, of_exception(error, where=effect.name, code="too_large"))

    def _refuse(self, cell: Cell, effect: Effect, clear: Clearance, why: Failure) -> None:
        """The gate does not let it out, or only too late."""
        step = not_again(effect, why)
        if step.step == "settle":
            self.land(cell, effect, NULL, why, checked=clear.verdicts)
        else:
            checked = msgspec.structs.replace(effect, verdicts=effect.verdicts + clear.verdicts, due=None)
            self._follow(cell, checked, why, step, "")

    def _has_time(self, cell: Cell, effect: Effect, due: float) -> bool:
        """Whether somebody will still want it then."""
        last = until(cell, effect, self._pump.timers(cell))
        return last is None or due < last

    def _asked(self, cell: Cell, effect: Effect) -> tuple[Clearance, ModelRequest | None]:
        """What the gate says now, and what a model is to be asked. Runs people's rules and ``render``, and raises what they do."""
        request: ModelRequest | None = None
        if effect.verb == THINK and cell.mount is not None:
            mark = decode(effect.args, ThinkArgs).mark
            rendered = cell.mount.actor.render(cell.state, mark)
            request = msgspec.structs.replace(rendered, key=f"{effect.stream}:{mark}")
        now, books = self._pump.now, self._pump.books
        last = None if now == effect.at else until(cell, effect, self._pump.timers(cell))
        clear = self._gate.start(effect, cell.memory.counters, now, books, request, last, self._pump.alive)
        if request is not None and clear.answer is not None:
            request = msgspec.structs.replace(request, answer=clear.answer)
        return clear, request

    def _begin(self, cell: Cell, effect: Effect, clear: Clearance, request: ModelRequest | None) -> None:
        """It leaves; what may not be repeated, and what has something reserved for it, only after a row that says so."""
        checked: tuple[Verdict, ...] = ()
        if clear.simulate:
            effect = msgspec.structs.replace(effect, simulated=True)
        if effect.effect in ("once", "reconcilable") or clear.books or clear.simulate:
            verdicts = effect.verdicts + clear.verdicts
            begun = msgspec.structs.replace(effect, state="started", attempt=effect.attempt + 1, verdicts=verdicts)
            self._pump.write(cell, "started", Record(changes=(begun,), books=clear.books), effect.id)
        else:
            begun = msgspec.structs.replace(effect, state="started", attempt=effect.attempt + 1)
            checked = clear.verdicts
            if checked:
                self._checked[effect.id] = checked
        self.flying[effect.id] = begun.attempt
        if clear.timeout is not None:
            begun = msgspec.structs.replace(begun, timeout=min(begun.timeout, clear.timeout))
        self._pump.after(Start(begun, request, checked))

    def _wait(self, cell: Cell, effect: Effect, clear: Clearance, due: float) -> None:
        """There is no room for it yet."""
        after = msgspec.structs.replace(effect, state="waiting", due=due, verdicts=effect.verdicts + clear.verdicts)
        self._pump.write(cell, "attempt", Record(changes=(after,), books=clear.books), effect.id)
        self._pump.alarm(due, effect.id)

    def _ask(self, cell: Cell, effect: Effect, clear: Clearance, question: Question) -> None:
        """A person is to say first whether it starts."""
        people = cell.mount.people if cell.mount is not None else None
        asked = addressed(question, people, self._pump.now)
        cleared = 0.0 if by_shadow(effect.answer) else effect.cleared
        after = msgspec.structs.replace(
            effect, state="asking", question=asked, answer=None, cleared=cleared, verdicts=effect.verdicts + clear.verdicts,
            yes=(), leave=None if approves(asked) else leave(effect),
        )  # fmt: skip
        after = opened(after, self._pump.now)
        self._pump.write(cell, "attempt", Record(changes=(after,), books=clear.books), effect.id)
        self.asked(cell, after)

    def settle(self, cell: Cell, settlement: Settlement) -> None:
        """Take the outcome of one attempt. Late and double ones find nothing open, or settle a doubt."""
        effect = self._pump.effect(settlement.effect)
        current = self.flying.get(settlement.effect, 0)
        stale = settlement.failure is not None and settlement.attempt < current
        if effect is not None and settlement.attempt <= effect.before:
            stale = True  # of a tool whose place another one has taken
        if effect is not None and settlement.failure is not None and judged(effect, settlement):
            stale = True
        if effect is None or effect.id in self._landing or stale:
            self._pump.after(Done(settlement.id))
            return
        self.flying.pop(effect.id, None)
        if (
            settlement.checked and settlement.attempt > effect.attempt
        ):  # in no row yet; an earlier kernel may have let it out
            self._checked.setdefault(effect.id, settlement.checked)
        tried = msgspec.structs.replace(effect, attempt=max(effect.attempt, settlement.attempt))
        came = Attempt(settlement.value, settlement.failure, settlement.unknown)
        tried, books = self._book(tried, came)
        if settlement.failure is None:
            self._enter(cell, tried, books)
            self.land(cell, tried, Raw(settlement.value or b"null"), None, settlement.id)
        elif effect.state == "in_doubt" and settlement.unknown:
            self._enter(cell, tried, books)
            self._pump.after(Done(settlement.id))
        else:
            judge = self._gate.unknown if settlement.unknown else self._gate.failed
            step = judge(tried, settlement.failure, self._pump.now, self._rng)
            tried = told(tried, unknown=settlement.unknown and not tried.simulated)
            self._follow(cell, tried, settlement.failure, step, settlement.id, books)

    def _book(self, effect: Effect, came: Attempt | None) -> tuple[Effect, tuple[Entry, ...]]:
        """What the end of the last attempt means for the books, unless they know it already. (A late outcome of an earlier one ends
        the last one, too.)"""
        if effect.attempt <= effect.booked:
            return effect, ()
        booked = self._gate.book(effect, came, self._pump.now, self._pump.books)
        if not booked.books and not booked.verdicts:
            return effect, ()
        verdicts = effect.verdicts + booked.verdicts
        return msgspec.structs.replace(effect, booked=effect.attempt, verdicts=verdicts), booked.books

    def _enter(self, cell: Cell, effect: Effect, books: tuple[Entry, ...]) -> None:
        """Write the books before the outcome is delivered: they count for everybody from now on, the turn that takes it may come later."""
        if books:
            self._pump.write(cell, "attempt", Record(changes=(effect,), books=books), effect.id)

    def land(
        self,
        cell: Cell,
        effect: Effect,
        value: Raw,
        failure: Failure | None,
        input: str = "",
        kind: RowKind = "settled",
        checked: tuple[Verdict, ...] = (),
    ) -> None:
        """The outcome is known: deliver it to the actor. ``checked``: what the gate said when it was not let out."""
        self._landing.add(effect.id)
        if effect.context.undo and happened(effect, failure):
            self._report(cell, effect, None if failure is not None else value)
        checked = self._checked.pop(effect.id, ()) + checked
        provenance = comes_from(effect, value if failure is None else NULL, self._gate)
        try:
            envelope = effect_outcome(f"{effect.id}!", effect, value, failure, self._pump.now, checked, provenance)
        except NotStorable as error:  # a failure in words that no journal holds: it is this effect's, and nobody else's
            told = of_exception(error, where=effect.name, code=failure.code if failure else "crashed")
            envelope = effect_outcome(f"{effect.id}!", effect, NULL, said(told), self._pump.now, checked, provenance)
        item = Item(envelope, False, settles=effect.id, inputs=(input,) if input else ())
        item.suspect = self._pump.died and (effect.interrupted > 0 or effect.answer is not None)
        self._pump.put(cell, item, kind)

    def _report(self, cell: Cell, effect: Effect, value: Raw | None) -> None:
        """Tell whoever undoes the calls of its plan, if this one can be undone; in a row before that of its outcome."""
        word = reported(effect, self._gate.undoing(effect, value), self._pump.now)
        if word is not None:
            self._pump.write(cell, "attempt", Record(sends=(word,)), effect.id)

    def answer(self, cell: Cell, answer: Answer, input: str, also: Resolve | None = None) -> None:
        """Take a person's answer. The first one wins. ``also``: see ``Kernel.answer``."""
        effect = self._pump.effect(answer.item)
        try:
            accepted = self._accept(cell, effect, answer)
            self._pump.watch.run(accepted, lambda: considered(cell, accepted, answer.decision))
        except Blocked as blocked:
            why = f"whether it fits {answer.item} cannot be said: {blocked.failure.message}"
            self._pump.after(Refused(input, WrongAnswer(why, hint="the question is still open")))
            return
        except UnderstudyError as error:
            self._pump.after(Refused(input, error))
            return
        try:
            said, now = accepted.answer or accepted.yes[-1], self._pump.now
            books = made(accepted, now) + answered(accepted, self._pump.books, now)
            self._pump.write(cell, "accepted", Record(changes=(accepted,), answer=said, books=books), answer.item)
        except (NotStorable, WrongAnswer) as error:
            self._pump.after(Refused(input, error))
            return
        if also is not None:
            self._pump.put_right(also)
        self._pump.after(Done(input))
        if accepted.answer is not None:
            self._answered(cell, accepted)

    def _accept(self, cell: Cell, effect: Effect | None, answer: Answer) -> Effect:
        """The effect with the answer. A call with other arguments passes the gate again; what the gate runs is people's code."""
        taken, gate, now = answer.item in self._landing, self._gate, self._pump.now
        people = cell.mount.people if cell.mount is not None else None

        def edit(call: Effect, changed: Answer) -> Effect:
            return self._pump.watch.run(call, lambda: edited(call, changed, gate, cell.memory.counters, people, now))

        return accept(effect, answer, now, taken=taken, edit=edit)

    def asked(self, cell: Cell, effect: Effect) -> None:
        """A question was put: a standing approval that fits answers it at once, or shadow mode does; else its alarm is set."""
        answer = standing(effect, self._pump.books, self._pump.now)
        if answer is None and self._gate.pretends(effect):
            answer = waved(effect)
        if answer is None:
            if effect.due is not None:
                self._pump.alarm(effect.due, effect.id)
            return
        after = allowed_by(effect, answer, self._pump.now)
        self._pump.write(cell, "accepted", Record(changes=(after,), answer=answer), effect.id)
        self._answered(cell, after)

    def adopt(self, before: Flights) -> None:
        """Know what a kernel before this one knew of attempts that go on."""
        for id, attempt in self.flying.items():
            if before.flying.get(id) == attempt and id in before._checked:
                self._checked.setdefault(id, before._checked[id])

    def stands(self, effect: Effect) -> bool:
        """Whether this attempt is still to be performed, now that its row is durable."""
        if self._pump.effect(effect.id) is None:
            self.flying.pop(effect.id, None)
        return self.flying.get(effect.id) == effect.attempt

    def over(self, id: str) -> None:
        """It is settled or withdrawn: nothing of it is remembered here."""
        self.flying.pop(id, None)
        self._landing.discard(id)
        self._checked.pop(id, None)

    def ring(self, cell: Cell, effect: Effect | None) -> None:
        """The time of a waiting effect has come, or something is to be done about a question that waits."""
        if effect is None or effect.id in self._landing or effect.id in self.flying:
            return
        if (effect.due is None or effect.due > self._pump.now) and not free(effect, self._pump.books):
            return
        if effect.state == "waiting":
            self._again(cell, effect)
        elif effect.state in ("asking", "in_doubt") and effect.answer is None:
            self._press(cell, effect)

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
            cut, books = self._book(told(cut, unknown=effect.state == "started" and not effect.simulated), None)
            self._follow(cell, cut, why, step, "", books)

    def _press(self, cell: Cell, effect: Effect) -> None:
        """Whoever is asked is reminded, or the next one is asked, or nobody answered in time; or there is nothing to ask any more."""
        if moot(effect, self._pump.books):
            told = Verdict("breaker", "allow", "there is no probe to ask about any more", self._pump.now)
            after = msgspec.structs.replace(
                effect,
                state="intended",
                question=None,
                addressed=None,
                due=None,
                yes=(),
                verdicts=(*effect.verdicts, told),
            )
            self._pump.write(cell, "attempt", Record(changes=(after,)), effect.id)
            self.launch(cell, after)
            return
        step, after = pressed(effect, self._pump.now)
        if step == "over":
            said = silence(effect)
            if isinstance(said, Failure):
                self._enter(cell, effect, declined(effect, self._pump.books, self._pump.now))
                self._refused(cell, effect, said, "expired")
                return
            after = msgspec.structs.replace(effect, answer=said, due=None)
            self._pump.write(cell, "accepted", Record(changes=(after,), answer=said), effect.id)
            self._answered(cell, after)
            return
        if step != "wait":
            self._pump.write(cell, "attempt", Record(changes=(after,)), effect.id)
        if after.due is not None:
            self._pump.alarm(after.due, effect.id)

    def _again(self, cell: Cell, effect: Effect) -> None:
        """The wait before the next attempt is over, unless so much time has passed that it may not be made any more."""
        step = self._gate.interrupted(effect, self._pump.now)
        if step.step == "start":
            self.launch(cell, effect)
        else:
            self._follow(cell, effect, step.failure or effect.failure or _over(cell), step, "")

    def _follow(
        self, cell: Cell, effect: Effect, failure: Failure, step: Next, input: str, books: tuple[Entry, ...] = ()
    ) -> None:
        if step.step == "start" and step.due is not None and not self._has_time(cell, effect, step.due):
            step = not_again(effect, no_time(effect, step.due - self._pump.now, failure))
        if step.step == "settle" or (step.step == "start" and cell.memory.life in ENDED):
            if not self._instead(cell, effect, step.failure or failure, None, input, books):
                self._enter(cell, effect, books)
                self.land(cell, effect, NULL, step.failure or failure, input)
            return
        if effect.id in self._checked:
            effect = msgspec.structs.replace(effect, verdicts=effect.verdicts + self._checked.pop(effect.id))
        if step.step == "doubt":
            people = cell.mount.people if cell.mount is not None else None
            question = addressed(step.question, people, self._pump.now) if step.question is not None else None
            after = opened(
                msgspec.structs.replace(effect, state="in_doubt", question=question, failure=failure, answer=None),
                self._pump.now,
            )
        else:
            due = step.due or self._pump.now
            if (
                effect.state == "waiting" and effect.due is not None
            ):  # told late, or again: it has its turn, and no earlier one
                due = max(due, effect.due)
            after = msgspec.structs.replace(effect, state="waiting", due=due, failure=failure)
        try:
            self._pump.write(cell, "attempt", Record(changes=(after,), failure=failure, books=books), effect.id)
        except NotStorable:  # it is the failure that is too long
            failure = brief(failure)
            after = msgspec.structs.replace(
                after, failure=failure, question=after.question and asked_briefly(after.question)
            )
            self._pump.write(cell, "attempt", Record(changes=(after,), failure=failure, books=books), effect.id)
        if input:
            self._pump.after(Done(input))
        if after.due is not None:
            self._pump.alarm(after.due, effect.id)

    def _instead(
        self,
        cell: Cell,
        effect: Effect,
        failure: Failure,
        clear: Clearance | None = None,
        input: str = "",
        books: tuple[Entry, ...] = (),
    ) -> bool:
        """Let another tool do what failed for good, if one is declared and let through; its attempts are counted on from these.
        ``clear``: the gate did not let it out."""
        if effect.verb != CALL or cell.mount is None or cell.memory.life in ENDED:
            return False
        found = self._gate.instead(effect, failure, cell.memory.counters, self._pump.now)
        if found is None:
            return False
        if found.admission is None:
            if clear is None:
                self._checked[effect.id] = self._checked.get(effect.id, ()) + found.verdicts
            return False
        given, name = found.admission, effect.name
        verdicts = effect.verdicts + self._checked.pop(effect.id, ()) + (clear.verdicts if clear is not None else ())
        verdicts += found.verdicts + given.verdicts
        question = given.question and addressed(given.question, cell.mount.people, self._pump.now)
        after = msgspec.structs.replace(
            effect, name=found.name, effect=given.effect, key=given.key, occurrence=given.occurrence, digest=given.digest,
            timeout=given.timeout, retry=given.retry, key_ttl=given.key_ttl,
            version=given.version, resource=given.resource, verdicts=verdicts,
            state="intended" if question is None else "asking", question=question, answer=None, addressed=None, yes=(),
            cleared=0.0, interrupted=0, due=None, failure=failure, unsure=False, leave=None,
            instead=(*effect.instead, name), before=effect.attempt,
        )  # fmt: skip
        after = opened(after, self._pump.now) if question is not None else after
        try:
            self._pump.write(cell, "attempt", Record(changes=(after,), failure=failure, books=books), effect.id)
        except NotStorable:  # it is the failure that is too long, and it stands in the verdict in short
            after = msgspec.structs.replace(after, failure=brief(failure))
            self._pump.write(cell, "attempt", Record(changes=(after,), failure=brief(failure), books=books), effect.id)
        if input:
            self._pump.after(Done(input))
        if question is None:
            self.launch(cell, after)
        else:
            self.asked(cell, after)
        return True

    def _answered(self, cell: Cell, effect: Effect) -> None:
        answer = effect.answer
        assert answer is not None
        if effect.verb == PERSON:
            self.land(cell, effect, Raw(encode(answer)), None)
        elif answer.decision in (*YES, "run_again"):
            self.launch(cell, effect)
        elif answer.decision == "result":  # to a tool that asks people
            self.land(cell, effect, Raw(encode(worded(answer))), None)
        elif answer.decision == "happened":
            self.land(cell, effect, answer.value, None)
        elif answer.decision == "not_happened":
            reason = f"{answer.by} found that it did not happen" + (f": {answer.reason}" if answer.reason else "")
            self.land(cell, effect, NULL, Failure("abandon", "did_not_happen", reason, where=effect.name))
        else:
            reason = f"{answer.by} said no" + (f": {answer.reason}" if answer.reason else "")
            self._refused(cell, effect, Failure("abandon", "person_rejected", reason, where=effect.name), "settled")

    def _refused(self, cell: Cell, effect: Effect, why: Failure, kind: RowKind) -> None:
        """A person does not let it begin, or begin again."""
        step = not_again(effect, why)
        if step.step == "settle" or effect.state != "asking":
            self.land(cell, effect, NULL, why, kind=kind)
        else:
            self._follow(cell, msgspec.structs.replace(effect, yes=()), why, step, "")


def _denied(clear: Clearance) -> Verdict | None:
    return next((v for v in clear.verdicts if v.verdict == "deny"), None)


def _over(cell: Cell) -> Failure:
    return Failure("abandon", "stopped", f"{cell.address} has ended", where=cell.address)
