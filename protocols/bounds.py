"""Bounds of JSON that comes from elsewhere, checked over its bytes before it is decoded.

A decoder recurses: 200,000 brackets end in ``RecursionError``, or on a small stack in the end of the process. A million keys
hold the event loop for a second. So size, depth and number of members are bounded first, at every door, by work that runs
at the speed of C: counting where that is enough, and only where it is not taking strings out and adding brackets up.
"""

from __future__ import annotations

import re
from array import array
from itertools import accumulate

from msgspec import Raw

from .errors import TooComplex, TooLarge

MAX_DEPTH = 100
"""Arrays and objects inside each other."""

MAX_MEMBERS = 50_000
"""Members (``"key": value``) in one value, all its objects together. Decoding as many takes about 10 ms."""

SMALL = 2 * MAX_DEPTH
"""Bytes of JSON that cannot be beyond either bound: each level takes two, each member at least four."""

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
"""A text, or what begins as one and never ends: a decoder stops there, too. (Matching always, it never goes back: linear.)"""
_NO_BRACKET = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEP = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_SQUARE = bytes.maketrans(b"{}", b"[]")


def check(data: bytes | Raw, what: str, *, most: int) -> None:
    """See whether JSON may be decoded. Says nothing about whether it is JSON.

    Args:
        data: its bytes.
        what: what it is, for the message.
        most: bytes that it may have.

    Raises:
        TooLarge: it has more bytes.
        TooComplex: it is nested deeper than ``MAX_DEPTH``, or has more than ``MAX_MEMBERS`` members.
    """
    if len(data) <= SMALL:
        return
    text = bytes(data)
    if len(text) > most:
        hint = "keep large values elsewhere and send their names"
        raise TooLarge(f"{what} is {len(text):,} bytes, more than {most:,}", hint=hint)
    deep = text.count(b"[") + text.count(b"{") > MAX_DEPTH
    many = min(text.count(b":"), text.count(b'"') // 2) > MAX_MEMBERS
    if not deep and not many:
        return
    bare = _STRING.sub(b"", text)
    if deep and _is_deep(bare.translate(None, _NO_BRACKET)):
        hint = "flatten it, or send the inner part as a text"
        raise TooComplex(f"{what} is nested deeper than {MAX_DEPTH} levels", hint=hint)
    if many and (members := bare.count(b":")) > MAX_MEMBERS:
        hint = "send it in parts, or keep it elsewhere and send its name"
        raise TooComplex(f"{what} has {members:,} members, more than {MAX_MEMBERS:,}", hint=hint)


def _is_deep(brackets: bytes) -> bool:
    plain = brackets.translate(_SQUARE)
    for _ in range(3):  # most of what is large is wide: pairs with nothing in them are no level for what is around them
        if b"[" * (MAX_DEPTH + 1) in plain:
            return True
        plain = plain.replace(b"[]", b"")
    left = MAX_DEPTH - 3  # three levels were taken off what is left
    return any(depth > left for depth in accumulate(array("b", plain.translate(_STEP))))
