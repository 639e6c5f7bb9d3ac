"""From ``"openai:gpt-5-mini"`` to a model that can be asked.

Naming a model needs neither its library nor its key: both are looked for when it is first asked, so an agent can be
defined, inspected, tested and replayed without them.
"""

from __future__ import annotations

from collections.abc import Callable

from ...protocols.errors import DefinitionError
from ...protocols.model import Model
from .openai import OpenAI

_PROVIDERS: dict[str, Callable[[str], Model]] = {"openai": OpenAI}


def model(spec: str | Model) -> Model:
    """The model that a spec names; a model that is already one (``Rules``, ``Scripted``, your own) is passed through.

    Servers that speak OpenAI's protocol (vLLM, Ollama, llama.cpp, DeepSeek and others) are ``openai:<name>`` with the
    environment variable ``OPENAI_BASE_URL``, or ``OpenAI(name, base_url=…)``.

    Raises:
        DefinitionError: not ``provider:name``, an unknown provider, or an object that is no model.
    """
    if not isinstance(spec, str):
        if callable(getattr(spec, "complete", None)) and isinstance(getattr(spec, "name", None), str):
            return spec
        raise DefinitionError(f"{spec!r} is no model", hint="it needs a name and `async def complete`")
    provider, colon, name = spec.partition(":")
    if not colon or not name:
        raise DefinitionError(
            f"{spec!r} is not a model", hint=f'write provider:name, for example "openai:{provider or "gpt-5-mini"}"'
        )
    made = _PROVIDERS.get(provider)
    if made is None:
        raise DefinitionError(
            f"unknown model provider {provider!r} in {spec!r}",
            hint=f"known are {', '.join(sorted(_PROVIDERS))}; any OpenAI-compatible server is openai:{name} with "
            "OPENAI_BASE_URL",
        )
    return made(name)
