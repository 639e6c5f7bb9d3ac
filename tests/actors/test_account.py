"""The program of DESIGN §3, word for word, and what a turn keeps of what it was told."""

from __future__ import annotations

import pytest

import understudy as us
from understudy.testing import ASKED, Simulated, outcome, take


@us.tool(effect="read")
def rate(currency: str) -> float:
    """Exchange rate of a currency."""
    return {"EUR": 1.1}[currency]


class Deposit(us.Request[int]):  # a message; its answer is an int
    amount: int


class Quote(us.Request[float]):
    currency: str


class Deposited(us.Event):
    amount: int


class Account(us.Actor):
    class State(us.State):  # immutable; only events change it
        balance: int = 0

    @us.handles(Deposit)
    def deposit(self, turn: us.Turn[State], msg: Deposit) -> int:
        if msg.amount <= 0:
            raise us.Rejected("amount must be positive")  # a typed refusal to the caller, not a crash
        return turn.emit(Deposited(msg.amount)).balance  # emit returns the new state

    @us.applies(Deposited)
    def deposited(self, state: State, event: Deposited) -> State:
        return state.evolve(balance=state.balance + event.amount)

    @us.handles(Quote)
    def quote(self, turn: us.Turn[State], msg: Quote) -> us.Later[float]:  # answered in a later turn
        later = turn.later(msg)
        turn.call(rate, msg.currency, tag=later)  # an intent; typed by the tool's own parameters
        return later

    @us.settles(rate)  # the outcome arrives as a message
    def rated(self, turn: us.Turn[State], outcome: us.Outcome[float]) -> None:
        turn.reply(outcome.tag, outcome.value)


def test_a_turn_can_be_tried_without_any_loop() -> None:
    taken = take(Account, Deposit(5), state=Account.State(balance=2))
    assert taken.events == (Deposited(5),)
    assert taken.state == Account.State(balance=7)
    assert taken.reply == 7


def test_a_rejection_leaves_nothing_but_its_answer() -> None:
    taken = take(Account, Deposit(0))
    assert not taken.crashed
    assert taken.failure is not None
    assert (taken.failure.code, taken.failure.message) == ("rejected", "amount must be positive")
    assert taken.events == ()


def test_an_effect_is_intended_in_one_turn_and_settled_in_another() -> None:
    taken = take(Account, Quote("EUR"))
    (call,) = taken.calls
    assert (call.verb, call.name, call.arguments) == ("call", "rate", {"currency": "EUR"})
    assert call.tag == us.Later[float](ASKED)
    assert taken.reply is None
    assert take(Account, outcome(rate, 1.1, tag=call.tag)).replies == {ASKED: 1.1}


def test_the_value_of_a_failed_effect_answers_the_request_in_its_tag() -> None:
    failure = us.Failure("abandon", "gone", "no rates today")
    taken = take(Account, outcome(rate, failure=failure, tag=us.Later[float](ASKED)))
    assert not taken.crashed
    assert taken.replies == {ASKED: failure}


class Picky(Account):
    @us.settles(rate)
    def rated(self, turn: us.Turn[Account.State], outcome: us.Outcome[float]) -> None:
        raise us.Rejected("not at this rate")


def test_an_outcome_may_be_a_reason_to_refuse_the_request_that_it_is_for() -> None:
    taken = take(Picky, outcome(rate, 1.1, tag=us.Later[float](ASKED)))
    assert not taken.crashed
    assert taken.replies[ASKED].code == "rejected"


def test_a_refusal_that_nobody_would_hear_fails_the_turn() -> None:
    taken = take(Picky, outcome(rate, 1.1))
    assert taken.crashed
    assert taken.failure is not None
    assert "not at this rate" in taken.failure.message


def account(seed: int = 0) -> Simulated:
    return Simulated(us.Child("accounts/{name}", Account, tools=[rate]), seed=seed)


@pytest.mark.parametrize("seed", range(10))
def test_the_whole_program_runs(seed: int) -> None:
    node = account(seed)
    deposit, quote, zero, unknown = (
        node.ask("accounts/ada", message) for message in (Deposit(5), Quote("EUR"), Deposit(0), Quote("XXX"))
    )
    node.rest()
    assert deposit.reply is not None
    assert bytes(deposit.reply.value) == b"5"
    assert quote.reply is not None
    assert bytes(quote.reply.value) == b"1.1"
    assert zero.reply is not None
    assert zero.reply.failure is not None
    assert zero.reply.failure.code == "rejected"
    assert unknown.reply is not None
    assert unknown.reply.failure is not None, "the tool raised KeyError, and the caller is told"
    assert "KeyError" in unknown.reply.failure.message


async def test_the_same_in_a_running_system() -> None:
    async with us.System(us.Child("accounts/{name}", Account, tools=[rate])) as system:
        assert await system.ask("accounts/ada", Deposit(5)) == 5
        assert await system.ask("accounts/ada", Quote("EUR")) == 1.1
        with pytest.raises(us.AskFailed) as caught:
            await system.ask("accounts/ada", Deposit(-1))
        assert caught.value.failure.code == "rejected"
