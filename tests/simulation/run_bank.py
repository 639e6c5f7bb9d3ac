"""One seed of the bank, and what is compared after every crash and at the end."""

from __future__ import annotations

import math
import random
from collections import Counter

from msgspec import json

from tests.simulation import bank
from tests.simulation.bank import (
    HEARTS,
    NAMES,
    STORM,
    Deposit,
    Nudge,
    Pay,
    Send,
    Transfer,
    What,
    World,
    truthful,
)
from tests.simulation.heart import Begin, End, Pulse
from understudy.actors.cell import read_record
from understudy.actors.working_sets import WorkingSets
from understudy.protocols.envelope import Envelope, Reply
from understudy.protocols.errors import AskFailed
from understudy.protocols.ids import Address
from understudy.protocols.journal import Opened, Record, Row
from understudy.testing import Faults, Sent, Simulated


class NotLive(AssertionError):
    """Faults have stopped, and something does not come to an end."""


class Seen:
    """The committed rows, read once each."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.records: list[Record] = []
        self.events: Counter[tuple[str, str]] = Counter()
        self.amounts: Counter[str] = Counter()
        self.consumed: Counter[str] = Counter()
        self.consumed_as: dict[str, str] = {}
        self.opened: set[str] = set()
        self.replies: dict[str, Reply] = {}
        self.pulses: dict[str, Pulse] = {}

    def take(self, rows: tuple[Row, ...]) -> None:
        for row in rows:
            record = read_record(row)
            self.rows.append(row)
            self.records.append(record)
            for stored in record.events:
                event = json.decode(stored.data)
                if "id" in event:
                    self.events[stored.wire, event["id"]] += 1
                    self.amounts[stored.wire] += event.get("amount", 0)
            if record.took:
                self.consumed[record.took] += 1
                self.consumed_as[record.took] = row.kind
            elif record.message is not None and row.kind in ("turn", "failed", "parked"):
                self.consumed[record.message.id] += 1
                self.consumed_as[record.message.id] = row.kind
            for reply in record.replies:
                self.replies[reply.to.token] = reply
            if row.stream.startswith("hearts/"):
                self.pulses.setdefault(row.stream, Pulse()).take(row, record)


class Run:
    """One seed."""

    def __init__(self, seed: int, faults: Faults) -> None:
        bank.world = self.world = World()
        self.draw = random.Random(f"callers of {seed}")
        self.seen = Seen()
        self.node = bank.bank(seed, faults)
        self.node.on_append = self.seen.take
        self.node.on_answered = self.released
        self.sent: list[Sent] = []
        self.open: list[Sent] = []
        """Those that were not acknowledged when this was looked at last."""
        self.acknowledged: set[str] = set()
        self.crashes = 0
        self.fold = WorkingSets(Opened(0, 0.0, 0, True, "", (), (), ()))
        self.folded = 0
        self.seqs: Counter[Address] = Counter()

    def released(self, reply: Reply) -> None:
        if reply.to.token.startswith("board#"):
            for id in json.decode(reply.value) or ():
                assert self.seen.events["Deposited", id], f"the board told of {id} before its row was committed"
            return
        recorded = self.seen.replies.get(reply.to.token)
        assert recorded is not None, f"an answer to {reply.to.token} was released before its row was committed"
        assert recorded.value == reply.value
        assert recorded.failure == reply.failure

    def call(self) -> None:
        """Somebody outside wants something."""
        draw, number = self.draw, len(self.sent)
        name, amount, id = draw.choice(NAMES), draw.randint(1, 50), f"m{number}"
        if draw.random() < 0.3:
            self.node.ask("board", What())
        match draw.choice(("deposit", "deposit", "transfer", "transfer", "pay", "nudge", "zero", "send")):
            case "deposit":
                sent = self.node.ask(f"accounts/{name}", Deposit(id, amount * 5), key=id)
            case "transfer":
                sent = self.node.ask(f"accounts/{name}", Transfer(id, draw.choice(NAMES), amount), key=id)
            case "pay":
                sent = self.node.ask(f"accounts/{name}", Pay(id, amount), key=id)
            case "nudge":
                sent = self.node.tell(f"accounts/{name}", Nudge(id), key=id)
            case "send":
                sent = self.node.ask(f"couriers/{id}", Send(id), key=id)
            case _:
                sent = self.node.ask(f"accounts/{name}", Deposit(id, 0), key=id)
        self.sent.append(sent)
        self.open.append(sent)
        if draw.random() < 0.1:
            missed = draw.choice(HEARTS)
            self.node.ask(f"hearts/{missed}", Begin(f"h{number}", missed), key=f"h{number}")

    def storm(self, steps: int, calls: int) -> None:
        node, draw = self.node, self.draw
        for _ in range(steps):
            if len(self.sent) < calls and draw.random() < 0.15:
                self.call()
            if self.sent and draw.random() < 0.01:
                self.again(draw.choice(self.sent))  # an impatient caller
            if draw.random() < 0.05:
                self.people(1)
            if draw.random() < 0.1:
                self.retry()
            ticks = node.only_ticks() and draw.random() < 0.95  # or hearts would beat through the whole storm
            if not node.step(until=node.now if ticks else math.inf):
                self.people(3)
                self.retry()
            self.note()
            if node.crashes > self.crashes:
                self.crashes = node.crashes
                self.compare()

    def calm(self) -> None:
        """No more faults: everything must come to an end."""
        node = self.node
        node.faults, self.world.raising = Faults(), 0.0
        for _ in range(200):
            self.rest()
            self.note()
            self.retry()
            self.people(100)
            if not node.inbox() and not any(sent.lost for sent in self.sent) and not node.step(until=node.now):
                break
        else:
            raise NotLive("people and callers are asked again and again")
        self.note()
        self.compare()
        for heart in self.seen.pulses:
            node.ask(heart, End("end"), key="end")
        self.rest()
        self.compare()
        self.compare_at_the_end()

    def rest(self) -> None:
        """Until nothing moves by itself; people look in now and then: some actors wait for them by looking again and again."""
        node = self.node
        for step in range(50_000):
            if not node.step(until=node.now if node.only_ticks() else math.inf):
                return
            if step % 200 == 199:
                self.people(100)
        raise NotLive("still moving after 50,000 steps")

    def retry(self) -> None:
        for sent in self.sent:
            if isinstance(sent.error, AskFailed) and sent.error.failure.kind == "retry_later":
                sent.error, sent.lost = None, True  # its actor could not be read just then
            if sent.lost:
                self.again(sent)

    def again(self, sent: Sent) -> None:
        self.node.again(sent)
        if sent not in self.open:
            self.open.append(sent)

    def people(self, most: int) -> None:
        for item in self.node.inbox()[:most]:
            effect = self.node.kernel.effect(item.id)
            if effect is not None:
                truthful(self.node, effect, self.draw)

    def note(self) -> None:
        if any(sent.accepted for sent in self.open):
            self.acknowledged |= {_id(sent) for sent in self.open if sent.accepted}
            self.open = [sent for sent in self.open if not sent.accepted]

    # -- what must be true --------------------------------------------------------------------------------------

    def compare(self) -> None:
        seen, node = self.seen, self.node
        tail = node.journal.tail()
        assert len(seen.rows) == tail, "rows are missing or doubled"
        for gid, (row, record) in enumerate(
            zip(seen.rows[self.folded :], seen.records[self.folded :], strict=True), self.folded + 1
        ):
            self.seqs[row.stream] += 1
            assert row.gid == gid, f"row {row.gid} stands where {gid} should"
            assert row.seq == self.seqs[row.stream], f"{row.stream}: seq {row.seq} is not {self.seqs[row.stream]}"
            self.fold.take(row, record, None)
        self.folded = tail
        self.compare_sets()
        for pulse in seen.pulses.values():
            pulse.compare(_opened(node).timers.keys() | _opened(node).mail.keys())
        open_mail = set(_opened(node).mail)
        for id, times in seen.consumed.items():
            assert times == 1, f"{id} was consumed {times} times"
        for id in self.acknowledged:
            assert (id in seen.consumed) != (id in open_mail), f"{id} was acknowledged and is not there exactly once"
        for (wire, id), times in seen.events.items():
            assert times == 1 or wire == "Noted", f"{wire} of {id} happened {times} times"
        for id, times in self.world.wires.items():
            assert times == 1, f"{id} was wired {times} times"
        for key, times in self.world.bookings.items():
            assert times == 1, f"{self.world.ledger[key]} was booked {times} times under one key"
        for id, keys in self.world.receipts.items():
            assert len(keys) == 1, f"the receipt of {id} went out under {len(keys)} keys"
        self.compare_money()

    def compare_money(self) -> None:
        """What came in is in the accounts, on its way, or was wired."""
        events, amounts = self.seen.events, self.seen.amounts
        balances = 0
        for name in NAMES:
            state = self.node.actor(f"accounts/{name}").state
            assert isinstance(state, bank.Account.State)
            balances += state.balance
        put_in = amounts["Deposited"] + amounts["Credited"] + amounts["Refunded"] - amounts["Withdrawn"]
        assert balances == put_in, f"{balances} in the accounts, {put_in} by the events"
        for wire, id in events:
            if wire == "Refunded":
                assert ("Credited", id) not in events, f"{id} arrived and was given back"
                assert self.world.wires[id] == 0, f"{id} was wired and was given back"
            if wire in ("Credited", "Refunded", "Finished"):
                assert ("Withdrawn", id) in events, f"{wire} of {id} from nothing"
            if wire == "Finished":
                assert ("Credited", id) in events or self.world.wires[id] == 1, f"{id} is done and never happened"

    def compare_sets(self) -> None:
        """The working sets that the journal keeps equal a fold over all its rows."""
        fold, kept = self.fold, _opened(self.node)
        for name in ("mail", "effects", "timers"):
            folded, stored = getattr(fold, name), getattr(kept, name)
            assert folded == stored, (
                f"{name}: only in the fold {folded.keys() - stored.keys()}, only kept {stored.keys() - folded.keys()}"
            )

    def compare_at_the_end(self) -> None:
        kept = _opened(self.node)
        _ends(not (still := self.node.stuck()), f"nothing will ever move: {still}")
        _ends(not kept.mail, f"mail that nobody takes: {list(kept.mail)}")
        _ends(not kept.effects, f"effects that nobody ends: {list(kept.effects.values())}")
        _ends(not kept.timers, f"timers that never ring: {list(kept.timers)}")
        for sent in self.sent:
            assert isinstance(sent.thing, Envelope)
            _ends(sent.accepted, f"{sent.thing.id} was never acknowledged ({sent.error})")
            if sent.thing.reply_to is not None:
                _ends(sent.reply is not None, f"{sent.thing.id} was never answered")
            if sent.thing.to.startswith("couriers/") and sent.reply is not None and sent.reply.failure is None:
                assert self.node.actor(sent.thing.to).memory.life == "finished", f"{sent.thing.to} is not finished"
        for name in NAMES:
            cell = self.node.actor(f"accounts/{name}")
            assert cell.memory.life in ("running", "absent"), f"{name} is {cell.memory.life}"
            assert not cell.memory.askers, f"{name} left {cell.memory.askers} unanswered"


def _ends(true: bool, what: str) -> None:
    if not true:
        raise NotLive(what)


class _Kept:
    """The working sets as the journal keeps them."""

    def __init__(self, node: Simulated) -> None:
        journal = node.journal
        self.mail, self.effects, self.timers = journal._mail, journal._effects, journal._timers


def _opened(node: Simulated) -> _Kept:
    return _Kept(node)


def _id(sent: Sent) -> str:
    assert isinstance(sent.thing, Envelope)
    return sent.thing.id


def run(seed: int, *, faults: Faults = STORM, steps: int = 550, calls: int = 60, raising: float = 0.04) -> Run:
    """One seed from its beginning to its end. Raises AssertionError (or what the node raised) where something is not true."""
    made = Run(seed, faults)
    made.world.raising = raising
    made.storm(steps, calls)
    made.calm()
    return made
