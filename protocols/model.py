"""What is said to a model and what it answers. One port; the adapters are in ``tools/models``.

An adapter is told a ``ModelRequest`` and returns a ``ModelReply``, or raises ``Failed`` with one of the four failure
kinds. It makes exactly one attempt: retries, fallback and budget are the gate's and stand in the journal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from msgspec import Raw, Struct

from .provenance import Provenance

Role = Literal["system", "user", "assistant", "tool"]


class ToolCall(Struct, frozen=True):
    """A model's wish to have a tool called. ``arguments`` is the text the model wrote; it may not even be JSON."""

    id: str
    name: str
    arguments: str


class ModelMessage(Struct, frozen=True, omit_defaults=True):
    """One entry of a conversation.

    Attributes:
        role: who speaks; ``tool`` entries answer the call ``call_id`` of the tool ``name``.
        text: what is said; the JSON of a tool's result.
        calls: tools the assistant wants called.
        provenance: where it comes from, in the memory of whoever keeps the conversation; None where nothing is to be feared of it. What
            is shown to a model has none: untrusted text is framed.
    """

    role: Role
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    call_id: str = ""
    name: str = ""
    provenance: Provenance | None = None


class ToolOffer(Struct, frozen=True):
    """A tool as a model sees it. ``parameters`` is a JSON schema."""

    name: str
    description: str
    parameters: Raw


class ModelRequest(Struct, frozen=True, omit_defaults=True):
    """One request to a model.

    Attributes:
        model: which one, as ``provider:name``.
        messages: the conversation, instructions first.
        tools: what it may call.
        output: JSON schema of the final answer; None for plain text.
        key: stable key of this request, for deterministic stand-ins and provider-side idempotency.
        answer: tokens that the answer may have; None where nobody bounds it.
    """

    model: str
    messages: tuple[ModelMessage, ...]
    tools: tuple[ToolOffer, ...] = ()
    output: Raw | None = None
    key: str = ""
    answer: int | None = None


class Usage(Struct, frozen=True, omit_defaults=True):
    """Tokens of one request, as the provider counted them; ``estimated`` where we had to."""

    input_tokens: int = 0
    output_tokens: int = 0
    estimated: bool = False

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.estimated or other.estimated,
        )


class ModelReply(Struct, frozen=True, omit_defaults=True):
    """What a model answered: text, or tools it wants called, or both.

    Attributes:
        finish: ``stop`` or ``tool_calls``. Anything else (cut off, filtered, missing) is a failure, never a reply.
        model: the model that really answered, as the provider names it.
        cost: US dollars; None where the price is not known.
    """

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    finish: Literal["stop", "tool_calls"] = "stop"
    usage: Usage = Usage()
    model: str = ""
    cost: float | None = None


class Model(Protocol):
    """A model adapter."""

    @property
    def name(self) -> str:
        """``provider:name``; what stands in the journal."""
        ...

    async def complete(self, request: ModelRequest, on_delta: Callable[[str], None]) -> ModelReply:
        """One attempt.

        Args:
            request: what to answer.
            on_delta: told each piece of text as it arrives. Provisional: never journaled, may be lost.

        Raises:
            Failed: with the kind that says what to do next.
        """
        ...
