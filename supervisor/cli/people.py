"""What people do: look into the inbox and answer."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
from msgspec import Raw

from ...protocols.approvals import Answer, Scope
from ...protocols.bounds import check
from ...protocols.codec import NULL, decode, encode
from ...protocols.decisions import Decision, meant
from ...protocols.errors import UnknownItem, WrongAnswer
from ...protocols.grants import SCOPES
from ...protocols.journal import MAX_MESSAGE
from ..inbox import InboxItem, addressed_to, following
from ..journal.reader import read_only
from ..parked import FileLetters
from ..verdicts import how_it_ended
from . import exits, options, source
from .plain import echo
from .work import command, going_on

SHOWN = 50
"""Items that are printed where nobody says how many."""


@click.command()
@click.option(
    "--for",
    "name",
    default="",
    type=options.TEXT,
    metavar="NAME",
    help="Only what NAME, or nobody in particular, is asked.",
)
@click.option(
    "--limit",
    default=None,
    type=click.IntRange(min=1),
    metavar="N",
    help=f"So many, the oldest ({SHOWN}; with --json all).",
)
@click.option("--after", default="", type=options.TEXT, metavar="ID", help="Only those after this one.")
@options.journal
@options.as_json
def inbox(name: str, limit: int | None, after: str, journal: Path, as_json: bool) -> int:
    """What waits for a person, oldest first: approvals, escalations, calls in doubt."""
    with source.looking(journal) as found:
        entries = found.inbox()
    if name:
        entries = addressed_to(entries, name)
    if after:
        entries = following(entries, after)
    shown = entries[: limit or (len(entries) if as_json else SHOWN)]
    if as_json:
        options.emit(shown)
    else:
        from . import paint, paint_people

        paint_people.inbox(paint.out(), shown, command([str(journal)]), more=len(entries) - len(shown), name=name)
    return exits.DONE


@click.command()
@click.argument("ids", nargs=-1, type=options.TEXT, required=True, metavar="ID...")
@click.option(
    "--change",
    default="",
    type=options.TEXT,
    metavar="JSON",
    help="With these arguments in the place of those of the same name.",
)
@click.option(
    "--scope",
    default="once",
    type=click.Choice(SCOPES),
    show_default=True,
    help="Also allow such calls in advance: grants.",
)
@click.option(
    "--same",
    multiple=True,
    type=options.TEXT,
    metavar="NAME",
    help="With --scope pattern: an argument that must be the same.",
)
@click.option("--expires", default=None, type=options.DAYS, metavar="DAYS", help="With a scope: for how many days.")
@click.option("--reason", default="", type=options.TEXT, help="Why; kept in the journal.")
@options.by
@options.journal
@options.as_json
def approve(
    ids: tuple[str, ...], change: str, scope: Scope, same: tuple[str, ...], expires: float | None, reason: str, by: str, journal: Path,
    as_json: bool,
) -> int:  # fmt: skip
    """Say yes: to a call that needs it, or "try again" to an escalation."""
    yes = Answer(
        "", "approve", reason=reason, scope=scope, same=same, expires=None if expires is None else expires * 86_400
    )
    if change and len(ids) > 1:
        raise click.UsageError("--change is for one call: its arguments are checked again")
    if change:
        value = typed(change.encode("utf-8", "surrogatepass"))
        yes = msgspec.structs.replace(yes, decision="change", value=value)
    return say(ids, yes, by, journal, as_json)


@click.command()
@click.argument("ids", nargs=-1, type=options.TEXT, required=True, metavar="ID...")
@click.option("--reason", required=True, type=options.TEXT, help="Why; the agent is told.")
@options.by
@options.journal
@options.as_json
def reject(ids: tuple[str, ...], reason: str, by: str, journal: Path, as_json: bool) -> int:
    """Say no, with a reason."""
    return give_answers(ids, "reject", reason, by, journal, as_json)


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
    return give_answers(
        (id,),
        decision,
        reason,
        by,
        journal,
        as_json,
        typed(result.encode("utf-8", "surrogatepass")) if result else NULL,
    )


def give_answers(
    ids: tuple[str, ...], decision: Decision, reason: str, by: str, journal: Path, as_json: bool, value: Raw = NULL
) -> int:
    return say(ids, Answer("", decision, reason=reason, value=value), by, journal, as_json)


def say(ids: tuple[str, ...], said: Answer, by: str, journal: Path, as_json: bool) -> int:
    """Give the same answer to some items."""
    decision = said.decision
    with source.looking(journal) as found:
        known = {entry.id: entry for entry in found.inbox()}
        made = {id: source.target_of(found, entry.run) for id, entry in known.items() if id in ids}
    for id in ids:
        _fits(known.get(id), id, decision, journal)
    who = options.person(by)
    taken = False
    for id in ids:  # the digest: what is answered is what was shown
        answer = msgspec.structs.replace(said, item=id, by=who, digest=known[id].digest)
        taken = source.give(journal, answer, made[id])
    lacking = _lacking(journal, ids) if any(known[id].quorum > 1 for id in ids) else {}
    if as_json:
        more = {"lacking": lacking} if lacking else {}
        options.emit({"answered": ids, "decision": decision, "by": who, "owner": taken, **more})
        return exits.DONE
    for id in ids:
        asked = known[id].asked
        note = f"; {', '.join(asked)} was asked" if asked and who not in asked else ""
        note += f"; {lacking[id]} more must say yes" if id in lacking else ""
        echo(f"{id}: {decision.replace('_', ' ')}, by {who}{note}  ({known[id].run})")
    again = sorted({going_on(named, journal) for named in made.values() if named.target})
    if not taken and again:
        echo("No process runs this journal now. To go on:" + "".join(f"\n  {line}" for line in again))
    elif not taken:
        echo("No process runs this journal now. Run its program again to go on.")
    return exits.DONE


def _lacking(journal: Path, ids: tuple[str, ...]) -> dict[str, int]:
    """How many others must still say yes to calls that have been answered."""
    with source.looking(journal) as found:
        return {entry.id: entry.quorum - len(entry.yes) for entry in found.inbox() if entry.id in ids}


def _fits(entry: InboxItem | None, id: str, decision: Decision, journal: Path) -> None:
    if entry is None:
        with read_only(journal) as reader:
            ended = how_it_ended(FileLetters(reader), id)
        raise UnknownItem(
            f"nothing with the id {id!r} waits for an answer" + (f": it was answered before, {ended}" if ended else ""),
            hint="the first answer counts" if ended else f"'understudy inbox --journal {journal}' lists what does",
        )
    if decision in entry.answers or (decision == "approve" and entry.message):
        return
    if entry.kind == "escalation" and meant(decision, entry.answers, names=True):
        return
    if entry.kind == "in_doubt":
        raise WrongAnswer(
            f"{id} is a call in doubt: it may have happened already, so a yes or no does not settle it",
            hint=f"look it up on the other side (its key is {entry.key}), then: "
            f"understudy settle {id} --happened, --not-happened or --run-again",
        )
    raise WrongAnswer(
        f"{id} is an {entry.kind}, and {decision.replace('_', ' ')!r} does not answer it",
        hint=f"it takes: {', '.join(entry.answers)}; 'understudy show {id}' shows the commands",
    )


def typed(data: bytes, *, text: bool = False) -> Raw:
    """What was typed, as JSON: itself where it is JSON, otherwise (or always, with ``text``) a text. Raises TooLarge, TooComplex."""
    check(data, "the answer", most=MAX_MESSAGE)
    try:
        return Raw(encode(data.decode() if text else decode(data, object)))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Raw(encode(data.decode("utf-8", "surrogatepass")))
