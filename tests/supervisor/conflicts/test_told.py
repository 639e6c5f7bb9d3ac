"""What stands in the journal about conflicts reads as sentences, and is decided again from the file alone, to the byte."""

from __future__ import annotations

from pathlib import Path

import understudy as us
from understudy.protocols.ids import Address
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.replay.verify import replay
from understudy.supervisor.story import Story
from understudy.supervisor.telling.teller import tell
from understudy.tools.models.scripted import call

HERE = f"{__name__}:desk"


def tide(task: us.Task) -> str:
    return "tide"


def names(task: us.Task) -> tuple[str, ...]:
    return ("clerk", "tide")


judge = us.Agent("judge", "Be fair.", model=us.Scripted("clerk"))
clerk = us.Agent(
    "clerk", "Keep the board.", tools=[us.board_read, us.board_write, us.lease_acquire, us.hand_over],
    model=us.Scripted(
        [call("board_write", key="plan", value="wave", expected=0), call("lease_acquire", resource="boat 1")],
        call("board_write", key="plan", value="old", expected=0), call("hand_over", to="tide", objective="What do you say?"), "wave",
    ),
)  # fmt: skip
desk = us.Supervisor(
    "desk",
    [clerk, us.Worker("tide", tide, effect="read")],
    route=names,
    conflicts=us.Conflicts(answers=us.majority() | us.judge(judge)),
)


def said(path: Path, run: str) -> str:
    with read_only(path) as reader:
        story: Story = tell(
            Address(run), tuple(row for row in reader.rows(limit=1_000) if row.stream.startswith(run)), ()
        )
    return "\n".join(line.text for line in story.lines)


async def test_a_run_with_conflicts_is_told_and_replays_to_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    async with us.System(desk, journal=path, target=HERE) as system:
        result = await system.run(desk, "What is it?", id="r", timeout=30)
        assert result.output == "wave"
        await system.rest()
    told = said(path, "desk/r")
    assert "asks clerk, tide side by side" in told
    assert 'clerk says "wave", tide says "tide"' in told
    assert (
        "clerk stands, decided by judge judge: no reason given (majority() did not decide: 1 of 2 say the same" in told
    )
    shared = said(path, "desk/shared")
    assert "'plan' is now \"wave\", version 1, by clerk" in shared
    assert "conflict of entries about plan" in shared
    assert "boat 1 goes to desk/r/clerk under token 1, for 300 s" in shared
    assert "token 1 counts no more: its holder: finished" in shared
    for run in ("desk/r", str(us.board_of("desk")), str(us.lease_of("desk", "boat 1"))):
        report = replay(path, run)
        assert report.difference is None, report.difference
        assert report.turns
