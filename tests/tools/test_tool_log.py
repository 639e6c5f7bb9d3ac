"""What a call hands its tool beside its arguments: who it is for, and a logger."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import understudy as us
from tests.tools import apart
from tests.tools.intents import AGENT
from tests.tools.test_perform import perform

ONCE = us.Retry(attempts=1)


def speaking(isolation: str) -> Any:
    if isolation == "process":
        return apart.logs
    if isolation == "thread":
        return us.tool(effect="read", retry=ONCE)(apart.logs.function)

    async def logs(call: us.Call, what: str) -> str:
        """Log."""
        said: str = apart.logs.function(call, what)
        return said

    return us.tool(effect="read", retry=ONCE)(logs)


@pytest.mark.parametrize("isolation", ["thread", "task", "process"])
async def test_what_a_tool_logs_reaches_the_program_and_says_of_which_call_it_is(
    isolation: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "understudy")
    attempt = await perform(speaking(isolation), {"what": "jump"})
    assert attempt.value == f'"{AGENT}"'.encode()
    records = [record for record in caplog.records if record.name == "understudy.tool"]
    assert [record.levelno for record in records] == [logging.INFO, logging.ERROR, logging.WARNING]
    for record in records:
        about: Any = record
        assert record.getMessage().startswith(f"logs {about.call} of {about.run}: ")
        assert (about.tool, about.agent, about.attempt) == ("logs", AGENT, 1)
    assert records[0].getMessage().endswith(": about to jump")
    assert "KeyError: 'jump'" in logging.Formatter().format(records[1])
    assert records[2].getMessage().endswith(": %d is no number"), "arguments that do not fit are no failure of the call"


@pytest.mark.parametrize("isolation", ["thread", "task", "process"])
async def test_a_secret_that_a_tool_logs_is_hidden(isolation: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "understudy")
    bird = f"logged-{isolation}-3f9a1c77"
    us.Secret(bird)
    await perform(speaking(isolation), {"what": bird})
    assert len(caplog.records) == 3
    assert bird not in caplog.text
    assert "about to [secret]" in caplog.text
    assert "KeyError: '[secret]'" in caplog.text


async def test_what_is_too_long_is_cut_and_its_own_words_about_the_call_do_not_count(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @us.tool(effect="read")
    def long(call: us.Call) -> str:
        """Log."""
        call.log.warning("half a pair \ud83d%s", "x" * 1_000_000, extra={"call": "mine", "more": 1})
        return "done"

    assert (await perform(long)).value == b'"done"'
    (record,) = caplog.records
    about: Any = record
    assert len(record.getMessage()) == 10_000
    assert about.more == 1
    assert about.call != "mine"


def test_called_directly_a_tool_logs_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "understudy")
    assert apart.logs("jump") == ""
    assert "about to jump" in caplog.text
