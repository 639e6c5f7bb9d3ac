"""``understudy breakers``: what is left alone because it fails, or because a person said so; opened and closed by hand."""

from __future__ import annotations

from pathlib import Path

import click

from ...protocols.circuits import Circuit
from ...protocols.visible import cut, visible
from ..breaking import switch
from . import exits, options, source
from .paint_people import clock


def _some(_: click.Context, __: click.Parameter, value: str) -> str:
    if not value.strip():
        raise click.BadParameter("it is empty: say why, for who finds it open, or closed")
    return value


REASON = click.option(
    "--reason", required=True, type=options.TEXT, callback=_some, help="Why; kept in the journal."
)  # fmt: skip


@click.group(invoke_without_command=True)
@options.journal
@options.as_json
@click.pass_context
def breakers(context: click.Context, journal: Path, as_json: bool) -> int:
    """Tools and models in trouble: what is open, since when, until when, and who tries or said so. All others are closed."""
    if context.invoked_subcommand is not None:
        return exits.DONE
    with source.looking(journal) as found:
        known = found.breakers()
    if as_json:
        options.emit(known)
    else:
        click.echo("\n".join(map(_line, known)) or "All breakers are closed, and nothing fails.")
    return exits.DONE


@breakers.command("close")
@click.argument("name", type=options.TEXT)
@REASON
@options.by
@options.journal
@options.as_json
def close(name: str, reason: str, by: str, journal: Path, as_json: bool) -> int:
    """Close one that is open: calls that wait for it go on at once."""
    who = options.person(by)
    taken = source.switch(journal, switch(name, open=False, by=who, reason=reason))
    if as_json:
        options.emit({"closed": name, "by": who, "owner": taken})
    else:
        click.echo(f"{visible(name)}: closed, by {visible(who)}")
    return exits.DONE


@breakers.command("open")
@click.argument("name", type=options.TEXT)
@REASON
@click.option(
    "--seconds", default=None, type=options.SECONDS, metavar="SECONDS",
    help="For how long; then it is closed again. Without it until somebody closes it.",
)  # fmt: skip
@options.by
@options.journal
@options.as_json
def open_(name: str, reason: str, seconds: float | None, by: str, journal: Path, as_json: bool) -> int:
    """Take a tool or model out of service: its calls wait, or are refused."""
    who = options.person(by)
    taken = source.switch(journal, switch(name, open=True, by=who, reason=reason, seconds=seconds))
    if as_json:
        options.emit({"opened": name, "by": who, "seconds": seconds, "owner": taken})
    else:
        how = "until somebody closes it" if seconds is None else f"for {seconds:g} s"
        click.echo(f"{visible(name)}: open {how}, by {visible(who)}")
    return exits.DONE


def _line(one: Circuit) -> str:
    name = visible(one.name)
    if one.by:
        until = f"until {clock(one.until)}" if one.until is not None else "until somebody closes it"
        why = f": {cut(visible(one.reason), 400)}" if one.reason else ""
        return f"{name}  open since {clock(one.since)} {until}, by {visible(one.by)}{why}"
    failures = f"{one.failed} failures since {clock(one.since)}"
    if one.state == "closed":
        return f"{name}  closed, {failures}"
    if one.state == "open" and one.until is not None:
        return f"{name}  open until {clock(one.until)}, {failures}"
    who = (
        f", {one.probe} tries"
        if one.probe
        else f", a person is asked: {one.item}"
        if one.item
        else ", the next call tries"
    )
    return f"{name}  half open{who}, {failures}"
