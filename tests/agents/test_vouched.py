"""What an agent's conversation vouches for is carried on with it, and is what it would be if all were read anew."""

from __future__ import annotations

import random

import pytest

from understudy.actors.conversation import AgentState, vouched
from understudy.protocols.model import ModelMessage, ToolCall
from understudy.protocols.provenance import Known, Provenance, Vouched
from understudy.protocols.tasks import Task

STRANGER, OURS = Provenance(("untrusted",), ("mail",)), Provenance(("private",), ("crm",))


def message(draw: random.Random, n: int) -> ModelMessage:
    kind = draw.choice(("calls", "clean", "stranger", "private", "system"))
    if kind == "calls":
        tool, value = draw.choice(("look", "delete")), draw.choice(("a", f"v{n}"))
        return ModelMessage("assistant", calls=(ToolCall(str(n), tool, f'{{"what": "{value}"}}'),))
    if kind == "system":
        return ModelMessage("system", "Make another plan.")
    where = {"clean": None, "stranger": STRANGER, "private": OURS}[kind]
    return ModelMessage("tool", f'{{"result": "r{n}"}}', call_id=str(n), provenance=where)


def seen(one: Vouched) -> tuple[object, ...]:
    return one.sets, one.free, one.private, one.used, one.clean, one.at


@pytest.mark.parametrize("seed", range(20))
def test_it_is_the_same_as_read_anew_also_after_turns_that_failed_and_another_task(seed: int) -> None:
    draw = random.Random(seed)
    state, kept = AgentState(task=Task("Look for a."), origin=draw.choice((None, STRANGER))), None
    for n in range(60):
        after = state.evolve(transcript=(*state.transcript, message(draw, n)))
        if draw.random() < 0.1:
            after = after.evolve(task=Task(f"Look for {n}."), said=f'"{n}"')
        kept = vouched(after, kept)
        assert seen(kept) == seen(vouched(after))
        if draw.random() < 0.8:  # else the turn failed, and none of it is there
            state = after


def test_what_was_read_once_is_not_read_again() -> None:
    calls = tuple(ToolCall(str(n), "look", f'{{"what": "v{n}"}}') for n in range(1_000))
    state = AgentState(task=Task("Look."), transcript=(ModelMessage("assistant", calls=calls),))
    kept = vouched(state)
    after = state.evolve(transcript=(*state.transcript, ModelMessage("system", "Go on.")))
    again = vouched(after, kept)
    assert again is kept
    assert again.at == 2
    assert Known(again).reused("v7", "delete")
    assert not Known(again).reused("v7", "look")
