"""A bank on a simulated node: what it does, and what must be true of it after every crash and at the end.

Accounts take deposits, transfer by asking each other, pay out through a tool that may run once, and send receipts through
one that is idempotent; handlers raise now and then. A board that lives in memory only hears of each deposit and tells whoever
asks. The world outside is an object that counts.
"""

from __future__ import annotations

import random
from collections import Counter

import understudy as us
from tests.simulation.heart import Heart
from understudy.protocols.effects import Effect, Retry
from understudy.testing import Faults, Simulated
from understudy.tools.tool import NotDone


class World:
    """What really happened."""

    def __init__(self) -> None:
        self.wires: Counter[str] = Counter()
        self.receipts: dict[str, set[str]] = {}
        self.ledger: dict[str, str] = {}
        self.bookings: Counter[str] = Counter()
        self.raising = 0.0


world = World()
"""The world of the seed that runs now; tools are plain functions and find it here."""


@us.tool(effect="once", timeout=5.0)
def wire_out(payment: str, amount: int) -> str:
    """Send money away for good."""
    world.wires[payment] += 1
    return f"wired {amount}"


@us.tool(effect="idempotent", timeout=5.0, retry=Retry(attempts=6, base=0.5))
def receipt(call: us.Call, payment: str) -> str:
    """Send a receipt; the other side drops a key that it knows."""
    world.receipts.setdefault(payment, set()).add(call.key)
    return "sent"


@us.tool(effect="reconcilable", timeout=5.0, retry=Retry(attempts=6, base=0.5))
def book(call: us.Call, payment: str) -> str:
    """Write into somebody else's ledger, which can be asked by key."""
    world.bookings[call.key] += 1
    world.ledger[call.key] = payment
    return payment


@book.reconcile
def booked(key: str) -> str | NotDone:
    return world.ledger.get(key, us.NOT_DONE)


@us.tool(effect="read", timeout=5.0, retry=Retry(attempts=6, base=0.5))
def fee(amount: int) -> int:
    """What a payment costs."""
    return 0


class Deposit(us.Request[int]):
    id: str
    amount: int


class Transfer(us.Request[str]):
    id: str
    to: str
    amount: int


class Credit(us.Request[int]):
    id: str
    amount: int


class Pay(us.Request[str]):
    id: str
    amount: int


class Nudge(us.Message):
    id: str


class Send(us.Request[str]):
    id: str


class Check(us.Message):
    id: str


class Deposited(us.Event):
    id: str
    amount: int


class Withdrawn(us.Event):
    id: str
    amount: int
    later: str
    check: str


class Credited(us.Event):
    id: str
    amount: int


class Refunded(us.Event):
    id: str
    amount: int


class Finished(us.Event):
    id: str


class Puzzled(us.Event):
    id: str


class Nudged(us.Event):
    id: str


class Noted(us.Event):
    id: str
    what: str


class Told(us.Event):
    id: str


class Took(us.Event):
    id: str
    later: str


class Heard(us.Message):
    """A deposit was made."""

    id: str


class Doubted(us.Request[bool]):
    """Did you hear of it?"""

    id: str


class What(us.Request[tuple[str, ...]]):
    """Of which deposits did you hear?"""


class Board(us.Actor):
    """Remembers in memory only what it heard: it may know of less than happened, never of more."""

    durable = False

    class State(us.State):
        heard: tuple[str, ...] = ()

    @us.handles(Heard)
    def hear(self, turn: us.Turn[State], msg: Heard) -> None:
        turn.emit(Told(msg.id))
        if turn.random.random() < world.raising:
            raise RuntimeError("dropped it")

    @us.handles(What)
    def what(self, turn: us.Turn[State], msg: What) -> tuple[str, ...]:
        return turn.state.heard

    @us.handles(Doubted)
    def doubted(self, turn: us.Turn[State], msg: Doubted) -> bool:
        return msg.id in turn.state.heard

    @us.applies(Told)
    def told(self, state: State, event: Told) -> State:
        return state.evolve(heard=(*state.heard, event.id))


class Courier(us.Actor):
    """One errand, then it is finished: it answers at the first outcome while another call may still be under way."""

    class State(us.State):
        later: str = ""

    @us.handles(Send)
    def send(self, turn: us.Turn[State], msg: Send) -> us.Later[str]:
        later = turn.later(msg)
        turn.emit(Took(msg.id, later.id))
        turn.call(book, msg.id)
        turn.call(receipt, msg.id)
        turn.remind(Check(msg.id), after=400.0)
        return later

    @us.settles(us.ANY_TOOL)
    def came(self, turn: us.Turn[State], outcome: us.Outcome[object]) -> None:
        if turn.random.random() < world.raising:
            raise RuntimeError("dropped it")
        self._end(turn, "failed" if outcome.failure else "sent")

    @us.handles(Check)
    def check(self, turn: us.Turn[State], msg: Check) -> None:
        if not turn.pending():
            self._end(turn, "lost")
        else:
            turn.remind(msg, after=400.0)

    def _end(self, turn: us.Turn[State], what: str) -> None:
        turn.reply(us.Later[str](turn.state.later), what)
        turn.stop()

    @us.applies(Took)
    def took(self, state: State, event: Took) -> State:
        return state.evolve(later=event.later)


class Account(us.Actor):
    class State(us.State):
        balance: int = 0
        pending: dict[str, tuple[int, str, str]] = {}  # noqa: RUF012  # msgspec copies it
        nudged: int = 0

    def stumble(self, turn: us.Turn[State]) -> None:
        if turn.random.random() < world.raising:
            raise RuntimeError("stumbled")

    @us.handles(Deposit)
    def deposit(self, turn: us.Turn[State], msg: Deposit) -> int:
        self.stumble(turn)
        if msg.amount <= 0:
            raise us.Rejected("amount must be positive")
        turn.tell("board", Heard(msg.id))
        return turn.emit(Deposited(msg.id, msg.amount)).balance

    @us.handles(Nudge)
    def nudge(self, turn: us.Turn[State], msg: Nudge) -> None:
        turn.emit(Nudged(msg.id))
        turn.ask("board", Doubted(msg.id), tag=msg.id)
        self.stumble(turn)

    @us.settles(Doubted)
    def did_it_hear(self, turn: us.Turn[State], outcome: us.Outcome[bool]) -> None:
        turn.emit(Noted(str(outcome.tag), "no answer" if outcome.failure else "answered"))

    @us.handles(Credit)
    def credit(self, turn: us.Turn[State], msg: Credit) -> int:
        state = turn.emit(Credited(msg.id, msg.amount))
        self.stumble(turn)
        return state.balance

    @us.handles(Transfer)
    def transfer(self, turn: us.Turn[State], msg: Transfer) -> us.Later[str]:
        later = self._withdraw(turn, turn.later(msg), msg.id, msg.amount)
        turn.ask(f"accounts/{msg.to}", Credit(msg.id, msg.amount), tag=msg.id)
        self.stumble(turn)
        return later

    @us.handles(Pay)
    def pay(self, turn: us.Turn[State], msg: Pay) -> us.Later[str]:
        later = self._withdraw(turn, turn.later(msg), msg.id, msg.amount)
        turn.call(wire_out, msg.id, msg.amount, tag=msg.id)
        turn.call(fee, msg.amount, tag=msg.id)
        return later

    def _withdraw(self, turn: us.Turn[State], later: us.Later[str], id: str, amount: int) -> us.Later[str]:
        if turn.state.balance < amount:
            raise us.Rejected("not enough money")
        turn.emit(Withdrawn(id, amount, later.id, turn.remind(Check(id), after=200.0)))
        return later

    @us.settles(Credit)
    def arrived(self, turn: us.Turn[State], outcome: us.Outcome[int]) -> None:
        self._settled(turn, str(outcome.tag), failed=outcome.failure is not None)
        self.stumble(turn)

    @us.settles(wire_out)
    def wired(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
        id = str(outcome.tag)
        if self._settled(turn, id, failed=outcome.failure is not None) and outcome.failure is None:
            turn.call(receipt, id, tag=id)
            turn.call(book, id, tag=id)
        self.stumble(turn)

    @us.settles(us.ANY_TOOL)
    def noted(self, turn: us.Turn[State], outcome: us.Outcome[object]) -> None:
        turn.emit(Noted(str(outcome.tag), "failed" if outcome.failure else "done"))

    def _settled(self, turn: us.Turn[State], id: str, *, failed: bool) -> bool:
        if id not in turn.state.pending:
            return False
        amount, later, check = turn.state.pending[id]
        turn.forget(check)
        turn.emit(Refunded(id, amount) if failed else Finished(id))
        turn.reply(us.Later[str](later), "refunded" if failed else "done")
        return True

    @us.handles(Check)
    def check(self, turn: us.Turn[State], msg: Check) -> None:
        waits = [str(effect.tag) for effect in turn.pending() if effect.name == "wire_out"]
        if msg.id not in turn.state.pending or any(msg.id in tag for tag in waits):
            return
        later = turn.state.pending[msg.id][1]
        turn.emit(Puzzled(msg.id))
        turn.reply(us.Later[str](later), "puzzled")

    @us.applies(Deposited)
    def deposited(self, state: State, event: Deposited) -> State:
        return state.evolve(balance=state.balance + event.amount)

    @us.applies(Credited)
    def credited(self, state: State, event: Credited) -> State:
        return state.evolve(balance=state.balance + event.amount)

    @us.applies(Withdrawn)
    def withdrawn(self, state: State, event: Withdrawn) -> State:
        pending = {**state.pending, event.id: (event.amount, event.later, event.check)}
        return state.evolve(balance=state.balance - event.amount, pending=pending)

    @us.applies(Refunded)
    def refunded(self, state: State, event: Refunded) -> State:
        return _over(state.evolve(balance=state.balance + event.amount), event.id)

    @us.applies(Finished)
    def finished(self, state: State, event: Finished) -> State:
        return _over(state, event.id)

    @us.applies(Puzzled)
    def puzzled(self, state: State, event: Puzzled) -> State:
        return _over(state, event.id)

    @us.applies(Nudged)
    def was_nudged(self, state: State, event: Nudged) -> State:
        return state.evolve(nudged=state.nudged + 1)

    @us.applies(Noted)
    def was_noted(self, state: State, event: Noted) -> State:
        return state


def _over(state: Account.State, id: str) -> Account.State:
    return state.evolve(pending={other: p for other, p in state.pending.items() if other != id})


HEARTS = ("once", "all", "skip")
NAMES = ("ada", "bob", "cyd", "dan")
STORM = Faults(
    crash=0.015,
    commit_fails=0.04,
    commit_unknown=0.04,
    load_fails=0.1,
    fails=0.12,
    raises=0.08,
    hangs=0.1,
    late=0.1,
    twice=0.1,
)


def bank(seed: int, faults: Faults = STORM) -> Simulated:
    """A node with four accounts and any number of couriers."""
    return Simulated(
        us.Supervisor(
            "bank",
            [
                us.Child("accounts/{name}", Account, tools=[wire_out, receipt, book, fee]),
                us.Child("couriers/{errand}", Courier, tools=[receipt, book]),
                us.Child("board", Board),
                us.Child("hearts/{missed}", Heart),
            ],
        ),
        seed=seed,
        faults=faults,
        idle=(0.0, 1.0, 60.0)[seed % 3],
        in_memory=(1, 3, 10_000)[seed // 3 % 3],
        snapshot_every=(1, 5, 200)[seed // 9 % 3],
    )


def truthful(node: Simulated, effect: Effect, draw: random.Random) -> None:
    """Answer for a person who looks at the world before saying what happened."""
    question = effect.question
    assert question is not None
    if question.kind == "in_doubt" and effect.name == "wire_out":
        payment = bytes(effect.tag).decode().strip('"')
        if world.wires[payment]:
            node.answer(effect.id, "happened", value="wired")
        elif node.attempts.left(effect.id):
            return  # it is still going on, as whoever looks can see
        else:
            node.answer(effect.id, draw.choice(("not_happened", "run_again")))
    elif question.kind == "in_doubt":
        node.answer(effect.id, "run_again")
    else:
        node.answer(effect.id, "approve")
