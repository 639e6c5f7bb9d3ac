"""``understudy budget``: what may be spent, what is spent, what is reserved for calls under way, on each account that the journal knows."""

from __future__ import annotations

from pathlib import Path

import click
from msgspec import Struct

from ...protocols.budget import NANO, Account, Hold, dollars
from ...protocols.codec import decode
from ...protocols.visible import visible
from ..journal.reader import read_only
from ..journal.reading import reading
from . import exits, options, source
from .paint_people import clock

HELD = "budget/held/"


class Line(Struct, frozen=True, omit_defaults=True):
    """One account.

    Attributes:
        account: whose: ``run/<address>`` (``#task``: brought by the task), or ``user/day/<tenant>/<user>`` and the like.
        began: when it was first drawn on; of a window, when it began that was drawn on last.
        usd, tokens: spent.
        reserved_usd, reserved_tokens: for calls under way.
        limit_usd, limit_tokens, seconds: what may be; null for no limit.
        raised: how often a person let it spend as much again.
    """

    account: str
    began: float
    usd: float
    tokens: int
    reserved_usd: float
    reserved_tokens: int
    limit_usd: float | None
    limit_tokens: int | None
    seconds: float | None
    raised: int


class Spent(Struct, frozen=True):
    """All of them, and the calls for which something is reserved, by effect."""

    accounts: tuple[Line, ...]
    held: dict[str, tuple[str, ...]]


@click.command()
@options.journal
@options.as_json
def budget(journal: Path, as_json: bool) -> int:
    """Budgets and windows: what is spent, reserved and left of what may be."""
    source.must_exist(journal)
    accounts: list[Line] = []
    held: dict[str, tuple[str, ...]] = {}
    with read_only(journal) as reader, reading(f"the books of {journal}"):
        source.warn(reader)
        for entry in reader.books():
            if entry.key.startswith(HELD):
                hold: Hold = decode(entry.value, Hold)
                held[entry.key.removeprefix(HELD)] = tuple(key.removeprefix("budget/") for key in hold.accounts)
            elif entry.key.startswith("budget/"):
                accounts.append(_line(entry.key.removeprefix("budget/"), decode(entry.value, Account)))
    if as_json:
        options.emit(Spent(tuple(accounts), held))
    else:
        click.echo("\n".join(map(_shown, accounts)) or "Nothing has been spent under a budget.")
    return exits.DONE


def _line(name: str, a: Account) -> Line:
    return Line(
        name, a.began, a.usd / NANO, a.tokens, a.held_usd / NANO, a.held_tokens,
        None if a.limit_usd is None else a.limit_usd / NANO, a.limit_tokens, a.seconds, a.raised,
    )  # fmt: skip


def _shown(line: Line) -> str:
    parts: list[str] = []
    if line.limit_usd is not None:
        held = f" (+{_usd(line.reserved_usd)} reserved)" if line.reserved_usd else ""
        parts.append(f"{_usd(line.usd)}{held} of {_usd(line.limit_usd)}")
    if line.limit_tokens is not None:
        held = f" (+{line.reserved_tokens:,} reserved)" if line.reserved_tokens else ""
        parts.append(f"{line.tokens:,}{held} of {line.limit_tokens:,} tokens")
    if line.seconds is not None:
        parts.append(f"{line.seconds:g} s")
    since = f" since {clock(line.began)}" if line.began else ""
    raised = f", raised {line.raised} times" if line.raised else ""
    return f"{visible(line.account)}  {', '.join(parts) or 'no limit any more'}{since}{raised}"


def _usd(amount: float) -> str:
    return dollars(round(amount * NANO))
