"""Text of others as people may read it: one line, in which nothing is hidden and nothing is an order to a terminal.

Whoever decides about a call must see what is there. Line breaks could forge lines of the display, control characters are orders to the
terminal, marks of direction let a text read as another one, and characters that take no room hide whatever stands between them.
"""

from __future__ import annotations

import unicodedata

_HIDDEN = frozenset(
    "\u00a0\u00ad\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"  # printable to Python, and nothing to see
    + "".join(map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)
_MARKS = 3
"""Combining marks on one letter; more only cover what stands around it."""


def visible(text: str) -> str:
    """The same text in one line, with all that does not show as itself written out: ``\\n``, ``\\x1b``, ``\\u202e``."""
    if text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    marks = 0
    for char in text:
        marks = marks + 1 if unicodedata.combining(char) else 0
        if not char.isprintable() or char in _HIDDEN or marks > _MARKS:
            shown.append(char.encode("unicode_escape", "surrogatepass").decode())
        else:
            shown.append(char)
    return "".join(shown)


def cut(text: str, most: int) -> str:
    """The beginning of a text, and how much more of it there is."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most:,} more characters)"
