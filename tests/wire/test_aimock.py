"""The stand-in for model providers itself: what the other wire tests rely on."""

import json
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.wire.aimock import Aimock, start_aimock

FIXTURES = Path(__file__).parent / "fixtures" / "aimock"


def _ask(aimock: Aimock, text: str) -> str:
    question = {"model": "any", "messages": [{"role": "user", "content": text}]}
    headers = {"Content-Type": "application/json"}
    with urlopen(Request(f"{aimock.url}/v1/chat/completions", json.dumps(question).encode(), headers)) as answer:
        said: str = json.load(answer)["choices"][0]["message"]["content"]
        return said


def test_it_answers_from_its_files_refuses_what_they_do_not_hold_and_ends_with_its_block() -> None:
    with start_aimock(FIXTURES) as aimock:
        assert _ask(aimock, "hello") == "Good day."
        with pytest.raises(HTTPError) as refused:
            _ask(aimock, "what is not in the files")
        refused.value.close()
        assert refused.value.code == 503
        assert aimock.process.poll() is None
    assert aimock.process.poll() is not None


def test_a_folder_that_is_not_there_is_an_error_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), start_aimock(tmp_path / "nonesuch"):
        pytest.fail("it started")
