"""Calls that are alike but for a counter in a text: ``read("part 1")``, ``read("part 2")`` and so on, one after the other.

Numbers that stand by themselves (``17``, also as a text) are what calls are about, such as order numbers, and make another call of it.
"""

from __future__ import annotations

import re
from typing import Any, cast

import msgspec
from msgspec import Raw

from .codec import canonical, digest

_DIGITS = re.compile(r"\d+")
_IN_TEXT = re.compile(r"[^\W\d][^\"]*\d|\d[^\"]*[^\W\d]")
"""A digit and a letter between two quotes: where there are none, nothing has to be decoded."""

LONGEST = 20_000
"""Bytes of arguments that are looked at."""


def shape_of(name: str, args: Raw) -> str:
    """Digest of a call without the numbers inside of its texts; empty where no text of it holds a number beside other things."""
    given = bytes(args)
    if len(given) > LONGEST or _IN_TEXT.search(given.decode(errors="replace")) is None:
        return ""
    try:
        values: Any = msgspec.json.decode(given)  # JSON of any form
    except (msgspec.DecodeError, RecursionError):
        return ""
    bare = _bare(values)
    return digest(name, canonical(bare))[:16] if bare != values else ""


def _bare(value: Any) -> Any:  # JSON of any form
    if isinstance(value, str):
        return value if value.strip().isdigit() else _DIGITS.sub("#", value)
    if isinstance(value, list):
        return [_bare(one) for one in cast("list[object]", value)]
    if isinstance(value, dict):
        return {key: _bare(one) for key, one in cast("dict[str, object]", value).items()}
    return value
