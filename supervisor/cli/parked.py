"""Messages that were put aside: look at them, send them again, drop them."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import click
import msgspec
from msgspec import Raw

from ...actors.registry import Directory
from ...actors.releases import Resolve
from ...protocols.errors import WrongAnswer
from ...protocols.mail import Resolution
from .. import offline
from ..journal.reader import read_only
from ..parked import ParkedMessage, edited, of_file, one_of_file
from ..run import DEFAULT_JOURNAL
from ..target import load
from . import exits, options, source
from .plain import echo

_ID = click.argument("id", type=options.TEXT)
_REASON = click.option("--reason", default="", type=options.TEXT, help="Why; kept in the journal.")


@click.group()
def parked() -> None:
    """Messages that were put aside: a turn failed on them, they expired, or nobody takes them."""


@parked.command("list")
@options.journal
@options.as_json
def list_(journal: Path, as_json: bool) -> int:
    """What was put aside and nobody has decided about, oldest first."""
    source.must_exist(journal)
    with read_only(journal) as reader:
        source.warn(reader)
    found = of_file(journal)
    if as_json:
        options.emit([_facts(message) for message in found])
    elif not found:
        echo("Nothing was put aside.")
    else:
        for message in found:
            echo(f"{message.id:>6}  {message.to}  {message.wire}  {message.failure.code}: {message.failure.message}")
        echo(f"\n{len(found)} put aside. To look at the first, send it again, or drop it:")
        for what in ("show", "resend", "drop"):
            echo(f"  understudy parked {what} {found[0].id}{_of(journal)}")
    return exits.DONE


@parked.command()
@_ID
@options.journal
@options.as_json
def show(id: str, journal: Path, as_json: bool) -> int:
    """One message, whole. Its content as JSON is what ``--edit`` takes."""
    source.must_exist(journal)
    with read_only(journal) as reader:
        source.warn(reader)
    message = one_of_file(journal, id)
    if as_json:
        options.emit(_facts(message))
        return exits.DONE
    echo(f"{message.id}: {message.wire} for {message.to}, from {message.sender or 'outside'}")
    echo(f"{message.how}: " + "\n  because ".join(map(str, message.failure.chain())))
    echo(msgspec.json.format(bytes(message.message), indent=2).decode())
    return exits.DONE


@parked.command()
@_ID
@click.option(
    "--edit", "file", type=click.File("rb"), metavar="FILE", help="Its new content, as JSON; - is standard input."
)
@click.option("--message", default="", type=options.TEXT, metavar="JSON", help="The same, typed.")
@_REASON
@options.by
@options.journal
@options.as_json
def resend(id: str, file: BinaryIO | None, message: str, reason: str, by: str, journal: Path, as_json: bool) -> int:
    """Send it again, as it was or with another content. It is told, not asked: whoever asked has had its answer."""
    if file is not None and message:
        raise click.UsageError("say --edit or --message, not both")
    text = file.read() if file is not None else message.encode()
    content = _json(text) if file is not None or message else None
    who = options.person(by)

    def write() -> None:
        directory = _directory(journal) if content is not None else None
        offline.resolve(journal, id, lambda found: _again(found, content, directory, who, reason))

    taken = source.either(journal, lambda remote: remote.resend(id, content, by=who, reason=reason), write)
    return _done(id, "resend", who, taken, as_json)


@parked.command()
@_ID
@_REASON
@options.by
@options.journal
@options.as_json
def drop(id: str, reason: str, by: str, journal: Path, as_json: bool) -> int:
    """Drop it: nobody will take it any more. The row that put it aside stays."""
    who = options.person(by)
    taken = source.either(
        journal,
        lambda remote: remote.drop(id, by=who, reason=reason),
        lambda: offline.resolve(journal, id, lambda _: Resolve(Resolution(int(id), "drop", who, reason))),
    )
    return _done(id, "drop", who, taken, as_json)


def _again(found: ParkedMessage, content: Raw | None, directory: Directory | None, by: str, reason: str) -> Resolve:
    if content is not None and directory is None:
        raise WrongAnswer(
            f"nobody can say whether this fits {found.wire}: the journal names no program that takes it",
            hint="edit it while that program runs, or send it again as it was",
        )
    return Resolve(Resolution(int(found.id), "resend", by, reason), edited(found, content, directory))


def _done(id: str, decision: str, by: str, taken: bool, as_json: bool) -> int:
    if as_json:
        options.emit({"resolved": id, "decision": decision, "by": by, "owner": taken})
        return exits.DONE
    echo(f"{id}: {'sent again' if decision == 'resend' else 'dropped'}, by {by}")
    if not taken and decision == "resend":
        echo("No process runs this journal now: it is taken when its program runs again.")
    return exits.DONE


def _directory(journal: Path) -> Directory | None:
    """Who takes mail where, as the program says that worked on it last; None where the journal does not name it.

    Raises:
        TargetError: it is named, and cannot be imported.
    """
    with source.looking(journal) as found:
        made = source.target_of(found)
    return load(made.target).tree(made.model).directory if made.target else None


def _json(text: bytes) -> Raw:
    try:
        return Raw(msgspec.json.encode(msgspec.json.decode(text)))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise WrongAnswer(f"this is no JSON: {error}", hint="write the message as a JSON object") from error


def _of(journal: Path) -> str:
    return "" if str(journal) == DEFAULT_JOURNAL else f" --journal {journal}"


def _facts(message: ParkedMessage) -> dict[str, object]:
    known = msgspec.structs.asdict(message)
    del known["envelope"]
    return known
