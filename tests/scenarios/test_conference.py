"""The incident desk where it contradicts itself, on the real system: two specialists who disagree, two units claimed by two calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec import Raw

import understudy as us
from examples.incident_desk.conference import conference, control_room
from understudy.actors.cell import read_record
from understudy.protocols.codec import decode
from understudy.protocols.conflicts import ConflictResolved

SURE = "There is smoke in the stairwell and my mother can hardly breathe, she has asthma!"
ONE_SIDED = "My husband fell off the ladder and is unconscious, he does not wake up!"
CONTRADICTED = "A child is stuck in the lift and has a fever!"


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DESK_BOARD", str(tmp_path / "board.jsonl"))
    return tmp_path / "board.jsonl"


async def decisions(system: us.System, address: str) -> list[ConflictResolved]:
    rows = await system.rows(address)
    events = [event for row in rows for event in read_record(row).events]
    return [decode(event.data, ConflictResolved) for event in events if event.wire == ConflictResolved.__wire__]


async def test_two_specialists_who_disagree_are_brought_before_a_dispatcher_across_a_restart(tmp_path: Path) -> None:
    journal = tmp_path / "desk.db"
    async with us.System(conference, journal=journal) as system:
        waiting = await system.run(conference, CONTRADICTED, id="call-1", timeout=30)
        assert waiting.status == "waiting"
    async with us.System(conference, journal=journal) as system:
        (item,) = system.inbox()
        assert item.run == "conference/call-1"
        assert item.options == ("medical_view", "fire_view")
        assert "medical_view (" in item.text, "each with how sure it is"
        await system.answer(item.id, "answer", value="fire_view", by="dispatcher", reason="the smoke is first")
        done = await system.run(conference, CONTRADICTED, id="call-1", timeout=30)
        (event,) = await decisions(system, "conference/call-1/panel")
    assert done.output["service"] == "fire"
    assert (event.decided.by, event.decided.reason) == ("dispatcher", "the smoke is first")
    assert [claim.who for claim in event.conflict.claims] == ["medical_view", "fire_view"]
    assert event.decided.winner == 1
    assert event.decided.passed[0].resolver == "weighted(margin=0.5)"


async def test_the_surer_one_counts_where_it_is_surer_by_far_and_the_other_claim_is_kept(tmp_path: Path) -> None:
    async with us.System(conference, journal=tmp_path / "desk.db") as system:
        result = await system.run(conference, SURE, id="call-1", timeout=30)
        (event,) = await decisions(system, "conference/call-1/panel")
    assert result.output["service"] == "medical"
    assert (event.decided.by, [claim.plain["priority"] for claim in event.conflict.claims]) == (
        "weighted(margin=0.5)",
        [1, 2],
    )


async def test_who_has_nothing_to_say_is_kept_as_silent(tmp_path: Path) -> None:
    async with us.System(conference, journal=tmp_path / "desk.db") as system:
        result = await system.run(conference, ONE_SIDED, id="call-1", timeout=30)
        (event,) = await decisions(system, "conference/call-1/panel")
    assert result.output["service"] == "medical"
    assert [(silent.who, silent.reason) for silent in event.conflict.silent] == [
        ("fire_view", "cannot: nothing fire in it")
    ]


def _task(address: str, district: str) -> us.Task:
    return us.Task(f"Somebody collapsed at {address}", inputs={"district": Raw(json.dumps(district).encode())})


def _orders(board: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in board.read_text().splitlines()]


async def _waiting(system: us.System, calls: dict[str, us.Task]) -> dict[str, us.RunResult[Any]]:
    results: dict[str, us.RunResult[Any]] = {}

    async def one(id: str, task: us.Task) -> None:
        results[id] = await system.run(control_room, task, id=id, timeout=60)

    async with anyio.create_task_group() as tasks:
        for id, task in calls.items():
            tasks.start_soon(one, id, task)
    return results


async def test_two_calls_that_want_one_unit_get_two_and_a_third_goes_to_a_person(tmp_path: Path, board: Path) -> None:
    journal = tmp_path / "desk.db"
    calls = {f"call-{n}": _task(f"Lindenweg {n}", "Westend") for n in (1, 2)}
    async with us.System(control_room, journal=journal) as system:
        results = await _waiting(system, calls)
        assert {result.status for result in results.values()} == {"waiting"}, (
            "each has its unit until a dispatcher stands it down"
        )
    orders = _orders(board)
    assert sorted(order["unit"] for order in orders) == ["A-31", "A-32"]
    assert [order["token"] for order in orders] == [1, 1], "each crew's first"

    async with us.System(control_room, journal=journal) as system:  # the next shift
        third = await system.run(control_room, _task("Lindenweg 3", "Westend"), id="call-3", timeout=30)
        assert third.status == "waiting"
        assert "no unit is free" in third.waiting[0].text
        stand = await system.ask(us.lease_of("control", "crew A-31"), us.LeaseLook("crew A-31"))
        assert stand.lease is not None
        first = stand.lease.holder.split("/")[1]
        item = next(item for item in system.inbox() if item.run == f"control/{first}")
        await system.approve(item.id, by="dispatcher")
        assert (await system.run(control_room, calls[first], id=first, timeout=30)).output == "A-31 is free"
        await system.answer(third.waiting[0].id, "approve", by="dispatcher")
        again = await system.run(control_room, _task("Lindenweg 3", "Westend"), id="call-3", timeout=30)
        assert again.status == "waiting"
        lost = await decisions(system, us.lease_of("control", "crew A-31"))
    last = _orders(board)[-1]
    assert (last["unit"], last["token"]) == ("A-31", 2), "the crew's next order has a higher token"
    assert lost, "who did not get it stands there, too"
    assert all(event.decided.by == "first_come()" for event in lost)
