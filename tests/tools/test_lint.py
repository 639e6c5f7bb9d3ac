"""What a tool does not say of itself is named: field, what follows from it, what to write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, cast

import msgspec
import pytest
from msgspec import Meta, Struct

import understudy as us
from understudy.tools.describing import section
from understudy.tools.lint import lint
from understudy.tools.tool import Tool


class Sent(Struct, frozen=True):
    """A letter that was sent.

    Attributes:
        id: the other side's number.
        text: what was sent,
            in two lines.
    """

    id: str
    text: str


class Bare(Struct, frozen=True):
    id: Annotated[str, "the number"]
    when: float
    size: Annotated[int, Meta(description="in bytes")] = 0


def whole() -> Tool[..., Any]:
    @us.tool(
        effect="once", timeout=10.0, kind="send", sinks=["to"], payload=["text"], trusted=["id"], private=False
    )  # fmt: skip
    def send(
        to: Annotated[str, "Who gets it: a mail address."],
        text: Annotated[str, Meta(description="What it says.", max_length=1000)],
        copies: Annotated[int, "How many.", Meta(ge=1, le=9)] = 1,
        subject: Annotated[str | None, "What stands above it. If missing: nothing."] = None,
    ) -> Sent:
        """Send a letter."""
        raise NotImplementedError

    return send


def test_nothing_is_missing_in_a_tool_that_says_all() -> None:
    assert lint(whole()) == []


def made(function: Callable[..., Any], **said: Any) -> Tool[..., Any]:
    tool: Tool[..., Any] = us.tool(**said)(function)
    return tool


def bare(to: str) -> str:
    raise NotImplementedError


def documented(where: str, top: int = 0) -> str:
    """Look.

    Args:
        where: a place,
            such as a town.
        top (int): how many. If missing: all.
    """
    raise NotImplementedError


def maybe(a: Annotated[str, "A thing."] = "", b: Annotated[list[str], "More."] = []) -> None:  # noqa: B006
    """Do."""


def anything(what: Annotated[Any, "Any thing."], much: Annotated[float, "How much."]) -> dict[str, Any]:
    """Do."""
    raise NotImplementedError


def gives() -> list[Bare]:
    """Give."""
    raise NotImplementedError


def read(webhook_url: Annotated[str, "Where."]) -> str:
    """Read."""
    raise NotImplementedError


CASES: list[tuple[Callable[..., Any], dict[str, Any], set[tuple[str, str]], set[tuple[str, str]]]] = [
    (
        bare,
        {},
        {("description", "missing"), ("parameter to", "missing"), ("kind", "missing"), ("trusted", "missing"),
         ("effect", "advice")},
        {("sinks", "missing"), ("payload", "missing"), ("timeout", "advice"), ("private", "advice")},
    ),
    (bare, {"kind": "write"}, {("sinks", "missing")}, {("payload", "missing"), ("kind", "missing")}),
    (bare, {"kind": "write", "sinks": []}, set(), {("sinks", "missing")}),
    (bare, {"kind": "money"}, {("sinks", "missing"), ("payload", "missing"), ("timeout", "advice")}, set()),
    (bare, {"kind": "egress", "timeout": 3.0}, {("sinks", "missing")}, {("timeout", "advice")}),
    (bare, {"effect": "read", "kind": "money"}, {("effect", "missing")}, {("effect", "advice")}),
    (bare, {"effect": "read", "kind": "egress"}, set(), {("effect", "missing")}),
    (bare, {"effect": "read"}, {("private", "advice")}, {("kind", "missing"), ("sinks", "missing")}),
    (bare, {"effect": "read", "trusted": False}, set(), {("trusted", "missing")}),
    (bare, {"effect": "reconcilable"}, {("reconcile", "missing")}, set()),
    (bare, {"effect": "idempotent", "kind": "send"}, {("effect", "advice")}, set()),
    (bare, {"name": "send mail"}, {("name", "missing")}, set()),
    (documented, {}, {("parameter top", "advice")}, {("parameter where", "missing"), ("parameter top", "missing")}),
    (maybe, {}, {("parameter a", "missing"), ("parameter b", "missing")}, {("trusted", "missing")}),
    (anything, {}, {("parameter what", "advice"), ("parameter much", "advice"), ("result", "advice")}, set()),
    (gives, {}, {("result when", "missing")}, {("result id", "missing"), ("result size", "missing")}),
    (read, {"effect": "read"}, {("kind", "missing"), ("timeout", "advice")}, set()),
    (read, {"effect": "read", "kind": "egress", "sinks": ["webhook_url"]}, set(), {("kind", "missing")}),
]  # fmt: skip


@pytest.mark.parametrize(("function", "said", "there", "not_there"), CASES)
def test_what_is_missing_is_named_and_what_is_said_is_not(
    function: Callable[..., Any], said: dict[str, Any], there: set[tuple[str, str]], not_there: set[tuple[str, str]]
) -> None:
    found = {(finding.field, finding.level) for finding in lint(made(function, **said))}
    assert there <= found
    assert not not_there & found


def test_each_finding_says_what_follows_and_what_to_write() -> None:
    for function, said, *_ in CASES:
        for finding in lint(made(function, **said)):
            assert finding.tool
            assert finding.why
            assert finding.fix


@pytest.mark.parametrize(
    "make",
    [
        us.builtin.clock,
        lambda: us.builtin.files(".", write=True),
        lambda: us.builtin.fetch(["example.org"]),
        lambda: us.builtin.sql("x.db"),
        lambda: us.builtin.sql("x.db", write=True),
        lambda: us.builtin.shell(["ls"]),
        lambda: us.builtin.delegate(["ann"]),
        lambda: (us.board_read, us.board_keys, us.board_write, us.board_drop, us.hand_over),
        lambda: (us.lease_acquire, us.lease_release),
    ],
)
def test_what_is_built_in_lacks_nothing(make: Callable[[], Any]) -> None:
    given = make()
    tools = cast("tuple[Tool[..., Any], ...]", given if isinstance(given, tuple) else (given,))
    assert [finding for tool in tools for finding in lint(tool) if finding.level == "missing"] == []


def test_texts_of_annotations_are_descriptions_in_the_schema() -> None:
    schema = msgspec.json.decode(whole().spec.parameters)["properties"]
    assert schema["to"] == {"type": "string", "description": "Who gets it: a mail address."}
    assert schema["copies"] == {"type": "integer", "description": "How many.", "minimum": 1, "maximum": 9, "default": 1}
    assert schema["text"]["description"] == "What it says."
    assert schema["subject"]["description"] == "What stands above it. If missing: nothing."


def test_a_model_is_told_what_comes_back() -> None:
    told = whole().spec.description
    assert told.startswith("Send a letter.\n\nWhat it gives:\n")
    assert "- id: the other side's number." in told
    assert "- text: what was sent, in two lines." in told


def test_a_section_of_a_docstring_ends_where_the_next_one_begins() -> None:
    text = """Do.

    Args:
        a, b: two things
        c (str): a third

    Raises:
        ValueError: no.
    """
    assert section(text, "Args") == {"a": "two things", "b": "two things", "c": "a third"}
    assert section("Args: none of it", "Args") == {}
    assert section("", "Args") == {}
