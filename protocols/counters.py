"""What the gate remembers of one actor: counts of what it has intended and what came of it. A fold over its rows."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from .effects import CALL, HAPPENED, PERSON, THINK, UNDER_WAY, Effect
from .shapes import shape_of


class Counters(Struct, frozen=True, omit_defaults=True):
    """What the gate remembers of one actor; a fold over its rows.

    Attributes:
        steps: model calls admitted.
        calls: tool calls admitted.
        recent: digests of the last tool calls admitted or refused as loops, oldest first, at most 8.
        admitted: how often each digest was admitted since the last grant by a person.
        taken: for each digest the occurrences that have succeeded or are under way; one that failed or is in doubt is free
            again, so that a retry of it keeps its idempotency key.
        refused: how often each digest was refused by the checks before.
        loops: calls refused as loops since the last grant by a person.
        shapes: how often each ``shape_of`` a call was admitted since the last grant by a person.
        tools: how often each tool was admitted.
        same: the tool that was read last, what it gave, and how often in a row; since the last grant by a person.
        allowed: tools of which a person allowed a call because it was the first one of the run (``ApprovalRule.first``).
        made: for each tool how many of its calls were admitted of which it is not known that they did not happen.
        done: tools of which a call has succeeded.
        nth: for each call under way the how manieth it was that was admitted, of all and of its tool.
    """

    steps: int = 0
    calls: int = 0
    recent: tuple[str, ...] = ()
    admitted: dict[str, int] = {}
    taken: dict[str, tuple[int, ...]] = {}
    loops: int = 0
    refused: dict[str, int] = {}
    shapes: dict[str, int] = {}
    tools: dict[str, int] = {}
    same: tuple[str, str, int] = ("", "", 0)
    allowed: tuple[str, ...] = ()
    made: dict[str, int] = {}
    done: tuple[str, ...] = ()
    nth: dict[str, tuple[int, int]] = {}

    def intended(self, effect: Effect) -> Counters:
        """After a row that holds this new effect."""
        if effect.verb == THINK:
            return self if effect.state == "settled" else msgspec.structs.replace(self, steps=self.steps + 1)
        if effect.verb == PERSON:
            return self
        if effect.state == "settled":  # denied
            looped = any(v.check == "limits.loop" and v.verdict == "deny" for v in effect.verdicts)
            if not looped:
                refused = {**self.refused, effect.digest: self.refused.get(effect.digest, 0) + 1}
                return msgspec.structs.replace(self, refused=refused)
            # A refused call is part of the pattern: going on with it is going on in circles.
            return msgspec.structs.replace(self, loops=self.loops + 1, recent=(*self.recent[-7:], effect.digest))
        shape, of_tool = shape_of(effect.name, effect.args), self.tools.get(effect.name, 0) + 1
        return msgspec.structs.replace(
            self._take(effect),
            calls=self.calls + 1,
            nth={**self.nth, effect.id: (self.calls + 1, of_tool)},
            recent=(*self.recent[-7:], effect.digest),
            admitted={**self.admitted, effect.digest: self.admitted.get(effect.digest, 0) + 1},
            made={**self.made, effect.name: self.made.get(effect.name, 0) + 1},
            tools={**self.tools, effect.name: of_tool},
            shapes={**self.shapes, shape: self.shapes.get(shape, 0) + 1} if shape else self.shapes,
        )

    def granted(self) -> Counters:
        """After a person allowed what looked like a loop: counting begins anew."""
        return msgspec.structs.replace(self, recent=(), admitted={}, loops=0, shapes={}, same=("", "", 0))

    def first_allowed(self, tool: str) -> Counters:
        """After a person allowed the first call of a tool."""
        return self if tool in self.allowed else msgspec.structs.replace(self, allowed=(*self.allowed, tool))

    def occurrence(self, digest: str) -> int:
        """Which occurrence of a call the next one with this digest is: the first that is free."""
        taken = self.taken.get(digest)
        return 0 if not taken else next(n for n in range(len(taken) + 1) if n not in taken)

    def changed(self, after: Effect) -> Counters:
        """After a row in which an open effect changed. One in doubt is not under way, and counts as done once it is found to be."""
        if after.verb != CALL:
            return self
        done = after.failure is None or after.failure.code in HAPPENED
        holds = after.state in UNDER_WAY or (after.state == "settled" and done)
        counted = self._take(after) if holds else self._free(after)
        if after.state not in ("settled", "withdrawn"):
            return counted
        if after.id in counted.nth:
            nth = {id: one for id, one in counted.nth.items() if id != after.id}
            counted = msgspec.structs.replace(counted, nth=nth)
        if not done or after.state == "withdrawn":
            made = {**counted.made, after.name: max(0, counted.made.get(after.name, 0) - 1)}
            return msgspec.structs.replace(counted, made=made)
        if after.failure is None:
            counted = counted._told(after)
        if after.name in counted.done:
            return counted
        return msgspec.structs.replace(counted, done=(*counted.done, after.name))

    def without(self, effect: Effect) -> Counters:
        """As if this call had never been intended: what a changed one in its place is admitted under."""
        admitted = {**self.admitted, effect.digest: max(0, self.admitted.get(effect.digest, 0) - 1)}
        last = max((n for n, one in enumerate(self.recent) if one == effect.digest), default=len(self.recent))
        shape, name = shape_of(effect.name, effect.args), effect.name
        return msgspec.structs.replace(
            self._free(effect),
            calls=max(0, self.calls - 1),
            admitted=admitted,
            recent=self.recent[:last] + self.recent[last + 1 :],
            tools={**self.tools, name: max(0, self.tools.get(name, 0) - 1)},
            shapes={**self.shapes, shape: max(0, self.shapes.get(shape, 0) - 1)} if shape else self.shapes,
        )

    def replaced(self, before: Effect, after: Effect) -> Counters:
        """After a row in which another tool took the place of one that failed for good: another call."""
        failed = self._free(before)
        made = {**failed.made, before.name: max(0, failed.made.get(before.name, 0) - 1)}
        return msgspec.structs.replace(failed, made=made).intended(after)

    def changed_into(self, before: Effect, after: Effect) -> Counters:
        """After a row in which a person gave a call other arguments."""
        left, shape = self.without(before), shape_of(after.name, after.args)
        return msgspec.structs.replace(
            left._take(after),
            calls=self.calls,
            tools=self.tools,
            shapes={**left.shapes, shape: left.shapes.get(shape, 0) + 1} if shape else left.shapes,
            recent=(*left.recent[-7:], after.digest),
            admitted={**left.admitted, after.digest: left.admitted.get(after.digest, 0) + 1},
        )

    def _told(self, after: Effect) -> Counters:
        """After a result. One of a call that changes something is progress, whatever it says."""
        if not after.came:
            return self if after.effect == "read" else msgspec.structs.replace(self, same=("", "", 0))
        name, came, times = self.same
        times = times + 1 if (name, came) == (after.name, after.came) else 1
        return msgspec.structs.replace(self, same=(after.name, after.came, times))

    def _take(self, effect: Effect) -> Counters:
        taken = self.taken.get(effect.digest, ())
        if effect.occurrence in taken:
            return self
        return msgspec.structs.replace(self, taken={**self.taken, effect.digest: (*taken, effect.occurrence)})

    def _free(self, effect: Effect) -> Counters:
        left = tuple(n for n in self.taken.get(effect.digest, ()) if n != effect.occurrence)
        return msgspec.structs.replace(self, taken={**self.taken, effect.digest: left})
