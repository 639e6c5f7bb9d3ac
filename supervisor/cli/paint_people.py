"""What waits for people, as it is printed. Texts are models' and strangers': nothing of them reaches the terminal as a command."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from ...protocols.codec import NULL
from ...protocols.decisions import Decision
from ...protocols.visible import visible
from ..dossier import Dossier
from ..inbox import InboxItem, arguments_text
from ..story import Line

LONGEST = 2_000
"""Characters of a text that are printed; ``--json`` gives all of it."""


def inbox(console: Console, entries: Sequence[InboxItem], journal: str, *, more: int = 0, name: str = "") -> None:
    """The inbox. ``more``: how many follow. ``name``: for whom it is, where that was asked."""
    if not entries:
        console.print("Nothing waits for a person." if not name else f"Nothing waits for {said(name)}.")
        return
    for entry in entries:
        items(console, [entry])
        for line in _times(entry):
            console.print(f"      {line}", style="dim", soft_wrap=True)
    console.print(f"\n{len(entries) + more} waiting. To look at the first, and to answer it:")
    for line in (f"understudy show {entries[0].id} --journal {journal}", *answers(entries[0], journal)):
        console.print(f"  {said(line)}", soft_wrap=True)
    if more:
        console.print(
            f"\n{more} more: understudy inbox --after {entries[-1].id} --journal {said(journal)}", soft_wrap=True
        )


def item(console: Console, whole: Dossier, journal: str) -> None:
    """One question, with what led to it."""
    entry, cost = whole.item, whole.cost
    items(console, [entry])
    for line in _times(entry):
        console.print(f"      {line}", style="dim", soft_wrap=True)
    if whole.task is not None:
        console.print(f"\n[bold]Task[/]  {said(whole.task.objective)}", soft_wrap=True)
    if entry.about:
        console.print(f"[bold]About[/]  {said(entry.about)}", soft_wrap=True)
    about = "about " if cost.usage.estimated else ""
    money = f", ${cost.cost:.4f}" if cost.cost else ""
    console.print(
        f"[bold]Cost so far[/]  {cost.thinks} model calls ({about}{cost.usage.input_tokens:,} + {cost.usage.output_tokens:,} "
        f"tokens{money}), {cost.calls} tool calls, retries: {cost.retries}, restarts: {whole.restarts}, "
        f"processes: {whole.lives}, {cost.seconds:.3f} s",
        soft_wrap=True,
    )  # fmt: skip
    if entry.unsure or entry.confidence is not None:
        sure = f"{entry.confidence:.0%} sure. " if entry.confidence is not None else ""
        console.print(f"[bold]Known and not known[/]  {sure}{said(entry.unsure)}", soft_wrap=True)
    for number, failure in enumerate(whole.chain, 1):
        title = "[bold]What went wrong, the first failure first[/]\n" if number == 1 else ""
        where = f" ({failure.where})" if failure.where else ""
        console.print(f"{title}  {number}. {said(f'{failure.code}{where}: {failure.message}')}", soft_wrap=True)
    _lines(console, "What supervisors decided", whole.decided)
    _lines(console, "What people were asked and answered", whole.before)
    _lines(console, "Where it stands", whole.state)
    if entry.form != NULL:
        console.print(f"[bold]A result is JSON of this schema[/]  {said(bytes(entry.form).decode())}", soft_wrap=True)
    console.print("\n[bold]To answer[/]")
    for command in answers(entry, journal):
        console.print(f"  {said(command)}", soft_wrap=True)


def items(console: Console, entries: Sequence[InboxItem]) -> None:
    """What waits for people, one block an item."""
    for entry in entries:
        console.print(
            f"  [bold]{entry.id}[/]  [yellow]{entry.kind.replace('_', ' ')}[/]  {said(entry.run)}", soft_wrap=True
        )
        text = entry.text
        if entry.tool:
            console.print(f"      {said(arguments_text(entry))}", soft_wrap=True)
            text = text.rpartition("})? ")[2] if entry.kind == "approval" else text  # the question repeats the call
        console.print(f"      {said(text)}", soft_wrap=True, style="dim")
        if entry.labels:
            told = ", ".join(
                f"{name or 'every argument'}: {' and '.join(labels)}" for name, labels in entry.labels.items()
            )
            console.print(f"      {said(f'labels: {told}')}", soft_wrap=True, style="red")
        if entry.quorum > 1:
            yes = f"; yes said {', '.join(entry.yes)}" if entry.yes else ""
            console.print(f"      {said(f'needs a yes of {entry.quorum} different people{yes}')}", soft_wrap=True)


_WAYS: dict[Decision, str] = {
    "retry": "--retry",
    "change": "--change '{…}'",
    "skip": "--skip",
    "replace": "--replace '…'",
    "result": "--result '…'",
    "stop": "--stop --reason '…'",
    "answer": "'…'",
}


def answers(entry: InboxItem, journal: str) -> list[str]:
    """The commands that answer an item."""
    tail = f" --journal {journal}"
    if entry.kind == "in_doubt":
        return [f"understudy settle {entry.id} {how}{tail}" for how in ("--happened", "--not-happened", "--run-again")]
    found: list[str] = []
    for decision in entry.answers:
        names = f"   ({'; '.join(entry.options)})" if entry.options and decision in ("replace", "answer") else ""
        if decision == "approve":
            found.append(f"understudy approve {entry.id}{tail}")
        elif decision == "change" and entry.kind == "approval":
            found.append(f"understudy approve {entry.id} --change '{{…}}'{tail}")
        elif decision == "reject":
            found.append(f"understudy reject {entry.id} --reason '…'{tail}")
        else:
            found.append(f"understudy answer {entry.id} {_WAYS[decision]}{tail}{names}")
    return found


def said(text: str) -> str:
    """A text as whoever decides may have it: in one line, with nothing hidden and no order to the terminal, and not without end."""
    return escape(visible(text[:LONGEST]) + ("…" if len(text) > LONGEST else ""))


def clock(at: float) -> str:
    """A time of the journal, here."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def _times(entry: InboxItem) -> list[str]:
    """Whom it goes to, since when, until when."""
    lines: list[str] = []
    if entry.to:
        times = f", reminded {entry.reminded} times, last {clock(entry.told)}" if entry.reminded else ""
        then = f"; {entry.next} is asked {clock(entry.next_at)}" if entry.next and entry.next_at else ""
        before = f"; before: {', '.join(entry.asked[:-1])}" if len(entry.asked) > 1 else ""
        lines.append(said(f"asked: {entry.to} since {clock(entry.to_since)}{times}{before}{then}"))
    if entry.deadline is not None:
        lines.append(f"until {clock(entry.deadline)}; after that silence counts as {entry.default or 'no'}")
    return lines


def _lines(console: Console, title: str, lines: Sequence[Line]) -> None:
    if lines:
        console.print(f"[bold]{title}[/]", soft_wrap=True)
    for line in lines:
        console.print(f"  {line.after:9.3f}  {said(line.who)}  {said(line.text)}", soft_wrap=True)
