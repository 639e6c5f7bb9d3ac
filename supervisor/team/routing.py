"""Who takes a task: pure functions from a task and a team to a worker's name."""

from __future__ import annotations

import re
from typing import Final

from ...protocols.tasks import Task
from ..definitions import Supervisor

NOBODY: Final = "person"
"""What a rule or a front door says when none of the workers fits."""


def by_words(task: Task, team: Supervisor) -> str:
    """The default rule: the worker whose name and instructions share most words with the task; ``person`` on a tie or for none."""
    if len(team.workers) == 1:
        return team.workers[0].name
    wanted = _words(task.objective)
    scores = sorted(((len(wanted & _words(f"{w.name} {w.instructions}")), w.name) for w in team.workers), reverse=True)
    best = scores[0]
    return best[1] if best[0] > 0 and best[0] > scores[1][0] else NOBODY


def _words(text: str) -> set[str]:
    """Words of four letters and more, cut to their first four, so that *writer*, *write* and *writing* meet."""
    return {word[:4] for word in re.findall(r"\w{4,}", text.lower())}
