"""Calls that are alike but for a counter in a text: ``read("part 1")``, ``read("part 2")`` and so on, one after the other; or but for
spaces and the marks at the end of a sentence.

Numbers that stand by themselves (``17``, also as a text, and ``2026-11-21``) are what calls are about, such as order numbers, and make
another call of it.
"""

from __future__ import annotations

import re
from typing import Any, cast

import msgspec
from msgspec import Raw

from .codec import canonical, digest

_NUMBERS = re.compile(r"\d+")
_LETTER = re.compile(r"[^\W\d_]")
_SPACES = re.compile(r"\s+")
_ENDS = " .!?…"
_HEX = re.compile(r"[0-9a-f]{4,}", re.IGNORECASE)

_COUNTS = re.compile(r"\d|\s\s|[.!?… ]\"|[.!?]{2}|\\[nrt]")
"""A digit, or spaces and marks that may be what differs: where there are none, nothing has to be decoded. Every part of it looks at two
characters at most, so that a long text takes no longer than it is long."""

_MAY = re.compile(r"\d|\s\s|[^\S ]|^\s|[\s.!?…]$")
"""What a text has of which ``_plain`` may take something away."""

LONGEST = 20_000
"""Bytes of arguments that are looked at."""


def shape_of(name: str, args: Raw) -> str:
    """Digest of a call without the numbers inside of its texts, and without what ends them; empty where it has no such text."""
    given = bytes(args)
    if len(given) > LONGEST or _COUNTS.search(given.decode(errors="replace")) is None:
        return ""
    try:
        values: Any = msgspec.json.decode(given)  # JSON of any form
    except (msgspec.DecodeError, RecursionError):
        return ""
    if isinstance(values, dict) and not any(map(_matters, cast("dict[str, object]", values).values())):
        return ""
    bare = _bare(values)
    return digest(name, canonical(bare))[:16] if bare != values else ""


def _matters(value: object) -> bool:
    """Whether a value may have anything to leave away; most have not."""
    if isinstance(value, str):
        return _MAY.search(value) is not None
    return isinstance(value, (list, dict))


def _bare(value: Any) -> Any:  # JSON of any form
    if isinstance(value, str):
        return _plain(value) if _LETTER.search(value) is not None else value
    if isinstance(value, list):
        return [_bare(one) for one in cast("list[object]", value)]
    if isinstance(value, dict):
        return {key: _bare(one) for key, one in cast("dict[str, object]", value).items()}
    return value


def _plain(text: str) -> str:
    """Without numbers (in hexadecimal too, as ids are), spaces that are too many, and what ends it."""
    text = _HEX.sub(lambda found: "#" if any(c.isdigit() for c in found[0]) else found[0], text)
    return _SPACES.sub(" ", _NUMBERS.sub("#", text)).strip().rstrip(_ENDS)
