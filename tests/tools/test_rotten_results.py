"""Whatever a tool gives or raises, its call ends with a failure that says what it was, and nothing else suffers from it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import understudy as us
from tests.tools import rotten
from understudy.actors.cell import read_record
from understudy.protocols.effects import Effect
from understudy.protocols.journal import MAX_ROW
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.verify import verify
from understudy.tools.models.scripted import call

ONCE = us.Retry(attempts=1)


def tools(isolation: str) -> list[Any]:
    """All of them, in a thread, a task or a process."""

    def there(function: Callable[[], Any]) -> Callable[..., Any]:
        if isolation != "task":
            return function

        async def run() -> Any:
            return function()

        run.__name__, run.__doc__ = function.__name__, function.__doc__
        run.__annotations__ = {"return": inspect.signature(function, eval_str=True).return_annotation}
        return run

    made = us.tool(effect="read", retry=ONCE, isolation=isolation, timeout=60.0)  # type: ignore[arg-type]
    return [made(there(function)) for function in rotten.CODES]


def settled(folder: Path) -> list[Effect]:
    """Effects that are over, of a journal that is whole and whose rows fit."""
    with read_only(folder / "j.db") as reader:
        assert verify(reader).bad == 0
        rows = reader.rows(limit=10_000)
    assert all(len(bytes(row.payload)) < MAX_ROW for row in rows)
    return [effect for row in rows for effect in read_record(row).changes if effect.state == "settled"]


@pytest.mark.parametrize("isolation", ["thread", "task", "process"])
async def test_a_run_survives_every_rotten_result(isolation: str, tmp_path: Path) -> None:
    offered = tools(isolation)
    names = [tool.spec.name for tool in offered]
    with us.Scripted([call(name) for name in names], "done all the same") as model:
        agent = us.Agent("eater", "Eat.", model=model, tools=offered)
        async with us.System(agent, journal=tmp_path / "j.db") as system:
            result = await system.run(agent, "Eat all of it.", id="run", timeout=120.0)
            assert (result.output, system.inbox()) == ("done all the same", ())
    found = {e.name: e for e in settled(tmp_path) if e.verb == "call"}
    codes = {name: failure.code for name, e in found.items() if (failure := e.failure) is not None}
    assert codes == {function.__name__: code for function, code in rotten.CODES.items()}
    assert all(len(e.failure.message) <= 20_000 for e in found.values() if e.failure is not None)


@pytest.mark.parametrize("progress", ["x" * 50_000_000, "\ud83d", "\0"])
async def test_a_heartbeat_is_cut_and_stored_nowhere(progress: str, tmp_path: Path) -> None:
    @us.tool(effect="read", heartbeat=30.0)
    async def beats(call: us.Call) -> str:
        """Beat."""
        call.heartbeat(progress)
        return "beaten"

    with us.Scripted(call("beats"), "done") as model:
        agent = us.Agent("beater", "Beat.", model=model, tools=[beats])
        async with us.System(agent, journal=tmp_path / "j.db") as system:
            assert (await system.run(agent, "beat", id="run")).output == "done"
    assert (tmp_path / "j.db").stat().st_size < 1_000_000


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("x" * 50_000_000, "result_too_large"),
        ("half of a pair: \ud83d", "crashed"),
        (rotten.Last("the last"), "crashed"),
        (SystemExit(3), "crashed"),
        (rotten.Mute(), "crashed"),
    ],
    ids=["50 MB", "no UTF-8", "BaseException", "SystemExit", "mute"],
)
async def test_what_a_model_says_that_nobody_can_use_is_a_failure_of_the_model(
    reply: Any, code: str, tmp_path: Path
) -> None:
    class Rotten:
        name = "rotten"

        async def complete(self, request: us.ModelRequest, on_delta: Callable[[str], None]) -> us.ModelReply:
            if isinstance(reply, BaseException):
                raise reply
            return us.ModelReply(reply)

    with us.Scripted("the second one") as second:
        agent = us.Agent("asker", "Ask.", model=[Rotten(), second])
        async with us.System(agent, journal=tmp_path / "j.db") as system:
            result = await system.run(agent, "ask", id="run", timeout=60.0)
            assert result.output == "the second one"
    assert [e.failure.code for e in settled(tmp_path) if e.failure is not None] == [code]


async def test_a_rule_that_raises_refuses_the_call_and_says_so() -> None:
    paid: list[str] = []

    @us.tool(effect="once")
    def pay(to: str) -> str:
        """Pay."""
        paid.append(to)
        return "paid"

    @pay.approve_if
    def odd(to: str) -> bool:
        raise ZeroDivisionError("nobody thought of that")

    with us.Scripted(call("pay", to="ada"), "not paid") as model:
        agent = us.Agent("payer", "Pay.", model=model, tools=[pay])
        async with us.System(agent) as system:
            result = await system.run(agent, "pay", id="run")
        assert (result.output, paid) == ("not paid", [])
        assert "nobody thought of that" in repr(model.requests[-1])
