"""A run as people read it: lines that say who did what, when, and what came of it. ``telling`` makes it of rows."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from ..protocols.model import Usage
from ..protocols.tasks import Result, Task
from .inbox import InboxItem
from .team.progress import Progress

Tone = Literal["plain", "good", "bad", "person", "quiet"]
"""How a line should look: an answer, a failure, something for or by a person, a detail."""


class Line(Struct, frozen=True, omit_defaults=True):
    """One thing that happened.

    Attributes:
        after: seconds since the run began.
        who: the actor, without the run's own address.
        text: what happened, one line or a few.
        tone: how it should look.
        gid: the row that says so.
        about: ``people`` where it says what a person was asked or answered, ``supervision`` where a supervisor decided.
    """

    after: float
    who: str
    text: str
    tone: Tone = "plain"
    gid: int = 0
    about: Literal["", "people", "supervision"] = ""


class Story(Struct, frozen=True, omit_defaults=True):
    """A run.

    Attributes:
        run: its address.
        status: done, cannot, failed, waiting, ``erased`` where retention took what would say it,
            or ``unfinished`` where it goes on with the next process.
        task: what was asked.
        result: what came of it, where it is over.
        began, seconds: journal time of the first row; how long until the last.
        waiting: what people have to answer.
        thinks, calls: how often a model answered and a tool was called.
        simulated: calls that were not made, but simulated (shadow mode).
        usage, cost: tokens and US dollars of all its model calls, the unfinished ones' too.
        retries: attempts that were made again; ``restarts``: of its actors; ``lives``: processes that worked on it.
        lines: what happened.
        progress: of a team's run, how far it is.
        erased: rows whose text is gone.
    """

    run: str
    status: str
    task: Task | None
    result: Result | None
    began: float
    seconds: float
    waiting: tuple[InboxItem, ...]
    thinks: int = 0
    calls: int = 0
    usage: Usage = Usage()
    cost: float = 0.0
    retries: int = 0
    restarts: int = 0
    lives: int = 1
    lines: tuple[Line, ...] = ()
    progress: Progress | None = None
    erased: int = 0
    simulated: int = 0
