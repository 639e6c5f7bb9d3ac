"""A simulated node: what it holds, how inputs get into its kernel and rows into its journal, and how it dies and comes back."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec

from ...actors.answers import is_of
from ...actors.cell import read_record
from ...actors.kernel import Kernel
from ...actors.releases import (
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
from ...actors.residents import IDLE, IN_MEMORY
from ...actors.snapshots import EVERY
from ...actors.taken import NEVER
from ...protocols.approvals import Answer
from ...protocols.breakers import Breaker
from ...protocols.budget import Price, Spending
from ...protocols.codec import roundtrip
from ...protocols.effects import Effect
from ...protocols.envelope import Context, Envelope, Reply, ReplyTo
from ...protocols.ids import OUTSIDE, address
from ...protocols.journal import MAX_MESSAGE, Batch, Known, Row, Snapshot
from ...protocols.messages import Message, asked
from ...protocols.rates import Rate
from ...protocols.tasks import Task
from ...tools.tool import LeaseRule
from ..calendar import CronCalendar
from ..conflicts.entering import entry
from ..gating import gate_of
from ..journal.memory import MemoryJournal
from ..journal.recall import recall
from ..kit.faults import FaultPlan
from ..supervision.tree import Definition, Tree
from .attempts import Attempts, Faults
from .sent import Sent

EPOCH = 1_700_000_000.0
"""Virtual time begins here."""


class Node:
    """See ``Simulated``, which people use."""

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

    @property
    def faults(self) -> Faults:
        """What goes wrong from now on."""
        return self.attempts.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self.attempts.faults = faults

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
