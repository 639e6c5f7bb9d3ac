"""Options that several commands take."""

from __future__ import annotations

import getpass
import math
import os
from pathlib import Path
from typing import Any

import click
import msgspec
from click.core import ParameterSource

from ..run import DEFAULT_JOURNAL
from .plain import plain_json


class _Text(click.types.StringParamType):
    """A text: something that can be written as UTF-8."""

    name = "text"

    def __init__(self, what: str = "") -> None:
        self._what = what
        """How it is called, where it must not be empty."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what is none."""
        text = str(value)
        try:
            text.encode()
        except UnicodeEncodeError:
            self.fail(f"{text.encode(errors='backslashreplace').decode()} is no text: it must be UTF-8", param, ctx)
        if self._what and not text.strip():
            self.fail(f"{self._what} is empty", param, ctx)
        return text


class _Seconds(click.FloatRange):
    """A time to wait: a number, and no more than a year."""

    def __init__(self) -> None:
        super().__init__(min=0, max=366 * 86_400)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse what is no number."""
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is no number of seconds", param, ctx)
        return seconds


class _File(click.Path):
    """The path of a file whose name can be written as UTF-8: it stands in messages, in JSON and in SQLite's own name of it."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse what has none."""
        name = os.fsdecode(value)
        try:
            name.encode()
        except UnicodeEncodeError:
            shown = name.encode(errors="backslashreplace").decode()
            self.fail(f"the file name {shown} is not UTF-8: rename the file or its folder", param, ctx)
        return super().convert(value, param, ctx)


class _Days(click.FloatRange):
    """A number of days."""

    def __init__(self) -> None:
        super().__init__(min=0)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse what is no number, and no end."""
        days = super().convert(value, param, ctx)
        if not math.isfinite(days):
            self.fail(f"{value!r} is no number of days", param, ctx)
        return days


FILE = _File()
TEXT, NAME, SECONDS, DAYS = _Text(), _Text("the id"), _Seconds(), _Days()

journal = click.option(
    "--journal", "-j", default=DEFAULT_JOURNAL, show_default=True, metavar="FILE", help="The journal.",
    type=FILE,
)  # fmt: skip
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
by = click.option("--by", default="", type=TEXT, metavar="NAME", help="Who answers; your login name by default.")
model = click.option(
    "--model",
    default="",
    metavar="PROVIDER:NAME",
    help="A model in the place of every agent's, such as openai:gpt-5-mini.",
)
shadow = click.option(
    "--shadow", is_flag=True, help="Calls that do more than look are simulated, not made (Tool.simulate)."
)
drain = click.option(
    "--drain", default=10.0, show_default=True, metavar="SECONDS", help="For calls under way to end, when it is stopped.",
    type=SECONDS,
)  # fmt: skip
to = click.option(
    "--to", default="", type=TEXT, metavar="NAME", help="Who in TARGET gets the tasks, where it is a system of several."
)


def journal_of(own: Path | None, said: Path) -> Path:
    """The journal to work on: what was said after ``--journal``, else the system's own, else the default."""
    return said if own is None or _was_said("journal") else own


def drain_of(said: float) -> float | None:
    """What was said after ``--drain``; None where nothing was."""
    return said if _was_said("drain") else None


def _was_said(name: str) -> bool:
    return click.get_current_context().get_parameter_source(name) is not ParameterSource.DEFAULT


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
    click.echo(plain_json(msgspec.json.format(msgspec.json.encode(value), indent=2).decode()))
