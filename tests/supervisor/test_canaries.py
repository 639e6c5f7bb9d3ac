"""A secret that tools and models say wherever they can stands nowhere: not in the journal's files, the log, or what is watched."""

from __future__ import annotations

import base64
import logging
import os
from pathlib import Path

import anyio
import pytest

import understudy as us
from tests.supervisor.leaky import leaky
from understudy.protocols.errors import NotStorable
from understudy.protocols.secrets import forms
from understudy.tools.models.scripted import call


def birds_in(folder: Path, bird: str) -> list[str]:
    """Files in which it stands, in whatever form."""
    marks = [form.encode() for form in (*forms(bird), bird[:10], bird[-10:])]
    return [
        f"{path.name}: {mark!r}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for mark in marks
        if mark in path.read_bytes()
    ]


async def sing(folder: Path, bird: str, given: str | us.Secret) -> tuple[list[str], us.Scripted]:
    """A run of an agent whose tools and model say it; gives where it stands, and the model that was asked."""
    handler = logging.FileHandler(folder / "log.txt")
    logging.getLogger("understudy").addHandler(handler)
    tools = leaky(bird, given)
    calls = [call(tool.spec.name, what=f"echo {bird}") for tool in tools]
    last = f"It was {bird}, {base64.b64encode(bird.encode()).decode()}."
    model = us.Scripted([call for call in calls if call.name != "hangs"], call("hangs", what=bird), last)
    agent = us.Agent("singer", f"Sing. The key is {bird}.", model=model, tools=tools)
    heard: list[str] = []
    result: us.RunResult[str] | None = None
    try:
        async with us.System(agent, journal=folder / "journal.db") as system:
            async with system.watch("singer/run") as stream, anyio.create_task_group() as group:

                async def listen() -> None:
                    async for event in stream:
                        heard.append(repr(event))  # noqa: PERF401 - as they come: it is cancelled in the end

                group.start_soon(listen)
                result = await system.run(agent, "Sing.", id="run", timeout=60.0)
                await anyio.wait_all_tasks_blocked()
                group.cancel_scope.cancel()
            (folder / "shown.txt").write_text(f"{result}\n{heard}\n{system.inbox()}")
            found = birds_in(folder, bird)  # the log of writes is still there
        assert result is not None
        assert result.status == "done"
    finally:
        logging.getLogger("understudy").removeHandler(handler)
        handler.close()
    return found + birds_in(folder, bird), model


async def test_a_canary_stands_nowhere(tmp_path: Path) -> None:
    bird = f'canary/{os.urandom(12).hex()}+"quoted"'
    found, model = await sing(tmp_path, bird, us.Secret(bird))
    assert found == []
    assert "[secret]" in (tmp_path / "shown.txt").read_text()
    assert "[secret]" in (tmp_path / "log.txt").read_text(), "the process that died had said it"
    assert bird not in repr(model.requests), "not even the model was told"


async def test_without_a_secret_it_stands_in_the_journal_and_in_what_is_shown(tmp_path: Path) -> None:
    bird = f'canary/{os.urandom(12).hex()}+"quoted"'
    found, model = await sing(tmp_path, bird, bird)
    assert {line.split(":")[0] for line in found} >= {"journal.db", "log.txt", "shown.txt"}
    assert bird[:20] in repr(model.requests)


class Keep(us.Request[str]):
    what: str


class Kept(us.Event):
    what: str


class Keeper(us.Actor):
    class State(us.State):
        what: str = ""

    @us.handles(Keep)
    def keep(self, turn: us.Turn[State], msg: Keep) -> str:
        if msg.what == "raise":
            raise ValueError(f"with {KEY.reveal()}")
        turn.emit(Kept(KEY.reveal()))
        return "kept"

    @us.applies(Kept)
    def kept(self, state: State, event: Kept) -> State:
        return state.evolve(what=event.what)


KEY = us.Secret("keeper-5b1c7e90")


async def test_what_a_program_would_put_there_itself_is_refused(tmp_path: Path) -> None:
    async with us.System(us.Child("keeper", Keeper), journal=tmp_path / "journal.db") as system:
        with pytest.raises(NotStorable, match="Keep holds a secret"):
            await system.ask("keeper", Keep(f"my key is {KEY.reveal()}"))
        with pytest.raises(us.AskFailed, match="holds a secret"):
            await system.ask("keeper", Keep("emit"))
        with pytest.raises(us.AskFailed, match=r"with \[secret\]"):
            await system.ask("keeper", Keep("raise"))
        with pytest.raises(NotStorable, match="type Secret is unsupported"):
            await system.tell("keeper", Keep(KEY))  # type: ignore[arg-type]
        assert birds_in(tmp_path, KEY.reveal()) == []


async def test_a_tool_is_handed_its_secret_and_no_model_sees_the_parameter() -> None:
    used: list[str] = []

    @us.tool(effect="read")
    def look(what: str, key: us.Secret = KEY) -> str:
        """Look."""
        used.append(key.reveal())
        return what

    assert (look.order, b"key" in bytes(look.spec.parameters)) == (("what",), False)
    assert look("here") == "here"
    with us.Scripted(call("look", what="there"), "seen") as model:
        agent = us.Agent("looker", "Look.", model=model, tools=[look])
        async with us.System(agent) as system:
            assert (await system.run(agent, "look")).output == "seen"
    assert used == [KEY.reveal()] * 2


async def test_a_model_that_is_to_answer_in_a_type_is_asked_without_the_secret() -> None:
    model = us.Scripted("[1, 2]")
    agent = us.Agent("counter", f"Count. The key is {KEY.reveal()}.", model=model, output=list[int])
    async with us.System(agent) as system:
        assert (await system.run(agent, "count")).output == [1, 2]
    (asked,) = model.requests
    assert asked.messages[0].text.startswith("Count. The key is [secret].")
    assert asked.output is not None


def test_a_secret_parameter_needs_its_secret() -> None:
    with pytest.raises(us.DefinitionError, match=r"parameter 'key' is a us\.Secret and has none"):

        @us.tool(effect="read")
        def look(what: str, key: us.Secret) -> str:
            """Look."""
            return what


@pytest.mark.parametrize(
    "wrong", [{"A=B": "x"}, {"A": 1}, {"": "x"}, {1: "x"}, {"A": None}, ["A=B"], "A", 5, {"A\0": "x"}]
)
def test_an_environment_that_is_none_is_refused_and_shows_no_value(wrong: object) -> None:
    from tests.supervisor.leaky import in_process

    with pytest.raises(us.DefinitionError, match="environ"):
        us.tool(effect="read", isolation="process", environ=wrong)(in_process)  # type: ignore[arg-type]
