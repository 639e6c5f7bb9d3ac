"""The definitions of the golden journals. Later versions must be able to decide their rows again: never change what is here."""

from __future__ import annotations

import os

import understudy as us


class Deposit(us.Request[int]):
    amount: int


class Note(us.Message):
    text: str


class Remember(us.Message):
    """Note something in so many seconds."""

    after: float
    text: str


class Break(us.Request[int]):
    pass


class Close(us.Request[int]):
    """The last answer: the balance."""


class Deposited(us.Event):
    amount: int


class Noted(us.Event):
    text: str


class Account(us.Actor):
    class State(us.State):
        balance: int = 0
        notes: tuple[str, ...] = ()

    @us.handles(Deposit)
    def deposit(self, turn: us.Turn[State], msg: Deposit) -> int:
        if msg.amount <= 0:
            raise us.Rejected("amount must be positive")
        return turn.emit(Deposited(msg.amount)).balance

    @us.handles(Note)
    def note(self, turn: us.Turn[State], msg: Note) -> None:
        turn.emit(Noted(msg.text))

    @us.handles(Remember)
    def remember(self, turn: us.Turn[State], msg: Remember) -> None:
        turn.remind(Note(msg.text), after=msg.after)

    @us.handles(Break)
    def break_it(self, turn: us.Turn[State], msg: Break) -> int:
        raise ZeroDivisionError("broken")

    @us.handles(Close)
    def close(self, turn: us.Turn[State], msg: Close) -> int:
        turn.stop()
        return turn.state.balance

    @us.applies(Deposited)
    def deposited(self, state: State, event: Deposited) -> State:
        return state.evolve(balance=state.balance + event.amount)

    @us.applies(Noted)
    def noted(self, state: State, event: Noted) -> State:
        return state.evolve(notes=(*state.notes, event.text))


@us.tool(effect="read")
def look(where: str) -> str:
    """Look somewhere."""
    return f"rain in {where}"


@us.tool(effect="once")
def send(to: str) -> str:
    """Send a letter. Where GOLDEN_DIES is set, the process dies in the middle of it."""
    if "GOLDEN_DIES" in os.environ:
        os._exit(9)
    return "sent"


@us.tool(effect="once", approve=True)
def pay(to: str) -> str:
    """Pay somebody."""
    return "paid"


clerk = us.Agent(
    "clerk",
    "Looks, sends, pays.",
    model=us.Rules(
        "clerk",
        [
            us.Rule(us.Use("look", {"where": "Oslo"}), score={"look": 1.0}, before=("look",)),
            us.Rule(us.Use("send", {"to": "ada"}), score={"send": 1.0}, before=("send",)),
            us.Rule(us.Use("pay", {"to": "ada"}), score={"pay": 1.0}, before=("pay",)),
            us.Rule(us.Say("It rains."), score={"look": 1.0}, after=("look",)),
            us.Rule(us.Say("It is sent."), score={"send": 1.0}, after=("send",)),
            us.Rule(us.Say("It is paid."), score={"pay": 1.0}, after=("pay",)),
            us.Rule(us.Say("Hello."), score={"hello": 1.0}),
        ],
    ),
    tools=[look, send, pay],
)

troupe = us.Supervisor(
    "troupe",
    [clerk, us.Child("accounts/{name}", Account)],
    backoff=us.Backoff(base=100_000_000.0, cap=1_000_000_000.0),
)
