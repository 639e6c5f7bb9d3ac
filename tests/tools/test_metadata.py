"""What a tool says of itself: kind, where it goes, what it carries, what its result is worth. What is not said is taken for the worst."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Struct

import understudy as us
from understudy.protocols.tool import KINDS, ToolSpec
from understudy.tools.inside import InsideTool
from understudy.tools.tool import Tool


class Sender(Struct, frozen=True):
    address: str
    name: str


class Mail(Struct, frozen=True):
    id: int
    sender: Sender
    labels: list[Sender]
    extra: dict[str, Any]


def tool_of(**said: Any) -> Any:  # a ToolSpec; its frozen sets are compared with sets here
    @us.tool(**said)
    def send(call: us.Call, to: str, text: str) -> Mail:
        """Send something."""
        raise NotImplementedError

    return send.spec


def test_a_tool_that_says_nothing_may_do_everything_everywhere_with_everything() -> None:
    spec = tool_of()
    assert spec.kinds == set(KINDS)
    assert spec.goes_to == spec.carries == {"to", "text"}
    assert (spec.pure_read, spec.is_private, spec.trusted) == (False, True, False)


def test_a_tool_whose_effect_class_is_read_only_looks() -> None:
    spec = tool_of(effect="read")
    assert (spec.kinds, spec.pure_read, spec.is_private, spec.trusted) == ({"read"}, True, False, False)
    assert spec.goes_to == spec.carries == set()


def test_a_read_that_sends_something_out_goes_where_all_its_parameters_say() -> None:
    spec = tool_of(effect="read", kind="egress")
    assert (spec.kinds, spec.pure_read) == ({"egress"}, False)
    assert spec.goes_to == spec.carries == {"to", "text"}


def test_what_is_said_is_meant() -> None:
    spec = tool_of(
        kind=["send", "money"], sinks=["to"], payload=[], trusted=["id", "sender.address", "labels.name", "extra.any"],
        private=True, version="2", cost=0.01,
    )  # fmt: skip
    assert (spec.kinds, spec.goes_to, spec.carries) == ({"send", "money"}, {"to"}, set())
    assert spec.trusted == ("id", "sender.address", "labels.name", "extra.any")
    assert (spec.is_private, spec.version, spec.cost) == (True, "2", 0.01)


def test_where_only_sinks_are_said_every_parameter_is_payload() -> None:
    spec = tool_of(kind="send", sinks=["to"])
    assert (spec.goes_to, spec.carries, spec.is_private) == ({"to"}, {"to", "text"}, False)


def test_a_rule_that_is_declared_later_changes_the_policy_and_nothing_else() -> None:
    @us.tool(kind="money", sinks=["to"], payload=["usd"], trusted=True, version="3", cost=1.0, heartbeat=2.0)
    def pay(call: us.Call, to: str, usd: float) -> str:
        """Pay somebody."""
        raise NotImplementedError

    before = pay.spec

    @pay.approve_if
    def large(to: str, usd: float) -> bool:
        """Large ones."""
        raise NotImplementedError

    after = pay.spec
    assert after.policy.startswith("large@")
    assert (after.kind, after.sinks, after.version, after.heartbeat) == (("money",), ("to",), "3", 2.0)
    assert {f: getattr(after, f) for f in ToolSpec.__struct_fields__ if f != "policy"} == {
        f: getattr(before, f) for f in ToolSpec.__struct_fields__ if f != "policy"
    }


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"kind": "sned"}, "kind='sned'"),
        ({"kind": ["send", "Send"]}, "kind='Send'"),
        ({"kind": []}, "kind="),
        ({"kind": 3}, "kind=3"),
        ({"kind": ["send", None]}, "kind=None"),
        ({"sinks": "to"}, "sinks='to'"),
        ({"sinks": b"to"}, "sinks=b'to'"),
        ({"sinks": 1}, "sinks=1"),
        ({"sinks": [1]}, "sinks=1"),
        ({"sinks": ["recipient"]}, "sinks names 'recipient'"),
        ({"sinks": ["t\u043e"]}, "sinks names"),
        ({"sinks": ["call"]}, "sinks names 'call'"),
        ({"payload": "text"}, "payload='text'"),
        ({"payload": ["body"]}, "payload names 'body'"),
        ({"trusted": "id"}, "trusted='id'"),
        ({"trusted": 1}, "trusted=1"),
        ({"trusted": ["subject"]}, "trusted names 'subject'"),
        ({"trusted": ["sender.mail"]}, "trusted names 'sender.mail'"),
        ({"trusted": ["id.more"]}, "trusted names 'id.more'"),
        ({"trusted": ["sender."]}, "trusted names 'sender.'"),
        ({"trusted": [""]}, "trusted names ''"),
        ({"private": "yes"}, "private='yes'"),
        ({"private": 1}, "private=1"),
        ({"version": 2}, "version=2"),
        ({"version": "a\nb"}, "version="),
        ({"version": "x" * 101}, "version="),
        ({"cost": -0.01}, "cost=-0.01"),
        ({"cost": float("nan")}, "cost=nan"),
        ({"cost": float("inf")}, "cost=inf"),
        ({"cost": True}, "cost=True"),
        ({"cost": "1"}, "cost='1'"),
        ({"after": "login"}, "after='login'"),
        ({"after": [1]}, "after=1"),
        ({"after": [""]}, "after=''"),
        ({"after": 1}, "after=1"),
        ({"after": ["send"]}, "after names the tool itself"),
        ({"excludes": "login"}, "excludes='login'"),
        ({"after": ["a", "b"], "excludes": ["b"]}, "'b' stands in after and in excludes"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused_with_the_name_of_the_field(said: dict[str, Any], named: str) -> None:
    with pytest.raises(us.DefinitionError, match="tool 'send'") as refused:
        tool_of(**said)
    assert named in str(refused.value)
    assert refused.value.hint


def test_what_nobody_said_is_known_apart_from_what_is_as_it_would_be_otherwise() -> None:
    """The gate sees no difference, a lint does."""

    @us.tool(trusted=False, timeout=30.0)
    def one() -> int:
        """One."""
        return 1

    @us.tool()
    def other() -> int:
        """Other."""
        return 1

    assert (sorted(one.said), sorted(other.said)) == (["timeout", "trusted"], [])
    assert (one.spec.trusted, one.spec.timeout, one.spec.effect) == (False, 30.0, "once")
    assert (other.spec.trusted, other.spec.timeout, other.spec.effect) == (False, 30.0, "once")


def test_trusted_fields_of_a_result_without_fields_are_refused() -> None:
    with pytest.raises(us.DefinitionError, match="trusted names 'id'"):

        @us.tool(trusted=["id"])
        def ask(what: str) -> str:
            """Ask."""
            raise NotImplementedError


BUILT_IN: list[tuple[Callable[[], Tool[..., Any]], set[str], set[str], object]] = [
    (us.builtin.clock, {"read"}, set(), True),
    (lambda: us.builtin.delegate(["ann"]), {"write"}, set(), False),
    (lambda: us.builtin.shell(["ls"]), set(KINDS), {"command"}, False),
    (lambda: us.builtin.shell(["ls"], effect="read"), {"read", "egress", "execute"}, {"command"}, False),
    (lambda: us.builtin.sql("x.db"), {"read"}, set(), False),
    (lambda: us.builtin.sql("x.db", write=True), {"write", "destroy"}, {"statement"}, False),
    (lambda: us.builtin.files(".")[1], {"read"}, set(), False),
    (lambda: us.builtin.files(".", trusted=True)[1], {"read"}, set(), True),
    (lambda: us.builtin.files(".", write=True)[2], {"write"}, {"path"}, True),
    (lambda: us.builtin.fetch(["example.org"]), {"read", "egress"}, {"url"}, False),
    (lambda: us.board_write, {"write"}, set(), False),
    (lambda: us.board_read, {"read"}, set(), False),
    (lambda: us.lease_acquire, {"write"}, set(), ("token", "until", "since")),
    (lambda: us.hand_over, {"write"}, set(), False),
]


@pytest.mark.parametrize(
    ("make", "kinds", "sinks", "trusted"),
    BUILT_IN,
    ids=[str(number) for number in range(len(BUILT_IN))],  # those of sets would be others in each process
)
def test_what_is_built_in_says_what_it_does(
    make: Callable[[], Tool[..., Any]], kinds: set[str], sinks: set[str], trusted: object
) -> None:
    spec: Any = make().spec
    assert (spec.kinds, spec.goes_to, spec.trusted) == (kinds, sinks, trusted)
    assert spec.kind is not None


def test_what_is_done_inside_the_node_goes_nowhere_else() -> None:
    """Nobody is asked about these calls, so a sink would be a refusal; what they write keeps its labels."""
    from understudy.tools import team_tools

    tools: list[Any] = [value for value in vars(team_tools).values() if isinstance(value, InsideTool)]
    assert len(tools) == 7
    assert all(tool.spec.kind is not None and not tool.spec.goes_to for tool in tools)
