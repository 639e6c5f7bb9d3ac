"""Standing approvals as people look at them and take them back."""

from __future__ import annotations

from collections.abc import Mapping

from ..protocols.books import Entry
from ..protocols.errors import UnknownItem
from ..protocols.grants import Grant, grants


def standing_of(books: Mapping[str, Entry], id: str) -> Grant:
    """One of them. Raises UnknownItem."""
    found = next((grant for grant in grants(books) if grant.id == id), None)
    if found is None:
        raise UnknownItem(
            f"no standing approval {id!r} is in force",
            hint="'understudy grants' lists them; one that was taken back is gone",
        )
    return found
