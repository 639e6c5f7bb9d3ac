"""Plain functions in threads of their own, which never keep the process from ending.

A thread cannot be stopped. When its caller is cancelled (a timeout, a withdrawal) the thread goes on, and what it comes to
is handed to ``on_late``. The threads are daemons: anyio's pool, like the standard library's, is joined at exit, so that one hung
tool would hold the process for ever (measured: a tool that slept 8 s held it for 8 s after everything else was over).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

import anyio

T = TypeVar("T")


def _nothing() -> None: ...


async def in_thread(
    function: Callable[[], T], name: str, on_late: Callable[[T], None], on_left: Callable[[], None] = _nothing
) -> T:
    """Run a function in a thread; gives what it returns.

    Args:
        function: called in its thread. What it raises is raised here, unless the caller was cancelled before.
        name: of the thread, for whoever looks at a stuck process.
        on_late: told, in the loop, what the function returned after the caller was cancelled.
        on_left: told that the caller was cancelled and the function still runs; ``on_late`` follows when it ends.
    """
    loop, done = asyncio.get_running_loop(), anyio.Event()
    results: list[T] = []
    raised: list[BaseException] = []
    abandoned = False

    def deliver(result: T) -> None:
        if abandoned:
            on_late(result)
            return
        results.append(result)
        done.set()

    def fail(error: BaseException) -> None:
        raised.append(error)
        done.set()

    def body() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: the next life finds the effect open
            try:
                result = function()
            except BaseException as error:  # noqa: BLE001 - a thread that just ended would keep its caller for ever
                loop.call_soon_threadsafe(fail, error)
            else:
                loop.call_soon_threadsafe(deliver, result)

    # In a context of its own: a function that runs a loop of its own must not find the caller's.
    threading.Thread(target=body, name=name, daemon=True).start()
    try:
        await done.wait()
    except anyio.get_cancelled_exc_class():
        if results:  # it ended in the same moment: nobody takes its result but ``on_late``
            on_late(results[0])
        else:
            abandoned = True
            on_left()
        raise
    if raised:
        raise RuntimeError(f"{name} raised {type(raised[0]).__name__}") from raised[0]
    return results[0]
