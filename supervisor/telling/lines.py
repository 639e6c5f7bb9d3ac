"""Lines that are told, and what every teller knows."""

from __future__ import annotations

from typing import Literal

from ...protocols.effects import Effect
from ...protocols.failures import Failure
from ...protocols.ids import Address
from ...protocols.journal import Row
from ...protocols.model import Usage
from ...protocols.tasks import Result, Task
from ..story import Line, Tone
from ..team.events import TeamState


class Lines:
    """See ``teller``."""

    usage: Usage
    cost: float
    thinks: int
    calls: int
    retries: int
    restarts: int
    simulated: int
    lives: int

    def __init__(self, run: Address) -> None:
        self.run = run
        self.began = self.at = 0.0
        self.lines: list[Line] = []
        self.effects: dict[str, Effect] = {}
        self.task: Task | None = None
        self.result: Result | None = None
        self.failure: Failure | None = None
        self.usage, self.cost = Usage(), 0.0
        self.thinks = self.calls = self.retries = self.restarts = 0
        self.simulated = 0
        self.lives, self.in_order, self.pid = 1, False, ""
        self.erased = 0
        self.above: dict[str, Effect] = {}
        """Questions of supervisors about its actors."""
        self.row: Row | None = None
        self.team: TeamState | None = None

    def _say(self, text: str, tone: Tone = "plain", *, who: str = "", supervises: bool = False) -> None:
        assert self.row is not None
        about: Literal["", "people", "supervision"] = (
            "supervision" if supervises else "people" if tone == "person" else ""
        )
        after = max(0.0, self.row.at - (self.began or self.row.at))
        self.lines.append(Line(round(after, 6), who or self._who(self.row.stream), text, tone, self.row.gid, about))

    def _who(self, address: Address) -> str:
        if address == self.run:
            return self.run.split("/")[0]
        return address.removeprefix(self.run + "/")
