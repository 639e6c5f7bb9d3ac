"""Measuring in a fresh process: what a process weighs depends on all that it did before."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

_PROGRAM = """
import importlib, json, sys, anyio
module, function, args = sys.argv[1:]
print(json.dumps(anyio.run(getattr(importlib.import_module(module), function), *json.loads(args))))
"""


def elsewhere(call: Callable[..., Awaitable[Any]], *args: str | float | None) -> Any:
    """Run a benchmark's async function in a process of its own; returns what it returned, by way of JSON."""
    path = Path(call.__code__.co_filename)  # pyright: ignore[reportFunctionMemberAccess]
    command = [sys.executable, "-c", _PROGRAM, path.stem, call.__name__, json.dumps(args)]
    done = subprocess.run(command, cwd=path.parent, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def resident() -> int:
    """Bytes of this process that are in memory, by the operating system's own count."""
    gc.collect()
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except FileNotFoundError:  # no Linux
        command = ["ps", "-o", "rss=", "-p", str(os.getpid())]
        return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout) * 1024
