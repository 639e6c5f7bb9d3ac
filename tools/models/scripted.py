"""A strict stand-in for a model: it says what the test wrote, in that order, and complains about any difference.

    with Scripted(call("forecast", city="Oslo"), "Take an umbrella.") as model:
        agent = us.Agent("forecaster", "Answer.", model=model, tools=[forecast])
        assert us.run(agent, "Umbrella?").output == "Take an umbrella."

A request for which no reply is left fails, and the failure is remembered, because an agent may well survive it: leaving
the block (or ``finish()``) raises it again. It also raises when replies are left over.

The place in the script is in the object, so a run that is interrupted and resumed in the same process goes on where it
was. A request that is asked again after it was answered (same key, same conversation: its answer was lost in a crash)
gets the same answer again and consumes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, TypeAlias

from msgspec import Struct, structs

from ...protocols import codec
from ...protocols.budget import NANO, Price
from ...protocols.errors import DefinitionError, Failed
from ...protocols.failures import Failure
from ...protocols.model import ModelReply, ModelRequest, ToolCall
from .standin import estimated, numbered

Reply: TypeAlias = (
    str | Struct | dict[str, Any] | list[Any] | tuple[Any, ...] | BaseException | Callable[[ModelRequest], "Reply"]
)
"""What one request gets:

* a str: the final text;
* ``call(…)``, or a list or tuple of them: tools to call in this answer;
* a Failure or an exception: raised;
* a ModelReply: the reply itself;
* a function of the request that returns one of these;
* any other Struct, dict, list or tuple: the final answer, as JSON.
"""


class Unscripted(Failed, AssertionError):
    """The script and what was asked differ. A failed assertion for pytest, an ``abandon`` failure for the gate."""


def call(tool: str, /, **arguments: object) -> ToolCall:
    """A tool call, as a reply of a script. Its id is given when it is said."""
    return ToolCall("", tool, codec.encode(arguments).decode())


class Scripted:
    """A model that follows a script.

    Args:
        *replies: what it answers, one for each request.
        name: its name in the journal.
        repeat: say the last reply for ever (for tests of loops).
        price: what it is said to cost, for tests of budgets.

    Attributes:
        requests: everything that was asked, in order.

    Raises:
        DefinitionError: ``repeat`` without any reply.
    """

    def __init__(
        self, *replies: Reply, name: str = "scripted", repeat: bool = False, price: Price | None = None
    ) -> None:
        self.name = name
        self.price = price
        self.requests: list[ModelRequest] = []
        self._scripts = {"": _Script(list(replies), repeat)}
        self._said: dict[str, tuple[ModelRequest, ModelReply]] = {}
        self._unscripted: Unscripted | None = None
        self._again = 0
        if repeat and not replies:
            raise DefinitionError("there is no reply to repeat")

    @classmethod
    def by_task(
        cls,
        scripts: Mapping[str, Iterable[Reply]],
        *,
        name: str = "scripted",
        repeat: bool = False,
        price: Price | None = None,
    ) -> Scripted:
        """Several conversations at once: the script is the one whose key occurs in the first user message.

        Of several keys the longest counts, so ``""`` is the script of all others.
        """
        model = cls(name=name, price=price)
        model._scripts = {key: _Script(list(replies), repeat) for key, replies in scripts.items()}
        if repeat and not all(script.replies for script in model._scripts.values()):
            raise DefinitionError("there is no reply to repeat")
        return model

    def __repr__(self) -> str:
        return f"<Scripted {self.name}, {len(self.requests)} requests>"

    async def complete(self, request: ModelRequest, on_delta: Callable[[str], None]) -> ModelReply:
        """Say the next reply. A text comes as one delta.

        Raises:
            Unscripted: there is none.
        """
        self.requests.append(request)
        before = self._said.get(request.key) if request.key else None
        if before is not None and before[0] == request:
            self._again += 1
            reply = before[1]
        else:
            reply = self._reply(request, self._next(request))
            if request.key:
                self._said[request.key] = (request, reply)
        if reply.text:
            on_delta(reply.text)
        return reply

    def finish(self) -> None:
        """Check that everything was said and nothing else was asked.

        Raises:
            Unscripted: the first request that had no reply; else, replies are left over.
        """
        if self._unscripted is not None:
            raise self._unscripted
        for key, script in self._scripts.items():
            if left := script.replies[script.said :]:
                where = f"{self.name}, script {key!r}" if key else self.name
                count = f"{len(left)} of {len(script.replies)} replies"
                text = f"{where}: {count} were not asked for, the next is {left[0]!r}"
                hint = f"{self._again} requests were asked again and got the same answer" if self._again else ""
                raise Unscripted(Failure("abandon", "unconsumed_reply", text[:2_000], hint))

    def __enter__(self) -> Scripted:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.finish()

    def _next(self, request: ModelRequest) -> Reply:
        task = next((message.text for message in request.messages if message.role == "user"), "")
        key = max((key for key in self._scripts if key in task), key=len, default=None)
        if key is None:
            raise self._refuse(f"{self.name} has no script for {task[:200]!r}")
        script = self._scripts[key]
        if script.said < len(script.replies):
            script.said += 1
        elif not script.repeat:
            last = request.messages[-1] if request.messages else None
            raise self._refuse(
                f"{self.name} was asked a {script.said + 1}. time, its script has {len(script.replies)} replies; "
                f"the last message is {last!r}"
            )
        reply: Reply = script.replies[script.said - 1]
        return reply

    def _reply(self, request: ModelRequest, reply: Reply) -> ModelReply:
        match reply:
            case BaseException():
                raise reply
            case Failure():
                raise Failed(reply)
            case ModelReply():
                full = structs.replace(reply, calls=numbered(request, reply.calls), model=reply.model or self.name)
            case ToolCall():
                full = ModelReply("", numbered(request, [reply]), "tool_calls", model=self.name)
            case [ToolCall(), *others] if all(isinstance(other, ToolCall) for other in others):
                full = ModelReply("", numbered(request, reply), "tool_calls", model=self.name)
            case str():
                full = ModelReply(reply, model=self.name)
            case Struct() | dict() | list() | tuple():
                full = ModelReply(codec.encode(reply).decode(), model=self.name)
            case _:
                return self._reply(request, reply(request))
        unknown = full.usage.input_tokens == full.usage.output_tokens == 0
        if unknown:
            return structs.replace(full, usage=estimated(request, full))
        if self.price is None or full.cost is not None or min(full.usage.input_tokens, full.usage.output_tokens) < 0:
            return full
        return structs.replace(full, cost=self.price.nano(full.usage.input_tokens, full.usage.output_tokens) / NANO)

    def _refuse(self, text: str) -> Unscripted:
        refusal = Unscripted(Failure("abandon", "unexpected_request", text[:2_000], "add a reply to the script"))
        self._unscripted = self._unscripted or refusal
        return refusal


class _Script(Struct):
    """Replies, and how many of them were said."""

    replies: list[Any]  # of Reply
    repeat: bool
    said: int = 0
