"""``understudy run``: bring tasks in, see to it that everything in the journal comes to its end or to a person, and count.

    lines -> System.run, so many at once -> System.rest (also what earlier processes left) -> drained -> counted

SIGINT or SIGTERM: nothing new is begun, what is under way may end, the journal is closed in order. The second one does
not wait for what is under way.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import anyio
import anyio.to_thread
from anyio import CancelScope
from msgspec import Struct

from ...protocols.errors import AskFailed, DefinitionError, JournalError, SystemStopped, TooLarge, UnderstudyError
from ...protocols.ids import segment
from ..program import Program, Team
from ..system import System
from . import source
from .books import Books, RunLine, Totals
from .lines import Entry

Progress = Callable[[int], None]
"""Told how many runs have come to their end or to a person."""

Say = Callable[[str], None]
"""Told what people should read while it goes on."""


class Job(Struct, frozen=True):
    """What is to be done.

    Attributes:
        program: who works.
        journal: path of the journal.
        who: who gets the tasks; None where there are none.
        entries: tasks to bring in; none to go on with what the journal holds.
        model: replaces every agent's model; empty for none.
        at_once: tasks brought in at the same time.
        drain: seconds that effects under way get to end; None: as the system says.
        shadow: calls that do more than look are simulated.
    """

    program: Program
    journal: Path
    who: Team | None = None
    entries: tuple[Entry, ...] = ()
    model: str = ""
    at_once: int = 16
    drain: float | None = None
    shadow: bool = False

    def system(self, on_stop: Callable[[], None]) -> System:
        """Make the system that does it."""
        return self.program.system(
            journal=self.journal, model=self.model, drain=self.drain, on_stop=on_stop, shadow=self.shadow
        )


class Outcome(Struct, frozen=True):
    """What came of it. ``lines``: where each task and everything else that went on stands; ``strays``:
    unfinished runs of other targets."""

    lines: tuple[RunLine, ...]
    totals: Totals
    warnings: tuple[str, ...]
    interrupted: bool
    strays: tuple[str, ...] = ()


@runtime_checkable
class Ready(Protocol):
    """A model that knows what it needs before it can be asked."""

    def ready(self) -> None:
        """Raises MissingExtra or MissingKey where it cannot be asked."""
        ...


def check_models(system: System) -> None:
    """Ask every agent's models whether they can be asked. One of a fallback chain is enough.

    Raises:
        MissingExtra, MissingKey: an agent has no model that can be asked.
    """
    for chain in system.tree.models.values():
        problem: UnderstudyError | None = None
        for model in chain.values():
            try:
                if isinstance(model, Ready):
                    model.ready()
            except UnderstudyError as error:
                problem = problem or error
            else:
                break
        else:
            if problem is not None:
                raise problem


async def work(job: Job, progress: Progress, say: Say) -> Outcome:
    """Do it. Raises what opening or writing the journal raises."""
    refused: dict[str, str] = {}
    stop = anyio.Event()
    system = job.system(partial(_asked, stop, say))
    check_models(system)
    was = source.shadow_of(job.journal)
    before: set[str] = set()
    strays: set[str] = set()
    warnings: tuple[str, ...] = ()
    async with anyio.create_task_group() as tasks:
        await tasks.start(_listen, system, stop, say)
        async with system:
            warnings = system.opened.warnings
            before, strays = left_open(system)
            _say_shadow(system, was, before, say)
            async with anyio.create_task_group() as inside:
                inside.start_soon(_until, stop, inside.cancel_scope)
                await _bring(system, job, refused, progress)
                await system.rest()
                inside.cancel_scope.cancel()
        tasks.cancel_scope.cancel()
    ids = {f"{job.who.name}/{segment(entry.id)}": entry.id for entry in job.entries} if job.who is not None else {}
    known = {**ids, **{run: run.partition("/")[2] or run for run in sorted(before) if run not in ids}}
    with Books(job.journal) as books:
        found = books.lines((id, run) for run, id in known.items())
        totals = books.totals(tuple(known))
    lines = tuple(
        RunLine(line.id, line.run, "refused", reason=refused[line.id]) if line.id in refused else line for line in found
    )
    return Outcome(lines, totals, warnings + _stray(job, strays), stop.is_set(), tuple(sorted(strays)))


async def serve(job: Job, began: Callable[[System], None], say: Say) -> tuple[str, ...]:
    """Run until SIGTERM or SIGINT, or until somebody says ``understudy stop``. ``began`` is told when work is taken."""
    stop = anyio.Event()
    system = job.system(partial(_asked, stop, say))
    check_models(system)
    was = source.shadow_of(job.journal)
    async with anyio.create_task_group() as tasks:
        await tasks.start(_listen, system, stop, say)
        async with system:
            began(system)
            ours, strays = left_open(system)
            _say_shadow(system, was, ours, say)
            for warning in await anyio.to_thread.run_sync(_stray, job, strays):  # it may ask this very process
                say(warning)
            async with anyio.create_task_group() as inside:
                inside.start_soon(_until, stop, inside.cancel_scope)
                await system.ended()
        tasks.cancel_scope.cancel()
    return system.opened.warnings


def left_open(system: System) -> tuple[set[str], set[str]]:
    """Runs that the journal holds open: those that this team goes on with, and those that no definition of it owns."""
    opened, find = system.opened, system.tree.directory.find
    owners = [(e.context, e.stream) for e in opened.effects]
    owners += [(m.envelope.context, m.envelope.to) for m in opened.mail]
    owners += [(t.envelope.context, t.envelope.to) for t in opened.timers]
    ours = {str(context.run or actor) for context, actor in owners if find(actor) is not None}
    return ours, {str(context.run or actor) for context, actor in owners if find(actor) is None} - ours


def _say_shadow(system: System, was: str | None, runs: set[str], say: Say) -> None:
    """Say that runs go on otherwise than they did before. ``was``: whose calls were simulated then."""
    if not runs or was is None or was == system.shadow:
        return
    one = len(runs) == 1
    what = f"{len(runs)} unfinished run{'s' * (not one)} go{'es' * one} on"
    if system.shadow:
        say(
            f"{what} in shadow: from now on calls of {system.shadow} are simulated, and what they believe to have done is not"
        )
    else:
        say(f"{what} for real: so far calls of {was} were simulated, and what they believe to have done is not")


def _stray(job: Job, runs: set[str]) -> tuple[str, ...]:
    if not runs:
        return ()
    with source.looking(job.journal) as found:
        made = {source.target_of(found, run) for run in runs}
    names = ", ".join(sorted(runs)[:5]) + (", …" if len(runs) > 5 else "")
    how = (
        "; ".join(sorted(going_on(named, job.journal) for named in made if named.target))
        or "run the program that made them"
    )
    one = len(runs) == 1
    what = "1 unfinished run is" if one else f"{len(runs)} unfinished runs are"
    return (
        f"{what} not of {job.program.target}, and nothing goes on with {'it' if one else 'them'} here: {names}. To go on: {how}",
    )


async def _bring(system: System, job: Job, refused: dict[str, str], progress: Progress) -> None:
    if job.who is None:
        return
    who = job.who
    limit = anyio.CapacityLimiter(job.at_once)
    fatal: list[UnderstudyError] = []
    done = 0

    async def one(entry: Entry) -> None:
        nonlocal done
        async with limit:
            try:
                await system.run(who, entry.task, id=entry.id)
            except AskFailed as error:
                if error.failure.code == "other_payload":
                    refused[entry.id] = str(error)
            except (TooLarge, DefinitionError) as error:  # a plan that the team does not take
                refused[entry.id] = str(error)
            except (JournalError, SystemStopped) as error:
                fatal.append(error)
                inside.cancel_scope.cancel()
        done += 1
        progress(done)

    async with anyio.create_task_group() as inside:
        for entry in job.entries:
            inside.start_soon(one, entry)
    if fatal:
        raise fatal[0]


async def _listen(
    system: System, stop: anyio.Event, say: Say, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            if stop.is_set():
                await system.drain(0)
            else:
                _asked(stop, say)


def _asked(stop: anyio.Event, say: Say) -> None:
    if not stop.is_set():
        say("stopping: what is under way may end; Ctrl-C again does not wait for it")
    stop.set()


async def _until(stop: anyio.Event, scope: CancelScope) -> None:
    await stop.wait()
    scope.cancel()


def going_on(made: source.Made, journal: Path) -> str:
    """The command that goes on with what a journal holds."""
    words = ["understudy", "run", made.target, "--journal", str(journal)]
    words += ["--model", made.model] if made.model else []
    return command(words + (["--shadow"] if made.shadow else []))


def command(words: Sequence[str]) -> str:
    """A command line that a shell takes."""
    import shlex

    return " ".join(shlex.quote(word) for word in words)
