"""``@tool.simulate`` and ``shadow=``: what may be declared, and what is refused where it is written."""

# pyright: reportUnknownLambdaType=false

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

import understudy as us
from understudy.protocols.effects import Attempt, Effect
from understudy.protocols.errors import DefinitionError
from understudy.protocols.ids import Address
from understudy.tools.checks.shadow import Shadow, acts, shadow
from understudy.tools.perform import Performer
from understudy.tools.tool import Tool

KEY = us.Secret("s3cr3t-of-the-bank")
touched: list[str] = []


def made(**options: Any) -> Any:  # a tool: what is declared here no type checker would take
    given: dict[str, Any] = {"effect": "once", "name": "pay", **options}

    @us.tool(**given)
    def pay(call: us.Call, to: str, usd: float, key: us.Secret = KEY) -> str:
        """Pay somebody."""
        touched.append(to)
        return "really"

    return pay


def attempt(tool: Tool[..., Any], *, simulated: bool = True, timeout: float = 20.0, **fields: Any) -> Attempt:
    """One attempt, by the production performer."""
    touched.clear()
    effect = Effect(
        "7.1", Address("desk/r"), "call", tool.spec.name, msgspec.Raw(b'{"to":"ada","usd":3.5}'), "tool", agent="a", key="k1",
        effect=tool.spec.effect, timeout=timeout, attempt=1, simulated=simulated, **fields,
    )  # fmt: skip
    performer = Performer({"a": {tool.spec.name: tool}}, {})

    async def main() -> Attempt:
        return await performer.perform(effect, None, lambda _: None, lambda _: None)

    return anyio.run(main)


def test_it_stands_in_for_the_function_with_the_tools_own_arguments() -> None:
    tool = made()

    def pretend(to: str, usd: float) -> str:
        return f"{to} would get {usd}"

    tool.simulate(pretend)

    assert attempt(tool).value == b'"ada would get 3.5"'
    assert touched == []
    assert pretend("x", 1) == "x would get 1"
    assert attempt(tool, simulated=False).value == b'"really"'
    assert touched == ["ada"], "the control: the tool itself"


def test_it_may_be_async_and_take_the_call_and_the_secret() -> None:
    tool = made()

    async def pretend(call: us.Call, usd: float, to: str, key: us.Secret = KEY) -> str:
        await anyio.lowlevel.checkpoint()
        return f"{call.key} {to} {key}"

    tool.simulate(pretend)

    assert attempt(tool).value == b'"k1 ada [secret]"'


@pytest.mark.parametrize(
    ("options", "gives", "comes"),
    [
        ({}, 5, "schema_drift"),
        ({"max_bytes": 10}, "much too long for ten", "result_too_large"),
        ({"transform": len}, "four", b"4"),
        ({}, "with s3cr3t-of-the-bank in it", b'"with [secret] in it"'),
    ],
)
def test_its_result_is_checked_cut_transformed_and_cleaned_as_the_tools_would_be(
    options: Any, gives: Any, comes: Any
) -> None:
    if "transform" in options:

        def length(text: str) -> int:
            return len(text)

        options = {"transform": length}
    tool = made(**options)
    tool.simulate(lambda to, usd: gives)
    came = attempt(tool)
    assert (came.failure.code if came.failure else came.value) == comes
    assert touched == []


def test_without_one_the_call_fails_and_says_how_to_declare_it() -> None:
    failure = attempt(made()).failure
    assert failure is not None
    assert (failure.kind, failure.code, failure.hint) == ("abandon", "shadowed", "@pay.simulate declares it")
    assert touched == []


def forked(to: str, usd: float) -> int:
    """Say in which process it runs."""
    return os.getpid()


def test_it_runs_here_wherever_the_tool_would_and_takes_no_lease_and_asks_no_reconcile() -> None:
    tool: Any = us.tool(effect="reconcilable", isolation="process")(forked)
    tool.simulate(lambda to, usd: os.getpid())

    def asked(key: str) -> int:
        touched.append(key)
        return 0

    tool.reconcile(asked)

    came = attempt(tool, resource="till", interrupted=2)  # nobody gives leases here
    assert came.value == str(os.getpid()).encode()
    assert touched == []
    unled = attempt(tool, simulated=False, resource="till")
    assert unled.failure is not None
    assert unled.failure.code == "lease_unknown", "the control"


def test_a_person_may_say_in_a_failure_what_it_would_come_to() -> None:
    tool = made()

    def pretend(to: str, usd: float) -> str:
        raise us.Abandon("the account is closed", code="closed")

    tool.simulate(pretend)

    failure = attempt(tool).failure
    assert failure is not None
    assert failure.code == "closed"


def wrong() -> list[tuple[str, Any]]:
    look: Any = us.tool(effect="read", name="look")(lambda_free)
    inside: Any = us.board_write
    asks: Any = us.builtin.ask_person()
    return [
        ("only looks", lambda: look.simulate(lambda what: what)),
        ("inside the node", lambda: inside.simulate(lambda key, value, expected: None)),
        ("only looks", lambda: asks.simulate(lambda question: "yes")),
        ("does not take 'usd'", lambda: made().simulate(lambda to: to)),
        ("takes 'more'", lambda: made().simulate(lambda to, usd, more: to)),
        ("takes \\*args", lambda: made().simulate(lambda to, usd, *args: to)),
        ("cannot be called", lambda: made().simulate("paid")),
        ("says already", lambda: _twice(made())),
    ]


def lambda_free(what: str) -> str:
    """Look."""
    return what


def _twice(tool: Any) -> None:
    tool.simulate(lambda to, usd: "a")
    tool.simulate(lambda to, usd: "b")


@pytest.mark.parametrize(("says", "make"), wrong(), ids=[str(n) for n in range(len(wrong()))])
def test_what_could_not_be_meant_is_refused_where_it_is_written(says: str, make: Any) -> None:
    with pytest.raises(DefinitionError, match=says):
        make()


def test_which_calls_do_more_than_look(tmp_path: Path) -> None:
    read: Any = us.tool(effect="read", name="r")(lambda_free)
    hidden: Any = us.tool(name="h")(lambda_free)  # says nothing of itself
    egress: Any = us.tool(effect="read", kind="egress", name="e")(lambda_free)
    writes: Any = us.tool(effect="idempotent", kind="read", name="w")(lambda_free)
    assert [acts(one) for one in (read, hidden, egress, writes)] == [False, True, True, True]
    built = us.builtin.files(tmp_path, write=True)
    assert [tool.spec.name for tool in built if acts(tool)] == ["files_write"]
    assert [acts(one) for one in (us.board_write, us.builtin.delegate(to=["a"]), us.builtin.ask_person())] == [
        False
    ] * 3


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (["pray"], "no tool 'pray' here"),
        ([3], "no tool 3 here"),
        (["look"], "'look' only looks"),
        (["board_write"], "never simulated"),
        ("pay", "shadow='pay'"),
        (1, "shadow=1"),
        (None, "shadow=None"),
    ],
)
def test_a_shadow_over_what_is_not_there_or_never_simulated_is_refused_when_the_system_is_made(
    said: Any, says: str
) -> None:
    look = us.tool(effect="read", name="look")(lambda_free)
    child = us.Child("desk", us.Actor, tools=[made(), look, us.board_write])
    with pytest.raises(DefinitionError, match=says):
        us.System(child, shadow=said)


def test_none_and_no_names_are_no_shadow() -> None:
    tools = {"a": {"pay": made()}}
    assert shadow(False, tools) is None
    assert shadow([], tools) is None
    some, every = shadow(["pay"], tools), shadow(True, tools)
    assert isinstance(some, Shadow)
    assert isinstance(every, Shadow)
    assert (some.note, every.note) == ("pay", "all")
