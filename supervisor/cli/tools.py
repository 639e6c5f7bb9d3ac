"""``understudy tools check``: what the tools of a team or a module do not say of themselves."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from ...tools.lint import lint
from ...tools.tool import Tool
from ..target import tools_of
from . import exits, options
from .plain import echo


@click.group()
def tools() -> None:
    """Tools, and what they say of themselves."""


@tools.command()
@click.argument("target", type=options.TEXT)
@options.as_json
def check(target: str, as_json: bool) -> int:
    """What the tools of TARGET do not say: a team, a tool (module:name), or all tools of a module.

    Each finding names the tool, what is missing, what follows from it, and what to write. Exit code 1 where something is missing, 0
    where there is at most advice.
    """
    found: list[Tool[..., Any]] = tools_of(target)
    findings = [finding for tool in found for finding in lint(tool)]
    missing = [finding for finding in findings if finding.level == "missing"]
    if as_json:
        names = [tool.spec.name for tool in found]
        options.emit({"tools": names, "findings": [msgspec.structs.asdict(finding) for finding in findings]})
        return exits.FAILED if missing else exits.DONE
    for finding in findings:
        echo(f"{finding.tool}: {finding.field} ({finding.level}): {finding.why}\n    {finding.fix}")
    advice = len(findings) - len(missing)
    echo(f"{len(found)} tool{'s' * (len(found) != 1)}: {len(missing)} missing, {advice} advice.")
    return exits.FAILED if missing else exits.DONE
