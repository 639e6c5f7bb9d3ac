"""When a tool or a model is left alone for a while because it fails, as data: ``us.Breaker``."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from .errors import DefinitionError
from .rates import above_zero, not_below_zero


class Breaker(Struct, frozen=True, kw_only=True):
    """A circuit breaker. Closed, every call goes; open, none does; then one call, the probe, shows whether it works again.

    Attributes:
        failures: failed attempts in ``per`` seconds that open it, of all that the journal runs together.
        ratio: they must also be at least this part of the attempts that ended.
        per: seconds of the window; the next one begins with the first failure after it.
        slow: seconds from which on an attempt counts as a failure, however well it ended; None: only timeouts do.
        cooldown: seconds for which it stays open; doubled each time a probe fails.
        longest: seconds for which it stays open at most.
        wait: seconds that a call waits for it to close. Then, or where the next try is later than that, it is refused
            (``circuit_open``, a failure to retry later, which says after how long). A model after which the agent has another
            one is refused at once.
        probe: a call of any class may be the probe. By default only one that may run again (``read``, as calls of models are, or
            ``idempotent``): for a ``once`` or ``reconcilable`` tool say True, if one real call is little enough, or ``"ask"``: then a
            person is asked first, whatever the class, about one call at a time. That call waits for the answer as any approval does;
            a no, and silence, is a no to this call, and it stays open as long as if a probe had failed.

    Raises:
        DefinitionError: a number is none, or out of range.
    """

    failures: int = 20
    ratio: float = 0.5
    per: float = 60.0
    slow: float | None = None
    cooldown: float = 10.0
    longest: float = 300.0
    wait: float = 60.0
    probe: bool | Literal["ask"] = False

    def __post_init__(self) -> None:
        if isinstance(self.failures, bool) or not isinstance(self.failures, int) or self.failures < 1:
            raise DefinitionError(f"Breaker(failures={self.failures!r})", hint="a whole number, 1 or more")
        above_zero("Breaker", "ratio", self.ratio, most=1.0)
        for name in ("per", "cooldown", "longest"):
            above_zero("Breaker", name, getattr(self, name))
        if self.slow is not None:
            above_zero("Breaker", "slow", self.slow)
        not_below_zero("Breaker", "wait", self.wait)
        if self.longest < self.cooldown:
            raise DefinitionError(
                f"Breaker(cooldown={self.cooldown!r}, longest={self.longest!r})", hint="longest is cooldown or more"
            )
        if not isinstance(self.probe, bool) and self.probe != "ask":
            raise DefinitionError(f"Breaker(probe={self.probe!r})", hint="True, False or 'ask'")
