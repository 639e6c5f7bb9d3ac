"""The incident desk against a model over the wire: aimock serves the OpenAI protocol on real connections.

The server refuses the first request with a 429 and breaks the first stream of the specialist off, so the run below
only ends well if both are failures of the right kind, waited for and tried again.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import understudy as us
from examples.incident_desk import desk
from tests.wire.aimock import Aimock, start_aimock
from understudy.actors.cell import read_record
from understudy.protocols.journal import Record, Row

FIXTURES = Path(__file__).parent / "fixtures" / "desk"
CALL = "My grandfather talks funny and one side of his face hangs down!"


@pytest.fixture
def aimock() -> Iterator[Aimock]:
    with start_aimock(FIXTURES) as server:
        yield server


async def _run(aimock: Aimock) -> tuple[us.RunResult[Any], dict[str, list[tuple[Row, Record]]], str]:
    model = us.OpenAI("gpt-5-mini", base_url=f"{aimock.url}/v1")
    async with us.System(desk, model=model) as system:
        said = ""
        async with system.watch("desk/call-1") as seen:
            result = await system.run(desk, CALL, id="call-1", timeout=60)
            while seen.statistics().current_buffer_used:
                thing = seen.receive_nowait()
                said += thing.text if isinstance(thing, us.Delta) else ""
        rows = {
            str(actor.address): [(row, read_record(row)) for row in await system.rows(actor.address)]
            for actor in await system.actors("desk/call-1")
        }
    return result, rows, said


async def test_the_desk_answers_a_call_with_tools_and_streams_over_the_wire(aimock: Aimock) -> None:
    result, rows, said = await _run(aimock)

    assert result.status == "done"
    assert result.output == {
        "service": "medical",
        "priority": 1,
        "advice": "Lay him on his side and stay with him.",
        "unit": None,
        "proposal": None,
        "summary": "stroke, advice given",
    }
    called = [e.name for _, record in rows["desk/call-1/medical"] for e in record.effects if e.verb == "call"]
    assert called == ["lookup_protocol", "unit_status"]
    assert "Two look-ups at once." in said
    assert result.result is not None
    assert result.result.usage.input_tokens > 0
    assert result.result.steps == 3


async def test_a_429_is_tried_again_after_what_the_server_asked_for_and_not_before(aimock: Aimock) -> None:
    _, rows, _ = await _run(aimock)

    [(row, attempt)] = [(row, record) for row, record in rows["desk/call-1/front_door"] if row.kind == "attempt"]
    [change] = attempt.changes
    assert attempt.failure is not None
    assert (attempt.failure.kind, attempt.failure.after) == ("retry_later", 1.0)
    assert change.due is not None
    assert change.due - row.at >= 1.0
    following = next(later for later, _ in rows["desk/call-1/front_door"] if later.seq == row.seq + 1)
    assert following.at >= change.due


async def test_a_stream_that_ends_without_a_finish_reason_is_a_failure_and_no_answer(aimock: Aimock) -> None:
    _, rows, said = await _run(aimock)

    attempts = [record for row, record in rows["desk/call-1/medical"] if row.kind == "attempt"]
    (attempt,) = [record for record in attempts if record.failure is not None]
    assert attempt.failure is not None
    assert (attempt.failure.kind, attempt.failure.code) == ("retry_later", "broken_stream")
    stored = b"".join(bytes(row.payload) for group in rows.values() for row, _ in group)
    assert b"This stream" not in stored  # provisional text is shown, never kept
    assert "This " in said
