"""The door of a system: what is refused before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

import understudy as us
from understudy.protocols.errors import MissingKey


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


async def test_a_missing_key_is_told_before_anything_is_written_and_the_run_begins_when_it_is_there(
    tmp_path: Path,
) -> None:
    journal = tmp_path / "journal.db"
    keyless = us.Agent("agent", "Answer.", model="openai:gpt-5-mini")
    async with us.System(keyless, journal=journal) as system:
        with pytest.raises(MissingKey, match="OPENAI_API_KEY"):
            await system.run(keyless, "Go", id="one")
        assert [line.address for line in await system.actors("agent")] == []
    mended = us.Agent("agent", "Answer.", model=us.Scripted("Gone."))
    async with us.System(mended, journal=journal) as system:
        assert (await system.run(mended, "Go", id="one", timeout=20)).output == "Gone."
    async with us.System(keyless, journal=journal) as system:  # what is recorded needs no model
        assert (await system.run(keyless, "Go", id="one", timeout=20)).output == "Gone."


async def test_a_chain_with_one_model_that_is_ready_may_begin() -> None:
    agent = us.Agent("agent", "Answer.", model=["openai:gpt-5-mini", us.Scripted("Gone.", name="second")])
    async with us.System(agent) as system:
        assert (await system.run(agent, "Go", timeout=20)).output == "Gone."


async def test_an_id_that_is_no_text_is_refused_and_nobody_else_is_hurt() -> None:
    agent = us.Agent("agent", "Answer.", model=us.Scripted("Gone."))
    async with us.System(agent) as system:
        with pytest.raises(ValueError, match="cannot be an id"):
            await system.run(agent, "Go", id="a\udcff")
        assert (await system.run(agent, "Go", timeout=20)).output == "Gone."
