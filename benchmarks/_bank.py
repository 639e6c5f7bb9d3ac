"""The actors that the durable benchmarks drive.

An account: each turn takes a message, stores one event and changes one number. And a patron, who fills a bank from inside the
node, which is the quickest way to a journal of many rows.
"""

from __future__ import annotations

from pathlib import Path

import understudy as us
from understudy.supervisor.journal.connect import uri
from understudy.supervisor.journal.driver import choose


class Deposit(us.Message):
    """Money comes in."""

    amount: int


class Withdraw(us.Request[int]):
    """Money goes out; how much is left?"""

    amount: int


class Balance(us.Request[int]):
    """How much there is."""


class Deposited(us.Event):
    """Money came in."""

    amount: int


class Account(us.Actor):
    """Keeps a balance."""

    class State(us.State):
        """How much there is."""

        balance: int = 0

    @us.handles(Deposit)
    def deposit(self, turn: us.Turn[State], msg: Deposit) -> None:
        """One event a turn."""
        turn.emit(Deposited(msg.amount))

    @us.handles(Withdraw)
    def withdraw(self, turn: us.Turn[State], msg: Withdraw) -> int:
        """One event a turn, and an answer."""
        if msg.amount > turn.state.balance:
            raise us.Rejected("there is not that much")
        return turn.emit(Deposited(-msg.amount)).balance

    @us.handles(Balance)
    def balance(self, turn: us.Turn[State], _: Balance) -> int:
        """No event."""
        return turn.state.balance

    @us.applies(Deposited)
    def deposited(self, state: State, event: Deposited) -> State:
        """The fold that recovery repeats."""
        return state.evolve(balance=state.balance + event.amount)


class Fill(us.Message):
    """Give each account so many deposits, one round of all accounts after the other, from account ``at`` on."""

    accounts: int
    deposits: int
    at: int = 0


class Patron(us.Actor):
    """Gives."""

    @us.handles(Fill)
    def fill(self, turn: us.Turn[us.State], msg: Fill) -> None:
        """A deposit for each of a thousand accounts, then for the next thousand."""
        end = min(msg.at + 1_000, msg.accounts)
        for account in range(msg.at, end):
            turn.tell(f"accounts/{account}", Deposit(1))
        if end < msg.accounts:
            turn.tell("patron", Fill(msg.accounts, msg.deposits, end))
        elif msg.deposits > 1:
            turn.tell("patron", Fill(msg.accounts, msg.deposits - 1))


ACCOUNTS = us.Child("accounts/{key}", Account)
BANK = (ACCOUNTS, us.Child("patron", Patron))


async def fill(journal: Path, accounts: int, deposits: int) -> None:
    """A journal with so many accounts, each with so many events in as many rows."""
    async with us.System(*BANK, journal=journal) as system:
        await system.tell("patron", Fill(accounts, deposits))
        await system.rest()


def forget_snapshots(journal: Path) -> None:
    """Take the snapshots out of a journal that nobody owns: they are disposable, and what is measured is the fold of all rows."""
    file = choose().connect(uri(journal, "rwc"))
    if file.execute("SELECT 1 FROM sqlite_master WHERE name = 'snapshots'").fetchall():
        file.execute("DELETE FROM snapshots")
    file.close()
