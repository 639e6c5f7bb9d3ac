"""What people are asked about an effect: answers, standing ones and silence."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from ..protocols.approvals import Answer
from ..protocols.circuits import answered, declined, moot
from ..protocols.codec import NULL, encode
from ..protocols.effects import PERSON, Effect
from ..protocols.errors import NotStorable, UnderstudyError, WrongAnswer
from ..protocols.failures import Failure
from ..protocols.grants import made, standing
from ..protocols.journal import Record, RowKind
from ..protocols.shadow import waved
from ..protocols.verdicts import Verdict
from ..protocols.watch import Blocked
from .answers import YES, accept, allowed_by, considered, worded
from .cell import Cell
from .editing import edited
from .patience import pressed, silence
from .releases import Done, Refused, Resolve
from .tower import Tower
from .unsure import not_again


class Questions(Tower):
    """See ``Flights``."""

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
