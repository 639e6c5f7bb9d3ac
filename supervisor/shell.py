"""The shell: drives the kernel. Takes inputs in, commits what the kernel makes, and only then lets it out into the world.

    inputs -> kernel.step -> kernel.cut -> journal.append -> kernel.committed -> effects start, callers are answered

One append at a time, so rows go in in the order in which they were made. While it is under way the kernel runs on, up to a
bound (``Ahead``); what it made meanwhile is the next group. Every input is kept until its row is durable. When an append fails
the kernel is thrown away, a new one is built from the journal, and the inputs whose rows are not there are fed to it again, in
order.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from time import perf_counter
from typing import Literal, TypeVar, cast

import anyio
import anyio.lowlevel
import msgspec
from anyio.abc import TaskGroup

from ..actors.cell import read_record
from ..actors.kernel import Kernel
from ..actors.releases import Answered, Done, Handed, Keep, Refused, Release, Resolve, Settlement, Start
from ..protocols.approvals import Answer
from ..protocols.effects import Attempt, Effect
from ..protocols.envelope import Envelope
from ..protocols.errors import AskFailed, JournalError, SystemStopped, UnderstudyError
from ..protocols.failures import Failure, text_of
from ..protocols.ids import Address
from ..protocols.journal import Batch, Known, Opened, Row, Snapshot
from ..tools.perform import Performer
from .clock import Clock
from .deadlines import Deadlines
from .door import Door
from .journal.writer import AsyncJournal
from .loading import Loading, Unloaded
from .log import log
from .recalling import Recalling
from .stats import Stats
from .unopened import Unopened
from .waiter import Waiter

GROUP = 500
"""Rows that are worth a commit of their own while there are still turns to run."""

ROWS_AHEAD, BYTES_AHEAD, SECONDS_AHEAD = 10_000, 16_000_000, 1.0
"""How far the kernel may run ahead of the journal while an append is under way: rows, bytes of them, age of the append."""

TAKEN_IN = 0.1
"""Seconds that mail from outside may wait for its turn before a row of its own makes it durable, while there are turns to run."""

AT_ONCE = 0.005
"""Seconds of turns in a row before the loop's other tasks have their turn."""

COMMIT_WITHIN = 0.02
"""Seconds of turns after which what they made is committed, however little it is: memory-only turns make no rows, and need not end."""

CUT_OFF = 0.5
"""Seconds that turns may still go on when the time to drain is over."""

SNAPSHOTS_EVERY = 1.0
"""Seconds between two transactions that store snapshots."""

REBUILDS = 3
REBUILDS_WITHIN = 60.0
"""More failed commits than this in so many seconds stop the intake."""

GONE = 10_000
"""Asks that were given up on and whose late answers are still counted."""

K = TypeVar("K", bound=str)

BuildKernel = Callable[[Opened, dict[str, int]], Kernel]
OnRows = Callable[[tuple[Row, ...]], None]
OnDelta = Callable[[Effect, str], None]


class Shell:
    """One running node.

    Args:
        journal: already made, not yet opened.
        build: makes a kernel over what the journal holds.
        performer: performs effects.
        on_rows, on_delta: told of committed rows, and of provisional text from models.
    """

    def __init__(
        self, journal: AsyncJournal, build: BuildKernel, performer: Performer, *, on_rows: OnRows, on_delta: OnDelta
    ) -> None:
        self.journal = journal
        self.clock = Clock()
        self.deadlines = Deadlines()
        self.failure: UnderstudyError | None = None
        self.opened: Opened | None = None
        self.kernel = cast("Kernel", Unopened())
        self._build = build
        self._performer = performer
        self._on_rows, self._on_delta = on_rows, on_delta
        self._held: dict[str, Envelope | Settlement | Answer | Resolve] = {}
        self._fresh: list[str] = []
        self._door: dict[Address, list[str]] = {}
        """Messages for actors that are not in memory, while there are too many."""
        self._waiters: dict[str, list[Waiter]] = {}
        self._of_run: dict[Address, list[Waiter]] = {}
        self._unseen: set[Address] = set()
        """Runs that somebody new waits for, or that a new kernel stands for: how they stand is to be looked at."""
        self._inputs: dict[str, Waiter] = {}
        self._resting: list[Waiter] = []
        self._scopes: dict[str, anyio.CancelScope] = {}
        self._attempts: dict[str, int] = {}
        self._wake = anyio.Event()
        self._acked = 0
        self._appending: float | None = None
        """When the append that is under way began, on the node's clock."""
        self._broken: Exception | None = None
        """Why the last append failed; the pump deals with it."""
        self._rebuilt: list[float] = []
        self._draining: Literal["", "soft", "hard"] = ""
        self._cut_off = math.inf
        """When turns that still go on are cut off, on the loop's clock."""
        self._tried = 0.0
        """When a commit was tried last, or the pump last had nothing to do."""
        self._drained = anyio.Event()
        self._loading = Loading(journal, self.nudge)
        self._recalling = Recalling(journal, lambda: self._acked, self.nudge)
        self._snapshots: list[Snapshot] = []
        """Of committed rows, to be stored."""
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
        self._acked = self.opened.last
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

    def answer(self, answer: Answer) -> Waiter:
        """Bring a person's answer. Gives the waiter for its being durable."""
        return self._take(f"answer:{self._next()}", answer)

    def resolve(self, thing: Resolve) -> Waiter:
        """Bring what a person does about a message that was put aside. Gives the waiter for its being durable."""
        return self._take(f"resolve:{self._next()}", thing)

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

    def stats(self) -> Stats:
        """What this life counts."""
        late = {str(address): n for address, n in self.kernel.late.items()}
        there, waiting = self.kernel.residents.counts(), len(self.kernel.sets.mail)
        dead = dict(self.kernel.memory.dead)
        all_late = self._late + sum(late.values()) + dead.pop("late", 0)
        return Stats(there.in_memory, waiting, all_late, late, there.loading, there.passivated, dead)

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

    # -- the pump -----------------------------------------------------------------------------------------------

    async def pump(self, tasks: TaskGroup) -> None:
        """Run until drained. A fault of the kernel, or a journal that fails again and again, ends it loudly: nobody is left hanging."""
        self._tasks = tasks
        if not self.journal.inline:
            tasks.start_soon(self._loading.run)
        tasks.start_soon(self._recalling.run)
        tasks.start_soon(self._keep_snapshots)
        try:
            while not self._drained.is_set():
                await self._once()
        except UnderstudyError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - everybody who waits is told
            log().exception("the kernel failed")
            fault = SystemStopped(
                f"the kernel failed: {type(error).__name__}: {text_of(error)}",
                hint="this is a fault of Understudy: please report it",
            )
            fault.__cause__ = error
            self._fail(fault)

    async def _once(self) -> None:
        self._wake = anyio.Event()
        if self._broken is not None:
            await self._after_failure(self._broken)
            return
        self._feed()
        if self._too_far_ahead():
            await self._wake.wait()
            return
        if self._draining == "hard" and perf_counter() > self._cut_off:
            await self._end_unfinished()
            return
        more = self._run_turns()
        if self.kernel.loads:
            more = await self._load() or more
        self.memory_door.turned()
        if not more or self.kernel.sets.waiting_rows >= GROUP or perf_counter() - self._tried > COMMIT_WITHIN:
            await self._commit()
        if more or self._fresh or self.kernel.ready:
            if self._of_run and self._all_durable():
                self._settle_waiting()
            await anyio.lowlevel.checkpoint()
            return
        if self._all_durable():
            self._settle_waiting()
            if self._draining and not self._scopes and (self._draining == "hard" or not self._reading()):
                await self._stop()
                return
            if self.kernel.loads or self.kernel.sets.waiting_rows:
                return
        self._let_idle_leave()
        due = self._due()
        with anyio.move_on_after(None if due is None else max(0.0, due - self.clock.now())):
            await self._wake.wait()
        self._tried = perf_counter()

    async def _end_unfinished(self) -> None:
        """Turns go on and on, and the time to drain is over: what is not taken yet is for the next life."""
        await self._commit()
        if self._all_durable() and not self._scopes:
            await self._stop()
        elif not self._fresh:
            await self._wake.wait()

    async def _load(self) -> bool:
        """Let actors come into memory. True where some are there already: a journal in memory keeps nobody waiting."""
        loads, self.kernel.loads = self.kernel.loads, []
        if not self.journal.inline:
            self._loading.want(loads)
            return False
        for found in await self.journal.find(tuple(loads)):
            self.kernel.loaded(found)
        return True

    async def _keep_snapshots(self) -> None:
        """Take and store snapshots beside the pump: a few at a time, once in a while, so that turns pay nothing for them."""
        while True:
            await anyio.sleep(SNAPSHOTS_EVERY)
            try:
                self.kernel.take_snapshots()
                if self.kernel.held_back is not None:
                    self.nudge()
                if self._snapshots:
                    snapshots, self._snapshots = tuple(self._snapshots), []
                    await self.journal.put_snapshots(snapshots)
            except JournalError as error:  # they are disposable; what matters fails by itself
                log().warning("snapshots could not be stored", error=str(error))
            except Exception:  # noqa: BLE001 - nor may a fault in here end what it is only a help to
                log().exception("snapshots could not be taken")

    def _reading(self) -> bool:
        """Whether messages wait for what is being read."""
        return bool(self.kernel.residents.loading or self._recalling)

    def _let_idle_leave(self) -> None:
        due, now = self.kernel.residents.due(), self.clock.now()
        if due is not None and due <= now:
            self.kernel.rest(now)
        if (self._door or self._recalling.held) and not self.kernel.residents.full:
            self.nudge()

    def _due(self) -> float | None:
        """When something is to be done without anybody's asking."""
        dues = [due for due in (self.kernel.due(), self.kernel.residents.due()) if due is not None]
        return min(dues, default=None)

    def _run_turns(self) -> bool:
        """Turns for as long as the loop can spare. True while there is more to do."""
        until = perf_counter() + AT_ONCE

        def enough() -> bool:
            return perf_counter() > until

        while self.kernel.step(self.clock.now(), enough=enough):
            if enough():
                return True
        return False

    def _all_durable(self) -> bool:
        """Whether everything that was cut is."""
        return self._appending is None and self._broken is None

    def _too_far_ahead(self) -> bool:
        began, sets = self._appending, self.kernel.sets
        return began is not None and (
            sets.waiting_rows > ROWS_AHEAD
            or sets.waiting_bytes > BYTES_AHEAD
            or (sets.waiting_rows > 0 and self.clock.now() - began > SECONDS_AHEAD)
        )

    async def _commit(self) -> None:
        """Let the journal have what the kernel made. While it is at work that waits, and makes up the next group."""
        if not self._all_durable():
            return
        self._tried = perf_counter()
        self._let_out()
        batch = self._cut()
        if batch is None:
            return
        self._appending = self.clock.now()
        if self.journal.inline:
            await self._append(batch)
        else:
            self._tasks.start_soon(self._append, batch)

    async def _append(self, batch: Batch | None) -> None:
        """Make a batch durable, and then whatever was made meanwhile."""
        try:
            while batch is not None:
                await self.journal.append(batch)
                self._acked = batch.rows[-1].gid
                self._on_rows(batch.rows)
                self._let_out()
                self._appending = self.clock.now()
                batch = self._cut()
        except Exception as error:  # noqa: BLE001 - a failed commit, or a fault of the kernel: the pump tells them apart
            self._broken = error
        finally:
            self._appending = None
            self.nudge()

    def _cut(self) -> Batch | None:
        """The next group. Mail that a turn will take soon needs no row of its own."""
        waits = self.kernel.waits_since
        long = waits is not None and self.clock.now() - waits > TAKEN_IN
        return self.kernel.cut(take_in=long or not self.kernel.ready)

    def _let_out(self) -> None:
        self.kernel.look_since(self._recalling.floor)
        for release in self.kernel.committed(self._acked):
            self._release(release)

    async def _stop(self) -> None:
        self.kernel.stop("drained")
        await self._commit()
        while self._appending is not None:
            await self._wake.wait()
            self._wake = anyio.Event()
        if self._broken is None and self.kernel.sets.waiting_rows == 0:
            self._fail(SystemStopped("the system was closed", hint="open it again on the same journal to carry on"))
            self._drained.set()

    async def _after_failure(self, error: Exception) -> None:
        self._broken = None
        if not isinstance(error, JournalError):
            raise error
        await self._rebuild(error)

    async def _rebuild(self, error: JournalError) -> None:
        """Throw the kernel away; go on from what the journal really holds."""
        now = self.clock.now()
        self._rebuilt = [at for at in self._rebuilt if now - at < REBUILDS_WITHIN] + [now]
        log().warning(
            "a commit failed; the kernel is rebuilt from the journal",
            error=str(error),
            time_in_a_minute=len(self._rebuilt),
        )
        if len(self._rebuilt) > REBUILDS:
            raise error
        await anyio.sleep(0.05 * 4 ** (len(self._rebuilt) - 1))
        self._loading.forget()
        self._recalling.forget()
        try:
            self.opened = await self.journal.reload()
            await self._find()
        except JournalError as again:
            await self._rebuild(again)
            return
        # The journal was not stopped in order, but nobody died either: no mail is suspected of having killed the process.
        late, dead = self.kernel.late, self.kernel.memory.dead
        self.kernel = self._build(msgspec.structs.replace(self.opened, clean=True), dict(self._attempts))
        self.kernel.late.update(late)
        self.kernel.memory.dead.update(dead)
        self.kernel.flights.hold = bool(self._draining)
        self._fresh, self._door = list(self._held), {}
        self.memory_door.lost(self.kernel.memory)
        self._unseen.update(self._of_run)

    async def _find(self) -> None:
        """Rows that did get in although their append failed: their inputs are done, their answers go out."""
        while rows := await self.journal.rows(after=self._acked):
            self._acked = rows[-1].gid
            self._on_rows(rows)
            for row in rows:
                record = read_record(row)
                if record.message is None and record.answer is None and record.parked is None and not record.replies:
                    continue
                for id, held in list(self._held.items()):
                    if (
                        (isinstance(held, Envelope) and record.message is not None and record.message.id == held.id)
                        or (isinstance(held, Answer) and record.answer == held)
                        or (isinstance(held, Resolve) and record.parked == held.resolution)
                    ):
                        self._done(id)
                for reply in record.replies:
                    self._release(Answered(reply))

    # -- in and out ---------------------------------------------------------------------------------------------

    def _take(self, id: str, thing: Envelope | Settlement | Answer | Resolve, waiter: Waiter | None = None) -> Waiter:
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
            elif isinstance(thing, Answer):
                self.kernel.answer(thing, id)
            elif isinstance(thing, Resolve):
                self.kernel.resolve(thing, id)

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
                    lambda late: self._settle(effect, late),
                )
                self._settle(effect, attempt)
            finally:
                self._scopes.pop(effect.id, None)
                self._attempts.pop(effect.id, None)
                self.nudge()

    def _settle(self, effect: Effect, attempt: Attempt) -> None:
        settlement = Settlement(
            effect.id, effect.attempt, attempt.value, attempt.failure, attempt.unknown, self._next()
        )
        if self.failure is None:
            self._take(settlement.id, settlement)

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

    def nudge(self) -> None:
        """There is something for the pump to do."""
        self._wake.set()

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
