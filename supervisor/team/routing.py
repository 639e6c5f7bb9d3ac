"""Who takes a task: pure functions from a task and a team to workers' names."""

from __future__ import annotations

from typing import Final

from ...protocols.tasks import Task
from ..supervision.definitions import Supervisor
from ..words import words

NOBODY: Final = "person"
"""What a rule or a front door says when none of the workers fits."""


def least_busy(task: Task) -> str:  # noqa: ARG001 - it has the shape of a rule
    """``us.Supervisor(route=us.least_busy)``: of those who can what the task needs (everybody, where it needs nothing), the worker
    with the least under way; the first of the team among equals. The team itself does it: it knows who has what under way."""
    return ""


def able(team: Supervisor, needs: tuple[str, ...]) -> tuple[str, ...]:
    """The workers who can all of this, in the team's order."""
    return tuple(w.name for w in team.workers if set(needs) <= set(w.can))


def unable(team: Supervisor, needs: tuple[str, ...]) -> str:
    """Why nobody of a team can do something, in words."""
    known = {what for w in team.workers for what in w.can}
    nobody = [what for what in needs if what not in known]
    who = "; ".join(f"{w.name} can {', '.join(w.can) or 'nothing that it says'}" for w in team.workers)
    if nobody:
        return f"nobody of {team.name!r} can {nobody[0]!r}: {who}"
    return f"nobody of {team.name!r} can {' and '.join(map(repr, needs))} together: {who}"


def counts(team: Supervisor) -> bool:
    """Whether anybody has to know what a team has under way: it has a limit, or load decides between workers. Where not, nothing of that
    costs anything."""
    if team.parallel is not None or team.route is least_busy:
        return True
    abilities = [what for w in team.workers for what in set(w.can)]
    return len(abilities) > len(set(abilities))


def by_words(task: Task, team: Supervisor) -> str:
    """The default rule: the worker whose name and instructions share most words with the task; ``person`` on a tie or for none."""
    if len(team.workers) == 1:
        return team.workers[0].name
    wanted = words(task.objective)
    scores = sorted(((len(wanted & words(f"{w.name} {w.instructions}")), w.name) for w in team.workers), reverse=True)
    best = scores[0]
    return best[1] if best[0] > 0 and best[0] > scores[1][0] else NOBODY
