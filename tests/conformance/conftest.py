"""Every rule is tried on the simulated node and on the real one."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

import understudy as us
from tests.conformance.bench import Bench, Clock, Opens, Real, Virtual
from tests.conformance.part import World
from understudy.testing import FaultPlan


@pytest.fixture
def world() -> World:
    """What the actors meet outside."""
    return World()


@pytest.fixture(params=["simulated", "memory", "file"])
def open_(request: pytest.FixtureRequest, world: World, tmp_path: Path) -> Opens:
    """Opens a node with these definitions."""
    return opener(request.param, world, tmp_path)


@pytest.fixture(params=["simulated", "file"])
def reopens(request: pytest.FixtureRequest, world: World, tmp_path: Path) -> Opens:
    """As ``open_``: whoever opens again finds what was there."""
    return opener(request.param, world, tmp_path)


@pytest.fixture(params=["simulated", "memory"])
def opens(request: pytest.FixtureRequest, world: World, tmp_path: Path) -> Opens:
    """As ``open_``, where the file makes no difference."""
    return opener(request.param, world, tmp_path)


def opener(kind: str, world: World, folder: Path) -> Opens:
    """Opens nodes of one kind."""

    kept = dict[str, Any]()

    def opened(*definitions: Any, plan: FaultPlan | None = None) -> AbstractAsyncContextManager[Bench]:
        if kind == "simulated":
            bench = Virtual(*definitions, world=world, plan=plan, journal=kept.get("journal"))
            kept["journal"] = bench.board.journal
            return bench
        file = folder / "node.db" if kind == "file" else None
        return Real(*definitions, us.Child("clock", Clock), world=world, journal=file, plan=plan)

    return opened
