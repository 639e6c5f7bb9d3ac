"""How people answer an escalation: one command with a way for each answer, and what is shown before."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import click
from msgspec import Raw

from ...protocols.codec import NULL
from ...protocols.decisions import Decision
from . import options
from .people import give_answers, typed


@click.command()
@click.argument("id", type=options.TEXT)
@click.argument("value", type=options.TEXT, required=False, default="")
@click.option("--retry", is_flag=True, help="The same again.")
@click.option("--change", default="", type=options.TEXT, metavar="JSON", help="Again, with another task or content.")
@click.option(
    "--edit", "file", type=click.File("rb"), metavar="FILE", help="The same, from a file; - is standard input."
)
@click.option("--skip", is_flag=True, help="Go on without the message that failed; it is dropped.")
@click.option("--replace", default="", type=options.TEXT, metavar="NAME", help="Another worker does it.")
@click.option("--result", default="", type=options.TEXT, metavar="JSON", help="This is what was asked for.")
@click.option("--stop", is_flag=True, help="Give it up; needs a reason.")
@click.option("--reason", default="", type=options.TEXT, help="Why; kept in the journal.")
@options.by
@options.journal
@options.as_json
def answer(
    id: str, value: str, retry: bool, change: str, file: BinaryIO | None, skip: bool, replace: str, result: str, stop: bool,
    reason: str, by: str, journal: Path, as_json: bool,
) -> int:  # fmt: skip
    """Answer an escalation. VALUE alone is the name of a worker, or the result itself (JSON, or plain text)."""
    ways: list[tuple[bool, Decision, Raw]] = [
        (bool(value), "answer", _raw(value)),
        (retry, "retry", NULL),
        (bool(change), "change", _raw(change)),
        (file is not None, "change", typed(file.read()) if file is not None else NULL),
        (skip, "skip", NULL),
        (bool(replace), "replace", typed(replace.encode(), text=True) if replace else NULL),
        (bool(result), "result", _raw(result)),
        (stop, "stop", NULL),
    ]
    said: list[tuple[Decision, Raw]] = [(decision, given) for wanted, decision, given in ways if wanted]
    if len(said) != 1:
        raise click.UsageError(
            "say one of VALUE, --retry, --change, --edit, --skip, --replace, --result and --stop, and only one"
        )
    if stop and not reason:
        raise click.UsageError("--stop needs --reason: it is told to whoever is stopped, and kept")
    return give_answers((id,), said[0][0], reason, by, journal, as_json, said[0][1])


def _raw(text: str) -> Raw:
    return typed(text.encode("utf-8", "surrogatepass")) if text else NULL
