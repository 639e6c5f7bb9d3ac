"""The incident desk from end to end: the real kernel, gate and journal, the offline models, every call, then every person."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec import Raw

import understudy as us
from examples.incident_desk import desk

CALLS: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "examples" / "incident_desk" / "calls.jsonl").read_text().splitlines()
]


def _task(call: dict[str, Any]) -> us.Task:
    return us.Task(call["objective"], inputs={k: Raw(json.dumps(v).encode()) for k, v in call["inputs"].items()})


async def _run_all(system: us.System) -> dict[str, us.RunResult[Any]]:
    results: dict[str, us.RunResult[Any]] = {}

    async def one(call: dict[str, Any]) -> None:
        results[call["id"]] = await system.run(desk, _task(call), id=call["id"], timeout=60)

    async with anyio.create_task_group() as tasks:
        for call in CALLS:
            tasks.start_soon(one, call)
    return results


def _lines(board: Path) -> list[str]:
    return board.read_text().splitlines()


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DESK_BOARD", str(tmp_path / "board.jsonl"))
    return tmp_path / "board.jsonl"


async def test_every_call_ends_as_it_should_or_waits_for_the_person_it_should(tmp_path: Path, board: Path) -> None:
    async with us.System(desk, journal=tmp_path / "desk.db") as system:
        results = await _run_all(system)

    for call in CALLS:
        expect, result = call["expect"], results[call["id"]]
        if result.status == "done":
            assert (result.output["service"], result.output["priority"]) == (expect["service"], expect["priority"])
        else:
            assert result.status == "waiting", call["id"]
            urgent = expect["outcome"] == "proposed" and expect["priority"] == 1
            assert urgent or expect["outcome"] in ("person", "refused"), call["id"]
    proposed = [c for c in CALLS if c["expect"]["outcome"] == "proposed" and c["expect"]["priority"] > 1]
    assert len(_lines(board)) == len(proposed)


async def test_when_people_have_answered_every_call_is_finished_and_nothing_was_proposed_twice(
    tmp_path: Path, board: Path
) -> None:
    async with us.System(desk, journal=tmp_path / "desk.db") as system:
        await _run_all(system)
    async with us.System(desk, journal=tmp_path / "desk.db") as system:
        for item in system.inbox():
            if item.kind == "approval":
                await system.approve(item.id, by="dispatcher")
            else:
                await system.answer(item.id, "answer", value={"handled": "by a person"}, by="dispatcher")
        results = await _run_all(system)
        assert system.inbox() == ()

    assert Counter(result.status for result in results.values()) == {"done": len(CALLS)}
    keys = [json.loads(line)["id"] for line in _lines(board)]
    assert len(keys) == len(set(keys)) == sum(c["expect"]["outcome"] == "proposed" for c in CALLS)
