"""Tools that say their secret wherever they can. ``BIRD`` is what is looked for; whether it is a ``us.Secret`` is the test's to say."""

from __future__ import annotations

import base64
import os
import sys
from typing import Any

import understudy as us


def in_process(what: str) -> str:
    """Say it on the way, and come back."""
    bird = os.environ["BIRD"]
    print(bird)
    print(bird, file=sys.stderr, flush=True)
    return f"{what}: {bird}"


def dies(call: us.Call, what: str) -> str:
    """Say it on the way, and die."""
    bird = os.environ["BIRD"]
    call.heartbeat(f"with {bird}")
    print(bird, file=sys.stderr, flush=True)
    os._exit(7)


def raises(what: str) -> str:
    """Say it in an exception with a cause."""
    bird = os.environ["BIRD"]
    raise ValueError(f"x{bird}x" * 200) from KeyError(bird)


def leaky(bird: str, given: str | us.Secret) -> list[Any]:
    """All of these tools."""

    @us.tool(effect="read")
    async def gives(call: us.Call, what: str) -> dict[str, list[str]]:
        """Give it in every form."""
        call.heartbeat(f"half of {bird}")
        return {bird: [bird, base64.b64encode(b"u:" + bird.encode()).decode(), bird.encode().hex(), what]}

    @us.tool(effect="read")
    def fails(what: str) -> str:
        """Raise it, with a cause."""
        raise RuntimeError(f"failed with {bird}") from LookupError(bird)

    @us.tool(effect="read")
    def declares(what: str) -> str:
        """Refuse with it."""
        raise us.Abandon(f"no: {bird}", hint=f"ask for {bird}", code="refused")

    @us.tool(effect="read")
    async def groups(what: str) -> str:
        """Raise many with it."""
        raise BaseExceptionGroup("many", [ValueError(bird), SystemExit(bird)])

    @us.tool(effect="read")
    def drifts(what: str) -> int:
        """Give it in another type than is declared."""
        return bird  # type: ignore[return-value]

    @us.tool(effect="read")
    def hangs(call: us.Call, what: str) -> str:
        """Be found out with it."""
        call.heartbeat(bird)
        return what

    environ: Any = {"BIRD": given}
    apart = [
        us.tool(effect="read", isolation="process", environ=environ, retry=us.Retry(attempts=1))(function)
        for function in (in_process, dies, raises)
    ]
    return [gives, fails, declares, groups, drifts, hangs, *apart]
