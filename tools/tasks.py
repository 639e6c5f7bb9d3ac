"""Coroutine functions in tasks of their own, so that one that swallows its cancellation holds nobody.

When its caller is cancelled (a timeout, a withdrawal) the task is cancelled once and gets a moment to end. If it goes on all the
same it is left alone, like a thread, and what it comes to is handed to ``on_late``. asyncio waits at its end for every task that
it knows; one that was given up on is taken off its books (``asyncio._unregister_task``, documented for such uses under
"Extending"), so that the program can end.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import anyio

T = TypeVar("T")

GRACE = 1.0
"""Seconds that a cancelled task gets to end."""


async def in_task(
    work: Coroutine[Any, Any, T], name: str, on_late: Callable[[T], None], on_left: Callable[[], None],
    on_gone: Callable[[], None],
) -> T:  # fmt: skip
    """Run a coroutine in a task; gives what it returns.

    Args:
        work: must not raise, except when it is cancelled.
        name: of the task, for whoever looks at a stuck process.
        on_late: told what it returned after the caller was cancelled.
        on_left: told that it was cancelled and goes on; ``on_late`` or ``on_gone`` follows if it ever ends.
        on_gone: told that it ended after all and came to nothing.
    """
    task = asyncio.create_task(work, name=name)
    try:
        await asyncio.wait((task,))
    except asyncio.CancelledError:
        task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait((task,), timeout=GRACE)
        if task.done():
            _tell(task, on_late, on_gone)
        else:
            on_left()
            task.add_done_callback(lambda ended: _tell(ended, on_late, on_gone))
            asyncio._unregister_task(task)
            # Nor may it ever be finalised: closing a coroutine that swallows GeneratorExit too would spin at exit for ever.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(work))
        raise
    return task.result()


def _tell(task: asyncio.Task[T], on_late: Callable[[T], None], on_gone: Callable[[], None]) -> None:
    if not task.cancelled() and task.exception() is None:
        on_late(task.result())
    else:
        on_gone()
