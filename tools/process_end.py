"""How a process of ours ends: with its whole group, and on Linux with what left its group, and reaped."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Generator
from pathlib import Path

GRACE = 0.5
"""Seconds between SIGTERM and SIGKILL, where a call did not end by itself."""

MARK = "UNDERSTUDY_CALL"
"""Environment variable by which all processes of a call are known."""


@contextlib.contextmanager
def exit_of(pid: int) -> Generator[int | None]:
    """Something to wait for until a process ends; None where there is no such thing (not Linux): then it is asked now and then."""
    try:
        file = os.pidfd_open(pid)
    except (AttributeError, OSError):
        yield None
        return
    try:
        yield file
    finally:
        os.close(file)


def end(process: subprocess.Popen[bytes], mark: str, *, at_once: bool) -> None:
    """Kill what is left of a call and reap its process. Until it is reaped its group's number belongs to nobody else."""
    if not at_once and process.returncode is None:
        _signal(process.pid, signal.SIGTERM)
        until = time.monotonic() + GRACE
        while not _zombie(process.pid) and time.monotonic() < until:
            time.sleep(0.005)
    _signal(process.pid, signal.SIGKILL)
    process.wait()
    _sweep(mark)


def _zombie(pid: int) -> bool:
    """Whether a child has ended, without reaping it; False where that cannot be told."""
    if not hasattr(os, "waitid"):
        return False
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except OSError:
        return True


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(group, number)


def _sweep(mark: str) -> None:
    """Kill what left its group, found by its mark. It may fork while we look: look again until nothing is found."""
    wanted = f"{MARK}={mark}".encode()
    for _ in range(20):
        found = [pid for pid in _pids() if wanted in _environ(pid)]
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if not found:
            return


def _pids() -> list[int]:
    try:
        return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    except OSError:  # not Linux
        return []


def _environ(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # somebody else's, or gone
        return []
