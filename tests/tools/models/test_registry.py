"""Naming a model, and what it costs."""

import subprocess
import sys

import pytest

from understudy.protocols.errors import DefinitionError
from understudy.protocols.model import Model, Usage
from understudy.tools.models.openai import OpenAI
from understudy.tools.models.prices import estimate
from understudy.tools.models.registry import model
from understudy.tools.models.rules import Rules
from understudy.tools.models.scripted import Scripted


def test_a_spec_names_provider_and_model_and_a_model_is_passed_through() -> None:
    assert isinstance(model("openai:gpt-5-mini"), OpenAI)
    assert model("openai:ft:gpt-5-mini:us").name == "openai:ft:gpt-5-mini:us"
    given: list[Model] = [Rules("desk", []), Scripted()]
    assert [model(made) for made in given] == given


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("gpt-5-mini", 'write provider:name, for example "openai:gpt-5-mini"'),
        ("openai:", "write provider:name"),
        ("", "write provider:name"),
        ("nonesuch:big", "unknown model provider 'nonesuch' in 'nonesuch:big'\n  known are openai"),
        (42, "42 is no model"),
    ],
)
def test_what_names_no_model_is_refused_and_the_known_providers_named(spec: str, complaint: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        model(spec)
    assert complaint in str(refused.value)


def test_naming_a_model_imports_no_sdk() -> None:
    program = """
import sys
from understudy.tools.models.registry import model
model("openai:gpt-5-mini")
print([name for name in ("openai", "httpx2", "genai_prices", "pydantic") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_price_is_the_list_price_and_what_has_none_is_none() -> None:
    assert estimate("openai:gpt-5-mini", Usage(1_000_000, 0)) == pytest.approx(0.25)
    assert estimate("openai:gpt-5-mini-2025-08-07", Usage(0, 1_000_000)) == pytest.approx(2.0)
    for unknown in ("openai:my-own-llama", "nonesuch:x", "rules:desk", "scripted", ""):
        assert estimate(unknown, Usage(1, 1)) is None


def test_without_the_price_list_every_price_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    assert estimate("openai:gpt-5-mini", Usage(7, 123)) is None
    monkeypatch.undo()
    assert estimate("openai:gpt-5-mini", Usage(7, 123)) is not None
