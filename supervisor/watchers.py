"""Watching a run: committed rows as they come, and provisional text of its models."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import msgspec
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from ..protocols.effects import CALL, Effect
from ..protocols.ids import Address
from ..protocols.journal import Row

BUFFER = 10_000
"""Things a watcher may be behind; one that does not read is cut off, never waited for."""


class Delta(msgspec.Struct, frozen=True):
    """A piece of a model's text as it arrives, or what a tool said of its progress with a heartbeat: provisional, never journaled, may be
    lost. ``tool``: its name; empty for a model's text."""

    actor: Address
    text: str
    tool: str = ""


class Watchers:
    """Everybody who watches one system."""

    def __init__(self) -> None:
        self._streams: list[tuple[str, MemoryObjectSendStream[Row | Delta]]] = []

    @asynccontextmanager
    async def watch(self, run: str) -> AsyncGenerator[MemoryObjectReceiveStream[Row | Delta]]:
        """Everything from now on of one run; of all, for an empty address."""
        send, receive = anyio.create_memory_object_stream[Row | Delta](BUFFER)
        entry = (run, send)
        self._streams.append(entry)
        try:
            yield receive
        finally:
            self._streams.remove(entry)
            send.close()
            receive.close()

    def rows(self, rows: tuple[Row, ...]) -> None:
        """Rows were committed."""
        if not self._streams:
            return
        for row in rows:
            self._show(row.stream, row)

    def delta(self, effect: Effect, text: str) -> None:
        """A model said something, or a tool did."""
        self._show(effect.stream, Delta(effect.stream, text, effect.name if effect.verb == CALL else ""))

    def _show(self, address: Address, thing: Row | Delta) -> None:
        for run, stream in self._streams:
            if not run or address == run or address.startswith(run + "/"):
                _offer(stream, thing)


def _offer(stream: MemoryObjectSendStream[Row | Delta], thing: Row | Delta) -> None:
    try:
        stream.send_nowait(thing)
    except anyio.WouldBlock:
        stream.close()  # a watcher that does not read is cut off, never waited for
