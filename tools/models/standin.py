"""What models that do not ask a provider have in common: the ids of their tool calls, and an estimate of tokens.

Both depend on the conversation alone, so that the same conversation gets the same reply in every run and after a crash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import structs

from ...protocols.model import ModelReply, ModelRequest, ToolCall, Usage

_NUMBER = re.compile(r"c([0-9]+)\Z")


def numbered(request: ModelRequest, calls: Iterable[ToolCall]) -> tuple[ToolCall, ...]:
    """Give each call without an id the next free one: ``c1`` is the first call of a conversation.

    It counts from the highest id present and not from the number of calls, because the middle of a long conversation
    may have been left out.
    """
    taken = (_NUMBER.match(call.id) for message in request.messages for call in message.calls)
    last = max((int(found[1]) for found in taken if found), default=0)
    given: list[ToolCall] = []
    for call in calls:
        if call.id:
            given.append(call)
        else:
            last += 1
            given.append(structs.replace(call, id=f"c{last}"))
    return tuple(given)


def estimated(request: ModelRequest, reply: ModelReply) -> Usage:
    """Tokens of an exchange at four characters each, marked as an estimate."""
    asked = sum(
        len(message.text) + sum(len(call.name) + len(call.arguments) for call in message.calls)
        for message in request.messages
    ) + sum(len(offer.name) + len(offer.description) + len(bytes(offer.parameters)) for offer in request.tools)
    said = len(reply.text) + sum(len(call.name) + len(call.arguments) for call in reply.calls)
    return Usage(-(-asked // 4), -(-said // 4), estimated=True)
