"""Bounds of what a server may send: the SDK decodes each event of a stream, and each body of an error, whole and in the loop."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

from ...protocols.errors import TooLarge
from ...protocols.journal import MAX_MESSAGE

MAX_BYTES = 16_000_000
"""Bytes of one response, framing included."""

MAX_LINES = 500_000
"""Lines of one response: an empty one costs as much as any."""

# Not a line: the lines of one event are joined before they are decoded.
_BLANK_LINE = re.compile(rb"\n\r?\n")
_LAST_BLANK_LINE = re.compile(rb"(?s:.*)\n\r?\n")
_CUT = 2
"""Bytes of a blank line that may have come with the piece before."""


async def bounded(response: Any) -> None:  # of the SDK's own HTTP client, which is imported late
    """A response hook: what comes is counted on its way, and ends in TooLarge where it is more than may be decoded."""
    from httpx2 import AsyncByteStream

    class Bounded(AsyncByteStream):
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        async def __aiter__(self) -> AsyncIterator[bytes]:
            if packed not in ("", "identity"):  # which was not asked for: a small piece of it becomes one of any size
                raise TooLarge(f"the server sent its answer compressed ({packed[:40]}); nobody knows how much that is")
            async for piece in counted(self._inner, total=MAX_BYTES if response.is_success else MAX_MESSAGE):
                yield piece

        async def aclose(self) -> None:
            await self._inner.aclose()

    packed = response.headers.get("content-encoding", "").strip().lower()
    response.stream = Bounded(response.stream)


async def counted(
    pieces: AsyncIterator[bytes], event: int = MAX_MESSAGE, total: int = MAX_BYTES
) -> AsyncIterator[bytes]:
    """The same pieces. Raises TooLarge at the one that makes an event (what stands between two blank lines), or all of it,
    longer than it may be, or the lines too many."""
    came = lines = open_event = 0
    end = b""
    async for piece in pieces:
        came += len(piece)
        lines += piece.count(b"\n")
        seen = end + piece
        before = open_event - len(end)
        first = _BLANK_LINE.search(seen)
        if first is None:
            longest = open_event = before + len(seen)
        else:
            last = _LAST_BLANK_LINE.match(seen)
            assert last is not None
            # Several events in one piece are taken for one: a piece is small.
            longest = max(before + first.start(), last.end() - first.end())
            open_event = len(seen) - last.end()
            longest = max(longest, open_event)
        if longest > event or came > total or lines > MAX_LINES:
            raise TooLarge(f"the server sent more than may be decoded: {came:,} bytes, {lines:,} lines")
        end = seen[-_CUT:] if open_event >= _CUT else seen[len(seen) - open_event :]
        yield piece
