"""What makes work go on: run, serve, submit, stop."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import anyio
import click
import msgspec

from ...protocols.ids import segment
from ...protocols.tasks import Task
from ..system import System
from ..target import load
from . import exits, options, source
from .lines import BadLine, Entry, read
from .plain import echo, plain
from .work import Job, Outcome, command, work
from .work import serve as keep_serving


@click.command(epilog=exits.HELP)
@click.argument("target", type=options.TEXT)
@click.argument("task", required=False, type=options.TEXT)
@click.option(
    "--input",
    "-i",
    "lines",
    type=click.File("rb"),
    metavar="FILE",
    help="Tasks, one JSON object a line; - reads them from standard input.",
)
@click.option(
    "--id", type=options.NAME, help="Name of the run of TASK. The same again goes on, or gives the recorded answer."
)
@options.to
@options.journal
@options.model
@click.option(
    "--at-once", default=16, show_default=True, type=click.IntRange(min=1), help="Tasks brought in at the same time."
)
@options.shadow
@options.drain
@options.as_json
def run(
    target: str, task: str | None, lines: BinaryIO | None, id: str | None, to: str, journal: Path, model: str, at_once: int,
    shadow: bool, drain: float, as_json: bool,
) -> int:  # fmt: skip
    """Run TARGET (module:name: a team, or a us.System) on a TASK, or on the tasks in a file, to their end or to
    where only people can help.

    Run the same again and it carries on: finished runs are returned, unfinished ones go on, nothing is done twice.
    Without TASK and --input it goes on with what the journal holds.

    A line of input has "id" and "objective", and may have "inputs" (an object), "user", "tenant", "session", "tags", and
    "expect", which is ignored.
    """
    _fitting(task, lines, id, to)
    entries: list[Entry] = []
    bad: list[BadLine] = []
    if lines is not None:
        entries, bad = read(lines)
        for line in bad:
            echo(f"understudy: {getattr(lines, 'name', 'input')}: {line}", err=True)
    elif task is not None:
        entries = [Entry(1, id or uuid.uuid4().hex[:12], Task(task))]
    program = load(target)
    journal = options.journal_of(program.journal, journal)
    if task is None and lines is None:
        source.must_exist(journal)
    who = None if task is None and lines is None else program.who(to)
    job = Job(program, journal, who, tuple(entries), model, at_once, options.drain_of(drain), shadow)
    with _progress(len(entries)) as progress:
        outcome = anyio.run(partial(work, job, progress, _say))
    for warning in outcome.warnings:
        _say(warning)
    code = _code(outcome, bad)
    again = _again(target, task, lines, entries, to, journal, model, shadow=shadow)
    if as_json:
        _emit(outcome, bad, journal, code, again)
        return code
    from . import paint

    console = paint.out()
    single = outcome.lines[0] if task is not None and outcome.lines else None
    if single is not None and single.status == "done":
        given = _text(bytes(single.output))
        click.echo(plain(given) if sys.stdout.isatty() else given)  # a file or a program gets it as it is
    if single is None or single.status != "done" or len(outcome.lines) > 1:
        paint.summary(console, outcome.lines, outcome.totals, bad, command([str(journal)]))
    if outcome.interrupted:
        echo(f"\nInterrupted; nothing is lost. To go on:\n  {again}", err=True)
    elif single is not None and (id is None or segment(id) != id):
        look = command(["understudy", "show", single.run, "--journal", str(journal)])
        echo(f"(run {single.run}; {look})", err=True)
    return code


@click.command()
@click.argument("target", type=options.TEXT)
@options.journal
@options.model
@options.shadow
@options.drain
def serve(target: str, journal: Path, model: str, shadow: bool, drain: float) -> int:
    """Keep TARGET (a team, or a us.System) running until SIGTERM, Ctrl-C or `understudy stop`; then drain.

    `understudy submit` brings work in.
    """
    program = load(target)
    journal = options.journal_of(program.journal, journal)
    job = Job(program, journal, model=model, drain=options.drain_of(drain), shadow=shadow)

    def began(system: System) -> None:
        for warning in system.opened.warnings:
            _say(warning)
        how = " in shadow" if shadow else ""
        echo(f"serving {target}{how} on {journal} (process {os.getpid()}); Ctrl-C drains", err=True)

    anyio.run(partial(keep_serving, job, began, _say))
    echo("drained", err=True)
    return exits.DONE


@click.command()
@click.argument("to", type=options.TEXT)
@click.argument("task", type=options.TEXT)
@click.option("--id", type=options.NAME, help="Names the run. The same id and task again is the same run.")
@options.journal
@options.as_json
def submit(to: str, task: str, id: str | None, journal: Path, as_json: bool) -> int:
    """Hand a TASK to the agent or team TO of the process that owns the journal; returns when it is durable."""
    with source.owner(journal) as owner:
        run = owner.submit(to, Task(task), id or uuid.uuid4().hex[:12])
    if as_json:
        options.emit({"run": run})
    else:
        echo(run)
    return exits.DONE


@click.command()
@click.option(
    "--wait",
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    type=options.SECONDS,
    help="For it to have drained.",
)
@options.journal
@options.as_json
def stop(wait: float, journal: Path, as_json: bool) -> int:
    """Ask the process that owns the journal to drain and end, and wait until it has."""
    with source.owner(journal) as owner:
        pid = owner.facts().pid
        owner.stop()
        ended = owner.ended(wait)
    if as_json:
        options.emit({"pid": pid, "ended": ended})
    else:
        echo(f"process {pid} has drained" if ended else f"process {pid} was told and still drains")
    return exits.DONE


def _fitting(task: str | None, lines: BinaryIO | None, id: str | None, to: str) -> None:
    """Raises UsageError where options do not go together."""
    if task is not None and lines is not None:
        raise click.UsageError("give a TASK or --input, not both")
    if id is not None and task is None:
        raise click.UsageError("--id names the run of a TASK; lines of input have ids of their own")
    if task is not None and not task.strip():
        raise click.UsageError("the TASK is empty")
    if to and task is None and lines is None:
        raise click.UsageError("--to says who gets a TASK or the lines of --input, and there are none")


def _say(text: str) -> None:
    echo(f"understudy: {text}", err=True)


def _code(outcome: Outcome, bad: list[BadLine]) -> int:
    stands = {line.status for line in outcome.lines}
    return exits.worst(
        exits.INTERRUPTED if outcome.interrupted else exits.DONE,
        exits.REFUSED if bad or "refused" in stands else exits.DONE,
        exits.FAILED if stands & {"failed", "cannot", "erased"} else exits.DONE,
        exits.WAITING if outcome.strays or stands & {"waiting", "unfinished"} else exits.DONE,
    )


def _again(
    target: str, task: str | None, lines: BinaryIO | None, entries: list[Entry], to: str, journal: Path,
    model: str, *, shadow: bool,
) -> str:  # fmt: skip
    words = ["understudy", "run", target]
    if task is not None:
        words += [task, "--id", entries[0].id]
    name = getattr(lines, "name", None)
    if isinstance(name, str) and name != "<stdin>":
        words += ["--input", name]
    if to:
        words += ["--to", to]
    words += ["--journal", str(journal)]
    words += ["--model", model] if model else []
    return command(words + (["--shadow"] if shadow else []))


def _emit(outcome: Outcome, bad: list[BadLine], journal: Path, code: int, again: str) -> None:
    options.emit(
        {
            "journal": str(journal),
            "runs": outcome.lines,
            "bad_lines": bad,
            "totals": outcome.totals,
            "strays": outcome.strays,
            "interrupted": outcome.interrupted,
            "continue": again,
            "exit": code,
        }
    )


def _text(output: bytes) -> str:
    value = msgspec.json.decode(output)
    return value if isinstance(value, str) else msgspec.json.format(output, indent=2).decode()


@contextmanager
def _progress(total: int) -> Generator[Callable[[int], None]]:
    """A bar on standard error, where that is a terminal and there is something to count."""
    if total < 2 or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("tasks", total=total)
        yield lambda done: bar.update(task, completed=done)
