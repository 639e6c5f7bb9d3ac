"""Calls in processes of their own: they end when they are told to, with all that they began, and say what they know."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

import understudy as us
from tests.tools import apart
from tests.tools.intents import AGENT
from tests.tools.test_perform import started
from understudy.protocols.effects import Attempt, EffectClass
from understudy.protocols.tool import MAX_RESULT
from understudy.tools.models.scripted import call
from understudy.tools.perform import Performer
from understudy.tools.tool import Tool

linux = pytest.mark.skipif(sys.platform != "linux", reason="what left its group is found by its mark in /proc")


async def perform(tool: Tool[..., Any], **args: Any) -> Attempt:
    with anyio.fail_after(60):
        return await Performer({AGENT: {tool.spec.name: tool}}, {}).perform(
            started(tool, args), None, lambda _: None, lambda _: None
        )


async def value(tool: Tool[..., Any], **args: Any) -> Any:
    attempt = await perform(tool, **args)
    assert attempt.value is not None, attempt
    return msgspec.json.decode(attempt.value)


def gone(pid: int) -> bool:
    """Whether there is no such process; a zombie that nobody of ours has to reap counts as gone."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return False


def used() -> set[str]:
    """Descriptors, threads and children (zombies too) that there are."""
    files = {f"file {path.name}" for path in Path("/dev/fd").iterdir()}
    threads = {f"thread {thread.name}" for thread in threading.enumerate() if thread.name.startswith("tool ")}
    shown = subprocess.run(["ps", "-A", "-o", "ppid=,pid=,comm="], capture_output=True, text=True, check=True).stdout
    lines = [line.split(maxsplit=2) for line in shown.splitlines()]
    return files | threads | {f"child {line}" for line in lines if line[0] == str(os.getpid()) and line[2] != "ps"}


async def until(true: Any) -> None:
    with anyio.fail_after(20):
        while not true():  # noqa: ASYNC110 - another process's end is no event here
            await anyio.sleep(0.005)


async def test_it_runs_in_a_session_of_its_own_and_sees_only_what_was_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRANTED", "yes")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "no")
    place = await value(apart.where)
    assert place["pid"] != os.getpid()
    assert place["pid"] == place["group"] == place["session"]
    assert place["environ"].pop("GRANTED") == "yes"
    assert set(place["environ"]) <= {"PATH", "LANG", "LC_ALL", "UNDERSTUDY_CALL", "__CF_USER_TEXT_ENCODING"}
    assert gone(place["pid"])


async def test_an_async_function_too_and_it_is_told_its_key_and_attempt() -> None:
    made = started(apart.double, {"number": 21})
    assert await value(apart.double, number=21) == ["42", made.key, "1"]


async def test_a_tool_may_have_another_name_than_its_function() -> None:
    assert await value(apart.more, number=1) == 2


@pytest.mark.parametrize("stubborn", [False, True], ids=["hangs", "ignores SIGTERM"])
async def test_a_timeout_ends_the_call_and_the_next_attempt_begins_at_once(tmp_path: Path, stubborn: bool) -> None:
    performer = Performer({AGENT: {"hang": apart.hang}}, {})
    for number in (1, 2):
        said = tmp_path / str(number)
        made = started(apart.hang, {"path": str(said), "stubborn": stubborn}, attempt=number)
        attempt = await performer.perform(made, None, lambda _: None, lambda _: None)
        assert attempt.failure is not None
        assert (attempt.failure.code, attempt.unknown) == ("timeout", True)
        assert gone(int(said.read_text()))


@pytest.mark.parametrize("ends", [True, False], ids=["returns", "hangs"])
@pytest.mark.parametrize("leaves", [False, pytest.param(True, marks=linux)], ids=["same group", "left its group"])
async def test_what_a_call_forked_is_gone_when_it_is_over(tmp_path: Path, ends: bool, leaves: bool) -> None:
    said = tmp_path / "pids"
    attempt = await perform(apart.fork, path=str(said), ends=ends, leaves=leaves)
    assert (attempt.value == b'"done"') is ends
    child = int(said.read_text().split()[0])
    await until(lambda: gone(child))  # it was killed; whoever inherited it reaps it


async def test_a_call_that_forks_and_returns_twice_answers_once() -> None:
    assert await value(apart.twice) == "parent"


async def test_what_it_prints_fills_nothing() -> None:
    assert await value(apart.shout, megabytes=100) == "said"


async def test_what_it_prints_goes_into_no_outcome(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "understudy"):
        attempt = await perform(apart.spill, secret="hunter2")
    assert "hunter2" not in repr(attempt)
    assert (
        "hunter2" in caplog.text
    )  # the program's own log is not the journal: there it helps whoever looks for the reason


@pytest.mark.parametrize(
    ("how", "kind", "code", "unknown", "text"),
    [
        ("kill", "retry_later", "process_died", True, "was killed by SIGKILL"),
        ("segfault", "retry_later", "process_died", True, "was killed by SIGSEGV"),
        ("os._exit", "retry_later", "process_died", True, "ended with exit code 0 before it gave a result"),
        ("sys.exit", "abandon", "crashed", True, "SystemExit: 4"),
        ("failed", "change_arguments", "bad_arguments", False, "not like this"),
        ("later", "retry_later", "crashed", True, "ConnectionResetError: gone"),
        ("value", "abandon", "crashed", True, "ValueError: value"),
    ],
)
async def test_each_way_to_end_without_a_result_is_named(
    how: str, kind: str, code: str, unknown: bool, text: str
) -> None:
    attempt = await perform(apart.die, how=how)
    assert attempt.failure is not None
    assert (attempt.failure.kind, attempt.failure.code, attempt.unknown) == (kind, code, unknown)
    assert text in attempt.failure.message
    assert attempt.failure.where == "die"


@pytest.mark.parametrize("what", ["object", "nan", "pair"])
async def test_a_result_that_is_no_json_is_drift(what: str) -> None:
    attempt = await perform(apart.odd, what=what)
    assert attempt.failure is not None
    assert (attempt.failure.code, attempt.unknown) == ("schema_drift", False)


async def test_a_result_of_another_type_and_one_that_is_too_large_are_refused() -> None:
    wrong, large = await perform(apart.lie), await perform(apart.odd, what="much")
    assert wrong.failure is not None
    assert wrong.failure.code == "schema_drift"
    assert large.failure is not None
    assert large.failure.code == "result_too_large"
    assert f"{MAX_RESULT:,}" in large.failure.message


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("not json", "process_died"),
        ('{"value": "a text, not a number"}', "schema_drift"),
        ('{"value": ' + "[" * 5_000 + "]" * 5_000 + "}", "process_died"),
        ('{"value": "' + "x" * 300_000 + '"}', "schema_drift"),
        ("x" * 500_000, "process_died"),
    ],
    ids=["no json", "wrong type", "deep", "large", "far too large"],
)
async def test_an_answer_that_the_call_wrote_itself_is_looked_at_like_any_other(answer: str, code: str) -> None:
    attempt = await perform(apart.forge, answer=answer)
    assert attempt.failure is not None
    assert attempt.failure.code == code


@pytest.mark.parametrize("beats", [1, 5])
async def test_its_heartbeats_are_heard_and_its_silence_ends_it(tmp_path: Path, beats: int) -> None:
    heard, said = list[str](), tmp_path / "pid"
    made = started(apart.beat, {"path": str(said), "beats": beats})
    attempt = await Performer({AGENT: {"beat": apart.beat}}, {}).perform(made, None, heard.append, lambda _: None)
    assert heard == [f"{number} of {beats}" for number in range(1, beats + 1)]
    if beats == 5:
        assert attempt.value == b'"done"'
    else:
        assert attempt.failure is not None
        assert attempt.failure.code == "silent"
        assert gone(int(said.read_text()))


async def test_what_it_starts_inherits_nothing_of_ours() -> None:
    assert await value(apart.grandchild) == 0


async def test_where_the_function_cannot_be_imported_nothing_has_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart.where, "apart", ("tests.tools.nonesuch", "where"))
    attempt = await perform(apart.where)
    assert attempt.failure is not None
    assert (attempt.failure.code, attempt.unknown) == ("not_importable", False)
    assert "tests.tools.nonesuch" in attempt.failure.message


async def test_where_no_process_can_be_started_nothing_has_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonesuch/python")
    attempt = await perform(apart.where)
    assert attempt.failure is not None
    assert (attempt.failure.kind, attempt.failure.code, attempt.unknown) == ("retry_later", "no_process", False)


async def test_where_no_descriptor_is_left_nothing_has_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    async def outcome(good: int) -> Attempt:
        """After so many pairs of sockets there are none left."""
        real, made = socket.socketpair, list[Any]()

        def pair(*given: Any, **more: Any) -> Any:
            made.append(None)
            if len(made) > good:
                raise OSError(errno.EMFILE, "Too many open files")
            return real(*given, **more)

        with monkeypatch.context() as patch:
            patch.setattr(socket, "socketpair", pair)
            return await perform(apart.where)

    for good in (0, 1):
        attempt = await outcome(good)
        assert attempt.failure is not None
        assert (attempt.failure.kind, attempt.failure.code, attempt.unknown) == ("retry_later", "no_process", False)


async def test_what_nobody_thought_of_ends_the_call_and_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr("understudy.tools.process._listen", lost)
    attempt = await perform(apart.where)
    assert attempt.failure is not None
    assert (attempt.failure.code, attempt.unknown) == ("no_process", True)
    assert "ZeroDivisionError" in attempt.failure.message


async def test_large_arguments_and_results_go_through() -> None:
    assert await value(apart.echo, text="å" * 100_000) == "å" * 100_000


async def test_cancelling_a_call_from_outside_ends_its_process_first(tmp_path: Path) -> None:
    said = tmp_path / "pid"
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: perform(apart.hang, path=str(said)))
        await until(said.exists)
        group.cancel_scope.cancel()
    assert gone(int(said.read_text()))


async def test_no_zombie_no_descriptor_and_no_thread_is_left(tmp_path: Path) -> None:
    await value(apart.where)  # whatever is opened once
    before = used()
    for how in ("kill", "os._exit"):
        await perform(apart.die, how=how)
    await value(apart.where)
    await perform(apart.hang, path=str(tmp_path / "pid"))
    await until(lambda: used() <= before)


def test_a_loop_in_another_thread_will_do_and_no_signal_handler_is_taken() -> None:
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    found = list[Any]()
    thread = threading.Thread(target=lambda: found.append(asyncio.run(value(apart.more, number=1))))
    thread.start()
    thread.join(60)
    assert found == [2]
    assert {number: signal.getsignal(number) for number in signal.valid_signals()} == handlers


async def test_when_the_program_is_killed_its_calls_end_too(tmp_path: Path) -> None:
    said = tmp_path / "pid"
    program = (
        "import asyncio; from tests.tools import apart, test_process as here;"
        f"asyncio.run(here.perform(apart.hang, path={str(said)!r}, stubborn=True))"
    )
    root = Path(__file__).parents[2]
    process = subprocess.Popen([sys.executable, "-c", program], cwd=root)  # noqa: ASYNC220 - it is killed below
    try:
        await until(said.exists)
    finally:
        process.kill()
        process.wait()
    await until(lambda: gone(int(said.read_text())))


@pytest.mark.parametrize(
    ("effect", "tries", "left"),
    [("once", 1, "in_doubt"), ("idempotent", 2, "in_doubt"), ("read", 2, "attempts_exhausted")],
)
async def test_what_a_killed_process_means_is_for_the_ledger_to_say(
    tmp_path: Path, effect: EffectClass, tries: int, left: str
) -> None:
    begun = tmp_path / "begun"
    retry = us.Retry(attempts=2, base=0.0)
    tool = us.tool(effect=effect, isolation="process", retry=retry)(apart.begin_and_die)
    model = us.Scripted(call("begin_and_die", path=str(begun)), "It failed.")
    agent = us.Agent("agent", "Go.", model=model, tools=[tool])
    async with us.System(agent) as system:
        result = await system.run(agent, "Go", timeout=30)
    if left == "in_doubt":
        (item,) = result.waiting
        assert item.kind == "in_doubt"
        assert "SIGKILL" in item.text
    else:
        assert result.output == "It failed."
    assert len(begun.read_text()) == tries


def test_a_function_that_no_other_process_can_import_is_refused_when_it_is_defined() -> None:
    def local() -> None: ...

    async def later() -> None: ...

    for function in (local, later):
        with pytest.raises(
            us.DefinitionError, match=r"needs a function that another process can import, and .* is local"
        ):
            us.tool(isolation="process")(function)


def test_a_function_of_the_main_program_is_refused_with_what_to_do(tmp_path: Path) -> None:
    program = tmp_path / "desk.py"
    program.write_text("import understudy as us\n@us.tool(isolation='process')\ndef look() -> None: ...\n")
    run = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "'__main__' is not imported from a module" in run.stderr
    assert "move it into a module of its own" in run.stderr


def test_options_that_would_be_ignored_are_refused() -> None:
    with pytest.raises(us.DefinitionError, match="would block the loop"):

        @us.tool(isolation="task")
        def plain() -> None: ...

    with pytest.raises(us.DefinitionError, match="one of task, thread, process"):

        @us.tool(isolation="container")  # type: ignore[arg-type]
        def boxed() -> None: ...

    with pytest.raises(us.DefinitionError, match="tasks and threads see everything"):

        @us.tool(environ=["KEY"])
        def threaded() -> None: ...

    with pytest.raises(us.DefinitionError, match="names of environment variables"):
        apart.where.isolate("process", "KEY")


async def test_an_async_function_may_run_in_a_thread() -> None:
    @us.tool(effect="read", isolation="thread")
    async def where() -> str:
        """Where."""
        await asyncio.sleep(0)
        return threading.current_thread().name

    assert await value(where) == "tool where"
