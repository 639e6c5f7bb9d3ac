"""A log that a dead process left is written once more before anything is built on it.

A flush that failed is not made good by the next one: Linux takes the pages for written (https://lwn.net/Articles/752063/).
A process that dies after such a failure leaves frames in the page cache that are whole to every reader and never reach the
medium. SQLite would recover them, append behind them, and lose it all in a power cut, or copy half of them into the
database. So the same bytes are written again, which makes them dirty, and flushed, which takes them to the medium or says
that it cannot. Nobody locks the log itself, so opening it does no harm to SQLite's locks.
"""

from __future__ import annotations

import os
from pathlib import Path

from .head import OpenHead

_CHUNK = 1 << 20


def reflush(log: Path, open_file: OpenHead) -> None:
    """Write a log's bytes again and flush them; nothing where there is none. Called by the owner, before it connects.

    Raises:
        OSError: the medium does not take them.
    """
    try:
        source = os.open(log, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        if not os.fstat(source).st_size:
            return
        file = open_file(log)
        try:
            at = 0
            while data := os.pread(source, _CHUNK, at):
                file.write(data, at)
                at += len(data)
            file.sync()
        finally:
            file.close()
    finally:
        os.close(source)
