"""A server of a test, and actors that hammer it: every call is counted with the journal time at which it began."""

from __future__ import annotations

import itertools
from collections import Counter as Count
from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from math import inf
from typing import Any

from msgspec import Raw, structs

import understudy as us
from understudy.actors.cell import read_record
from understudy.protocols.books import Entry, kept
from understudy.protocols.counters import Counters
from understudy.protocols.effects import Attempt, Effect
from understudy.protocols.failures import Failure
from understudy.protocols.hooks import Booked
from understudy.protocols.ids import Address
from understudy.testing import Faults, Sent, Simulated
from understudy.tools.gate import Gate

Serve = Callable[[float, str], str]


class Fetch(us.Request[str]):
    what: str
    tool: str = "look"


class Server:
    """What tools talk to. ``serve`` may raise; ``calls`` are (time, what) in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, str]] = []
        self.serve: Serve = lambda now, what: f"{what}!"
        self.clock: Callable[[], float] = lambda: 0.0

        @us.tool(effect="read", timeout=20.0)
        def look(what: str) -> str:
            """Look something up."""
            return self._call(what)

        @us.tool(effect="idempotent", timeout=20.0, cost=0.25)
        def put(what: str) -> str:
            """Put something there."""
            return self._call(what)

        @us.tool(effect="once", timeout=20.0)
        def pay(what: str) -> str:
            """Pay."""
            return self._call(what)

        self.look, self.put, self.pay = look, put, pay
        self.tools = {tool.spec.name: tool for tool in (look, put, pay)}

        class Client(us.Actor):
            @us.handles(Fetch)
            def fetch(self, turn: us.Turn[us.State], msg: Fetch) -> us.Later[str]:
                later = turn.later(msg)
                turn.call(tools[msg.tool], msg.what, tag=later)
                return later

            @us.settles(us.ANY_TOOL)
            def fetched(self, turn: us.Turn[us.State], outcome: us.Outcome[object]) -> None:
                turn.reply(outcome.tag, str(outcome.value))

        tools = self.tools
        self.client = us.Child("client/{n}", Client, tools=list(self.tools.values()))

    def node(
        self, seed: int = 0, *, rates: Mapping[str, us.Rate] | None = None, skip: str = "",
        breakers: Mapping[str, us.Breaker | None] | None = None, **faults: float,
    ) -> Simulated:  # fmt: skip
        """A node of clients. ``skip``: a check to leave out."""
        node = Simulated(self.client, seed=seed, faults=Faults(**faults), rates=rates, breakers=breakers)
        if skip:
            shared = node.tree.shared(rates, breakers)
            node.gate = Gate(node.tree.grants, shared=shared, skip=frozenset((skip,)))
            node.journal.close()
            node.kernel = node._build()
        self.clock = lambda: node.now
        return node

    def _call(self, what: str) -> str:
        self.calls.append((self.clock(), what))
        return self.serve(self.clock(), what)


def crowd(node: Simulated, count: int, tool: str = "look") -> list[Sent]:
    """As many clients, each with one request."""
    return [node.ask(f"client/{n}", Fetch(f"w{n}", tool), key=f"k{n}") for n in range(count)]


def settled(node: Simulated) -> list[Effect]:
    """Effects that are over, as the rows say."""
    records = [read_record(row) for row in node.journal.rows(limit=1_000_000)]
    return [effect for record in records for effect in record.changes if effect.state == "settled"]


def allowed(node: Simulated, check: str) -> list[float]:
    """When a check let attempts begin whose effects are over, as the rows say."""
    return sorted(v.at for e in settled(node) for v in e.verdicts if (v.check, v.verdict) == (check, "allow"))


def started(node: Simulated, tool: str) -> list[float]:
    """Times of the ``started`` rows of a tool."""
    rows = [(row.at, read_record(row)) for row in node.journal.rows(limit=1_000_000) if row.kind == "started"]
    return [at for at, record in rows for effect in record.changes if effect.name == tool]


class Line:
    """Effects that ask a gate in turn, without actors: each begins, waits until it is due, or is refused.

    Attributes:
        books: as they stand.
        began, refused: journal times and ids, in order.
        waits: how often each was told to wait.
    """

    def __init__(self, gate: Gate, now: float = 1_000.0) -> None:
        self.gate, self.now = gate, now
        self.books: dict[str, Entry] = {}
        self.began: list[tuple[float, str]] = []
        self.refused: list[tuple[float, str]] = []
        self.waits: Count[str] = Count()
        self._line: list[tuple[float, int, Effect]] = []

    def come(self, id: str, at: float, **fields: Any) -> None:
        """One more, at a time."""
        made = Effect(id, Address(f"a/{id}"), "think", "m", Raw(b"{}"), "", agent="a", at=at, **fields)
        heappush(self._line, (at, len(self.waits) + len(self.began) + len(self._line), made))

    def write(self, entries: tuple[Entry, ...]) -> None:
        """What rows do."""
        for entry in entries:
            kept(self.books, entry, 1)

    def fail(self, failure: Failure, id: str = "failed", *, unknown: bool = False, attempt: int = 1) -> Booked:
        """An attempt that began before has failed now."""
        effect = Effect(id, Address("a/1"), "think", "m", Raw(b"{}"), "", agent="a", attempt=attempt)
        booked = self.gate.book(effect, Attempt(failure=failure, unknown=unknown), self.now, self.books)
        self.write(booked.books)
        return booked

    def go(self, until: float = inf) -> None:
        """Let time pass."""
        order = itertools.count(1_000)
        while self._line and self._line[0][0] <= until:
            at, _, effect = heappop(self._line)
            self.now = max(self.now, at)
            clear = self.gate.start(effect, Counters(), self.now, self.books)
            self.write(clear.books)
            checked = structs.replace(effect, verdicts=effect.verdicts + clear.verdicts)
            if any(v.verdict == "deny" for v in clear.verdicts):
                self.refused.append((self.now, effect.id))
            elif clear.due is not None:
                self.waits[effect.id] += 1
                heappush(self._line, (clear.due, next(order), structs.replace(checked, state="waiting", due=clear.due)))
            else:
                self.began.append((self.now, effect.id))


def most_in(times: list[float], per: float) -> int:
    """The most that began in any window of so many seconds."""
    times = sorted(times)
    most = first = 0
    for last, time in enumerate(times):
        while time - times[first] >= per:
            first += 1
        most = max(most, last - first + 1)
    return most
