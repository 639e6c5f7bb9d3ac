"""A simulated node: the production kernel, gate and in-memory journal under a seeded scheduler and a virtual clock.

What the shell does with tasks and threads happens here one step at a time, in an order drawn from the seed, with faults:

    feed an input | load an actor | run turns | cut | append what was cut | let out what is committed
    begin an attempt at an effect | bring its outcome | let time pass | crash (kernel and attempts gone, journal opened anew)

The rules are those of ``shell.Shell``: one append at a time, and the kernel runs on while it is under way; an input is kept until
its row is durable; after a commit that failed the kernel is rebuilt and the inputs whose rows are not found are fed again. The
same seed gives the same steps. Effects are performed by calling the tools' functions in place, so the world that they change is
the test's own objects, and those can count.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from ..actors.answers import is_of
from ..actors.asking import cancellation
from ..actors.cell import Cell, read_record
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
from ..actors.residents import IDLE, IN_MEMORY
from ..actors.snapshots import EVERY
from ..actors.taken import NEVER
from ..protocols.approvals import Answer, Scope
from ..protocols.breakers import Breaker
from ..protocols.budget import Price, Spending
from ..protocols.codec import encode, roundtrip
from ..protocols.decisions import Decision
from ..protocols.effects import Effect
from ..protocols.envelope import Context, Envelope, Reply, ReplyTo
from ..protocols.errors import UnderstudyError, WrongAnswer
from ..protocols.failures import Failure
from ..protocols.grants import Grant, grants
from ..protocols.ids import OUTSIDE, Address, address
from ..protocols.journal import MAX_MESSAGE, Batch, Known, Row, Snapshot
from ..protocols.mail import Resolution
from ..protocols.messages import Message, Request, asked
from ..protocols.rates import Rate
from ..protocols.tasks import Task
from ..tools.tool import LeaseRule
from .attempts import Attempts, Faults
from .calendar import CronCalendar
from .conflicts.entering import entry
from .gating import gate_of
from .inbox import InboxItem, inbox
from .journal.memory import MemoryJournal
from .journal.recall import recall
from .kit.faults import FaultPlan
from .parked import Letters, ParkedMessage, edited, find, parked
from .stuck import Stuck, of_kernel, of_rows, stuck
from .supervision.tree import Definition, Tree
from .verdicts import acts, verdict

EPOCH = 1_700_000_000.0
"""Virtual time begins here."""


class Sent:
    """Something that was brought from outside.

    Attributes:
        thing: the message or answer.
        accepted: it was acknowledged as durable.
        reply: the answer to a request.
        error: it was refused, and why.
        lost: the node crashed while the caller waited; send it again, with its key.
    """

    def __init__(self, thing: Envelope | Answer | Verdict | Resolve | Revoke | Switch) -> None:
        self.thing = thing
        self.accepted = False
        self.reply: Reply | None = None
        self.error: UnderstudyError | None = None
        self.lost = False


class Simulated:
    """One node under one seed.

    Args:
        *definitions: what is mounted.
        seed: everything that is drawn follows from it.
        faults: may be changed at any time.
        journal: one that a test made or has used before.
        idle: seconds of virtual time without a row after which an actor leaves memory.
        in_memory: actors in memory above which idle ones leave at once.
        snapshot_every: rows of an actor after which a snapshot of it is due.
        plan: faults by number, besides those by chance.
        rates, breakers: as of ``us.System``.
        spending, prices, shadow: as of ``us.System``.
        skip: checks of the gate that are left out, to see what they keep out.

    Attributes:
        now: virtual time.
        hits: how often each fault hit, by (fault, what was going on).
        steps: how many steps of each kind were made.
        crashes: how often the process died.
    """

    def __init__(
        self,
        *definitions: Definition,
        seed: int = 0,
        faults: Faults | None = None,
        journal: MemoryJournal | None = None,
        idle: float = IDLE,
        in_memory: int = IN_MEMORY,
        snapshot_every: int = EVERY,
        plan: FaultPlan | None = None,
        rates: Mapping[str, Rate] | None = None,
        breakers: Mapping[str, Breaker | None] | None = None,
        spending: Sequence[Spending] = (),
        prices: Mapping[str, Price] | None = None,
        skip: frozenset[str] = frozenset(),
        shadow: bool | Sequence[str] = False,
    ) -> None:
        self.tree = Tree(definitions)
        self.gate = gate_of(self.tree, rates, breakers, spending, prices, skip, shadow)
        self.calendar = CronCalendar()
        self.seed, self.now = seed, EPOCH
        self.random = random.Random(seed)
        self.journal = journal or MemoryJournal(seed=f"simulated:{seed}")
        self.hits: Counter[tuple[str, str]] = Counter()
        self.steps: Counter[str] = Counter()
        self.attempts = Attempts(self.tree, self.random, faults or Faults(), self.hits)
        self.attempts.enter = self._enter
        self.on_append: Callable[[tuple[Row, ...]], None] = lambda _: None
        self.on_answered: Callable[[Reply], None] = lambda _: None
        self._callers: dict[str, list[Sent]] = {}
        self._held: dict[str, Sent | Settlement] = {}
        self._fresh: list[str] = []
        self._count = 0
        self._acked = 0
        self.crashes = 0
        self.plan = self.attempts.plan = plan
        self.idle = idle
        self.in_memory = in_memory
        self._appending: Batch | None = None
        self.snapshot_every = snapshot_every
        self._snapshots: list[Snapshot] = []
        self._looked: dict[str, tuple[int, Known | None]] = {}
        """What looks at keys showed, by input, and up to which row."""
        self.kernel = self._build()

    # -- outside ------------------------------------------------------------------------------------------------

    def ask(
        self, to: str, request: Request[Any], *, key: str = "", priority: int = 0, timeout: float | None = None
    ) -> Sent:
        """Bring a request; ``reply`` follows in some later step. ``timeout``: seconds after which nobody waits any more."""
        return self._bring(to, request, key, asks=True, priority=priority, timeout=timeout)

    def tell(self, to: str, message: Message, *, key: str = "", priority: int = 0) -> Sent:
        """Bring a message; ``accepted`` follows in some later step."""
        return self._bring(to, message, key, asks=False, priority=priority)

    def give_up(self, sent: Sent) -> Sent:
        """Wait no more for the answer to a request, and say so, as a caller does whose time is over."""
        assert isinstance(sent.thing, Envelope)
        assert sent.thing.reply_to is not None
        self._callers.pop(sent.thing.reply_to.token, None)
        self._count += 1
        word = Sent(cancellation(sent.thing, "the caller waits no more", f"cancel {self._count}"))
        self._take(word)
        return word

    def again(self, sent: Sent) -> None:
        """Bring the same once more, as a caller does who lost its connection."""
        sent.lost = False
        sent.accepted = False
        self._take(sent)

    def answer(
        self, item: str, decision: Decision, *, by: str = "ada", reason: str = "", value: object = None, digest: str = "",
        scope: Scope = "once", same: tuple[str, ...] = (), expires: float | None = None,
    ) -> Sent:  # fmt: skip
        """Bring a person's answer; ``error`` is set at once where what it says of a parked message does not fit."""
        answer = Answer(item, decision, by, reason, Raw(encode(value)), digest, scope, same, expires)
        effect, sent = self.kernel.effect(item), Sent(answer)
        question = effect.question if effect is not None else None
        if question is not None and acts(question):
            pages = Letters(self.journal.rows(limit=10_000_000))
            try:
                sent = Sent(verdict(pages, question, answer, self.tree.directory))
            except WrongAnswer as error:
                sent.error = error
                return sent
        self._take(sent)
        return sent

    def parked(self) -> tuple[ParkedMessage, ...]:
        """Messages that were put aside and about which nobody has decided."""
        return parked(Letters(self.journal.rows(limit=10_000_000)))

    def resend(self, id: str, message: object = None, *, by: str = "ada", reason: str = "") -> Sent:
        """Send a parked message again, edited or as it was. Raises as ``System.resend``."""
        mail = edited(find(Letters(self.journal.rows(limit=10_000_000)), id), message, self.tree.directory)
        return self._resolve(Resolve(Resolution(int(id), "resend", by, reason), mail))

    def drop(self, id: str, *, by: str = "ada", reason: str = "") -> Sent:
        """Drop a parked message. Raises as ``System.drop``."""
        find(Letters(self.journal.rows(limit=10_000_000)), id)
        return self._resolve(Resolve(Resolution(int(id), "drop", by, reason)))

    def grants(self) -> tuple[Grant, ...]:
        """Standing approvals."""
        return tuple(grants(self.kernel.books))

    def revoke(self, id: str, *, by: str = "ada", reason: str = "") -> Sent:
        """Take a standing approval back."""
        sent = Sent(Revoke(id, by, reason))
        self._take(sent)
        return sent

    def switch(self, name: str, *, open: bool, by: str = "ada", reason: str = "", seconds: float | None = None) -> Sent:
        """Open or close a breaker by hand."""
        sent = Sent(Switch(name, open, by, reason, seconds))
        self._take(sent)
        return sent

    def _resolve(self, thing: Resolve) -> Sent:
        sent = Sent(thing)
        self._take(sent)
        return sent

    @property
    def faults(self) -> Faults:
        """What goes wrong from now on."""
        return self.attempts.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self.attempts.faults = faults

    def inbox(self) -> tuple[InboxItem, ...]:
        """What waits for people."""
        return inbox(tuple(self.kernel.sets.effects.values()))

    def actor(self, address: str) -> Cell:
        """An actor as its committed rows say."""
        cell = Cell(Address(address), self.tree.directory.find(Address(address)))
        for row in self.journal.stream(cell.address):
            cell.fold(row, read_record(row))
        return cell

    # -- steps --------------------------------------------------------------------------------------------------

    def step(self, *, until: float = math.inf) -> bool:
        """One step, drawn; false when there is nothing to do but wait for people or callers, or for a time after ``until``."""
        choices = self._choices()
        if not choices and not self._wait(until):
            return False
        if choices:
            name, act = self.random.choice(choices)
            self.steps[name] += 1
            act()
            if self.random.random() < self.faults.crash:
                self.crash(name)
        return True

    def stuck(self) -> tuple[Stuck, ...]:
        """What nothing will ever move again, as ``System.stuck``; looked at now, so rather when nothing moves by itself."""
        picture = of_rows(self.journal.rows(limit=10_000_000), self.journal.actors())
        return stuck(of_kernel(self.kernel, picture, self._performing))

    def _performing(self, effect: str) -> bool:
        in_hand = (self._held.get(id) for id in self._fresh)
        return effect in self.attempts.flying() or any(
            isinstance(held, Settlement) and held.effect == effect for held in in_hand
        )

    def rest(self, *, steps: int = 200_000) -> None:
        """Step until nothing moves by itself: all is over, waits for people, or for reminders that come again and again or are for
        people (which ``pass_time`` brings). Raises AssertionError where that takes more than so many steps."""
        for _ in range(steps):
            if not self.step(until=self.now if self.only_ticks() else math.inf):
                return
        raise AssertionError(f"seed {self.seed}: still moving after {steps} steps")

    def pass_time(self, seconds: float, *, steps: int = 200_000) -> None:
        """Let virtual time pass, and all that comes due in it. Raises AssertionError as ``rest``."""
        end = self.now + seconds
        for _ in range(steps):
            if not self.step(until=end):
                self.now = max(self.now, end)
                return
        raise AssertionError(f"seed {self.seed}: still moving after {steps} steps")

    def crash(self, during: str = "asked", *, down: float | None = None) -> None:
        """The process dies: only the journal is left. ``down``: seconds until the next one is there; drawn by default."""
        self.hits["crash", during] += 1
        self.crashes += 1
        waiting = [sent for group in self._callers.values() for sent in group]
        for sent in (*waiting, *(held for held in self._held.values() if isinstance(held, Sent))):
            sent.lost = True
        self._callers.clear()
        self._looked.clear()
        self._snapshots.clear()
        self._held.clear()
        self._fresh.clear()
        self.attempts.forget()
        batch, self._appending = self._appending, None
        if batch is not None:
            self.hits["crash", "append under way"] += 1
            if self.random.random() < 0.5:  # it got in; nobody heard of it
                self.journal.append(batch)
                self.on_append(batch.rows)
        drawn = self.random.choice((0.0, 0.1, 5.0, 60.0, 3_600.0))
        self.now += drawn if down is None else down
        self.journal.close()
        self.kernel = self._build()

    def _choices(self) -> list[tuple[str, Callable[[], None]]]:
        kernel, choices = self.kernel, list[tuple[str, Callable[[], None]]]()
        if self._fresh:
            choices.append(("feed", self._feed))
        if kernel.loads:
            choices.append(("load", self._load))
        due = kernel.due()
        if kernel.ready or (due is not None and due <= self.now):
            choices += [("run", self._run)] * 2
        if self._appending is not None:
            choices.append(("append", self._append))
        elif self._uncut():
            choices += [("commit", self._commit), ("cut", self._cut)]
        if kernel._aging.cells or self._snapshots:
            choices.append(("snapshot", self._snapshot))
        if self._unreleased():
            choices.append(("release", self._let_out))
        if self.attempts.waiting():
            choices.append(("perform", self._perform))
        if self._due_outcomes():
            choices.append(("outcome", self._outcome))
        idle = kernel.residents.due()
        if choices and idle is not None and idle <= self.now:
            choices.append(("passivate", self._passivate))
        if choices and self.random.random() < 0.1:
            choices = [("tick", self._tick)]
        return choices

    def _feed(self) -> None:
        for _ in range(self.random.randint(1, len(self._fresh))):
            if self._keyed(self._fresh[0]) and self._fresh[0] not in self._looked:
                self._look(self._fresh[0])
                if self.random.random() < 0.5:  # what it shows will be old when it is used
                    return
            self._hand(self._fresh.pop(0))

    def _keyed(self, id: str) -> Envelope | None:
        held = self._held.get(id)
        thing = held.thing if isinstance(held, Sent) else None
        return thing if isinstance(thing, Envelope) and thing.key else None

    def _look(self, id: str) -> None:
        """Look a key up in the journal as it is now."""
        envelope = self._keyed(id)
        if envelope is not None:
            (known,) = recall(self.journal, ((envelope.to, envelope.key),))
            self._looked[id] = self._acked, known

    def _hand(self, id: str) -> None:
        held = self._held.get(id)
        thing = held.thing if isinstance(held, Sent) else held
        if isinstance(thing, Settlement):
            self.kernel.settle(thing)
        elif isinstance(thing, Answer):
            self.kernel.answer(thing, id)
        elif isinstance(thing, Verdict):
            self.kernel.answer(thing.answer, id, thing.resolve)
        elif isinstance(thing, Resolve):
            self.kernel.resolve(thing, id)
        elif isinstance(thing, Revoke):
            self.kernel.revoke(thing, id)
        elif isinstance(thing, Switch):
            self.kernel.switch(thing, id)
        elif thing is not None:
            if thing.key and id not in self._looked:
                self._look(id)
            _, looked = self._looked.pop(id, (0, None))
            self.kernel.deliver(msgspec.structs.replace(thing, at=self.kernel.now), id, looked)

    def _load(self) -> None:
        loads = self.kernel.loads
        want = loads.pop(self.random.randrange(len(loads)))
        if self.faults.load_fails and self.random.random() < self.faults.load_fails:
            self.hits[
                "load fails", "mail waits" if self.kernel.residents.cells[want.address].mailbox else "no mail"
            ] += 1
            why = Failure("retry_later", "unloaded", "simulated", where=want.address)
            self.kernel.unloaded(want.address, why)
            return
        (found,) = self.journal.find((want,))
        self.hits["snapshot", "believed"] += found.snapshot is not None
        self.kernel.loaded(found)

    def _snapshot(self) -> None:
        """Take what is due, store what may be stored."""
        self.kernel.take_snapshots()
        self.journal.put_snapshots(tuple(self._snapshots))
        self.hits["snapshot", "taken"] += len(self._snapshots)
        self._snapshots.clear()

    def _passivate(self) -> None:
        before = self.kernel.residents.counts().passivated
        self.kernel.rest(self.now)
        self.hits["passivated", "by the idle time" if self.idle else "at once"] += (
            self.kernel.residents.counts().passivated - before
        )

    def _run(self) -> None:
        self.kernel.step(self.now, turns=self.random.choice((1, 2, 5, 50)))

    def _commit(self) -> None:
        """Append what is under way, or else what was made."""
        if self._appending is None:
            self._appending = self.kernel.cut()
        if self._appending is not None:
            self._append()

    def _cut(self) -> None:
        """Begin to append. While turns are ready, mail that waits for one may be left without a row of its own, or not."""
        self._appending = self.kernel.cut(take_in=not self.kernel.ready or self.random.random() < 0.5)

    def _append(self) -> None:
        batch, self._appending = self._appending, None
        assert batch is not None
        planned = self.plan.on_append() if self.plan is not None else None
        if planned is not None and planned.delay:
            self.now += planned.delay
        drawn = self.random.random()
        kinds = max((row.kind for row in batch.rows), key=_WEIGHT.index)
        ahead = self.kernel.sets.waiting_rows
        if planned is not None and planned.error is not None and not planned.written:
            self._rebuild()
            return
        if drawn < self.faults.commit_fails:
            self.hits["commit fails", kinds] += 1
            self.hits["kernel ran ahead", "commit fails"] += bool(ahead)
            self._rebuild()
            return
        self.journal.append(batch)  # raises for a batch that does not fit: a fault of the kernel
        if planned is not None and planned.error is not None:
            self._rebuild()
            return
        if drawn > 1.0 - self.faults.commit_unknown:
            self.hits["commit unknown", kinds] += 1
            self.hits["kernel ran ahead", "commit unknown"] += bool(ahead)
            self._rebuild()
            return
        self._acked = batch.rows[-1].gid
        self.on_append(batch.rows)

    def _let_out(self) -> None:
        self.kernel.look_since(min((since for since, _ in self._looked.values()), default=NEVER))
        for release in self.kernel.committed(self._acked):
            self._release(release)

    def _enter(self, effect: Effect, rule: LeaseRule) -> Sent:
        """Ask whether a call may begin that works on a resource."""
        to, request = entry(self.tree.places, effect, rule)
        return self._bring(to, request, "", asks=True)

    def _perform(self) -> None:
        self.attempts.perform(self.now)

    def _outcome(self) -> None:
        settlement = self.attempts.take(self.random.choice(self._due_outcomes()))
        self._held[settlement.id] = settlement
        self._fresh.append(settlement.id)

    def _due_outcomes(self) -> list[Settlement]:
        return [settlement for due, settlement in self.attempts.coming() if due <= self.now]

    def _tick(self) -> None:
        self.now += self.random.choice((0.001, 0.1, 1.0, 10.0))

    def only_ticks(self) -> bool:
        """Whether all that will come by itself is reminders that come again and again, of actors or of people by name."""
        sets = self.kernel.sets
        return (
            any(timer.schedule is not None for timer in sets.timers.values())
            or any(effect.addressed is not None for effect in sets.effects.values())
        ) and (
            all(timer.schedule is not None and timer.schedule.cron for timer in sets.timers.values())
            and not any(effect.due is not None and effect.addressed is None for effect in sets.effects.values())
            and not self.attempts.coming()
        )

    def _wait(self, until: float) -> bool:
        """Nothing to do now: let time pass up to what comes next."""
        dues = [due for due, _ in self.attempts.coming()]
        alarm = self.kernel.due()
        dues += [alarm] if alarm is not None else []
        if not dues or min(dues) > until:
            return False
        self.now = max(self.now, min(dues))
        return True

    # -- what the shell does ------------------------------------------------------------------------------------

    def _bring(
        self, to: str, message: Message, key: str, *, asks: bool, priority: int = 0, timeout: float | None = None
    ) -> Sent:
        if not isinstance(priority, int):
            raise TypeError(f"priority={priority!r} is no whole number")
        self._count += 1
        deadline = None if timeout is None else self.now + timeout
        data, _ = roundtrip(message, type(message), MAX_MESSAGE)
        token = f"{to}#{key or f'call {self._count}'}"
        keyed = address(to) if key else OUTSIDE
        back = ReplyTo(OUTSIDE, token, asked(type(message)), deadline=deadline, keyed=keyed)
        sent = Sent(
            Envelope(
                f"outside:{token}", address(to), type(message).__wire__, data, context=_behalf(message),
                reply_to=back if asks else None, key=key, version=type(message).__version__, priority=priority,
            )
        )  # fmt: skip
        self._take(sent)
        return sent

    def _take(self, sent: Sent) -> None:
        self._count += 1
        id = f"in:{self._count}"
        self._held[id] = sent
        self._fresh.append(id)
        if isinstance(sent.thing, Envelope) and sent.thing.reply_to is not None:
            self._callers.setdefault(sent.thing.reply_to.token, []).append(sent)

    def _build(self, flying: dict[str, int] | None = None) -> Kernel:
        opened = self.journal.open()
        if flying is not None:  # a kernel after another one: nobody died
            opened = msgspec.structs.replace(opened, clean=True)
        self._acked = opened.last
        return Kernel(
            self.tree.directory, self.gate, opened, rng=self.random, now=self.now, note={}, flying=flying,
            idle=self.idle, in_memory=self.in_memory, calendar=self.calendar, snapshot_every=self.snapshot_every,
        )  # fmt: skip

    def _rebuild(self) -> None:
        """A commit failed: what the journal holds counts, and what it does not hold is fed again, in order."""
        self._let_out()  # what was committed before
        for row in self.journal.rows(after=self._acked, limit=1_000_000):
            record = read_record(row)
            self.on_append((row,))
            for id, held in list(self._held.items()):
                if isinstance(held, Sent) and (
                    (record.message is not None and record.message.id == getattr(held.thing, "id", None))
                    or (isinstance(held.thing, Answer) and is_of(record.answer, held.thing))
                    or (isinstance(held.thing, Verdict) and is_of(record.answer, held.thing.answer))
                    or (isinstance(held.thing, Resolve) and record.parked == held.thing.resolution)
                    or (isinstance(held.thing, (Revoke, Switch)) and record.note == held.thing.note)
                ):
                    self._release(Done(id))
            for reply in record.replies:
                self._release(Answered(reply))
        self.journal.close()
        flights = self.kernel.flights
        self.kernel = self._build(self.attempts.flying())
        self.kernel.flights.adopt(flights)
        for token, waiting in list(
            self._callers.items()
        ):  # memory-only actors are gone, and what they were asked with them
            for sent in waiting:
                if sent.accepted and isinstance(sent.thing, Envelope) and self.kernel.memory.mounted(sent.thing.to):
                    sent.lost = True
                    self._callers.pop(token, None)
        self._fresh.clear()
        self._looked.clear()
        for id in list(self._held):  # before anything else: an attempt whose outcome is in hand is not begun again
            self._hand(id)

    def _release(self, release: Release) -> None:
        if isinstance(release, Start):
            self.attempts.begin(release)
        elif isinstance(release, Answered):
            self.on_answered(release.reply)
            for sent in self._callers.pop(release.reply.to.token, []):
                sent.reply = release.reply
        elif isinstance(release, Keep):
            self._snapshots.append(release.snapshot)
        elif isinstance(release, Done | Refused):
            held = self._held.pop(release.input, None)
            if isinstance(held, Sent):
                held.accepted = isinstance(release, Done)
                held.error = release.error if isinstance(release, Refused) else None
        elif isinstance(release, Handed):
            release.asking.told(release.value, release.failure)
        elif isinstance(release, Abort):
            self.attempts.abort(release.effect, self.now)
        else:
            self.attempts.withdraw(release.effect)

    def _uncut(self) -> bool:
        return bool(self.kernel.sets.waiting_rows) or self.kernel.unsaved

    def _unreleased(self) -> bool:
        first = self.kernel.held_back
        return first is not None and first <= self._acked


def _behalf(message: Message) -> Context:
    """On whose behalf, as ``System.run`` takes it from a task."""
    if not isinstance(message, Task):
        return Context()
    return Context(user=message.user, tenant=message.tenant, session=message.session, tags=message.tags)


_WEIGHT: Sequence[str] = ("system", "attempt", "accepted", "turn", "parked", "expired", "settled", "started", "failed")
"""Kinds of rows, the more telling ones last: a batch is counted under its last one."""
