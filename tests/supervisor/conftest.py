"""Fixtures of the tests of the command line."""

from pathlib import Path

import pytest

from tests.supervisor.cli import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A folder with a small team."""
    return Desk(tmp_path)
