"""``us.builtin.shell``: programs by name, and no shell."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

import understudy as us
from tests.tools.test_process import gone, perform, until, value

ECHO = ["echo", "cat", "sleep", "ls"]


async def test_a_program_gets_its_arguments_as_they_are(tmp_path: Path) -> None:
    shell = us.builtin.shell(ECHO, folder=tmp_path)
    odd = "a; touch made | $(touch made) `touch made` * > made"
    ran = await value(shell, command=["echo", odd])
    assert ran == {"code": 0, "out": odd + "\n", "err": "", "cut": False}
    assert (await value(shell, command=["ls", "-A"]))["out"] == ""
    assert (await value(shell, command=["cat"], stdin="given"))["out"] == "given"


async def test_a_program_that_fails_is_an_answer() -> None:
    ran = await value(us.builtin.shell(ECHO), command=["ls", "/nonesuch"])
    assert ran["code"] != 0
    assert "nonesuch" in ran["err"]


@pytest.mark.parametrize(
    "command", [["rm", "-rf", "x"], ["/bin/echo"], ["./echo"], ["echo", "a\0b"], [" echo"], ["ECHO"]]
)
async def test_what_is_not_named_does_not_run(command: list[str]) -> None:
    attempt = await perform(us.builtin.shell(["echo"]), command=command)
    assert attempt.failure is not None
    assert (attempt.failure.kind, attempt.unknown) == ("change_arguments", False)


@pytest.mark.parametrize(
    "wrong", [{"command": []}, {"command": "echo x"}, {"command": ["echo"], "programs": {"rm": "/bin/rm"}}, {}]
)
async def test_a_string_and_what_the_agent_may_not_say_are_refused(wrong: dict[str, Any]) -> None:
    attempt = await perform(us.builtin.shell(["echo"]), **wrong)
    assert attempt.failure is not None
    assert attempt.failure.code == "bad_arguments"


@pytest.mark.parametrize("shell", ["sh", "bash", "env", "xargs", "/bin/sh"])
def test_what_only_runs_other_programs_cannot_be_allowed(shell: str) -> None:
    with pytest.raises(us.DefinitionError, match="runs whatever it is told"):
        us.builtin.shell([shell])


def test_a_shell_by_another_name_cannot_either(tmp_path: Path) -> None:
    (tmp_path / "innocent").symlink_to("/bin/bash")
    with pytest.raises(us.DefinitionError, match="runs whatever it is told"):
        us.builtin.shell([str(tmp_path / "innocent")])


@pytest.mark.parametrize("commands", [[], "ls", ["nonesuch-program"], ["./here"]])
def test_nothing_and_what_is_not_there_cannot_be_allowed(commands: Any) -> None:
    with pytest.raises(us.DefinitionError):
        us.builtin.shell(commands)


async def test_it_sees_no_secret_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "secret")
    monkeypatch.setenv("GRANTED", "yes")
    out = (await value(us.builtin.shell(["printenv"], environ=["GRANTED"]), command=["printenv"]))["out"]
    assert "secret" not in out
    assert "GRANTED=yes" in out


async def test_much_output_is_cut_and_does_not_hang() -> None:
    shell = us.builtin.shell([sys.executable])
    program = "import sys; sys.stdout.write('x' * 30_000_000); sys.stderr.write('y' * 100_000)"
    ran = await value(shell, command=[sys.executable, "-c", program])
    assert (ran["code"], len(ran["out"]), len(ran["err"]), ran["cut"]) == (0, 50_000, 50_000, True)


async def test_what_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    said = tmp_path / "pids"
    program = (
        "import os, signal, subprocess, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "child = subprocess.Popen(['sleep', '1000']);"
        f"open({str(said)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}'); time.sleep(1000)"
    )
    attempt = await perform(us.builtin.shell([sys.executable], timeout=3.0), command=[sys.executable, "-c", program])
    assert attempt.failure is not None
    assert (attempt.failure.code, attempt.unknown) == ("timeout", True)
    pids = [int(pid) for pid in said.read_text().split()]
    await until(lambda: all(gone(pid) for pid in pids))


async def test_what_a_program_leaves_behind_is_not_waited_for_and_killed(tmp_path: Path) -> None:
    said = tmp_path / "pid"
    program = f"import subprocess; open({str(said)!r}, 'w').write(str(subprocess.Popen(['sleep', '1000']).pid)); print('done')"
    began = time.monotonic()
    ran = await value(us.builtin.shell([sys.executable]), command=[sys.executable, "-c", program])
    assert ran["out"] == "done\n"
    assert time.monotonic() - began < 20
    await until(lambda: gone(int(said.read_text())))


def test_it_is_once_unless_said_otherwise_and_tells_what_is_allowed() -> None:
    shell = us.builtin.shell(["echo", "ls"])
    assert shell.spec.effect == "once"
    assert us.builtin.shell(["ls"], effect="read").spec.effect == "read"
    schema = msgspec.json.decode(shell.spec.parameters)
    assert "echo, ls" in schema["properties"]["command"]["description"]
