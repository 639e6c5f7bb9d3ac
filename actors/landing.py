"""Attempts come back: the outcome is delivered, or it is tried again, or another tool does it, or nobody knows."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from ..protocols.books import Entry
from ..protocols.codec import NULL
from ..protocols.effects import CALL, Attempt, Effect
from ..protocols.errors import NotStorable
from ..protocols.failures import Failure, of_exception, said
from ..protocols.hooks import Clearance, Next
from ..protocols.journal import Record, RowKind
from ..protocols.verdicts import Verdict
from .cell import Cell
from .mailbox import Item
from .outcome import effect_outcome
from .patience import addressed, opened
from .provenance import comes_from
from .releases import Done, Settlement
from .reporting import happened, reported
from .sizes import asked_briefly, brief
from .tower import ENDED, Tower
from .unsure import judged, no_time, not_again, told


class Landing(Tower):
    """See ``Flights``."""

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

    def over(self, id: str) -> None:
        """It is settled or withdrawn: nothing of it is remembered here."""
        self.flying.pop(id, None)
        self._landing.discard(id)
        self._checked.pop(id, None)

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
