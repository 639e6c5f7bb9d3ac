"""One agent, one call of a tool of one effect class, and death at one moment.

    python -m tests.crash.programs.matrix FOLDER CLASS MOMENT [--second] [--broken]

Without a moment (``-``) it runs to its end, or goes on where an earlier life was cut off. It then says, one JSON a line,
where the run stands; a call in doubt it settles by what the world knows, and says again.

``--second``: two tools in one answer of the model, and the moment is one of the second's.
``--broken``: the rule that protects this class is switched off, to show that the test would see it.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from unittest.mock import patch

import anyio
import msgspec

import understudy as us
from tests.crash.programs.deadly import deadly_journal, die, intends, nothing, settles, starts
from tests.crash.programs.world import World
from understudy.protocols.effects import Effect, EffectClass
from understudy.protocols.hooks import Next
from understudy.protocols.journal import Batch
from understudy.tools import ledger

NOBODY = "-"
DONE = "done"

folder, effect_class, moment, *options = sys.argv[1:]
effect: EffectClass = msgspec.convert(effect_class, EffectClass)
second, broken = "--second" in options, "--broken" in options
world = World(Path(folder))
deadly = "second" if second else "act"
first_is_durable = threading.Event()


def perform(tool: str, call: us.Call) -> str:
    world.ran(tool, call.key)
    if tool == "second":
        assert first_is_durable.wait(30.0)
    if (tool, moment) == (deadly, "inside_before"):
        die()
    if effect == "idempotent":
        world.change_once(tool, f"{call.key}{os.getpid()}" if broken else call.key)
    elif effect != "read":
        world.change(tool, call.key)
    if (tool, moment) == (deadly, "inside_after"):
        die()
    return DONE


@us.tool(effect=effect)
def act(call: us.Call, what: str) -> str:
    """Act upon the world (or look at it)."""
    return perform("act", call)


@us.tool(effect=effect, name="second")
def act_again(call: us.Call, what: str) -> str:
    """Act upon the world in another way."""
    return perform("second", call)


def look_up(tool: str, key: str) -> str | us.NotDone:
    happened = world.asked(tool, key) and not broken
    return DONE if happened else us.NOT_DONE


if effect == "reconcilable":
    act.reconcile(lambda key: look_up("act", key))
    act_again.reconcile(lambda key: look_up("second", key))


def tell(facts: us.Facts) -> us.Say:
    return us.Say(msgspec.json.encode([facts.results, facts.failures]).decode())


CALLS = (us.Use("act", {"what": "ring"}), us.Use("second", {"what": "knock"}))
NAMES = ("act", "second") if second else ("act",)
MODEL = us.Rules(
    "matrix",
    [
        us.Rule(lambda facts: CALLS if second else CALLS[:1], before=NAMES),
        us.Rule(tell, after=NAMES),
    ],
)
AGENT = us.Agent("agent", "Act.", model=MODEL, tools=[act, act_again])


class Standing(msgspec.Struct, frozen=True):
    """Where the run stands."""

    status: str
    output: str = ""
    doubts: tuple[us.InboxItem, ...] = ()


def before(batch: Batch) -> bool:
    if moment == "before_intent":
        return intends(batch, deadly)
    return moment == "before_row" and settles(batch, deadly)


def after(batch: Batch) -> bool:
    if moment == "before_entry" and intends(batch, deadly):
        assert starts(batch, deadly) == (effect in ("once", "reconcilable"))
        return True
    return moment == "after_row" and settles(batch, deadly)


def durable(batch: Batch) -> None:
    if settles(batch, "act"):
        first_is_durable.set()


async def go_on(system: us.System) -> us.RunResult[str]:
    result = await system.run(AGENT, "Ring.", id="run", timeout=60.0)
    output = result.output if result.status == "done" else ""
    doubts = tuple(item for item in system.inbox() if item.kind == "in_doubt")
    print(msgspec.json.encode(Standing(str(result.status), output, doubts)).decode(), flush=True)
    return result


async def main() -> None:
    async with us.System(AGENT, journal=Path(folder) / "journal.db") as system:
        if any(await system.rows("agent/run")) and await is_settled(system, "act"):
            first_is_durable.set()
        result = await go_on(system)
        if result.status == "waiting":
            for item in result.waiting:
                if world.knows(item.tool, item.key):
                    await system.answer(item.id, "happened", value=DONE)
                else:
                    await system.answer(item.id, "not_happened", reason="the world knows nothing of it")
            await go_on(system)


def start_again(effect: Effect, now: float) -> Next:
    """What the ledger must never say of a ``once`` call that had begun."""
    return Next("start")


async def is_settled(system: us.System, tool: str) -> bool:
    rows = await system.rows("agent/run")
    return settles(Batch(rows), tool)


if __name__ == "__main__":
    rule: AbstractContextManager[object] = nullcontext()
    if broken:
        rule = patch.object(ledger, "after_crash", start_again)
    watched = (nothing, nothing) if moment == NOBODY else (before, after)
    with rule, deadly_journal(before=watched[0], after=watched[1], told=durable):
        anyio.run(main)
