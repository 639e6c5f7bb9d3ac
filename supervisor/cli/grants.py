"""``understudy grants``: standing approvals, looked at and taken back."""

from __future__ import annotations

from pathlib import Path

import click

from ...protocols.grants import Grant
from ...protocols.visible import cut, visible
from . import exits, options, source
from .paint_people import clock


@click.group(invoke_without_command=True)
@options.journal
@options.as_json
@click.pass_context
def grants(context: click.Context, journal: Path, as_json: bool) -> int:
    """Standing approvals: what calls people have allowed in advance, oldest first."""
    if context.invoked_subcommand is not None:
        return exits.DONE
    with source.looking(journal) as found:
        known = found.grants()
    if as_json:
        options.emit(known)
    else:
        click.echo("\n".join(line for grant in known for line in _lines(grant)) or "Nothing is allowed in advance.")
    return exits.DONE


@grants.command()
@click.argument("id", type=options.TEXT)
@click.option("--reason", default="", type=options.TEXT, help="Why; kept in the journal.")
@options.by
@options.journal
@options.as_json
def revoke(id: str, reason: str, by: str, journal: Path, as_json: bool) -> int:
    """Take one back: from now on such calls wait for a person again."""
    who = options.person(by)
    taken = source.revoke(journal, id, who, reason)
    if as_json:
        options.emit({"revoked": id, "by": who, "owner": taken})
    else:
        click.echo(f"{visible(id)}: taken back, by {visible(who)}")
    return exits.DONE


def _lines(grant: Grant) -> list[str]:
    same = ", ".join(
        f"{visible(name)}={cut(visible(bytes(value).decode()), 400)}" for name, value in grant.same.items()
    )
    what = {
        "run": f"in the run {visible(grant.run)}",
        "pattern": f"with {same}",
        "always": "always",
    }.get(grant.scope, grant.scope)
    version = f" (version {visible(grant.version)})" if grant.version else ""
    until = f", until {clock(grant.until)}" if grant.until is not None else ""
    why = f": {cut(visible(grant.reason), 400)}" if grant.reason else ""
    return [
        f"{grant.id}  {visible(grant.tool)}{version} {what}, for {visible(grant.agent)}",
        f"      by {visible(', '.join(grant.by))}, {clock(grant.at)}{until}, under {visible(', '.join(grant.policy))}{why}",
    ]
