"""Text of others (models, tools, strangers, people) as a terminal may have it: nothing of it is taken for an order.

Whatever a command prints for people goes through here, the names of runs and people, too: ESC and its like begin orders to the
terminal, and marks of direction let a text read as another one.
"""

from __future__ import annotations

import unicodedata

import click

_ORDERS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_HARMLESS = frozenset("\n\t\u200c\u200d")
"""Line, tab, and the two joiners that some scripts and pictures need."""

_C1 = {code: f"\\u{code:04x}" for code in range(0x80, 0xA0)}
"""Controls that JSON lets stand as they are."""


def plain(text: str) -> str:
    """The same text, with control characters and marks of direction written out (``\\x1b``)."""
    if text.isprintable():
        return text
    return "".join(
        char
        if char.isprintable() or char in _HARMLESS or unicodedata.category(char) not in _ORDERS
        else char.encode("unicode_escape").decode()
        for char in text
    )


def line(text: str, most: int) -> str:
    """The same in one line, cut off where it is too long."""
    one = plain(" ".join(text.split()))
    return one if len(one) <= most else one[: most - 1] + "…"


def plain_json(text: str) -> str:
    """JSON without controls; the same value."""
    return text if text.isascii() else text.translate(_C1)


def echo(text: str, *, err: bool = False) -> None:
    """Print a text that may hold others' words."""
    click.echo(plain(text), err=err)
