"""What a target names once it is imported: a team, or a ``us.System`` with all that it was given, to be made anew by whoever runs it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ..actors.agent import Agent
from ..protocols.errors import TargetError
from .supervision.definitions import Supervisor
from .supervision.tree import Tree
from .system import System
from .worker import Worker

Team = Agent[Any] | Worker[Any] | Supervisor


class Program:
    """A team, or a system of one or more.

    Args:
        target: how it is imported, ``module:name``.
        found: what was found there.

    Attributes:
        journal: the system's own journal; None where it has none, or the target is a team.
        teams: those of its definitions that take tasks.

    Raises:
        TargetError: the system was opened already: it has had its life.
    """

    def __init__(self, target: str, found: Team | System) -> None:
        self.target = target
        self._found = found
        if isinstance(found, System):
            if found.begun:
                raise TargetError(
                    f"{target} was opened before it came here, and a system has one life",
                    hint="make it in the module, and open it only where the module is run: if __name__ == '__main__'",
                )
            self.journal = found.path
            self.teams = tuple(one for one in found.definitions if isinstance(one, (Agent, Worker, Supervisor)))
        else:
            self.journal = None
            self.teams = (found,)

    def tree(self, model: str = "") -> Tree:
        """Its definitions; ``model`` replaces every agent's, and that of the system."""
        if not isinstance(self._found, System):
            return Tree((self._found,), model=model or None)
        return Tree(self._found.definitions, model=model) if model else self._found.tree

    def who(self, name: str = "") -> Team:
        """Who takes tasks; ``name`` says which one, where there are several. Raises TargetError."""
        known = ", ".join(team.name for team in self.teams)
        for team in self.teams:
            if team.name == name or (not name and len(self.teams) == 1):
                return team
        if not self.teams:
            raise TargetError(
                f"nothing in {self.target} takes tasks", hint="a us.Agent, a us.Worker or a us.Supervisor does"
            )
        if name:
            raise TargetError(f"nobody in {self.target} is called {name!r}", hint=f"there are: {known}")
        raise TargetError(f"several in {self.target} take tasks: {known}", hint=f"say which: --to {self.teams[0].name}")

    def system(
        self, *, journal: os.PathLike[str], model: str, drain: float | None, on_stop: Callable[[], None], shadow: bool
    ) -> System:
        """Make the system that runs it.

        Args:
            journal, model, drain: in the place of the system's own; no ``model`` and no ``drain``: as it says.
            shadow: every tool is in shadow, whatever the system says; False: as it says.
            on_stop: called when somebody asks it to stop, before the system's own.
        """
        changes: dict[str, Any] = {"journal": journal, "target": self.target, "on_stop": on_stop}
        if model:
            changes["model"] = model
        if shadow:
            changes["shadow"] = True
        if drain is not None:
            changes["drain"] = drain
        if not isinstance(self._found, System):
            return System(self._found, **changes)
        own: Callable[[], None] | None = self._found.settings["on_stop"]
        if own is not None:
            changes["on_stop"] = _both(on_stop, own)
        return System(*self._found.definitions, **{**self._found.settings, **changes})


def _both(first: Callable[[], None], then: Callable[[], None]) -> Callable[[], None]:
    def asked() -> None:
        first()
        then()

    return asked
