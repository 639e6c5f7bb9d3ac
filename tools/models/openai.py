"""OpenAI, and every server that speaks its chat completions: one streamed attempt through the official SDK.

The SDK's own two retries and its ten minutes of patience are switched off: retries are the gate's, and each stands in
the journal. The SDK (extra ``openai``) and the key are looked for at the first request.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import anyio.to_thread
import msgspec
from msgspec import structs

from ...protocols.budget import NANO, Price
from ...protocols.errors import Failed, TooLarge
from ...protocols.failures import Failure
from ...protocols.model import ModelMessage, ModelReply, ModelRequest
from ...protocols.secrets import Secret, hide
from . import prices
from .openai_bounds import bounded
from .openai_failures import bad_address, broken_stream, failure_of, no_key, no_sdk
from .openai_stream import Assembly
from .structured import Structured, structured, unwrapped

if TYPE_CHECKING:
    from openai import AsyncOpenAI, AsyncStream
    from openai.types.chat import ChatCompletionChunk

_HOME = "https://api.openai.com/v1"

_MOST = ("max_completion_tokens", "max_tokens")
"""Fields that bound an answer."""


class OpenAI:
    """A model at OpenAI or at a compatible server.

    Args:
        name: as the server knows it, ``gpt-5-mini``; in the journal it is ``openai:gpt-5-mini``.
        base_url: where the server is; else the environment's ``OPENAI_BASE_URL``, else OpenAI.
        api_key: else the environment's ``OPENAI_API_KEY``. Only OpenAI itself insists on one. It is a secret (``us.Secret``) either way.
        timeout: seconds of silence, while connecting or between two pieces of the answer, after which the attempt has
            failed. How long the whole may take is the gate's to say.
        settings: more fields of each request, such as ``{"temperature": 0}``.
        price: what it costs, where the price lists (extra ``prices``) do not know it: ``us.Price(input=0, output=0)`` for your own server.
    """

    def __init__(
        self,
        name: str,
        base_url: str | None = None,
        api_key: str | Secret | None = None,
        timeout: float = 60.0,
        settings: Mapping[str, object] | None = None,
        price: Price | None = None,
    ) -> None:
        self.name = f"openai:{name}"
        self.timeout = timeout
        self.settings = dict(settings or {})
        self.price = price
        self._model = name
        self._base_url = base_url
        self._api_key = api_key.reveal() if isinstance(api_key, Secret) else api_key
        # One client for each event loop, because its connections belong to that loop.
        self._clients: dict[asyncio.AbstractEventLoop, tuple[AsyncOpenAI, AsyncGenerator[AsyncOpenAI]]] = {}

    def __repr__(self) -> str:
        return f"<OpenAI {self.name}>"  # never the key

    async def complete(self, request: ModelRequest, on_delta: Callable[[str], None]) -> ModelReply:
        """One attempt. Cancelling it closes the connection on which the answer was arriving.

        Raises:
            MissingExtra: the SDK is not installed. Like MissingKey it is also a Failed, of the kind ``abandon``.
            MissingKey: OpenAI needs a key, and there is none.
            Failed: see ``openai_failures``.
        """
        client = await self._client()
        output = structured(request.output) if request.output is not None else None
        assembly = Assembly(self.name)
        from openai import OpenAIError

        begun = False
        try:
            stream = await self._open(client, request, output)
            begun = True
            async with stream:
                async for chunk in stream:
                    if said := assembly.take(chunk):
                        on_delta(said)
        except TooLarge as error:
            failure = Failure("abandon", "result_too_large", str(error.args[0]), where=self.name)
            raise Failed(failure) from error
        except OpenAIError as error:
            raise Failed(failure_of(error, self.name, streaming=begun)) from error
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:  # the SDK lets these through bare
            raise broken_stream(self.name, "the server sent what is no JSON", error) from error
        reply = assembly.reply(request)
        if self.price is not None and min(reply.usage.input_tokens, reply.usage.output_tokens) >= 0:
            cost: float | None = self.price.nano(reply.usage.input_tokens, reply.usage.output_tokens) / NANO
        else:
            cost = prices.estimate(f"openai:{reply.model or self._model}", reply.usage)
        text = unwrapped(reply.text) if output is not None and output.wrapped else reply.text
        return structs.replace(reply, text=text, cost=cost, model=reply.model or self._model)

    def ready(self) -> None:
        """See whether the SDK and the key are there, before anybody asks.

        Raises:
            MissingExtra, MissingKey: one is not.
        """
        base_url = self._base_url or os.environ.get("OPENAI_BASE_URL") or _HOME
        if find_spec("openai") is None:
            raise no_sdk(self.name)
        if _is_openai(base_url) and not (self._api_key or os.environ.get("OPENAI_API_KEY") or "").strip():
            raise no_key(self.name)

    async def aclose(self) -> None:
        """Close this loop's connections now. They are closed at the latest when the loop ends."""
        held = self._clients.get(asyncio.get_running_loop())
        if held is not None:
            await held[1].aclose()

    async def _open(
        self, client: AsyncOpenAI, request: ModelRequest, output: Structured | None
    ) -> AsyncStream[ChatCompletionChunk]:
        body: dict[str, Any] = {
            **self.settings,
            "model": self._model,
            "messages": [_message(message) for message in request.messages],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.answer is not None:
            self._bound(body, request.answer)
        if request.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": offer.name,
                        "description": offer.description,
                        "parameters": msgspec.json.decode(offer.parameters),
                    },
                }
                for offer in request.tools
            ]
        if output is not None:
            form = {"name": "answer", "schema": output.schema, "strict": output.strict}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        if request.key:  # hashed, because a header holds ASCII only
            body["extra_headers"] = {"Idempotency-Key": hashlib.sha256(request.key.encode()).hexdigest()}
        create = cast(Any, client.chat.completions.create)  # its overloads cannot be told a body that is built
        return cast("AsyncStream[ChatCompletionChunk]", await create(**body))

    @property
    def most(self) -> int | None:
        """Tokens of an answer, where the settings bound them."""
        said = [self.settings.get(name) for name in _MOST]
        known = [n for n in said if isinstance(n, int) and not isinstance(n, bool) and n > 0]
        return min(known) if known else None

    def _bound(self, body: dict[str, Any], answer: int) -> None:
        """Let the answer have no more tokens than that. OpenAI has a new word for it that other servers may not know."""
        base_url = self._base_url or os.environ.get("OPENAI_BASE_URL") or _HOME
        name = next((name for name in _MOST if name in self.settings), _MOST[0] if _is_openai(base_url) else _MOST[1])
        body[name] = min(answer, self.most or answer)

    async def _client(self) -> AsyncOpenAI:
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            base_url = self._base_url or os.environ.get("OPENAI_BASE_URL") or _HOME
            if urlsplit(base_url).scheme not in {"http", "https"} or not urlsplit(base_url).hostname:
                raise bad_address(self.name, base_url)
            key = (self._api_key or os.environ.get("OPENAI_API_KEY") or "").strip()
            hide(key)
            if not key and not _is_openai(base_url):
                key = "none"
            await self._load()
            if not key:
                raise no_key(self.name)
            if loop not in self._clients:  # another request may have been faster
                # The loop closes the async generators that are still open when it ends, and so our connections; there
                # is nobody else to do it, since a model has no life cycle of its own.
                life = _alive(base_url, key, self.timeout, lambda: self._clients.pop(loop, None))
                self._clients[loop] = (await anext(life), life)
        return self._clients[loop][0]

    async def _load(self) -> None:
        """Import the SDK, in a thread because it takes a third of a second."""
        try:
            await anyio.to_thread.run_sync(__import__, "openai")
        except ImportError as error:
            raise no_sdk(self.name) from error


async def _alive(
    base_url: str,
    key: str,
    silence: float,
    closed: Callable[[], object],
) -> AsyncGenerator[AsyncOpenAI]:
    """A client that is closed with this generator."""
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

    client = AsyncOpenAI(
        base_url=base_url, api_key=key, timeout=silence, max_retries=0,
        default_headers={"Accept-Encoding": "identity"},  # a small response must not become a large one here
        http_client=DefaultAsyncHttpxClient(event_hooks={"response": [bounded]}),
    )  # fmt: skip
    try:
        yield client
    finally:
        closed()
        await client.close()


def _is_openai(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    return host == "openai.com" or host.endswith(".openai.com")


def _message(message: ModelMessage) -> dict[str, Any]:
    match message.role:
        case "tool":
            return {"role": "tool", "tool_call_id": message.call_id, "content": message.text}
        case "assistant" if message.calls:
            calls = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in message.calls
            ]
            return {"role": "assistant", "content": message.text or None, "tool_calls": calls}
        case role:
            return {"role": role, "content": message.text}
