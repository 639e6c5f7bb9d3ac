"""What users' type checkers are promised. This file is checked, never run: add a line for each public type.

`assert_type` fails when an inferred type is not exactly the one named. Lines with `type: ignore` are mistakes that both
checkers must find: mypy and pyright complain about an ignore that nothing needs.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from typing import assert_type

import msgspec

import understudy as us


class Deposit(us.Request[int]):
    amount: int


class Quote(us.Request[float]):
    currency: str


class Note(us.Message):
    text: str


class Deposited(us.Event):
    amount: int


class Balance(us.State):
    balance: int = 0


class Trip(msgspec.Struct):
    umbrella: bool


@us.tool(effect="read")
def rate(currency: str) -> float:
    return 1.0


@us.tool(effect="once")
async def pay(call: us.Call, to: str, usd: float) -> Trip:
    return Trip(umbrella=False)


@pay.approve_if
def large(to: str, usd: float) -> bool:
    return usd > 50


@pay.simulate
def pretended(to: str, usd: float) -> Trip:
    return Trip(umbrella=True)


@pay.simulate
async def pretended_slowly(call: us.Call, to: str, usd: float) -> Trip:
    return Trip(umbrella=True)


@pay.simulate  # type: ignore[arg-type]
def pretended_wrongly(to: str, usd: str) -> Trip:
    return Trip(umbrella=True)


@pay.simulate  # type: ignore[arg-type]
def pretended_something_else(to: str, usd: float) -> str:
    return ""


@us.composite
def pay_by_rate(do: us.Steps, to: str, currency: str) -> Trip:
    price = do(rate, currency)
    assert_type(price, float)
    do(rate, currency=5)  # type: ignore[arg-type]
    do(rate)  # type: ignore[call-arg]
    return do(pay, to, usd=price)


@us.composite(undo=False, tags=["money"])
def twice(do: us.Steps, to: str) -> None:
    assert_type(do(pay_by_rate, to, "EUR"), Trip)
    do(pay_by_rate, to, 7)  # type: ignore[arg-type]


assert_type(pay_by_rate("ada", currency="EUR"), Trip)
pay_by_rate("ada")  # type: ignore[call-arg]


@pay_by_rate.approve_if
def abroad(to: str, currency: str) -> bool:
    return currency != "USD"


class Account(us.Actor):
    State = Balance

    @us.handles(Deposit)
    def deposit(self, turn: us.Turn[Balance], msg: Deposit) -> int:
        assert_type(turn.state, Balance)
        assert_type(turn.emit(Deposited(msg.amount)), Balance)
        turn.state.balance = 3  # type: ignore[misc]
        turn.call(rate, 3)  # type: ignore[call-overload]
        turn.call(rate)  # type: ignore[call-overload]
        turn.emit(Note("x"))  # type: ignore[arg-type]
        return turn.state.balance

    @us.applies(Deposited)
    def deposited(self, state: Balance, event: Deposited) -> Balance:
        return state.evolve(balance=state.balance + event.amount)

    @us.handles(Quote)
    def quote(self, turn: us.Turn[Balance], msg: Quote) -> us.Later[float]:
        later = turn.later(msg)
        assert_type(later, us.Later[float])
        assert_type(turn.call(rate, msg.currency), us.Pending[float])
        assert_type(turn.call(rate, currency=msg.currency), us.Pending[float])
        assert_type(turn.call(rate, msg.currency, tag=later), us.Pending[float])
        assert_type(turn.call(pay, "ada", 3.0, tag=later), us.Pending[Trip])
        assert_type(turn.ask("accounts/ada", Deposit(5)), us.Pending[int])
        return later

    @us.settles(rate)
    def rated(self, turn: us.Turn[Balance], outcome: us.Outcome[float]) -> None:
        assert_type(outcome.value, float)
        turn.reply(outcome.tag, outcome.value)

    @us.settles(Deposit)
    def answered(self, turn: us.Turn[Balance], outcome: us.Outcome[int]) -> None:
        assert_type(outcome.value, int)

    @us.settles(us.THINK)
    def thought(self, turn: us.Turn[Balance], outcome: us.Outcome[us.ModelReply]) -> None:
        assert_type(outcome.value, us.ModelReply)

    @us.handles(Note)
    def note(self, turn: us.Turn[Balance], msg: Note) -> None: ...

    @us.settles(rate)  # type: ignore[arg-type]
    def rated_wrongly(self, turn: us.Turn[Balance], outcome: us.Outcome[str]) -> None: ...

    @us.handles(Deposit)  # type: ignore[arg-type]
    def wrong_answer(self, turn: us.Turn[Balance], msg: Deposit) -> str:
        return ""

    @us.applies(Deposited)  # type: ignore[arg-type]
    def wrong_event(self, state: Balance, event: Quote) -> Balance:
        return state


Deposit("5")  # type: ignore[arg-type]
Deposit(amount=5).amount = 6  # type: ignore[misc]
us.Child("accounts/{key}", Balance)  # type: ignore[arg-type]

assert_type(rate("EUR"), float)
rate(3)  # type: ignore[arg-type]

plain = us.Agent("plain", "…", model="openai:gpt-5-mini", tools=[rate])
typed = us.Agent("typed", "…", model=["openai:gpt-5-mini", us.Scripted("…")], output=Trip)
assert_type(plain, us.Agent[str])
assert_type(typed, us.Agent[Trip])
assert_type(us.run(plain, "…").output, str)


async def fetch(task: us.Task) -> Trip:
    return Trip(umbrella=True)


def count(call: us.Call, objective: str) -> int:
    return len(objective)


def add(one: int, other: int) -> int:
    return one + other


assert_type(us.Worker("fetcher", fetch), us.Worker[Trip])
assert_type(us.Worker("counter", count, effect="read"), us.Worker[int])
assert_type(us.run(us.Worker("fetcher", fetch), "…").output, Trip)
us.Worker("adder", add)  # type: ignore[arg-type]
assert_type(us.run(typed, "…", id="x").output, Trip)


async def embedded() -> None:
    async with us.System(typed, journal="x.db") as system:
        assert_type((await system.run(typed, "…")).output, Trip)
        assert_type(await system.ask("accounts/ada", Deposit(5)), int)
        assert_type(system.inbox(), tuple[us.InboxItem, ...])


# -- conflicts, the board, leases


async def board_and_leases(system: us.System) -> None:
    assert_type(await system.ask(us.board_of("desk"), us.BoardRead("plan")), us.BoardEntry)
    assert_type(await system.ask(us.board_of("desk"), us.BoardWrite.of("plan", {"a": 1}, 0)), us.BoardWritten)
    assert_type(await system.ask(us.lease_of("desk", "unit"), us.LeaseAcquire("unit", holder="ada")), us.Lease)
    assert_type(await system.ask(us.lease_of("desk", "unit"), us.LeaseRelease("unit", holder="ada")), bool)


@us.tool(effect="idempotent")
def move(call: us.Call, unit: str, place: str) -> str:
    """Move a unit."""
    return f"{unit} to {place} under {call.fence}"


@move.under_lease(hold=60)
def unit_of(unit: str, place: str) -> str:
    return unit


@move.under_lease(hold=60)  # type: ignore[arg-type]
def wrong_unit_of(unit: int, place: str) -> str:
    return place


us.Conflicts(answers=us.majority() | us.weighted(0.2) | us.person(), entries=us.merge(lambda claims: claims[0].plain))
us.Conflicts(answers=us.majority)  # type: ignore[arg-type]
us.majority() | 3  # type: ignore[operator]
