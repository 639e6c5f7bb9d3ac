"""Putting the pieces of a streamed answer together, and saying whether it is whole.

A stream ends for many reasons and only one of them is that the answer is complete: then it names a finish reason.
Without one nothing of it is used, however good it looks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...protocols.errors import Failed
from ...protocols.failures import Failure, FailureKind
from ...protocols.model import ModelReply, ModelRequest, ToolCall, Usage
from .openai_failures import broken_stream
from .standin import estimated, numbered

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionChunk
    from openai.types.chat.chat_completion_chunk import ChoiceDeltaToolCall


class _Fragments:
    """A tool call on its way. The name comes once, the arguments in pieces."""

    def __init__(self, index: int | None) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []


class Assembly:
    """One answer on its way.

    Args:
        where: the model's name, for failures.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._calls: list[_Fragments] = []
        self._finish: str | None = None
        self._usage: Usage | None = None
        self._model = ""

    def take(self, chunk: ChatCompletionChunk) -> str:
        """Add a chunk; the new piece of text, if any.

        Raises:
            Failed: ``retry_later``, code ``broken_stream``: it is not a chunk of a chat completion. (The SDK does not
            validate what it reads.)
        """
        try:
            return self._take(chunk)
        except (AttributeError, TypeError, ValueError) as error:
            raise broken_stream(
                self._where, "the server sent something that is no piece of an answer", error
            ) from error

    def reply(self, request: ModelRequest) -> ModelReply:
        """The answer, now that the stream has ended.

        Raises:
            Failed: it is not whole, or is none.
        """
        if self._finish is None:
            raise broken_stream(self._where, "the answer broke off: the stream ended without a finish reason")
        if self._finish == "length":
            raise self._failed(
                "change_arguments", "cut_off", "the answer was cut off at its length limit", "ask for less"
            )
        if self._finish == "content_filter":
            raise self._failed("abandon", "content_filter", "the provider's filter stopped the answer")
        if self._refusal:
            raise self._failed("abandon", "model_refused", f"the model refused: {''.join(self._refusal)}"[:500])
        if self._finish not in {"stop", "tool_calls", "function_call"}:
            raise self._failed("retry_later", "unknown_finish", f"the answer ended for the reason {self._finish!r}")
        if not all(call.name for call in self._calls) or (self._finish == "tool_calls" and not self._calls):
            raise broken_stream(self._where, "the model wants a tool called and the stream does not say which")
        calls = numbered(request, (ToolCall(call.id, call.name, "".join(call.arguments)) for call in self._calls))
        reply = ModelReply("".join(self._text), calls, "tool_calls" if calls else "stop", model=self._model)
        usage = self._usage if self._usage is not None else estimated(request, reply)
        return ModelReply(reply.text, reply.calls, reply.finish, usage, reply.model)

    def _take(self, chunk: ChatCompletionChunk) -> str:
        self._model = chunk.model or self._model
        if chunk.usage is not None:
            self._usage = Usage(int(chunk.usage.prompt_tokens), int(chunk.usage.completion_tokens))
        said = ""
        for choice in chunk.choices:
            self._finish = choice.finish_reason or self._finish
            delta = choice.delta
            if delta.content:
                said += delta.content
            if delta.refusal:
                self._refusal.append(delta.refusal)
            for fragment in delta.tool_calls or ():
                self._add(fragment)
        if said:
            self._text.append(said)
        return said

    def _add(self, fragment: ChoiceDeltaToolCall) -> None:
        # Compatible servers leave the index out, or give every call the index 0 with an id of its own.
        index: int | None = fragment.index
        given = fragment.id or ""
        known = [call for call in self._calls if call.index == index]
        call = known[-1] if known else None
        if call is None or (given and call.id and given != call.id):
            call = _Fragments(index)
            self._calls.append(call)
        call.id = call.id or given
        if fragment.function is not None:
            call.name = call.name or fragment.function.name or ""
            call.arguments.append(fragment.function.arguments or "")

    def _failed(self, kind: FailureKind, code: str, message: str, hint: str = "") -> Failed:
        return Failed(Failure(kind, code, message, hint, where=self._where))
