"""Bounds of what a server may send: the SDK decodes each line of a stream, and each body of an error, whole and in the loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from ...protocols.errors import TooLarge
from ...protocols.journal import MAX_MESSAGE

MAX_BYTES = 16_000_000
"""Bytes of one response, framing included."""


async def bounded(response: Any) -> None:  # of the SDK's own HTTP client, which is imported late
    """A response hook: what comes is counted on its way, and ends in TooLarge where it is more than may be decoded."""
    from httpx2 import AsyncByteStream

    class Bounded(AsyncByteStream):
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for piece in counted(self._inner):
                yield piece

        async def aclose(self) -> None:
            await self._inner.aclose()

    response.stream = Bounded(response.stream)


async def counted(
    pieces: AsyncIterator[bytes], line: int = MAX_MESSAGE, total: int = MAX_BYTES
) -> AsyncIterator[bytes]:
    """The same pieces. Raises TooLarge at the one that makes a line, or all of it, longer than it may be."""
    came = open_line = 0
    async for piece in pieces:
        came += len(piece)
        first, last = piece.find(b"\n"), piece.rfind(b"\n")
        longest = max(open_line + (first if first >= 0 else len(piece)), last - first)
        open_line = len(piece) - last - 1 if last >= 0 else open_line + len(piece)
        if longest > line or came > total:
            raise TooLarge(f"the server sent more than may be decoded: {max(longest, came):,} bytes")
        yield piece
