"""Row 16: what the gate costs, all its checks on, for a tool that does nothing.

An agent calls the tool many times, as a user would have it: argument schema, limits and loops, provenance, an approval rule
of the tool's own and a declared one (neither asks), and at the start a budget, a rate and a breaker. A stopwatch round the
gate's three questions (at the intent, at the start, at the end), and round finding out the labels of the arguments where a stranger
was read, adds up what each of these calls spends in it; the median call counts, since on a machine that others use too some calls
are interrupted. Behind it, how that grows: with tools granted, with calls made before, with strangers' words read, and with both.

    python benchmarks/gate.py
"""

from collections.abc import AsyncIterator, Callable
from statistics import median
from time import perf_counter_ns
from typing import Any

import msgspec
from _measure import Line, Options, main, spread

import understudy as us
from understudy.actors import intending
from understudy.actors.makings import Makings
from understudy.tools import gate


@us.tool(effect="idempotent", kind="send", sinks=("to",), payload=("text",), cost=0.001)
async def nothing(to: str, text: str, number: int) -> str:
    """Send nothing to nobody."""
    return f"{number}: {len(text)} to {to}"


@nothing.approve_if
def large(to: str, text: str, number: int) -> bool:
    """Numbers above a thousand million."""
    return number > 1_000_000_000 and bool(to and text)


def others(count: int) -> list[Any]:
    """Tools that nobody calls."""

    async def other(what: str) -> str:
        """Do something else."""
        return what

    return [us.tool(name=f"other_{n}", kind="write", sinks=(), payload=())(other) for n in range(count)]


def words(count: int) -> list[Any]:
    """What a stranger says, in so many results."""

    async def letter(page: int) -> str:
        """Read a page of a letter."""
        return f"page {page}: " + "so it goes, and so on, " * 10

    return [us.tool(name="letter", effect="read", kind="read")(letter)] if count else []


QUESTIONS = ("admit", "start", "book")


class Stopwatch:
    """Nanoseconds that each question to the gate about the tool took, in the order in which they were asked."""

    def __init__(self) -> None:
        self.took: dict[str, list[int]] = {}
        self._before: dict[tuple[Any, str], Callable[..., Any]] = {
            (gate.Gate, name): getattr(gate.Gate, name) for name in QUESTIONS
        }
        self._before[intending, "labels_of"] = vars(intending)["labels_of"]
        self._before[Makings, "_known"] = vars(Makings)["_known"]

    def __enter__(self) -> "Stopwatch":
        for (where, name), question in self._before.items():
            setattr(where, name, self._timed(name, question))
        return self

    def __exit__(self, *_: object) -> None:
        for (where, name), question in self._before.items():
            setattr(where, name, question)

    def _timed(self, name: str, question: Callable[..., Any]) -> Callable[..., Any]:
        took = self.took[name] = []

        def timed(first: Any, *rest: Any) -> Any:  # a gate and an intent or an effect; the name of a tool; a turn
            begin = perf_counter_ns()
            answer = question(first, *rest)
            if name == "_known" or (first if name == "labels_of" else rest[0].name) == "nothing":
                took.append(perf_counter_ns() - begin)
            return answer

        return timed

    def microseconds(self, last: int) -> float:
        """What one call takes in all: the sum of the medians of the last so many."""
        return sum(median(took[-last:]) for took in self.took.values() if took) / 1_000


def said(calls: list[tuple[str, dict[str, Any]]]) -> us.ModelReply:
    """What the model says that wants these calls."""
    reply = {
        "calls": [
            {"id": str(n), "name": name, "arguments": msgspec.json.encode(given).decode()}
            for n, (name, given) in enumerate(calls)
        ],
        "usage": {"input_tokens": 10, "output_tokens": 10},
    }
    return msgspec.convert(reply, us.ModelReply)


async def spent(calls: int, *, tools: int = 0, before: int = 0, read: int = 0) -> float:
    """Microseconds in the gate of each of the last ``calls`` calls of a run that read and called so much before."""
    numbered = [("nothing", {"to": "ada", "text": "hello", "number": n}) for n in range(before + calls)]
    script = [said([("letter", {"page": n}) for n in range(read)])] if read else []
    script += [said(numbered[n : n + 100]) for n in range(0, len(numbered), 100)]
    clerk = us.Agent(
        "clerk",
        "Write letters.",
        model=us.Scripted(*script, "Done.", price=us.Price(input=1.0, output=1.0)),
        tools=[nothing, *others(tools), *words(read)],
        limits=us.Limits(calls=1_000_000),
        budget=us.Budget(usd=1_000_000.0),
        approvals=[us.ApprovalRule("much", money_above=50.0, kinds=("money",))],
    )
    system = us.System(clerk, rates={"nothing": us.Rate(requests=1_000_000)}, breakers={"nothing": us.Breaker()})
    numbers = " ".join(str(n) for n in range(before + calls))  # so that strangers' words have no part in the calls
    async with system:
        with Stopwatch() as watch:
            result = await system.run(clerk, f"Write to ada: hello {numbers}", timeout=600.0)
    assert result.status == "done", (result.status, [item.text for item in result.waiting[:2]])
    return watch.microseconds(calls)


async def measure(options: Options) -> AsyncIterator[Line]:
    """All checks on; then with more of everything."""
    calls = options.size(200, 10)
    ways: tuple[tuple[str, dict[str, int], float | None, float | None], ...] = (
        ("all checks on", {}, 60.0, 30.0),
        ("100 tools granted", {"tools": 100}, None, None),
        ("1,000 calls before", {"before": options.size(1_000, 10)}, None, None),
        ("50 results of strangers read", {"read": options.size(50, 5)}, None, None),
        (
            "1,000 calls after 50 results of strangers",
            {"before": options.size(1_000, 10), "read": options.size(50, 5)},
            None,
            None,
        ),
    )
    await spent(calls)
    for variant, more, must, aim in ways:
        taken = [await spent(calls, **more) for _ in range(options.rounds)]
        low, high = spread(taken)
        yield Line(
            16 if must else 0, "a full run of the gate, tool does nothing", "microseconds",
            median(taken), None, "us", median(taken), low, high,
            options.rounds, must, aim, variant=variant, less=True, judged=not options.quick,
        )  # fmt: skip


if __name__ == "__main__":
    main(measure)
