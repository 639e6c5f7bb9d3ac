"""``understudy journal``: look after the file. All of it works beside the process that owns it, and without one."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

import click

from ...protocols.errors import UnderstudyError
from ...protocols.ids import Address
from .. import offline
from ..journal.audit import audit
from ..journal.backup import backup as copy
from ..journal.export import export as lines_of
from ..journal.files import BadTarget, refuse_target, remove_stale
from ..journal.reader import read_only
from ..journal.reading import reading
from ..journal.retention import DAYS
from ..journal.retention import retain as erase
from ..journal.stats import Stats
from ..journal.stats import stats as count
from ..remote import reach
from . import exits, options
from .plain import echo
from .progress import progress
from .source import must_exist, warn

quiet = click.option("--quiet", "-q", is_flag=True, help="No progress on standard error.")
force = click.option("--force", is_flag=True, help="Replace the file if it is there.")


@click.group(epilog=exits.HELP)
def journal() -> None:
    """Look after the journal's file: verify, back up, export, count."""


@journal.command()
@options.journal
@options.as_json
@quiet
def verify(journal: Path, as_json: bool, quiet: bool) -> int:
    """Is the file what was written? Pages, hash chain, and everything that is folded from the rows. Exit code 4 where it is not."""
    must_exist(journal)
    with read_only(journal) as reader, progress(quiet=quiet or as_json) as tell:
        found = audit(reader, tell)
    code = exits.DONE if found.whole else exits.JOURNAL
    if as_json:
        options.emit({"journal": str(journal), "whole": found.whole, "audit": found, "exit": code})
        return code
    for finding in found.findings:
        echo(f"{finding.table} {finding.item}: {finding.why}")
    for warning in found.warnings:
        echo(f"understudy: {warning}", err=True)
    erased = f", {found.erased:,} of them erased" if found.erased else ""
    if found.whole:
        echo(
            f"{journal} is whole: {found.rows:,} rows{erased}, {found.actors:,} actors, {found.open:,} open items, {found.keys:,} keys"
        )
    else:
        until = (
            f"row {found.bad} is the first bad one, {found.rows:,} before it are whole"
            if found.bad
            else "the rows are whole"
        )
        echo(f"{journal} is damaged: {until}")
    return code


@journal.command()
@click.argument("to", type=options.FILE)
@options.journal
@force
@options.as_json
@quiet
def backup(to: Path, journal: Path, force: bool, as_json: bool, quiet: bool) -> int:
    """Copy the journal to TO, also while a process writes it. The copy is verified before it has its name."""
    must_exist(journal)
    with progress(quiet=quiet or as_json) as tell:
        made = copy(journal, to, force=force, progress=tell)
    if as_json:
        options.emit(made)
    else:
        echo(f"{made.path}: {made.rows:,} rows, {_size(made.bytes)}, verified")
    return exits.DONE


@journal.command()
@click.option(
    "--output",
    "-o",
    type=options.FILE,
    metavar="FILE",
    help="Instead of standard output.",
)
@click.option(
    "--run",
    "below",
    type=options.TEXT,
    default="",
    metavar="ADDRESS",
    help="Only this run or actor, and what is below it.",
)
@options.journal
@force
@options.as_json
@quiet
def export(output: Path | None, below: str, journal: Path, force: bool, as_json: bool, quiet: bool) -> int:
    """Rows as lines of JSON, one object a row. With --output, --json prints how many there were."""
    must_exist(journal)
    if as_json and output is None:
        raise click.UsageError("the lines are JSON already; --json says what was written to --output FILE")
    if output is not None:
        refuse_target(output, journal, journal=False)
    if output is not None and os.path.lexists(output) and not force:
        raise click.UsageError(f"{output} is there already; --force replaces it")
    with read_only(journal) as reader:
        warn(reader)
        if below and not reader.actors(below):
            raise UnderstudyError(
                f"nobody is at or below {below!r} in {journal}", hint=f"'understudy runs -j {journal}' lists runs"
            )
        with progress(quiet=quiet or as_json) as tell, _written(output) as file:
            lines = lines_of(reader, Address(below) if below else None, lambda done, of: tell("rows", done, of))
            rows = _write(lines, file)
    if as_json:
        options.emit({"file": str(output), "rows": rows})
    elif output is not None:
        echo(f"{output}: {rows:,} rows")
    return exits.DONE


@journal.command()
@options.journal
@options.as_json
@quiet
def stats(journal: Path, as_json: bool, quiet: bool) -> int:
    """How large the journal is, and what makes it large."""
    must_exist(journal)
    with read_only(journal) as reader, reading(f"something in {journal}"), progress(quiet=quiet or as_json) as tell:
        warn(reader)
        found = count(reader, lambda done, of: tell("rows", done, of))
    if as_json:
        options.emit(found)
    else:
        _show(found, journal)
    return exits.DONE


@journal.command()
@click.option("--days", default=DAYS, show_default=True, type=options.DAYS, help="Since the last row of a run.")
@click.option(
    "--archive",
    type=options.FILE,
    metavar="FILE",
    help="First copy the whole journal there.",
)
@click.option(
    "--compact", is_flag=True, help="Then rewrite the file without what was erased; needs as much room again."
)
@options.journal
@options.as_json
@quiet
def retain(days: float, archive: Path | None, compact: bool, journal: Path, as_json: bool, quiet: bool) -> int:
    """Erase the texts of runs that ended long ago. Their rows, hashes and keys stay. A process that owns the journal does it itself,
    a few runs at a time, and goes on meanwhile; --compact needs a journal that nobody owns."""
    must_exist(journal)
    with progress(quiet=quiet or as_json) as tell:
        if archive is not None:
            refuse_target(archive, journal, journal=True)
        if archive is not None and archive.exists():
            raise BadTarget(f"{archive} is there already", hint="name another file: an archive is never replaced")
        if compact and offline.owned(journal):
            raise UnderstudyError(
                f"a process owns {journal}, and would have to wait for as long as the file is rewritten",
                hint="leave --compact out, or stop that process first ('understudy stop')",
            )
        kept = copy(journal, archive, progress=tell) if archive is not None else None
        remote = None if compact else reach(journal)
        if remote is None:
            done = erase(journal, days=days, compact=compact, progress=tell)
        else:
            with remote:
                done = remote.retain(days, tell)
    if as_json:
        options.emit({"retained": done, "archive": kept})
        return exits.DONE
    if kept is not None:
        echo(f"{kept.path}: {kept.rows:,} rows, verified; what is erased now replays from there")
    stays = f"; {done.kept:,} rows stay, because others need what they sent" if done.kept else ""
    echo(f"{journal}: {done.runs:,} runs erased, {done.rows:,} rows, {_size(done.bytes)} of text{stays}")
    if done.rows and not compact:
        echo("Until --compact, erased text can still stand in free parts of the file, for whoever reads its bytes.")
    return exits.DONE


def _write(lines: Iterator[bytes], file: IO[bytes]) -> int:
    rows = 0
    for line in lines:
        file.write(line + b"\n")
        rows += 1
    file.flush()
    return rows


@contextmanager
def _written(path: Path | None) -> Generator[BinaryIO]:
    """Standard output, or a file that has its name only when it is whole."""
    if path is None:
        yield sys.stdout.buffer
        return
    remove_stale(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        if error.filename is None:
            raise
        raise OSError(error.errno, f"{error.strerror} ({path})") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def _show(found: Stats, journal: Path) -> None:
    owned = "owned by a process" if offline.owned(journal) else "owned by nobody"
    days = (found.last - found.first) / 86_400
    echo(f"{journal}: format {found.format}, {owned}, taken over {found.epoch} times")
    echo(f"  file       {_size(found.file)}, {_size(found.free)} of it free; write-ahead log {_size(found.log)}")
    echo(
        f"  rows       {found.rows:,} over {days:.1f} days, {found.row:.0f} bytes of file each; {found.erased:,} erased"
    )
    echo(f"  runs       {found.runs:,}, {found.unfinished:,} unfinished; {found.actors:,} actors")
    echo(
        f"  open       {found.mail:,} messages, {found.effects:,} effects ({found.waiting:,} wait for people), {found.timers:,} timers"
    )
    echo(f"  kept       {found.keys:,} keys, {found.snapshots:,} snapshots")
    if found.last:
        echo(f"  last row   {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(found.last))}")
    for kind in found.kinds:
        echo(f"  {kind.kind:<10} {kind.rows:,} rows, {_size(kind.bytes)}")
    for stream in found.biggest:
        echo(f"  {_size(stream.bytes):>10} {stream.rows:>9,} rows  {stream.actor}")


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1_000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1_000
    return f"{size:.1f} GB"
