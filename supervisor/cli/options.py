"""Options that several commands take."""

from __future__ import annotations

import getpass
from pathlib import Path

import click
import msgspec

from ..run import DEFAULT_JOURNAL

journal = click.option(
    "--journal", "-j", default=DEFAULT_JOURNAL, show_default=True, metavar="FILE", help="The journal.",
    type=click.Path(path_type=Path, dir_okay=False),
)  # fmt: skip
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
by = click.option("--by", default="", metavar="NAME", help="Who answers; your login name by default.")
model = click.option(
    "--model",
    default="",
    metavar="PROVIDER:NAME",
    help="A model in the place of every agent's, such as openai:gpt-5-mini.",
)
drain = click.option(
    "--drain", default=10.0, show_default=True, metavar="SECONDS", help="For calls under way to end, when it is stopped.",
    type=click.FloatRange(min=0),
)  # fmt: skip


def person(name: str) -> str:
    """Who answers."""
    if name:
        return name
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user, as in some containers
        return "somebody"


def emit(value: object) -> None:
    """Print JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))
