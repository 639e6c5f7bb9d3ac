"""``understudy audit``: what the gate said and did about every call of a run."""

from __future__ import annotations

from pathlib import Path

import click

from ...protocols.codec import NULL
from ...protocols.visible import cut, visible
from ..auditing import Audit, AuditedCall, AuditStep, audited
from ..causes import Causes
from ..inbox import call_text
from . import exits, options, source
from .looking import find_run

LONGEST = 1_000
"""Characters of a text that are printed; ``--json`` gives all of it."""


@click.command()
@click.argument("run", type=options.TEXT)
@options.journal
@options.as_json
def audit(run: str, journal: Path, as_json: bool) -> int:
    """Every call of a run, of its children and of whoever did something for them.

    What was wanted, what each check said, who approved it, attempts and outcome.
    """
    with source.looking(journal) as found:
        address = find_run(found, run, journal)
        causes = Causes(address, (line.address for line in found.actors(address)))
        while wanted := causes.wanted():
            causes.take([row for actor in wanted for row in found.stream(actor)])
        told = audited(causes)
    if as_json:
        options.emit(told)
    else:
        click.echo("\n".join(_lines(told)))
    return exits.DONE if told.complete else exits.FAILED


def _lines(told: Audit) -> list[str]:
    first = told.calls[0].at if told.calls else 0.0
    lines = [f"{visible(told.run)}: {len(told.calls)} calls"]
    for call in told.calls:
        lines += ["", *_call(call, first)]
    if told.erased:
        lines += ["", f"{told.erased} rows were erased by retention: what they said of calls is gone"]
    gaps = sum(bool(call.gaps) for call in told.calls)
    lines += ["", "complete" if told.complete else f"not complete: {gaps} calls with gaps, {told.erased} rows erased"]
    return lines


def _call(call: AuditedCall, first: float) -> list[str]:
    what = call_text(call.name, call.arguments) if call.verb == "call" else f"{visible(call.name)} is asked"
    key = f", key {call.key}" if call.key else ""
    how = ", simulated" if call.simulated else ""
    lines = [f"{call.id}  {visible(call.actor)}  {what}", f"    {call.verb}, {call.effect}{key}: {call.outcome}{how}"]
    lines += [f"  {step.at - first:9.3f}  {_said(step)}" for step in call.steps]
    if call.value != NULL:
        lines.append(f"             gave {_short(bytes(call.value).decode())}")
    lines += [f"             not known: {gap}" for gap in call.gaps]
    return lines


def _said(step: AuditStep) -> str:
    match step.what:
        case "verdict":
            return f"{step.check:<16} {step.verdict}" + (f": {_short(step.reason)}" if step.reason else "")
        case "asked":
            return f"asks {visible(step.by) or 'a person'}: {_short(step.reason)}"
        case "answered":
            why = f": {_short(step.reason)}" if step.reason else ""
            value = f" {_short(bytes(step.value).decode())}" if step.value != NULL else ""
            bound = f" (bound to {step.digest})" if step.digest else ""
            return f"{visible(step.by)} says {step.decision.replace('_', ' ')}{value}{bound}{why}"
        case "books":
            kept = ", ".join(f"{visible(e.key)} = {_short(bytes(e.value).decode())}" for e in step.books)
            return f"books {kept}"
        case "started":
            return f"attempt {step.attempt} starts"
        case "waits":
            return "waits for its time" if step.due is None else f"waits until {step.due:.3f}"
        case _:
            number = f"attempt {step.attempt} " if step.attempt else ""
            why = f": {_short(step.failure.message)} ({step.failure.code})" if step.failure is not None else ""
            return f"{number}{step.what.replace('_', ' ')}{why}"


def _short(text: str) -> str:
    return visible(cut(text, LONGEST))
