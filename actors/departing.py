"""Effects leave: what the gate says at the start, and what becomes of one that it holds back."""

from __future__ import annotations

import msgspec

from ..protocols.approvals import Question
from ..protocols.binding import approves, leave
from ..protocols.codec import NULL, decode
from ..protocols.effects import THINK, Effect, ThinkArgs
from ..protocols.errors import NotStorable
from ..protocols.failures import Failure, of_exception
from ..protocols.hooks import Clearance
from ..protocols.journal import Record
from ..protocols.model import ModelRequest
from ..protocols.shadow import by_shadow
from ..protocols.verdicts import Verdict
from ..protocols.watch import Blocked
from .cell import Cell
from .handing_in import handed_in
from .patience import addressed, opened
from .releases import Start
from .tower import ENDED, Tower, ended_already
from .unsure import no_time, not_again, until


class Departing(Tower):
    """See ``Flights``."""

    def launch(self, cell: Cell, effect: Effect) -> None:
        """Let an effect leave: at once for what may run twice, after a ``started`` row for what may not."""
        if cell.mount is None or self.hold:
            return
        if cell.memory.life in ENDED:
            self.land(cell, effect, NULL, ended_already(cell))
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

    def stands(self, effect: Effect) -> bool:
        """Whether this attempt is still to be performed, now that its row is durable."""
        if self._pump.effect(effect.id) is None:
            self.flying.pop(effect.id, None)
        return self.flying.get(effect.id) == effect.attempt


def _denied(clear: Clearance) -> Verdict | None:
    return next((v for v in clear.verdicts if v.verdict == "deny"), None)
