"""Requests by name to a supervisor that is down itself, or busy, fail within their time and say so."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

import understudy as us
from tests.conformance.bench import Real
from tests.conformance.part import Fail, Part, World, part

SLOWLY = us.Backoff(base=600.0, cap=600.0)
ONCE = us.Intensity(0, 5.0)
AT_ONCE = 0.05


def tree(world: World, *, around: bool = False) -> us.Supervisor:
    """``top`` over ``outer`` over ``inner``; who ends is restarted after a long wait, the first time too."""
    inner = us.Supervisor("inner", [part(world, "c"), us.Pool("jobs/{k}", Part(world))], intensity=ONCE, backoff=SLOWLY)
    outer = us.Supervisor("outer", [part(world, "b"), inner], intensity=ONCE if around else None, backoff=SLOWLY)
    return us.Supervisor("top", [outer], backoff=SLOWLY)


@asynccontextmanager
async def down(*, around: bool = False) -> AsyncGenerator[us.System]:
    """A system in which ``inner`` waits for its restart, or ``outer`` does (``around``)."""
    world = World()
    who, above, child = ("outer", "top", "b") if around else ("inner", "outer", "c")
    async with Real(tree(world, around=around), world=world) as bench:
        for times in (1, 2):  # the first restart is at once
            await bench.until(
                lambda: bench.status("top").get("outer") == bench.status("outer").get("inner") == "running"
            )
            await bench.tell(child, Fail())
            await bench.until(lambda n=times: len(bench.events(above, "restarting")) == n)  # type: ignore[misc]
        await bench.until(lambda: bench.status(above)[who] == "waiting")
        yield bench.system


REQUESTS: dict[str, dict[str, Any]] = {
    "count": {}, "which": {}, "start": {"child": "jobs/1"}, "stop": {"child": "c"}, "restart": {"child": "c"},
    "delete": {"child": "c"}, "spec": {"child": "c"},
}  # fmt: skip


async def test_a_request_to_a_supervisor_that_waits_for_its_restart_says_so_within_its_time() -> None:
    async with down() as system:
        inner = system.supervisor("inner", timeout=AT_ONCE)
        for method, given in REQUESTS.items():
            with (
                anyio.fail_after(5),
                pytest.raises(us.AskFailed, match="inner is down, which is restarted in") as caught,
            ):
                await getattr(inner, method)(**given)
            failure = caught.value.failure
            assert (failure.code, failure.kind, failure.where) == ("supervisor_down", "retry_later", "inner")
            assert failure.after is not None
            assert 0 <= failure.after <= 600
            assert failure.cause is not None
            assert failure.cause.code in ("timeout", "expired")
            assert failure.cause.cause is not None
            assert failure.cause.cause.code == "budget_exhausted"


async def test_what_was_asked_of_a_supervisor_that_was_down_is_not_done_later() -> None:
    async with down() as system:
        with pytest.raises(us.AskFailed):
            await system.supervisor("inner", timeout=AT_ONCE).start("jobs/1")
        outer = system.supervisor("outer")
        await outer.stop("inner")
        await outer.restart("inner")
        assert [child.id for child in await system.supervisor("inner").which()] == ["c"]


async def test_the_one_above_that_is_down_is_named() -> None:
    async with down(around=True) as system:
        for name, says in (
            ("inner", "inner is down, and so is outer above it, which"),
            ("outer", "outer is down, which"),
        ):
            with anyio.fail_after(5), pytest.raises(us.AskFailed, match=says) as caught:
                await system.supervisor(name, timeout=AT_ONCE).count()
            assert (caught.value.failure.code, caught.value.failure.where) == ("supervisor_down", "outer")
        assert (await system.supervisor("top").count()).specs == 1, "who is up answers"


async def test_a_supervisor_that_is_busy_is_not_down_and_says_what_it_waits_for() -> None:
    called, go_on = anyio.Event(), anyio.Event()

    @us.tool(effect="once", timeout=60.0)
    async def hold() -> str:
        """Take your time."""
        called.set()
        await go_on.wait()
        return "done"

    class Begin(us.Message):
        pass

    class Holds(us.Actor):
        @us.handles(Begin)
        def begin(self, turn: us.Turn[us.State], msg: Begin) -> None:
            turn.call(hold)

        @us.settles(hold)
        def held(self, turn: us.Turn[us.State], outcome: us.Outcome[str]) -> None:
            pass

    team = us.Supervisor("team", [us.Child("slow", Holds, tools=[hold], shutdown=60.0), us.Child("b", Part())])
    async with us.System(team) as system:
        await system.tell("slow", Begin())
        await called.wait()
        impatient = system.supervisor("team", timeout=AT_ONCE)
        with pytest.raises(us.AskFailed):
            await impatient.stop("slow")
        with pytest.raises(us.AskFailed, match=r"in the middle of something \(stop\), and waits for slow") as caught:
            await impatient.stop("b")
        assert caught.value.failure.code in ("timeout", "expired")
        go_on.set()
        patient = system.supervisor("team")
        await patient.stop("slow")
        assert {c.id: c.status for c in await patient.which()} == {"slow": "ended", "b": "running"}
