"""The commands. Each does three things: read what was typed, do it in another module, print it for people or as JSON."""

from __future__ import annotations

import click

from . import exits
from .audit import audit
from .breakers import breakers
from .budget import budget
from .escalations import answer
from .grants import grants
from .journal import journal
from .looking import replay, runs, show, stuck
from .parked import parked
from .people import approve, inbox, reject, settle
from .running import run, serve, stop, submit
from .tools import tools
from .tree import tree


@click.group(
    help="Teams of AI agents that lose no work, repeat no action, and carry on after a crash.\n\n"
    "What they do stands in one file, the journal. While a process owns it, the other commands speak to that process.",
    epilog=exits.HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="understudy")
def app() -> None:
    """The group."""


for command in (
    run,
    serve,
    submit,
    stop,
    inbox,
    approve,
    reject,
    answer,
    settle,
    grants,
    budget,
    breakers,
    parked,
    show,
    audit,
    runs,
    tree,
    stuck,
    replay,
    tools,
    journal,
):
    app.add_command(command)
