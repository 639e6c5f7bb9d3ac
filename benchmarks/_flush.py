"""A fixed delay in every flush, the same for the product and for the raw peer.

How long a flush takes is the disk's affair, and on a shared machine it moves by a factor of a hundred. So the durable rows are measured a
second time with 2 ms added where a flush happens:

* every commit of a SQLite connection: ``connect`` of the driver that the product uses (pysqlite3, or the standard
  library's) gives a connection that sleeps once after each statement that ended a transaction or changed something
  outside of one. The raw peer opens its file through the same function and so pays exactly the same;
* every ``os.fsync`` and ``os.fdatasync``: that is how the head, the journal's sidecar, is flushed. It hits only ours.

A sleep holds no lock of the interpreter, and neither does a flush. What is not delayed, on either side, is the flush that SQLite
makes by itself at a checkpoint. Both connections are wrapped in the run without delay too, so that the two runs differ in nothing else.

``Flushes.commits`` and ``Flushes.files`` count: a benchmark asserts that the delay really stood in the way.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any
from unittest.mock import patch

DELAY = 0.002
"""Seconds; a fair disk's flush."""


class Flushes:
    """How long a flush takes longer, and how many there were."""

    def __init__(self) -> None:
        self.delay = 0.0
        self.commits = 0
        self.files = 0

    def committed(self) -> None:
        """A transaction has reached the disk."""
        self.commits += 1
        if self.delay:
            time.sleep(self.delay)

    def flushing(self, flush: Callable[[int], None]) -> Callable[[int], None]:
        """One of the operating system's calls, with the delay before it."""

        def delayed(fd: int) -> None:
            self.files += 1
            if self.delay:
                time.sleep(self.delay)
            flush(fd)

        return delayed


class Delayed:
    """A connection of either driver that tells of its commits. All else is the connection's own."""

    def __init__(self, connection: Any, flushes: Flushes) -> None:
        self._connection, self._flushes = connection, flushes

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Any:
        """As the driver's."""
        return self._run(self._connection.execute, sql, parameters)

    def executemany(self, sql: str, parameters: Sequence[Any], /) -> Any:
        """As the driver's."""
        return self._run(self._connection.executemany, sql, parameters)

    def _run(self, call: Callable[[str, Any], Any], sql: str, parameters: Any) -> Any:
        connection = self._connection
        inside, changes = connection.in_transaction, connection.total_changes
        result = call(sql, parameters)
        if not connection.in_transaction and (
            (inside and not sql.startswith("ROLLBACK")) or connection.total_changes != changes
        ):
            self._flushes.committed()
        return result

    def __getattr__(self, name: str) -> Any:
        if name in ("commit", "cursor", "executescript"):  # ways past the counter, which nobody takes today
            raise AttributeError(f"{name}: teach benchmarks/_flush.py to see the commits of it first")
        return getattr(self._connection, name)


def driver() -> Any:
    """The module through which the product speaks to SQLite."""
    try:
        return import_module("pysqlite3.dbapi2")
    except ImportError:
        return import_module("sqlite3.dbapi2")


@contextmanager
def flushes() -> Generator[Flushes]:
    """Put the counter, and with it the delay, in the way of every flush of this process; out of it at the end."""
    found, dbapi = Flushes(), driver()
    connect = dbapi.connect

    def delayed(*args: Any, **kwargs: Any) -> Delayed:
        return Delayed(connect(*args, **kwargs), found)

    with (
        patch.object(dbapi, "connect", delayed),
        patch.object(os, "fsync", found.flushing(os.fsync)),
        patch.object(os, "fdatasync", found.flushing(getattr(os, "fdatasync", os.fsync)), create=True),
    ):
        yield found
