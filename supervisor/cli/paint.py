"""What the commands print, for people. rich is imported here, and only by commands that print tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.markup import escape as no_markup
from rich.table import Table

from ..story import Story
from .books import REFERENCE, RunLine, Totals
from .lines import BadLine
from .paint_people import answers, clock, items
from .plain import plain

_WORDS = {
    "done": "done",
    "waiting": "waiting for a person",
    "erased": "erased",
    "cannot": "cannot be completed",
    "failed": "failed",
    "refused": "refused",
    "unfinished": "to be continued",
}
_STYLES = {"good": "green", "bad": "red", "person": "yellow", "quiet": "dim", "plain": ""}
SHOWN = 12
"""Lines of a list in a summary."""


def escape(text: str) -> str:
    """A text as a terminal may have it: no markup, and no control characters."""
    return no_markup(plain(text))


def out() -> Console:
    """Standard output. Where it is no terminal, lines are not broken at 80 columns."""
    console = Console(highlight=False, emoji=False)
    return console if console.is_terminal else Console(highlight=False, emoji=False, width=max(console.width, 160))


def summary(console: Console, lines: Sequence[RunLine], totals: Totals, bad: Sequence[BadLine], journal: str) -> None:
    """The table at the end of a run."""
    counts = Counter(line.status for line in lines)
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(justify="right", style="bold")
    table.add_column()
    for status, words in _WORDS.items():
        if counts[status] or status in {"done", "waiting", "failed"}:
            table.add_row(str(counts[status]), words)
    if bad:
        table.add_row(str(len(bad)), "bad lines", style="red")
    table.add_row("", "")
    table.add_row(str(totals.answers), f"model calls: {tokens(totals)}")
    table.add_row(*cost(totals))
    table.add_row(str(totals.retries), "retries")
    if totals.cut_off:
        table.add_row(str(totals.cut_off), "calls cut off by the end of a process")
    table.add_row(str(totals.restarts), "restarts")
    console.print(table)
    for status, title in (("failed", "Failed"), ("cannot", "Can't be completed"), ("refused", "Refused")):
        some = [line for line in lines if line.status == status]
        if some:
            console.print(f"\n[bold]{title}[/]")
            for line in some[:SHOWN]:
                console.print(f"  {escape(line.run)}: {escape(line.reason)}", style="red", soft_wrap=True)
            _more(console, len(some))
    asked = [entry for line in lines for entry in line.waiting]
    if asked:
        console.print("\n[bold]Waiting for a person[/]")
        items(console, asked[:SHOWN])
        _more(console, len(asked), f": understudy inbox --journal {journal}")


def tokens(totals: Totals) -> str:
    """Tokens, in words."""
    about = "about " if totals.usage.estimated else ""
    return f"{about}{totals.usage.input_tokens:,} tokens in, {totals.usage.output_tokens:,} out"


def cost(totals: Totals) -> tuple[str, str]:
    """What it cost, and what it would have cost."""
    said = f"${totals.cost:.4f}"
    if not totals.unpriced:
        return said, "cost"
    name = REFERENCE.partition(":")[2]
    if totals.would_cost is None:
        return said, f"cost; {totals.unpriced} calls have no price (pip install 'understudy[prices]' to compare)"
    return said, f"cost; {totals.unpriced} calls had no price and would have cost ${totals.would_cost:.4f} with {name}"


def story(console: Console, told: Story, journal: str) -> None:
    """A run as people read it."""
    console.print(f"[bold]{escape(told.run)}[/]  {_WORDS.get(told.status, told.status)}", soft_wrap=True)
    about = "about " if told.usage.estimated else ""
    money = f", ${told.cost:.4f}" if told.cost else ""
    pretended = f" ({told.simulated} simulated)" if told.simulated else ""
    console.print(
        f"began {clock(told.began)}, {told.seconds:.3f} s; {told.thinks} model calls ({about}{told.usage.input_tokens:,} + "
        f"{told.usage.output_tokens:,} tokens{money}), {told.calls} tool calls{pretended}, "
        f"retries: {told.retries}, restarts: {told.restarts}, processes: {told.lives}",
        style="dim", soft_wrap=True,
    )  # fmt: skip
    if told.progress is not None and told.result is None:
        console.print(escape(str(told.progress)), soft_wrap=True)
    if told.task is not None:
        console.print(f"\n{escape(told.task.objective)}", soft_wrap=True)
        for name, value in told.task.inputs.items():
            console.print(f"  {escape(name)}: {escape(bytes(value).decode())}", style="dim", soft_wrap=True)
    console.print()
    width = max((len(line.who) for line in told.lines), default=0)
    before = ""
    for line in told.lines:
        label = f"{line.after:9.3f}  {line.who:<{width}}"
        shown = " " * len(label) if label == before else label
        before = label
        console.print(
            f"[dim]{escape(shown)}[/]  [{_STYLES[line.tone] or 'default'}]{escape(line.text)}[/]", soft_wrap=True
        )
    if told.result is not None:
        console.print(f"\n[bold]{_WORDS.get(told.status, told.status)}[/] {escape(told.result.reason)}", soft_wrap=True)
        if bytes(told.result.output) != b"null":
            text = msgspec.json.format(bytes(told.result.output), indent=2).decode()
            console.print(escape(text), soft_wrap=True)
    for entry in told.waiting:
        console.print()
        items(console, [entry])
        for command in answers(entry, journal):
            console.print(f"      {escape(command)}", soft_wrap=True)


def runs(console: Console, lines: Sequence[RunLine]) -> None:
    """A list of runs."""
    table = Table(box=None, pad_edge=False)
    for title in ("run", "status", ""):
        table.add_column(title, overflow="fold")
    for line in lines:
        what = ", ".join(f"{entry.id} {entry.kind.replace('_', ' ')}" for entry in line.waiting) or line.reason
        table.add_row(escape(line.run), _WORDS.get(line.status, line.status), escape(what))
    console.print(table)


def _more(console: Console, count: int, where: str = "") -> None:
    if count > SHOWN:
        console.print(f"  … and {count - SHOWN} more{escape(where)}", style="dim", soft_wrap=True)
