"""What every test shares."""

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings

from tests import soak
from tests.telling import Tell

# A loaded machine is not a failing property, so no deadline.
# CI draws the same examples each time; a developer draws new ones.
settings.register_profile("developer", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "developer")


def pytest_report_header() -> list[str]:
    """What a soak is going to run."""
    return soak.plan(soak.FACTOR) if soak.FACTOR else []


def pytest_configure(config: pytest.Config) -> None:
    """What a soak says of its progress is for the terminal, not for the report of a test that fails."""
    capture: Any = config.pluginmanager.getplugin("capturemanager")  # pytest names no type for it
    if not soak.FACTOR or capture is None:
        return

    def say(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{text}", end="", flush=True)

    soak.say = say


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Say what was seen: part of a proof is that somebody can read it. It goes with the report, since tests run in several processes."""
    return lambda text: record_property("told", text)


def pytest_terminal_summary(terminalreporter: Any) -> None:  # pytest names no type for it
    """Print what tests have told, test by test."""
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.stats.get(kind, ())]
    told = [(r.nodeid, text) for r in reports if r.when == "call" for name, text in r.user_properties if name == "told"]
    if told:
        terminalreporter.section("what was seen")
    for nodeid, text in told:
        terminalreporter.write_line(f"{nodeid.partition('::')[2]}: {text}")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The journal's driver runs on asyncio only, so the suite runs once, whatever else is installed."""
    return "asyncio"
