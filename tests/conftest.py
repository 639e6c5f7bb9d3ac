"""What every test shares."""

import os

import pytest
from hypothesis import settings

# A loaded machine is not a failing property, so no deadline.
# CI draws the same examples each time; a developer draws new ones.
settings.register_profile("developer", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "developer")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The journal's driver runs on asyncio only, so the suite runs once, whatever else is installed."""
    return "asyncio"
