"""The shell: takes inputs in, gives them to the kernel, and lets out into the world what the kernel made once it is durable.

    inputs -> kernel.step -> kernel.cut -> journal.append -> kernel.committed -> effects start, callers are answered

``pump`` turns the crank and ``commits`` brings rows into the journal; here is what comes in and goes out. Every input is kept until its
row is durable.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from time import perf_counter
from typing import TypeVar

import anyio
import msgspec

from ..actors.answers import is_of
from ..actors.kernel import Kernel
from ..actors.releases import (
    Abort,
    Answered,
    Done,
    Handed,
    Keep,
    Refused,
    Release,
    Resolve,
    Revoke,
    Settlement,
    Start,
    Switch,
    Verdict,
)
from ..protocols.approvals import Answer
from ..protocols.effects import Attempt, Effect
from ..protocols.envelope import Envelope
from ..protocols.errors import AskFailed, SystemStopped, UnderstudyError
from ..protocols.failures import Failure
from ..protocols.ids import Address
from ..protocols.journal import Known, Opened, Record
from ..tools.attempting import Leak
from ..tools.patience import Patience
from ..tools.perform import Performer, cancelled
from .commits import OnRows
from .deadlines import Deadlines
from .door import Door
from .journal.writer import AsyncJournal
from .loading import Unloaded
from .log import log
from .pump import Pump
from .stats import Stats
from .waiter import Waiter

CUT_OFF = 0.5
"""Seconds that turns may still go on when the time to drain is over."""

GONE = 10_000
"""Asks that were given up on and whose late answers are still counted."""

K = TypeVar("K", bound=str)

BuildKernel = Callable[[Opened, dict[str, int]], Kernel]
OnDelta = Callable[[Effect, str], None]


class Shell(Pump):
    """One running node.

    Args:
        journal: already made, not yet opened.
        build: makes a kernel over what the journal holds.
        performer: performs effects.
        on_rows, on_delta: told of committed rows, and of provisional text from models.
        limit: seconds that a turn may take; None for no watchdog.
    """

    def __init__(
        self, journal: AsyncJournal, build: BuildKernel, performer: Performer, *, on_rows: OnRows, on_delta: OnDelta,
        limit: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(journal, on_rows, limit)
        self.deadlines = Deadlines()
        self.patience = Patience()
        for listener in (self.clock.hold, self.deadlines.hold, self.patience.hold, performer.patience.hold):
            self.lag.listen(listener)
        self.failure: UnderstudyError | None = None
        self._build = build
        self._performer = performer
        self._on_delta = on_delta
        performer.watch, performer.on_leak = self.watch, self._leaked
        self._held: dict[str, Envelope | Settlement | Answer | Verdict | Resolve | Revoke | Switch] = {}
        self._fresh = []
        self._door = {}
        self._waiters: dict[str, list[Waiter]] = {}
        self._of_run = {}
        self._unseen: set[Address] = set()
        """Runs that somebody new waits for, or that a new kernel stands for: how they stand is to be looked at."""
        self._inputs: dict[str, Waiter] = {}
        self._resting: list[Waiter] = []
        self._scopes = {}
        self._aborted: set[str] = set()
        """Those of them that were cancelled because their actor has to end."""
        self._attempts: dict[str, int] = {}
        self._count = 0
        self.memory_door = Door(self)
        self._gone: dict[str, None] = {}
        """Asks that nobody waits for any more, the newest ones; an answer that still comes is late."""
        self._late = 0

    # -- outside ------------------------------------------------------------------------------------------------

    async def open(self) -> Opened:
        """Open the journal and build the kernel. Raises what ``JournalCore.open`` raises."""
        self.opened = await self.journal.open()
        self.clock.follow(self.opened.at)
        self.commits.acked = self.opened.last
        self.kernel = self._build(self.opened, {})
        self.memory_door.memory = self.kernel.memory
        return self.opened

    def deliver(self, envelope: Envelope, waiter: Waiter | None) -> Waiter:
        """Bring a message from outside. ``waiter`` is woken by its answer or refusal; without one, gives the waiter for its being
        durable."""
        taken = self._take(f"in:{self._next()}", envelope, waiter)
        if waiter is not None and envelope.reply_to is not None:
            self._waiters.setdefault(envelope.reply_to.token, []).append(waiter)
            if waiter.run:
                self._of_run.setdefault(waiter.run, []).append(waiter)
                self._unseen.add(waiter.run)
        return taken

    def answer(self, answer: Answer | Verdict) -> Waiter:
        """Bring a person's answer. Gives the waiter for its being durable."""
        return self._take(f"answer:{self._next()}", answer)

    def resolve(self, thing: Resolve) -> Waiter:
        """Bring what a person does about a message that was put aside. Gives the waiter for its being durable."""
        return self._take(f"resolve:{self._next()}", thing)

    def revoke(self, thing: Revoke) -> Waiter:
        """Bring that a person takes a standing approval back. Gives the waiter for its being durable."""
        return self._take(f"revoke:{self._next()}", thing)

    def switch(self, thing: Switch) -> Waiter:
        """Bring that a person opens or closes a breaker. Gives the waiter for its being durable."""
        return self._take(f"switch:{self._next()}", thing)

    def forget(self, token: str, waiter: Waiter) -> None:
        """Somebody no longer waits."""
        _drop(self._waiters, token, waiter)
        _drop(self._of_run, waiter.run, waiter)

    def give_up(self, envelope: Envelope, order: Envelope) -> None:
        """Whoever asked waits no more: what was not begun on its behalf is not begun. ``order`` says so to who was asked."""
        assert envelope.reply_to is not None
        if self.failure is not None or self._draining:
            return
        self._gone[envelope.reply_to.token] = None
        if len(self._gone) > GONE:
            del self._gone[next(iter(self._gone))]
        self._take(f"in:{self._next()}", order)

    def performing(self, effect: str) -> bool:
        """Whether an attempt at an effect is under way, or its outcome in hand."""
        in_hand = (self._held.get(id) for id in self._fresh)  # what the kernel was given, it has
        return effect in self._scopes or any(isinstance(held, Settlement) and held.effect == effect for held in in_hand)

    def keep_out(self, addresses: set[Address]) -> AbstractContextManager[None]:
        """None of these actors comes into memory meanwhile; mail to them waits."""
        return self._loading.keep_out(addresses)

    def snapshots_of(self) -> set[Address]:
        """Actors whose snapshots are to be stored."""
        return {kept.address for kept in self._snapshots}

    def say(self, facts: dict[str, str]) -> None:
        """Write a row about the node itself, unless it is over."""
        if self.failure is None and not self._drained.is_set():
            self.kernel.note(facts)
            self.nudge()

    def stats(self) -> Stats:
        """What this life counts."""
        late = {str(address): n for address, n in self.kernel.late.items()}
        there, waiting = self.kernel.residents.counts(), len(self.kernel.sets.mail)
        dead = dict(self.kernel.memory.dead)
        blocked = dict(self.watchdog.found) if self.watchdog is not None else {}
        all_late = self._late + sum(late.values()) + dead.pop("late", 0)
        leaked = tuple(self._performer.leaks.values())
        return Stats(
            there.in_memory, waiting, all_late, late, there.loading, there.passivated, dead, blocked, leaked
        )  # fmt: skip

    def rest(self) -> Waiter:
        """Gives the waiter for the moment at which nothing goes on by itself: all is done or waits for people."""
        if self.failure is not None:
            raise self.failure
        waiter = Waiter()
        self._resting.append(waiter)
        self.nudge()
        return waiter

    async def ended(self) -> None:
        """Wait for the end of the pump; raises what ended it."""
        await self._drained.wait()
        if self.failure is not None:
            raise self.failure

    async def drain(self, seconds: float) -> None:
        """Take nothing more in, let what is under way end for so long, then stop in order."""
        if self.failure is not None or self._drained.is_set():
            return
        self._draining = "soft"
        self.memory_door.shut()
        self.kernel.flights.hold = True
        self.nudge()
        with anyio.move_on_after(seconds):
            await self._drained.wait()
        self._draining, self._cut_off = "hard", min(self._cut_off, perf_counter() + CUT_OFF)
        for scope in list(self._scopes.values()):
            scope.cancel()
        self.nudge()
        with anyio.move_on_after(5.0):
            await self._drained.wait()

    # -- what the pump needs ------------------------------------------------------------------------------------

    def _begin_anew(self, opened: Opened) -> None:
        # The journal was not stopped in order, but nobody died either: no mail is suspected of having killed the process.
        late, dead, flights = self.kernel.late, self.kernel.memory.dead, self.kernel.flights
        self.kernel = self._build(msgspec.structs.replace(opened, clean=True), dict(self._attempts))
        self.kernel.flights.adopt(flights)
        self.kernel.late.update(late)
        self.kernel.memory.dead.update(dead)
        self.kernel.flights.hold = bool(self._draining)
        self._fresh, self._door = list(self._held), {}
        self.memory_door.lost(self.kernel.memory)
        self._unseen.update(self._of_run)

    def _found(self, record: Record) -> None:
        """A row did get in although its append failed: its input is done, its answers go out."""
        if record.message is None and record.answer is None and record.parked is None and not record.replies:
            if record.books and record.note:
                self._noted(record.note)
            return
        for id, held in list(self._held.items()):
            if (
                (isinstance(held, Envelope) and record.message is not None and record.message.id == held.id)
                or (isinstance(held, Answer) and is_of(record.answer, held))
                or (isinstance(held, Verdict) and is_of(record.answer, held.answer))
                or (isinstance(held, Resolve) and record.parked == held.resolution)
            ):
                self._done(id)
        for reply in record.replies:
            self._release(Answered(reply))

    def _noted(self, note: dict[str, str]) -> None:
        for id, held in list(self._held.items()):
            if isinstance(held, (Revoke, Switch)) and held.note == note:
                self._done(id)

    # -- in and out ---------------------------------------------------------------------------------------------

    def _take(
        self,
        id: str,
        thing: Envelope | Settlement | Answer | Verdict | Resolve | Revoke | Switch,
        waiter: Waiter | None = None,
    ) -> Waiter:
        refusing = self.failure if isinstance(thing, Settlement) else self.refusing()
        if refusing is not None:
            raise refusing
        if waiter is None:
            waiter = Waiter()
        self._inputs[id] = waiter
        self._held[id] = thing
        self._fresh.append(id)
        self.nudge()
        return waiter

    def _feed(self) -> None:
        fresh, self._fresh = self._fresh, []
        # What happens now happens now: an outcome that came after a long wait for the journal must not be dated before it.
        self.kernel.tick(self.clock.now())
        if jump := self.clock.jumped():
            self.kernel.note({"clock": f"{jump:+.3f}"})
        for found in self._loading.arrived():
            if isinstance(found, Unloaded):
                self.kernel.unloaded(found.address, found.failure)
            else:
                self.kernel.loaded(found)
        if self._door:  # first: what is looked up came later, if it is for the same actor
            self._let_in()
        for look in self._recalling.ready(self.kernel.residents.refuses):
            if look.failure is not None:
                self._done(look.input, AskFailed(look.failure))
            else:
                self._deliver(look.input, look.known)
        for id in fresh:
            thing = self._held.get(id)
            if isinstance(thing, Envelope):
                if self._recalling.waits(thing):
                    self._recalling.take(id, thing)
                else:
                    self._bring(thing, id)
            elif isinstance(thing, Settlement):
                self.kernel.settle(thing)
            elif thing is not None:
                self._decided(thing, id)

    def _decided(self, thing: Answer | Verdict | Resolve | Revoke | Switch, id: str) -> None:
        """Tell the kernel what a person said."""
        if isinstance(thing, Answer):
            self.kernel.answer(thing, id)
        elif isinstance(thing, Verdict):
            self.kernel.answer(thing.answer, id, thing.resolve)
        elif isinstance(thing, Resolve):
            self.kernel.resolve(thing, id)
        elif isinstance(thing, Switch):
            self.kernel.switch(thing, id)
        else:
            self.kernel.revoke(thing, id)

    def _bring(self, envelope: Envelope, id: str) -> None:
        """Deliver a message, or let it wait for room in memory."""
        if self.kernel.residents.refuses(envelope.to) or envelope.to in self._door:
            self._door.setdefault(envelope.to, []).append(id)
        else:
            self._deliver(id)

    def _let_in(self) -> None:
        """There may be room in memory again."""
        for to in list(self._door):
            if self.kernel.residents.refuses(to):
                continue
            for id in self._door.pop(to):
                self._deliver(id)

    def _deliver(self, id: str, looked: Known | None = None) -> None:
        """Give a message that is still held to the kernel, as of now."""
        thing = self._held.get(id)
        if isinstance(thing, Envelope):
            self.kernel.deliver(msgspec.structs.replace(thing, at=self.kernel.now), id, looked)

    def _release(self, release: Release) -> None:
        if isinstance(release, Start):
            self._begin(release)
        elif isinstance(release, Answered):
            waiters = self._waiters.pop(release.reply.to.token, [])
            for waiter in waiters:
                waiter.reply = release.reply
                waiter.wake()
            if not waiters and release.reply.to.token in self._gone:
                del self._gone[release.reply.to.token]
                self._late += 1
        elif isinstance(release, Handed):
            release.asking.told(release.value, release.failure)
        elif isinstance(release, Keep):
            self._snapshots.append(release.snapshot)
        elif isinstance(release, Done):
            self._done(release.input)
        elif isinstance(release, Refused):
            self._done(release.input, release.error)
        elif (scope := self._scopes.get(release.effect)) is not None:
            if isinstance(release, Abort):
                self._aborted.add(release.effect)
            scope.cancel()

    def _done(self, input: str, error: UnderstudyError | None = None) -> None:
        self._held.pop(input, None)
        waiter = self._inputs.pop(input, None)
        if waiter is not None and (error is not None or not waiter.answer):
            waiter.error = error
            waiter.wake()

    def _begin(self, start: Start) -> None:
        """Register an attempt at once, so that whoever drains waits for it, and let it begin."""
        effect = start.effect
        if effect.id in self._scopes:
            return  # begun for a kernel before this one
        if self._draining == "hard" or (self._draining and effect.effect in ("read", "idempotent")):
            return  # what may run twice is only intended, as far as the journal knows: it leaves in the next life
        scope = self._scopes[effect.id] = anyio.CancelScope()
        self._attempts[effect.id] = effect.attempt
        self._tasks.start_soon(self._perform, start, scope)

    async def _perform(self, start: Start, scope: anyio.CancelScope) -> None:
        effect = start.effect
        with scope:
            try:
                attempt = await self._performer.perform(
                    effect,
                    start.request,
                    lambda text: self._on_delta(effect, text),
                    lambda late: self._settle(start, late),
                )
                self._aborted.discard(effect.id)
                self._settle(start, attempt)
            finally:
                if effect.id in self._aborted:
                    self._aborted.discard(effect.id)
                    self._settle(start, cancelled(effect))
                self._scopes.pop(effect.id, None)
                self._attempts.pop(effect.id, None)
                self.nudge()

    def _settle(self, start: Start, attempt: Attempt) -> None:
        effect = start.effect
        settlement = Settlement(
            effect.id, effect.attempt, attempt.value, attempt.failure, attempt.unknown, self._next(), start.checked
        )
        if self.failure is None:
            self._take(settlement.id, settlement)

    def _leaked(self, leak: Leak) -> None:
        """A call was given up on and goes on. Its effect says what that means; this says that something is left behind."""
        log().warning(str(leak))
        if self.failure is None:
            self.kernel.note({"leaked": str(leak)})
            self.nudge()

    def _settle_waiting(self) -> None:
        """Tell those whose run waits for people only. Called when everything that the kernel made is durable."""
        if self._fresh or self._recalling or self.kernel.sets.waiting_rows:
            return
        look, self._unseen = self._unseen | self.kernel.changed_runs(), set()
        for run in look & self._of_run.keys():
            if self.kernel.standing(run) == "asking":
                for waiter in self._of_run[run]:
                    if not waiter.woken:
                        waiter.asking = True
                        waiter.wake()
        if self._resting and not self.kernel.moves():
            resting, self._resting = self._resting, []
            for waiter in resting:
                waiter.wake()

    def _fail(self, error: UnderstudyError) -> None:
        self.failure = error
        self._drained.set()
        self.memory_door.close()
        self.deadlines.close()
        for scope in list(self._scopes.values()):
            scope.cancel()
        waiters = [w for group in self._waiters.values() for w in group] + list(self._inputs.values()) + self._resting
        for waiter in waiters:
            if not waiter.woken:
                waiter.error = error
                waiter.wake()

    def refusing(self) -> UnderstudyError | None:
        """Why nothing more is taken in; None while it is."""
        if self._draining and self.failure is None:
            return SystemStopped("the system is closing", hint="open it again on the same journal to carry on")
        return self.failure

    def stand_in(self, token: str, waiter: Waiter) -> None:
        """An answer under this token is for this waiter, whoever gives it."""
        self._waiters.setdefault(token, []).append(waiter)

    def _next(self) -> int:
        self._count += 1
        return self._count


def _drop(waiting: dict[K, list[Waiter]], key: K, waiter: Waiter) -> None:
    those = waiting.get(key, [])
    if waiter in those:
        those.remove(waiter)
    if not those:
        waiting.pop(key, None)


def system_random() -> random.Random:
    """Randomness for backoff."""
    return random.SystemRandom()


def unanswered(failure: Failure | None) -> AskFailed:
    """An answer that is a failure, as the exception the caller gets."""
    return AskFailed(failure or Failure("abandon", "no_answer", "no answer came"))
