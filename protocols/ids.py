"""Names of things: addresses of actors, ids of rows, messages and effects.

An *address* is a path of segments such as ``desk/accounts/ada``. A *template* is an address in which a segment may
be a hole, ``desk/accounts/{key}``; a definition is mounted at a template and owns every address that fits it.

An *item id* is ``"<gid>.<ordinal>"``: the row that made the item and its place in that row. Nothing uncommitted
leaves the process, so a gid that is given out again after a lost commit names nothing that anybody has seen.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import NewType, cast

Address = NewType("Address", str)
ItemId = NewType("ItemId", str)

OUTSIDE = Address("")
"""The address of whoever is not an actor: a caller of ``System.ask``, the command line."""

SYSTEM = Address("system")
"""The stream of the journal's own rows (who took it over, and when)."""

_SEGMENT = re.compile(
    r"[^/{}\s\x00-\x1f\ud800-\udfff]{1,200}\Z"
)  # half a surrogate pair is no text: no file can hold it
LONGEST_KEY = 1_000
"""Characters of a caller's id or key."""

_HOLE = re.compile(r"\{[a-z_]+\}\Z")


def item_id(gid: int, ordinal: int) -> ItemId:
    """The id of the ordinal-th item made by row ``gid``."""
    return cast("ItemId", f"{gid}.{ordinal}")  # calling a NewType is a Python call, and every message has an id


def address(text: str) -> Address:
    """Check an address.

    Raises:
        ValueError: a segment is empty, longer than 200 characters, or holds white space, one of ``/{}`` or a lone surrogate.
        TypeError: it is no text.
    """
    return _checked(text)


def check_template(text: str) -> str:
    """Check a template and give it back. Raises as ``address`` does, and ValueError where two holes have one name."""
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is not a template: a template is text, such as 'accounts/{{key}}'")
    holes: set[str] = set()
    for segment in text.split("/"):
        if not _HOLE.match(segment):
            address(segment)
        elif segment in holes:
            raise ValueError(
                f"{text!r} is not a template: two of its holes are named {segment}; give each its own name"
            )
        else:
            holes.add(segment)
    return text


@lru_cache(maxsize=16_384)  # every message names one, mostly one of a few: 0.1 us instead of 0.9
def _checked(text: str) -> Address:
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is not an address: an address is text, such as 'accounts/ada'")
    for segment in text.split("/"):
        if not _SEGMENT.match(segment):
            raise ValueError(
                f"{text!r} is not an address: segment {segment!r} must be 1 to 200 characters of text without white space, "
                "'/', '{' or '}'"
            )
    return Address(text)


def fits(template: str, addr: str) -> bool:
    """Whether an address fits a template, segment by segment."""
    mine, theirs = template.split("/"), addr.split("/")
    return len(mine) == len(theirs) and all(bool(_HOLE.match(m)) or m == t for m, t in zip(mine, theirs, strict=True))


def key(text: str) -> str:
    """Check a caller's id or key. Raises ValueError for one that cannot be stored (a lone surrogate), TypeError for one that is no text."""
    if not isinstance(text, str):
        raise TypeError(f"{text!r} cannot be an id or a key: give text")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{text!r} cannot be an id: {error.reason}") from error
    if len(text) > LONGEST_KEY:
        raise ValueError(f"{text[:40]!r}… cannot be an id: it has {len(text):,} characters, more than {LONGEST_KEY:,}")
    return text


def segment(text: str) -> str:
    """A caller's id as one segment of an address. What may not stand there becomes ``-``, with a digest so that two ids stay two."""
    if _SEGMENT.match(text):
        return text
    short = re.sub(r"[/{}\s\x00-\x1f\ud800-\udfff]+", "-", text).strip("-")[:100]
    mark = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{short}-{mark}" if short else mark
