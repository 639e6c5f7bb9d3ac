"""What README's reader is taken to have: a model at OPENAI_BASE_URL, and a `lookup` of their own."""

import atexit
import os
import sys
from pathlib import Path

import understudy

ROOT = Path(understudy.__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.wire.aimock import start_aimock  # noqa: E402 - importable from here on

_server = start_aimock(ROOT / "tests" / "wire" / "fixtures" / "readme")
os.environ["OPENAI_BASE_URL"] = f"{_server.__enter__().url}/v1"
atexit.register(_server.__exit__, None, None, None)


def lookup(city: str) -> str:
    """The reader's own."""
    return f"{city}: rain all day"
