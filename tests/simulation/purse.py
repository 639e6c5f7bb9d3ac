"""Agents that draw on one budget in a simulation, a witness that counts what their models and tools really cost, and what must be true of
the rows."""

from __future__ import annotations

from collections import Counter

import understudy as us
from understudy.protocols.books import Entry, kept
from understudy.protocols.budget import NANO, Account, Hold, nano
from understudy.protocols.codec import decode
from understudy.protocols.effects import Retry
from understudy.protocols.journal import Record, Row
from understudy.protocols.model import ModelRequest
from understudy.protocols.tasks import Result, Task
from understudy.testing import Faults, Sent, Simulated
from understudy.tools.models.scripted import Scripted, call

PRICE = us.Price(input=10.0, output=30.0)
FEE = 0.004


class Witness:
    """What the world has billed, in billionths of a dollar, and how often which was used."""

    def __init__(self) -> None:
        self.billed = 0
        self.used = Counter[str]()


witness = Witness()


@us.tool(effect="read", cost=FEE, timeout=5.0, retry=Retry(attempts=3, base=0.2))
def look(at: str) -> str:
    """Look something up, for a fee."""
    witness.billed += nano(FEE)
    witness.used["look"] += 1
    return f"seen {at}"


@us.tool(effect="once", cost=FEE, timeout=5.0)
def order(what: str) -> str:
    """Order something, for a fee."""
    witness.billed += nano(FEE)
    witness.used["order"] += 1
    return f"ordered {what}"


def thinker(name: str = "thinker", calls: bool = True) -> Scripted:
    """A model that calls tools and then answers, and bills what it says that it used, whether or not anybody hears of it."""

    def reply(request: ModelRequest) -> us.ModelReply:
        asked, said = 700 + 100 * len(request.messages), 250
        assert request.answer is None or said <= request.answer
        witness.billed += PRICE.nano(asked, said)
        witness.used["think"] += 1
        usage, done = us.Usage(asked, said), sum(m.role == "tool" for m in request.messages)
        if calls and done == 0:
            return us.ModelReply("", (call("look", at="it"),), "tool_calls", usage)
        if calls and done == 1:
            return us.ModelReply("", (call("order", what="it"),), "tool_calls", usage)
        return us.ModelReply("all done", usage=usage)

    return Scripted(reply, repeat=True, name=name, price=PRICE)


SHORT = us.Limits(answer=600)
"""Answers of these models are short, and it is said: what is reserved for one is 2.5 to 4 times what it costs."""


def agents(count: int = 20, limits: us.Limits | None = SHORT) -> list[us.Agent[str]]:
    """Agents that all do the same."""
    what = "Look, order, answer."
    return [us.Agent(f"w{n}", what, model=thinker(), tools=[look, order], limits=limits) for n in range(count)]


def team(count: int = 20, budget: us.Budget | None = None) -> us.Supervisor:
    """Workers that all do the same, under one budget."""
    workers = agents(count)
    return us.Supervisor("crew", workers, route=lambda _: tuple(w.name for w in workers), budget=budget)


class Recount:
    """Follows the rows as they are written: at each of them what is charged and reserved on any account is within its limit, and what is
    reserved is what stands for attempts under way."""

    def __init__(self) -> None:
        self.books: dict[str, Entry] = {}
        self.wrong: list[str] = []
        self.rows = 0
        self.alerts = Counter[str]()

    def rows_came(self, rows: tuple[Row, ...]) -> None:
        """What a node tells of each commit (``on_append``)."""
        for row in rows:
            record: Record = decode(row.payload, Record)
            self.rows += 1
            for entry in record.books:
                kept(self.books, entry, row.gid)
            for effect in record.changes:
                self.alerts.update(v.reason.partition(":")[0] for v in effect.verdicts if v.verdict == "alert")
            self._look(row.gid)

    def _look(self, gid: int) -> None:
        accounts = {k: decode(e.value, Account) for k, e in self.books.items() if not k.startswith("budget/held/")}
        holds = [decode(e.value, Hold) for k, e in self.books.items() if k.startswith("budget/held/")]
        for key, a in accounts.items():
            if a.limit_usd is not None and a.usd + a.held_usd > a.limit_usd:
                self.wrong.append(f"row {gid}: {key}: {a.usd} + {a.held_usd} of {a.limit_usd}")
            if a.limit_tokens is not None and a.tokens + a.held_tokens > a.limit_tokens:
                self.wrong.append(f"row {gid}: {key}: {a.tokens} + {a.held_tokens} tokens of {a.limit_tokens}")
            held = sum(h.usd for h in holds if key in h.accounts), sum(h.tokens for h in holds if key in h.accounts)
            if held != (a.held_usd, a.held_tokens):
                self.wrong.append(f"row {gid}: {key}: {a.held_usd}, {a.held_tokens} reserved, and {held} for attempts")

    def account(self, key: str) -> Account:
        """One account as the last row says."""
        account: Account = decode(self.books[key].value, Account)
        return account


def fresh() -> Witness:
    """A new world."""
    witness.__init__()  # type: ignore[misc]
    return witness


def node(
    *definitions: us.Agent[str] | us.Supervisor, seed: int = 0, faults: Faults | None = None, **more: object
) -> tuple[Simulated, Recount]:
    """A node whose rows are recounted."""
    fresh()
    made = Simulated(*definitions, seed=seed, faults=faults, **more)  # type: ignore[arg-type]
    recount = Recount()
    made.on_append = recount.rows_came
    return made, recount


def through(node: Simulated, sent: list[Sent], *, crashes: bool = True) -> None:
    """Let all of it come to its end, whatever happens; people say of calls in doubt that they did not happen."""
    for _ in range(200):
        node.rest()
        again = [one for one in sent if one.lost or (one.reply is None and one.error is not None)]
        for one in again:
            one.error = None
            node.again(one)
        waiting = node.inbox()
        for item in waiting:
            node.answer(item.id, "not_happened" if item.kind == "in_doubt" else "stop", reason="enough")
        if not waiting and not again:
            return
        if not crashes:
            node.faults = Faults()
    raise AssertionError("it comes to no end")


def result(sent: Sent) -> Result:
    """What came of a task."""
    assert sent.reply is not None
    if sent.reply.failure is not None:
        return Result("failed", failure=sent.reply.failure)
    came: Result = decode(sent.reply.value, Result)
    return came


def ask(node: Simulated, to: str, text: str = "do it", *, key: str = "k", **more: object) -> Sent:
    """Bring a task."""
    return node.ask(to, Task(text, **more), key=key)  # type: ignore[arg-type]


def usd(amount: int) -> float:
    """Billionths in dollars."""
    return amount / NANO
