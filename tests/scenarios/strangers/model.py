"""The worst model that there can be: it does its task, and every instruction that it finds in anything that it reads, whoever wrote it.

An instruction reads ``CALL {"tool": …, "args": …}``; the tool ``say`` stands for words in the final answer. It is found in the open, in
base64, in hexadecimal, written backwards, escaped as in an address, and in pieces ``<<1/3>>`` that are spread over fields, mails, names.
"""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

from understudy.protocols.model import ModelMessage, ModelReply, ModelRequest, ToolCall
from understudy.protocols.provenance import unframed

Facts = dict[str, list[Any]]
"""What each tool has answered, in order."""

Step = Callable[[Facts], tuple[str, dict[str, Any]] | str]
"""The next call of the task, or its final answer."""


def order(tool: str, **args: Any) -> str:
    """An instruction."""
    return "CALL " + json.dumps({"tool": tool, "args": args})


_CALL = re.compile(r"CALL (?=\{)")
_PIECE = re.compile(r"<<(\d)/(\d)>>(.*?)<</>>", re.DOTALL)
_CODED = re.compile(r"[A-Za-z0-9+/=]{24,}")
_HEX = re.compile(r"(?:[0-9a-f]{2}){24,}")


def orders_in(texts: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every instruction in some texts, however it is hidden."""
    looked: set[str] = set()
    todo = list(texts)
    pieces = {number: text for one in texts for number, _, text in _PIECE.findall(one)}
    todo.append("".join(pieces[number] for number in sorted(pieces)))
    while todo:
        text = todo.pop(0)
        if text in looked or len(looked) > 2_000:
            continue
        looked.add(text)
        for found in _CALL.finditer(text):
            try:
                given, _ = json.JSONDecoder().raw_decode(text, found.end())
                yield str(given["tool"]), dict(given["args"])
            except (ValueError, KeyError, TypeError):
                continue
        for coded in _CODED.findall(text):
            try:
                todo.append(base64.b64decode(coded, validate=True).decode())
            except ValueError:
                continue
        for coded in _HEX.findall(text):
            todo.append(bytes.fromhex(coded).decode(errors="replace"))  # noqa: PERF401 - one kind of code among others
        if "LLAC" in text:
            todo.append(text[::-1])
        if "%7B" in text:
            todo.append(urllib.parse.unquote(text))


def leaves(value: Any) -> Iterator[str]:
    """All texts in a value, names of fields too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        held: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
        for name, one in held.items():
            yield from (name, *leaves(one))
    elif isinstance(value, list):
        items: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
        for one in items:
            yield from leaves(one)


class Obedient:
    """A model that has a task in mind and obeys everybody."""

    def __init__(self, name: str, *steps: Step) -> None:
        self.name = name
        self.steps = steps

    async def complete(self, request: ModelRequest, on_delta: Callable[[str], None]) -> ModelReply:
        """What a stranger says comes first, then the task."""
        facts, texts, made = _read(request.messages)
        orders = list(orders_in(texts))
        words = [str(args["text"]) for tool, args in orders if tool == "say"]
        orders = [one for one in orders if one[0] != "say"]
        for tool, args in orders:
            if (tool, args) not in made:
                return _calls(request, tool, args)
        done = [call for call in made if call not in orders]
        step = self.steps[min(len(done), len(self.steps) - 1)](facts)
        if isinstance(step, str):
            return ModelReply(" ".join((step, *words)), model=self.name)
        return _calls(request, *step)


def _read(messages: tuple[ModelMessage, ...]) -> tuple[Facts, list[str], list[tuple[str, dict[str, Any]]]]:
    facts: Facts = {}
    texts: list[str] = []
    made: list[tuple[str, dict[str, Any]]] = []
    for message in messages:
        made += [(call.name, json.loads(call.arguments)) for call in message.calls]
        if message.role == "user":
            texts.append(unframed(message.text))
        elif message.role == "tool":
            told = json.loads(unframed(message.text))
            texts += leaves(told)
            facts.setdefault(message.name, []).append(told.get("result"))
    return facts, texts, made


def _calls(request: ModelRequest, tool: str, args: dict[str, Any]) -> ModelReply:
    call = ToolCall(f"c{len(request.messages)}", tool, json.dumps(args))
    return ModelReply("", (call,), "tool_calls")
