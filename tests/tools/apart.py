"""Tools that run in processes of their own; a process of its own must be able to import them."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import understudy as us


class Place(us.State):
    """Where a call ran, and what it saw."""

    pid: int
    group: int
    session: int
    environ: dict[str, str]


@us.tool(effect="read", isolation="process", environ=["GRANTED"])
def where() -> Place:
    """Where it runs."""
    return Place(os.getpid(), os.getpgrp(), os.getsid(0), dict(os.environ))


@us.tool(effect="read", isolation="process")
async def double(number: int, call: us.Call) -> list[str]:
    """Double a number."""
    await asyncio.sleep(0)
    return [str(2 * number), call.key, str(call.attempt)]


def _plain(number: int) -> int:
    return number + 1


more = us.tool(effect="read", isolation="process", name="more")(_plain)


def _tell(path: str, *pids: int) -> None:
    Path(path + ".part").write_text(" ".join(map(str, pids)))
    Path(path + ".part").rename(path)


def _stay() -> None:
    while True:
        time.sleep(60)


@us.tool(effect="once", isolation="process", timeout=2.0)
def hang(path: str, stubborn: bool = False) -> None:
    """Say which process it is, and never end."""
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _tell(path, os.getpid())
    _stay()


@us.tool(effect="once", isolation="process", timeout=2.0)
def fork(path: str, ends: bool, leaves: bool) -> str:
    """Leave a process behind; one that left the group, if asked to. Never end, or end at once."""
    if os.fork() == 0:
        if leaves:
            os.setsid()
            if os.fork():
                os._exit(0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _tell(path, os.getpid(), os.getppid())
        _stay()
    while not Path(path).exists():
        time.sleep(0.005)
    if not ends:
        _stay()
    return "done"


@us.tool(effect="read", isolation="process")
def twice() -> str:
    """Fork, and return in both."""
    return "child" if os.fork() == 0 else "parent"


@us.tool(effect="read", isolation="process")
def shout(megabytes: int) -> str:
    """Print very much, on both streams."""
    for stream in (sys.stdout, sys.stderr):
        for _ in range(megabytes):
            stream.write("x" * 1_000_000)
    return "said"


@us.tool(effect="read", isolation="process")
def spill(secret: str) -> str:
    """Print a secret everywhere, and die of it."""
    print(secret)
    print(secret, file=sys.stderr, flush=True)
    os._exit(3)


@us.tool(effect="idempotent", isolation="process")
def die(how: str) -> int:
    """End in some way that is no return."""
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "segfault":
        ctypes.string_at(0)
    elif how == "os._exit":
        os._exit(0)
    elif how == "sys.exit":
        sys.exit(4)
    elif how == "failed":
        raise us.ChangeArguments("not like this", hint="like that")
    elif how == "later":
        raise ConnectionResetError("gone")
    raise ValueError(how)


@us.tool(effect="read", isolation="process")
def odd(what: str) -> Any:
    """Return what is no JSON, or not what is declared, or too much."""
    return {"object": object(), "nan": float("nan"), "pair": (1, 2), "much": "x" * 300_000}[what]


@us.tool(effect="read", isolation="process")
def lie() -> int:
    """Return a text."""
    return "many"  # type: ignore[return-value]


@us.tool(effect="once", isolation="process")
def forge(answer: str) -> int:
    """Answer past the wrapper, on the line itself."""
    for line in range(3, 4_000):
        try:
            body = answer.encode()
            os.write(line, b"A" + len(body).to_bytes(4, "big") + body)
        except OSError:
            continue
    _stay()
    return 0


@us.tool(effect="read", isolation="process")
def grandchild() -> int:
    """How many file descriptors of ours a program that it starts gets."""
    shown = subprocess.run(["ls", "/proc/self/fd"], capture_output=True, text=True, check=True)
    return sum(int(number) > 3 for number in shown.stdout.split())


def begin_and_die(path: str) -> None:
    """Leave a mark, and be killed."""
    with Path(path).open("a") as marks:
        marks.write("x")
    os.kill(os.getpid(), signal.SIGKILL)


@us.tool(effect="read", isolation="process", heartbeat=1.5, timeout=60.0)
def beat(call: us.Call, path: str, beats: int) -> str:
    """Beat a heart so often, half a second apart, then be silent for ever, unless it was often enough."""
    for number in range(beats):
        call.heartbeat(f"{number + 1} of {beats}")
        time.sleep(0.5)
    if beats < 5:
        _tell(path, os.getpid())
        _stay()
    return "done"


@us.tool(effect="read", isolation="process")
def echo(text: str) -> str:
    """Say it again."""
    return text


class Pages(us.State):
    """How many."""

    pages: int


def _count(text: str) -> Pages:
    return Pages(len(text))


@us.tool(effect="read", isolation="process", transform=_count)
def large_page(size: int) -> str:
    """Many pages."""
    return "x" * size


def said() -> str:
    """Say."""
    return "said"


@us.tool(effect="read", isolation="process", retry=us.Retry(attempts=1))
def logs(call: us.Call, what: str) -> str:
    """Log."""
    call.log.debug("not wanted")
    call.log.info("about to %s", what)
    try:
        dict[str, str]()[what]
    except LookupError:
        call.log.exception("it failed")
    call.log.warning("%d is no number", what)
    return call.agent
