"""What people do: look into the inbox and answer."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
from msgspec import Raw

from ...protocols.approvals import Answer, Decision
from ...protocols.bounds import check
from ...protocols.codec import NULL, decode, encode
from ...protocols.errors import UnknownItem, WrongAnswer
from ...protocols.journal import MAX_MESSAGE
from ..inbox import InboxItem
from . import exits, options, source
from .work import command, going_on


@click.command()
@options.journal
@options.as_json
def inbox(journal: Path, as_json: bool) -> int:
    """What waits for a person: approvals, escalations, calls in doubt."""
    with source.looking(journal) as found:
        entries = found.inbox()
    if as_json:
        options.emit(entries)
    else:
        from . import paint

        paint.inbox(paint.out(), entries, command([str(journal)]))
    return exits.DONE


@click.command()
@click.argument("ids", nargs=-1, type=options.TEXT, required=True, metavar="ID...")
@click.option("--reason", default="", type=options.TEXT, help="Why; kept in the journal.")
@options.by
@options.journal
@options.as_json
def approve(ids: tuple[str, ...], reason: str, by: str, journal: Path, as_json: bool) -> int:
    """Say yes: to a call that needs it, or "try again" to an escalation."""
    return _answer(ids, "approve", reason, by, journal, as_json)


@click.command()
@click.argument("ids", nargs=-1, type=options.TEXT, required=True, metavar="ID...")
@click.option("--reason", required=True, type=options.TEXT, help="Why; the agent is told.")
@options.by
@options.journal
@options.as_json
def reject(ids: tuple[str, ...], reason: str, by: str, journal: Path, as_json: bool) -> int:
    """Say no, with a reason."""
    return _answer(ids, "reject", reason, by, journal, as_json)


@click.command()
@click.argument("id", type=options.TEXT)
@click.argument("value", type=options.TEXT)
@click.option("--reason", default="", type=options.TEXT, help="Why; kept in the journal.")
@options.by
@options.journal
@options.as_json
def answer(id: str, value: str, reason: str, by: str, journal: Path, as_json: bool) -> int:
    """Answer an escalation: with the name of a worker, or with the result itself (JSON, or plain text)."""
    return _answer((id,), "answer", reason, by, journal, as_json, _value(value))


@click.command()
@click.argument("id", type=options.TEXT)
@click.option("--happened", is_flag=True, help="It did happen.")
@click.option("--not-happened", is_flag=True, help="It did not; leave it.")
@click.option("--run-again", is_flag=True, help="It did not; run it again.")
@click.option("--result", default="", type=options.TEXT, metavar="JSON", help="With --happened: what the call gave.")
@click.option("--reason", default="", type=options.TEXT, help="Why; kept in the journal.")
@options.by
@options.journal
@options.as_json
def settle(
    id: str, happened: bool, not_happened: bool, run_again: bool, result: str, reason: str, by: str, journal: Path,
    as_json: bool,
) -> int:  # fmt: skip
    """Say what became of a call in doubt: one that had begun when its process died."""
    if happened + not_happened + run_again != 1:
        raise click.UsageError("say --happened, --not-happened or --run-again, and only one of them")
    decision: Decision = "happened" if happened else "not_happened" if not_happened else "run_again"
    if result and decision != "happened":
        raise click.UsageError("--result goes with --happened")
    return _answer((id,), decision, reason, by, journal, as_json, _value(result) if result else NULL)


def _answer(
    ids: tuple[str, ...], decision: Decision, reason: str, by: str, journal: Path, as_json: bool, value: Raw = NULL
) -> int:
    with source.looking(journal) as found:
        known = {entry.id: entry for entry in found.inbox()}
        made = {id: source.target_of(found, entry.run) for id, entry in known.items() if id in ids}
    for id in ids:
        _fits(known.get(id), id, decision, journal)
    who = options.person(by)
    taken = False
    for id in ids:  # the digest: what is answered is what was shown
        taken = source.give(journal, Answer(id, decision, who, reason, value, known[id].digest))
    if as_json:
        options.emit({"answered": ids, "decision": decision, "by": who, "owner": taken})
        return exits.DONE
    for id in ids:
        click.echo(f"{id}: {decision.replace('_', ' ')}, by {who}  ({known[id].run})")
    again = sorted({going_on(*named, journal) for named in made.values() if named[0]})
    if not taken and again:
        click.echo("No process runs this journal now. To go on:" + "".join(f"\n  {line}" for line in again))
    elif not taken:
        click.echo("No process runs this journal now. Run its program again to go on.")
    return exits.DONE


def _fits(entry: InboxItem | None, id: str, decision: Decision, journal: Path) -> None:
    if entry is None:
        raise UnknownItem(
            f"nothing with the id {id!r} waits for an answer",
            hint=f"'understudy inbox --journal {journal}' lists what does",
        )
    if decision in entry.answers:
        return
    if entry.kind == "in_doubt":
        raise WrongAnswer(
            f"{id} is a call in doubt: it may have happened already, so a yes or no does not settle it",
            hint=f"look it up on the other side (its key is {entry.key}), then: "
            f"understudy settle {id} --happened, --not-happened or --run-again",
        )
    names = {"approve": "approve", "reject": "reject", "answer": "answer"}
    raise WrongAnswer(
        f"{id} is an {entry.kind}, and {decision.replace('_', ' ')!r} does not answer it",
        hint=f"it takes: {', '.join(names.get(one, 'settle') for one in entry.answers)}",
    )


def _value(text: str) -> Raw:
    """What was typed, as JSON: itself where it is JSON, otherwise a text. Raises TooLarge, TooComplex."""
    data = text.encode("utf-8", "surrogatepass")
    check(data, "the answer", most=MAX_MESSAGE)
    try:
        return Raw(encode(decode(data, object)))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Raw(encode(text))
