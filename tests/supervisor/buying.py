"""An actor that buys and says what came of it, on the simulated node."""

from __future__ import annotations

from typing import Any

import understudy as us
from understudy.supervisor.simulation.sent import Sent
from understudy.testing import Simulated

bought: list[str] = []
"""What the shop sold."""


@us.tool(effect="once", kind="money", amount="usd", sinks=["to"])
def pay(usd: float, to: str) -> str:
    """Pay somebody."""
    bought.append(f"{to} {usd:g}")
    return f"{to} got {usd:g}"


@us.tool(effect="idempotent", kind="write")
def note(text: str) -> str:
    """Write something down."""
    bought.append(text)
    return text


class Buy(us.Request[str]):
    to: str = "ada"
    usd: float = 60.0


class Write(us.Request[str]):
    text: str = "hello"


class Buyer(us.Actor):
    class State(us.State):
        pass

    @us.handles(Buy)
    def buy(self, turn: us.Turn[State], msg: Buy) -> us.Later[str]:
        later = turn.later(msg)
        turn.call(pay, msg.usd, msg.to, tag=later)
        return later

    @us.handles(Write)
    def write(self, turn: us.Turn[State], msg: Write) -> us.Later[str]:
        later = turn.later(msg)
        turn.call(note, msg.text, tag=later)
        return later

    @us.settles(pay)
    def paid(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
        turn.reply(outcome.tag, f"{outcome.value} {outcome.note}".strip())

    @us.settles(note)
    def written(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
        turn.reply(outcome.tag, outcome.value)


LARGE = us.ApprovalRule("large", money_above=50)


def shop(*rules: us.ApprovalRule, people: us.People | None = None, **options: Any) -> Simulated:
    """A node with one buyer under rules."""
    bought.clear()
    buyer = us.Child("buyer", Buyer, tools=[pay, note])
    return Simulated(us.Supervisor("shop", [buyer], approvals=rules or (LARGE,), people=people), **options)


def wanted(node: Simulated, **what: Any) -> tuple[Sent, us.InboxItem]:
    """Ask for something that a rule asks about."""
    before = {item.id for item in node.inbox()}
    sent = node.ask("buyer", Buy(**what))
    node.pass_time(60)
    (item,) = [item for item in node.inbox() if item.id not in before]
    return sent, item
