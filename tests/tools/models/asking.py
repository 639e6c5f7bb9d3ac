"""Conversations for the tests of models."""

import json
from collections.abc import Mapping

from understudy.protocols.model import ModelMessage, ModelReply, ModelRequest


def user(text: str) -> ModelMessage:
    return ModelMessage("user", text)


def ask(text: str, *more: ModelMessage, key: str = "") -> ModelRequest:
    """A request with this task, and what has been said since."""
    return ModelRequest("any", (user(text), *more), key=key)


def answer(reply: ModelReply, *told: Mapping[str, object]) -> tuple[ModelMessage, ...]:
    """A reply with tool calls, and what the tools answered to each."""
    tools = (
        ModelMessage("tool", json.dumps(text), call_id=call.id, name=call.name)
        for call, text in zip(reply.calls, told, strict=True)
    )
    return (ModelMessage("assistant", reply.text, reply.calls), *tools)
