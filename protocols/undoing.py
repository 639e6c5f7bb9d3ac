"""What undoes the calls of a plan that is given up: what stands in a message about each of them, and what became of it."""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct

from .codec import NULL
from .ids import Address
from .messages import Message

UNDO = "undo"
"""The last segment of the address of whoever undoes the calls of a plan: ``<team>/<run>/undo``."""


class Undone(Struct, frozen=True, omit_defaults=True):
    """What became of a call that was to be undone.

    Attributes:
        call: the tool that was called.
        of: id of that call in the journal.
        by: address of whoever called it.
        status: ``undone``, or ``left`` as it is, because somebody said so.
        tool: the tool that undoes it.
        reason: why it was left; one line.
    """

    call: str
    of: str
    by: Address
    status: Literal["undone", "left"]
    tool: str = ""
    reason: str = ""


class Undoable(Message, wire="us.undoable", omit_defaults=True):
    """A call was made for a plan, and has happened; this is how it is undone.

    Attributes:
        of: id of the call.
        by: address of whoever made it.
        call: the tool that was called.
        tool, version: the tool that undoes it.
        args: what that is called with, as JSON.
        why: why it cannot be called with anything (what it takes is not known, or is too large): a person is asked; empty where it can.
    """

    of: str
    by: Address
    call: str
    tool: str
    version: str = ""
    args: Raw = NULL
    why: str = ""
