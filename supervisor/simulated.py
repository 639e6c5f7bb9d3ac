"""A simulated node: the production kernel, gate and in-memory journal under a seeded scheduler and a virtual clock.

What the shell does with tasks and threads happens here one step at a time, in an order drawn from the seed, with faults:

    feed an input | load an actor | run turns | cut and append | let out what is committed
    begin an attempt at an effect | bring its outcome | let time pass | crash (kernel and attempts gone, journal opened anew)

The rules are those of ``shell.Shell``: an input is kept until its row is durable; after a commit that failed the kernel is
rebuilt and the inputs whose rows are not found are fed again. The same seed gives the same steps. Effects are performed by
calling the tools' functions in place, so the world that they change is the test's own objects, and those can count.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from ..actors.cell import Cell, read_record
from ..actors.kernel import Kernel
from ..actors.releases import Answered, Done, Refused, Release, Settlement, Start
from ..protocols.approvals import Answer, Decision
from ..protocols.codec import encode, roundtrip
from ..protocols.effects import CALL, Attempt, Effect
from ..protocols.envelope import Context, Envelope, Reply, ReplyTo
from ..protocols.errors import (
    Abandon,
    ChangeArguments,
    Failed,
    JournalError,
    JournalFull,
    RetryLater,
    RetryNow,
    UnderstudyError,
)
from ..protocols.failures import Failure, of_exception
from ..protocols.ids import OUTSIDE, Address, address
from ..protocols.journal import Row
from ..protocols.messages import Message, Request
from ..protocols.model import ModelRequest
from ..protocols.tool import Call
from ..tools.gate import Gate
from ..tools.perform import run_plain
from ..tools.tool import NotDone
from .inbox import InboxItem, inbox
from .journal.memory import MemoryJournal
from .tree import Definition, Tree

EPOCH = 1_700_000_000.0
"""Virtual time begins here."""


class Faults(Struct, frozen=True):
    """What goes wrong, each as a probability; none by default.

    Attributes:
        crash: of each step: kernel and attempts under way are gone.
        commit_fails, commit_unknown: of each commit: nothing is written; or all of it is, and an error says otherwise.
        fails: of each attempt: the tool fails in one of the four declared ways, and nothing happened.
        raises: of each attempt: an exception that nobody declared; whether it happened before is drawn.
        hangs: of each attempt: no answer within the timeout; whether it happened is drawn.
        late: of each attempt: it happens, no answer comes in time, then one does.
        twice: of each attempt: the same answer comes twice.
    """

    crash: float = 0.0
    commit_fails: float = 0.0
    commit_unknown: float = 0.0
    fails: float = 0.0
    raises: float = 0.0
    hangs: float = 0.0
    late: float = 0.0
    twice: float = 0.0


class Sent:
    """Something that was brought from outside.

    Attributes:
        thing: the message or answer.
        accepted: it was acknowledged as durable.
        reply: the answer to a request.
        error: it was refused, and why.
        lost: the node crashed while the caller waited; send it again, with its key.
    """

    def __init__(self, thing: Envelope | Answer) -> None:
        self.thing = thing
        self.accepted = False
        self.reply: Reply | None = None
        self.error: UnderstudyError | None = None
        self.lost = False


class _Flight(Struct):
    """An attempt under way: not begun yet while ``outcomes`` is None, over when its first outcome is in."""

    start: Start
    outcomes: list[tuple[float, Settlement]] | None = None


class Simulated:
    """One node under one seed.

    Args:
        *definitions: what is mounted.
        seed: everything that is drawn follows from it.
        faults: may be changed at any time.
        journal: one that a test made or has used before.

    Attributes:
        now: virtual time.
        hits: how often each fault hit, by (fault, what was going on).
        steps: how many steps of each kind were made.
    """

    def __init__(
        self,
        *definitions: Definition,
        seed: int = 0,
        faults: Faults | None = None,
        journal: MemoryJournal | None = None,
    ) -> None:
        self.tree = Tree(definitions)
        self.gate = Gate(self.tree.grants)
        self.seed, self.faults, self.now = seed, faults or Faults(), EPOCH
        self.random = random.Random(seed)
        self.journal = journal or MemoryJournal(seed=f"simulated:{seed}")
        self.hits: Counter[tuple[str, str]] = Counter()
        self.steps: Counter[str] = Counter()
        self.on_append: Callable[[tuple[Row, ...]], None] = lambda rows: None
        self.on_answered: Callable[[Reply], None] = lambda reply: None
        self._callers: dict[str, list[Sent]] = {}
        self._held: dict[str, Sent | Settlement] = {}
        self._fresh: list[str] = []
        self._flights: dict[str, _Flight] = {}
        self._late: list[tuple[float, Settlement]] = []
        self._count = 0
        self._more = True
        self._build()

    # -- outside ------------------------------------------------------------------------------------------------

    def ask(self, to: str, request: Request[Any], *, key: str = "") -> Sent:
        """Bring a request; ``reply`` follows in some later step."""
        return self._bring(to, request, key, asks=True)

    def tell(self, to: str, message: Message, *, key: str = "") -> Sent:
        """Bring a message; ``accepted`` follows in some later step."""
        return self._bring(to, message, key, asks=False)

    def again(self, sent: Sent) -> None:
        """Bring the same once more, as a caller does who lost its connection."""
        sent.lost = False
        sent.accepted = False
        self._take(sent)

    def answer(self, item: str, decision: Decision, *, by: str = "ada", reason: str = "", value: object = None) -> Sent:
        """Bring a person's answer."""
        sent = Sent(Answer(item, decision, by, reason, Raw(encode(value))))
        self._take(sent)
        return sent

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

    def step(self) -> bool:
        """One step, drawn; false when there is nothing to do but wait for people or callers."""
        choices = self._choices()
        if not choices and not self._wait():
            return False
        if choices:
            name, act = self.random.choice(choices)
            self.steps[name] += 1
            act()
            if self.random.random() < self.faults.crash:
                self.crash(name)
        return True

    def rest(self, *, steps: int = 200_000) -> None:
        """Step until nothing moves by itself. Raises AssertionError where that takes more than so many steps."""
        for _ in range(steps):
            if not self.step():
                return
        raise AssertionError(f"seed {self.seed}: still moving after {steps} steps")

    def crash(self, during: str = "asked") -> None:
        """The process dies: only the journal is left."""
        self.hits["crash", during] += 1
        waiting = [sent for group in self._callers.values() for sent in group]
        for sent in (*waiting, *(held for held in self._held.values() if isinstance(held, Sent))):
            sent.lost = True
        self._callers.clear()
        self._held.clear()
        self._fresh.clear()
        self._flights.clear()
        self._late.clear()
        self.now += self.random.choice((0.0, 0.1, 5.0, 60.0))
        self.journal.close()
        self._build()

    def _choices(self) -> list[tuple[str, Callable[[], None]]]:
        kernel, choices = self.kernel, list[tuple[str, Callable[[], None]]]()
        if self._fresh:
            choices.append(("feed", self._feed))
        if kernel.loads:
            choices.append(("load", self._load))
        due = kernel.due()
        if self._more or (due is not None and due <= self.now):
            choices += [("run", self._run)] * 2
        if self._uncut():
            choices.append(("commit", self._commit))
        if self._unreleased():
            choices.append(("release", self._let_out))
        if any(flight.outcomes is None for flight in self._flights.values()):
            choices.append(("perform", self._perform))
        if self._due_outcomes():
            choices.append(("outcome", self._outcome))
        if choices and self.random.random() < 0.1:
            choices = [("tick", self._tick)]
        return choices

    def _feed(self) -> None:
        for _ in range(self.random.randint(1, len(self._fresh))):
            self._hand(self._fresh.pop(0))

    def _hand(self, id: str) -> None:
        held = self._held.get(id)
        self._more = True
        if isinstance(held, Settlement):
            self.kernel.settle(held)
        elif held is not None and isinstance(held.thing, Answer):
            self.kernel.answer(held.thing, id)
        elif held is not None:
            self.kernel.deliver(msgspec.structs.replace(held.thing, at=self.kernel.now), id)

    def _load(self) -> None:
        loads = self.kernel.loads
        self.kernel.loads = []
        which = loads.pop(self.random.randrange(len(loads)))
        self.kernel.loads += loads
        self.kernel.loaded(which, self.journal.stream(which))
        self._more = True

    def _run(self) -> None:
        self._more = self.kernel.step(self.now, turns=self.random.choice((1, 2, 5, 50)))

    def _commit(self) -> None:
        batch = self.kernel.cut()
        if batch is None:
            return
        drawn = self.random.random()
        kinds = max((row.kind for row in batch.rows), key=_WEIGHT.index)
        try:
            if drawn < self.faults.commit_fails:
                self.hits["commit fails", kinds] += 1
                raise JournalFull("simulated: no space left on the device")
            self.journal.append(batch)
            if drawn > 1.0 - self.faults.commit_unknown:
                self.hits["commit unknown", kinds] += 1
                raise JournalError("simulated: an I/O error after the write")
        except JournalError as error:
            if "simulated" not in str(error):
                raise  # a batch that does not fit is a fault of the kernel
            self._rebuild()
            return
        self._acked = batch.rows[-1].gid
        self.on_append(batch.rows)

    def _let_out(self) -> None:
        for release in self.kernel.committed(self._acked):
            self._release(release)

    def _perform(self) -> None:
        id = self.random.choice([id for id, flight in self._flights.items() if flight.outcomes is None])
        flight = self._flights[id]
        flight.outcomes = [
            (due, Settlement(id, flight.start.effect.attempt, a.value, a.failure, a.unknown, serial))
            for serial, (due, a) in enumerate(self._attempt(flight.start))
        ]

    def _attempt(self, start: Start) -> list[tuple[float, Attempt]]:
        """What comes of an attempt, and when."""
        effect, faults = start.effect, self.faults
        soon, timeout = self.now + self.random.random(), self.now + effect.timeout
        silence = Attempt(failure=Failure("retry_later", "timeout", f"{effect.name}: no answer"), unknown=True)
        fates = ("fails", "raises", "hangs", "late", "twice")
        chances = [faults.fails, faults.raises, faults.hangs, faults.late, faults.twice]
        fate = self.random.choices((*fates, ""), [*chances, max(0.0, 1.0 - sum(chances))])[0]
        if fate:
            self.hits[fate, effect.effect if effect.verb == CALL else effect.verb] += 1
        if fate == "fails":
            error = self.random.choice((RetryNow, RetryLater, ChangeArguments, Abandon))("simulated")
            return [(soon, Attempt(failure=error.failure))]
        if fate in ("raises", "hangs") and self.random.random() < 0.5:  # it never got there
            came = None
        else:
            came = self._do(start)
        if fate == "raises":
            return [(soon, Attempt(failure=of_exception(ConnectionError("simulated")), unknown=True))]
        if fate == "hangs" or came is None:
            return [(timeout, silence)]
        if fate == "late":
            return [(timeout, silence), (timeout + self.random.random() * 60.0, came)]
        return [(soon, came)] * (2 if fate == "twice" else 1)

    def _do(self, start: Start) -> Attempt:
        """Call the tool or model, here and now."""
        effect = start.effect
        if effect.verb != CALL:
            return self._think(effect, start.request)
        tool = self.tree.tools[effect.agent][effect.name]
        if tool.spec.effect == "reconcilable" and (effect.attempt > 1 or effect.interrupted):
            assert tool.reconciler is not None
            found = finish(tool.reconciler(effect.key))
            if not isinstance(found, NotDone):
                return Attempt(value=encode(found))
        call = Call(effect.id, effect.key, effect.attempt, effect.stream, effect.timeout)
        try:
            values = tool.bind(tool.signature.read(effect.args), call)
        except ValueError as error:
            return Attempt(failure=Failure("change_arguments", "bad_arguments", str(error), where=effect.name))
        return run_plain(tool, effect, values)

    def _think(self, effect: Effect, request: ModelRequest | None) -> Attempt:
        assert request is not None
        model = self.tree.models[effect.agent][effect.name]
        try:
            return Attempt(value=encode(finish(model.complete(request, lambda _: None))))
        except Failed as error:
            return Attempt(failure=error.failure)

    def _outcome(self) -> None:
        _, settlement = self.random.choice(self._due_outcomes())
        flight = self._flights.get(settlement.effect)
        if flight is not None and flight.outcomes and flight.outcomes[0][1] is settlement:
            self._late += flight.outcomes[1:]
            del self._flights[settlement.effect]
        else:
            self._late = [(due, late) for due, late in self._late if late is not settlement]
        self._held[settlement.id] = settlement
        self._fresh.append(settlement.id)

    def _due_outcomes(self) -> list[tuple[float, Settlement]]:
        first = [flight.outcomes[0] for flight in self._flights.values() if flight.outcomes]
        return [entry for entry in (*first, *self._late) if entry[0] <= self.now]

    def _tick(self) -> None:
        self.now += self.random.choice((0.001, 0.1, 1.0, 10.0))

    def _wait(self) -> bool:
        """Nothing to do now: let time pass up to what comes next."""
        dues = [flight.outcomes[0][0] for flight in self._flights.values() if flight.outcomes]
        dues += [due for due, _ in self._late]
        alarm = self.kernel.due()
        dues += [alarm] if alarm is not None else []
        if not dues:
            return False
        self.now = max(self.now, min(dues))
        return True

    # -- what the shell does ------------------------------------------------------------------------------------

    def _bring(self, to: str, message: Message, key: str, *, asks: bool) -> Sent:
        self._count += 1
        data, _ = roundtrip(message, type(message))
        token = f"{to}#{key or f'call {self._count}'}"
        sent = Sent(
            Envelope(
                f"outside:{token}", address(to), type(message).__wire__, data, context=Context(),
                reply_to=ReplyTo(OUTSIDE, token) if asks else None, key=key, version=type(message).__version__,
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

    def _build(self, flying: dict[str, int] | None = None) -> None:
        opened = self.journal.open()
        self._acked = opened.last
        self._more = True
        self.kernel = Kernel(
            self.tree.directory, self.gate, opened, rng=self.random, now=self.now, note={}, flying=flying
        )

    def _rebuild(self) -> None:
        """A commit failed: what the journal holds counts, and what it does not hold is fed again, in order."""
        self._let_out()  # what was committed before
        for row in self.journal.rows(after=self._acked, limit=1_000_000):
            record = read_record(row)
            self.on_append((row,))
            for id, held in list(self._held.items()):
                if isinstance(held, Sent) and (
                    (record.message is not None and record.message.id == getattr(held.thing, "id", None))
                    or (record.answer is not None and record.answer == held.thing)
                ):
                    self._release(Done(id))
            for reply in record.replies:
                self._release(Answered(reply))
        self.journal.close()
        self._build({id: flight.start.effect.attempt for id, flight in self._flights.items()})
        self._fresh = list(self._held)

    def _release(self, release: Release) -> None:
        if isinstance(release, Start):
            self._flights.setdefault(release.effect.id, _Flight(release))
        elif isinstance(release, Answered):
            self.on_answered(release.reply)
            for sent in self._callers.pop(release.reply.to.token, []):
                sent.reply = release.reply
        elif isinstance(release, Done | Refused):
            held = self._held.pop(release.input, None)
            if isinstance(held, Sent):
                held.accepted = isinstance(release, Done)
                held.error = release.error if isinstance(release, Refused) else None
        else:
            self._flights.pop(release.effect, None)

    def _uncut(self) -> bool:
        return bool(self.kernel.sets.waiting_rows) or self.kernel.unsaved

    def _unreleased(self) -> bool:
        first = self.kernel.held_back
        return first is not None and first <= self._acked


_WEIGHT: Sequence[str] = ("system", "attempt", "accepted", "turn", "parked", "expired", "settled", "failed", "started")
"""Kinds of rows, the more telling ones last: a batch is counted under its last one."""


def finish(running: Any) -> Any:  # a coroutine, or what a plain function returned
    """What a coroutine comes to that never really waits.

    Raises:
        RuntimeError: it does wait; a simulation has no event loop.
    """
    if not isinstance(running, Coroutine):
        return running
    try:
        running.send(None)
    except StopIteration as end:
        return end.value
    running.close()
    raise RuntimeError("this coroutine waits for something; in a simulation nothing would wake it")
