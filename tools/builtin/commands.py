"""``us.builtin.shell``: programs by name, with a list of arguments. There is no shell in it."""

from __future__ import annotations

import os
import selectors
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from ...protocols.effects import EffectClass
from ...protocols.errors import ChangeArguments, DefinitionError
from ...protocols.tool import KINDS, Kind
from ..declaring import SyncTool, tool
from ..process import PATH, variables

MOST = 50_000
"""Bytes of each output that are kept."""

SHELLS = frozenset(
    [
        "sh",
        "bash",
        "dash",
        "ash",
        "zsh",
        "ksh",
        "mksh",
        "fish",
        "csh",
        "tcsh",
        "busybox",
        "toybox",
        "env",
        "xargs",
        "nohup",
        "setsid",
        "sudo",
        "doas",
        "su",
        "nice",
        "timeout",
        "watch",
    ]
)
"""What only runs other programs: whoever allows it allows all of them."""

Stdin = Annotated[str, Meta(description="What the program reads from its standard input. If missing: nothing.")]


class Ran(Struct, frozen=True):
    """What a program did.

    Attributes:
        code: exit code; negative for the signal that ended it. Not 0 is no failure of the call.
        out: standard output, its first 50,000 bytes.
        err: standard error, as much.
        cut: there was more.
    """

    code: int
    out: str
    err: str
    cut: bool


def shell(
    commands: Sequence[str],
    *,
    folder: str | os.PathLike[str] = ".",
    effect: EffectClass = "once",
    timeout: float = 30.0,
    environ: Sequence[str] = (),
    name: str = "shell",
    private: bool = True,
    trusted: bool = False,
) -> SyncTool[..., Ran]:
    """A tool ``shell`` that runs the named programs, each call in a process of its own with all its children.

    Arguments are handed over as they are: no shell looks at them, so ``;``, ``|``, ``$`` and ``*`` mean nothing.
    What a program does with its arguments is its own: ``find -exec`` or ``git -c`` start others.

    Args:
        commands: names of programs, found now in ``/usr/local/bin:/usr/bin:/bin``, or absolute paths.
        folder: where they run.
        effect: what is safe after a crash in the middle. Say ``read`` only where every one of them with any argument changes nothing.
        timeout: seconds a call may take; then everything it began is killed.
        environ: names of environment variables that the programs see, besides a plain ``PATH`` and locale.
        name: the tool's name.
        private: what they print is nobody else's business.
        trusted: what they print was written by nobody but those who are trusted.

    Raises:
        DefinitionError: nothing is named, a program is not there, or it is one that runs others (a shell, ``env``, ``xargs``).
    """
    if isinstance(commands, str) or not commands:
        raise DefinitionError(f"shell(commands={commands!r})", hint='names of programs, such as ["git", "ls"]')
    programs = {command: _program(command) for command in commands}
    place = Path(folder).absolute()
    if not place.is_dir():
        raise DefinitionError(f"shell(folder={str(folder)!r}): there is no such folder")
    listed = ", ".join(programs)
    Command = Annotated[  # noqa: N806 - a type
        list[str],
        Meta(
            description=f'Program and arguments, each a text of its own, such as ["{next(iter(programs))}", "--help"]. '
            f"Programs: {listed}. No shell reads it: no pipes, wildcards, variables or redirections.",
            min_length=1,
            max_length=1_000,
        ),
    ]

    def run(command: list[str], stdin: Stdin = "") -> Ran:
        """Run a program and get its output and exit code."""
        return run_program(command, stdin, programs, str(place))

    run.__annotations__["command"] = Command
    # What a program does with its arguments is its own: nothing that it may do is left out, not even where it changes nothing.
    kind: tuple[Kind, ...] = ("read", "egress", "execute") if effect == "read" else KINDS
    made = tool(
        effect=effect,
        name=name,
        timeout=timeout,
        kind=kind,
        sinks=["command"],
        payload=["command", "stdin"],
        private=private,
        trusted=trusted,
    )(run)
    made.isolation, made.environ = "process", variables(environ, name)
    made.apart = (__name__, run_program.__name__)
    made.fixed = {"programs": programs, "folder": str(place)}
    return made


def _program(command: str) -> str:
    found = shutil.which(command, path=PATH) if "/" not in command else command
    if "/" in command and not (Path(command).is_absolute() and os.access(command, os.X_OK) and Path(command).is_file()):
        found = None
    if found is None:
        raise DefinitionError(f"shell: there is no program {command!r}", hint=f"a name in {PATH}, or an absolute path")
    if {Path(found).name, Path(found).resolve().name} & SHELLS:
        raise DefinitionError(
            f"shell: {command!r} runs whatever it is told",
            hint="name the programs themselves; make a script of what needs a shell",
        )
    return str(Path(found).absolute())


def run_program(command: list[str], stdin: str, programs: dict[str, str], folder: str) -> Ran:
    """Run it here and now."""
    program = programs.get(command[0])
    if program is None:
        raise ChangeArguments(f"{command[0]!r} is not allowed", hint=f"one of {', '.join(programs)}")
    if any("\0" in argument for argument in command):
        raise ChangeArguments("an argument has a NUL in it")
    with tempfile.TemporaryFile() as given:
        given.write(stdin.encode("utf-8", "replace"))
        given.seek(0)
        try:
            process = subprocess.Popen(
                [program, *command[1:]],
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folder,
            )
        except (OSError, ValueError) as error:
            raise ChangeArguments(f"{command[0]} could not be started: {error}") from error
    with process:
        texts, cut = _outputs(process)
        code = process.wait()
    out, err = (text.decode("utf-8", "replace") for text in texts)
    return Ran(code, out, err, cut)


def _outputs(process: subprocess.Popen[bytes]) -> tuple[list[bytes], bool]:
    """What it writes, up to a bound; the rest is read and thrown away, so that it does not hang in a full pipe."""
    pipes = [pipe for pipe in (process.stdout, process.stderr) if pipe is not None]
    kept: list[bytearray] = [bytearray() for _ in pipes]
    cut = False
    with selectors.DefaultSelector() as ready:
        for number, pipe in enumerate(pipes):
            os.set_blocking(pipe.fileno(), False)
            ready.register(pipe, selectors.EVENT_READ, number)
        while ready.get_map():
            over = process.poll() is not None  # what it leaves behind may hold its outputs open: that is not waited for
            events = ready.select(0 if over else 0.05)
            if over and not events:
                break
            for key, _ in events:
                piece = os.read(key.fd, 65_536)
                if not piece:
                    ready.unregister(key.fileobj)
                text = kept[int(key.data)]
                room = MOST - len(text)
                text += piece[:room]
                cut |= len(piece) > room
    return [bytes(text) for text in kept], cut
