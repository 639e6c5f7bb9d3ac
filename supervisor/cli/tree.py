"""``understudy tree``: who keeps whom going, and how all of them stand."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

from ...actors.registry import Directory
from ..journal.reader import JournalReader, read_only
from ..journal.reading import reading
from ..run import DEFAULT_JOURNAL
from ..supervision.decisions import decisions
from ..supervision.overview import IDLE, TreeNode, overview
from ..target import load
from . import exits, options, source
from .plain import line as one_line
from .plain import plain

LINE = 1_000
"""Characters of a decision that are shown."""

_TONES = {"running": "green", "waiting": "yellow", "starting": "yellow", "stopping": "yellow", "restarting": "yellow",
          "given_up": "red"}  # fmt: skip


@click.command()
@click.argument("what", required=False, default="", type=options.TEXT, metavar="[TARGET|JOURNAL]")
@options.journal
@click.option("--all", "everybody", is_flag=True, help="Also every idle run and actor at a template.")
@click.option("--watch", is_flag=True, help="Show it again and again, until it is interrupted.")
@click.option("--every", type=options.SECONDS, default=1.0, show_default=True, help="With --watch: seconds in between.")
@click.option(
    "--decisions", "decided", is_flag=True, help="What supervisors decided, one line each, instead of the tree."
)
@options.as_json
def tree(what: str, journal: Path, everybody: bool, watch: bool, every: float, decided: bool, as_json: bool) -> int:
    """The tree of supervisors and how each actor stands: state, restarts in the window, mailbox, what it does, oldest message.

    TARGET (module:name) also names what has not begun yet, and who keeps which run going; the journal alone is enough for the rest.
    """
    directory: Directory | None = None
    if ":" in what and not Path(what).exists():
        directory = load(what).tree().directory
    elif what:
        if str(journal) != DEFAULT_JOURNAL:
            raise click.UsageError("a journal was named twice")
        journal = Path(what)
    if decided and watch:
        raise click.UsageError("say --decisions or --watch, not both")
    source.must_exist(journal)
    with read_only(journal) as reader, reading(f"something in {journal}"):
        source.warn(reader)
        if decided:
            return _decisions(reader, as_json=as_json)
        while True:
            found = _look(reader, directory, everybody=everybody)
            if as_json:
                options.emit(found)
            else:
                if watch and sys.stdout.isatty():
                    click.clear()
                for line in drawn(found):
                    click.echo(line)
            if not watch:
                return exits.DONE
            sys.stdout.flush()
            time.sleep(every)


def _decisions(reader: JournalReader, *, as_json: bool) -> int:
    supervisors = [line.address for line in reader.actors() if "/" not in line.address]
    found = decisions(row for address in supervisors for row in reader.stream(address))
    if as_json:
        options.emit(found)
        return exits.DONE
    for line in found:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(line.at))
        click.echo(f"{at}  {plain(line.by)}  {one_line(line.text, LINE)}")
    if not found:
        click.echo("No supervisor had anything to decide.")
    return exits.DONE


def _look(reader: JournalReader, directory: Directory | None, *, everybody: bool) -> TreeNode:
    idle = sys.maxsize if everybody else IDLE
    return overview(reader.actors(), reader.stream, reader.mail(), reader.effects(), time.time(), directory, idle=idle)


def drawn(node: TreeNode, lead: str = "", below: str = "") -> Iterator[str]:
    """The tree as lines of text."""
    status = click.style(node.status.replace("_", " "), fg=_TONES.get(node.status))
    words = [f"{lead}{plain(node.address)}", status, *_facts(node)]
    yield "  ".join(words)
    last = len(node.children) - 1
    for number, child in enumerate(node.children):
        ends = number == last and not node.idle
        yield from drawn(child, below + ("└─ " if ends else "├─ "), below + ("   " if ends else "│  "))
    if node.idle:
        yield f"{below}└─ {node.idle:,} more that are idle (--all shows them)"


def _facts(node: TreeNode) -> Iterator[str]:
    if node.kind in ("supervisor", "member"):
        yield node.kind
    if node.incarnation:
        yield f"incarnation {node.incarnation}"
    if node.limit is not None and (node.restarts or node.kind == "supervisor"):
        yield f"restarts {node.restarts}/{node.limit.max_restarts} in {node.limit.within:g} s"
    if node.doing:
        yield f"in the middle of: {plain(node.doing)}"
    if node.due is not None:
        yield f"restarted in {node.due:.1f} s"
    if node.mailbox:
        waits = "" if node.oldest is None else f", oldest {node.oldest:.0f} s"
        yield f"mailbox {node.mailbox}{waits}"
    if node.step:
        yield one_line(node.step, 200)
    if node.failure:
        yield click.style(one_line(node.failure, 200), fg="red")
