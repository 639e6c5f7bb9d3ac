"""What a memory-only actor has read: kept in memory, as its state is, so that nothing loses its labels by going through one.

Most never read anything that has a label, and pay nothing: whoever has is given a ``Kind`` in which the quick way finds no handler, and is
looked at message by message. Labels come in with mail from durable actors and from outside, which goes the other way anyhow, and
from others that have them, who mark whom they write to.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import msgspec

from ..protocols.envelope import Context
from ..protocols.provenance import joined
from .ephemeral import Ephemeral, Post, Sent


def carry(cell: Ephemeral, post: Post) -> Post:
    """Mail under the labels of all that its actor has read, this included, which it has then."""
    more, context = cell.rare(), post[2] or Context(cell.address)
    carried = joined(more.read, context.provenance)
    if cell.kind.mount.actor.sticky:
        more.read = carried
        cell.kind = cell.kind.labelled()
    if carried is context.provenance:
        return post
    parts: Any = post
    return cast("Post", (*parts[:2], msgspec.structs.replace(context, provenance=carried), *parts[3:]))


def mark_all(out: Iterable[Sent]) -> None:
    """Those who are written to under labels are looked at message by message from now on."""
    for sent in out:
        if sent[2] is not None and sent[2].provenance is not None:
            sent[4].kind = sent[4].kind.labelled()
