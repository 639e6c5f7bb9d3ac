"""What people look at: one run, all runs, a run decided again."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

import click

from ...protocols.errors import JournalError, TargetError, UnderstudyError, UnknownItem
from ...protocols.ids import SYSTEM, Address, segment
from ...protocols.journal import Row
from ...protocols.lifecycle import ChildFailed
from ..dossier import dossier
from ..inbox import InboxItem
from ..journal.batch import record_of
from ..journal.reader import read_only
from ..journal.reading import reading
from ..parked import FileLetters
from ..story import Story
from ..stuck import of_file
from ..stuck import stuck as stuck_of
from ..supervision.tree import ROOT
from ..supervision.virtual import Escalated
from ..telling.teller import tell
from ..verdicts import how_it_ended
from . import exits, options, source
from .books import Books
from .plain import echo
from .work import command

_UPWARDS = (ChildFailed.__wire__.encode(), Escalated.__wire__.encode())
"""What children say to supervisors about failures, and supervisors to those above."""

_ITEM = re.compile(r"\d+\.\d+")


@click.command()
@click.argument("run", type=options.TEXT)
@options.journal
@options.as_json
def show(run: str, journal: Path, as_json: bool) -> int:
    """One run as people read it, or one item of the inbox. RUN is a run's address or the end of it, such as call-17, or an item's id."""
    with source.looking(journal) as found:
        item = next((entry for entry in found.inbox() if entry.id == run), None) if _ITEM.fullmatch(run) else None
        if item is not None:
            return _item(found, item, journal, as_json)
        if _ITEM.fullmatch(run) and (ended := _ended(journal, run)):
            raise UnknownItem(
                f"{run} waits for no answer any more: {ended}",
                hint="the first answer counts; 'understudy show RUN' tells all",
            )
        told = _story(found, run, journal)
    if as_json:
        with reading(f"something in {journal}"):  # what the owner gave: nobody has looked at its hashes
            options.emit(told)
    else:
        from . import paint

        with reading(f"something in {journal}"):
            paint.story(paint.out(), told, command([str(journal)]))
    return exits.DONE


@click.command()
@options.journal
@options.as_json
def runs(journal: Path, as_json: bool) -> int:
    """All runs in the journal and where they stand."""
    source.must_exist(journal)
    with Books(journal) as books, reading(f"something in {journal}"):
        books.warn()
        lines = books.lines((run.partition("/")[2] or run, run) for run in books.runs())
    if as_json:
        options.emit(lines)
    else:
        from . import paint

        paint.runs(paint.out(), lines)
    return exits.DONE


@click.command()
@options.journal
@options.as_json
def stuck(journal: Path, as_json: bool) -> int:
    """What nothing will ever move again, and why; there should be nothing. Exit code 1 where there is something."""
    source.must_exist(journal)
    with reading(f"something in {journal}"):
        found = stuck_of(of_file(journal))
    if as_json:
        options.emit(found)
    elif not found:
        echo("Nothing is stuck: whatever is unfinished will go on, or waits for people.")
    else:
        for one in found:
            echo(f"{one.actor}: {one.why}" + (f" ({one.item})" if one.item else ""))
    return exits.FAILED if found else exits.DONE


@click.command()
@click.argument("run", type=options.TEXT)
@click.option(
    "--target", default="", type=options.TEXT, help="module:name of the team; what the journal names by default."
)
@options.journal
@options.as_json
def replay(run: str, target: str, journal: Path, as_json: bool) -> int:
    """Decide a run again from the journal, offline, and compare. Exit code 1 where something differs."""
    from ..replay.verify import replay as again

    with source.looking(journal) as found:
        address = find_run(found, run, journal)
        named = target or source.target_of(found).target
    if not named:
        words = ["understudy", "replay", address, "--journal", str(journal), "--target"]
        raise TargetError(f"{journal} does not name what made {address}", hint=f"say it: {command(words)} module:name")
    report = again(journal, address, target)
    other = report.difference
    if as_json:
        options.emit(
            {
                "run": report.run,
                "equal": other is None,
                "actors": report.actors,
                "turns": report.turns,
                "difference": other,
            }
        )
    elif other is None:
        echo(f"{report.run}: equal, {report.turns} turns of {report.actors} actors")
    else:
        echo(f"{report.run}: row {other.gid} ({other.stream}, its row {other.seq}) differs in {other.field!r}")
        echo(f"  recorded: {other.recorded}\n  now:      {other.now}")
    return exits.DONE if other is None else exits.FAILED


def _ended(journal: Path, id: str) -> str:
    """How a question ended; empty where that is not known, or it is none."""
    with read_only(journal) as reader:
        return how_it_ended(FileLetters(reader), id)


def _item(found: source.Source, item: InboxItem, journal: Path, as_json: bool) -> int:
    with reading(f"something in {journal}"):
        levels = [link.where for link in item.failure.chain() if link.where] if item.failure is not None else []
        try:
            told: Story | None = _story(found, item.run, journal, {item.actor, *levels})
        except (UnderstudyError, LookupError) as error:
            if isinstance(error, JournalError):
                raise
            told = None
        whole = dossier(item, told)
        if as_json:
            options.emit(whole)
        else:
            from . import paint, paint_people

            paint_people.item(paint.out(), whole, command([str(journal)]))
    return exits.DONE


def _story(found: source.Source, name: str, journal: Path, others: Collection[str] = ()) -> Story:
    run = find_run(found, name, journal)
    rows = [row for line in found.actors(run) for row in found.stream(line.address)]
    parents = {run.split("/")[0], str(ROOT), *others, *_above(found, rows)} - {run}
    parents = {one for one in parents if not one.startswith(run + "/")}
    around = [row for stream in sorted(parents) for row in found.stream(Address(stream))]
    return tell(run, rows, (*found.stream(SYSTEM), *around), left=found.left)


def _above(found: source.Source, rows: Sequence[Row]) -> set[str]:
    """The supervisors that were told of its failures, and those that they passed them on to."""
    known: set[str] = set()
    while rows:
        told = {
            str(envelope.to)
            for row in rows
            if any(wire in bytes(row.payload) for wire in _UPWARDS)
            for envelope in record_of(row).sends
            if envelope.wire.encode() in _UPWARDS
        }
        rows = [row for stream in sorted(told - known) for row in found.stream(Address(stream))]
        known |= told
    return known


def find_run(found: source.Source, name: str, journal: Path) -> Address:
    head, _, rest = name.partition("/")
    for way in (name, f"{head}/{segment(rest)}"):  # an id that is no segment of an address was renamed
        if any(line.address == way for line in found.actors(way)):
            return Address(way)
    known = {line.context.run for line in found.actors() if line.context.run}
    ends = sorted(run for run in known if run.endswith(("/" + name, "/" + segment(name))))
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise UnderstudyError(f"several runs end with {name!r}", hint=f"one of: {', '.join(ends[:10])}")
    raise UnderstudyError(f"no run {name!r} is in {journal}", hint=f"'understudy runs --journal {journal}' lists them")
