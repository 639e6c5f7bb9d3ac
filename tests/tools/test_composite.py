"""Composite tools where they are defined: what their function does becomes data, and what it would have to decide is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
import pytest

import understudy as us
from understudy.protocols.composites import Absent, ComposedStep, Part, made, used
from understudy.tools.composite import CompositeTool
from understudy.tools.lint import lint
from understudy.tools.together import complete
from understudy.tools.tool import Tool


class Line(msgspec.Struct, rename="camel"):
    unit_price: float
    name: str


class Order(msgspec.Struct):
    number: int
    lines: list[Line]
    note: str | None = None


LOG: list[str] = []


@us.tool(effect="once", kind="money", sinks=[], payload=[], amount="usd", private=False)
def withdraw(account: str, usd: float) -> str:
    """Take money out."""
    LOG.append(f"withdraw {account} {usd:g}")
    return f"m-{len(LOG)}"


@withdraw.compensate
@us.tool(effect="idempotent", kind="money")
def put_back(account: str, usd: float) -> None:
    """Put it back."""


@us.tool(effect="once", kind="money", sinks=["account"], payload=["memo"])
async def deposit(account: str, usd: float, memo: str = "none") -> str:
    """Put money in."""
    LOG.append(f"deposit {account} {usd:g} {memo}")
    return f"done {memo}"


@us.tool(effect="read", trusted=True)
def order(number: int) -> Order:
    """An order."""
    return Order(number, [Line(2.5, "tea"), Line(4.0, "cup")])


@us.tool(effect="read", private=True)
def facts() -> Any:
    """Whatever."""
    return {"a": [1, {"b": "x"}]}


@us.tool(effect="idempotent", kind="write")
def keep(text: str, tags: list[str], level: Literal["low", "high"] = "low") -> None:
    """Keep it."""


@us.composite
def transfer(do: us.Steps, source: str, target: str, usd: Annotated[float, "US dollars."]) -> str:
    """Move money from one account to another."""
    taken = do(withdraw, account=source, usd=usd)
    return do(deposit, target, usd, memo=taken)


def test_the_function_is_run_once_and_its_steps_are_data() -> None:
    assert transfer.steps == (
        ComposedStep(
            "withdraw",
            {"account": Part("parameter", name="source"), "usd": Part("parameter", name="usd")},
            undo="put_back",
        ),
        ComposedStep(
            "deposit",
            {
                "account": Part("parameter", name="target"),
                "usd": Part("parameter", name="usd"),
                "memo": Part("step", step=0),
            },
        ),
    )
    assert transfer.result == Part("step", step=1)
    assert transfer.tools == (withdraw, deposit)


def test_called_directly_it_runs_the_functions_of_its_tools() -> None:
    LOG.clear()
    assert transfer("a", "b", usd=5.0) == "done m-1"
    assert LOG == ["withdraw a 5", "deposit b 5 m-1"]


async def test_called_directly_within_a_loop_it_runs_async_tools_too() -> None:
    LOG.clear()
    assert transfer("a", "b", 1.0) == "done m-1"


def test_to_a_model_it_is_one_tool() -> None:
    spec = transfer.spec
    assert spec.name == "transfer"
    assert spec.description == "Move money from one account to another.\n\nDoes, in this order: withdraw, then deposit."
    schema = msgspec.json.decode(spec.parameters)
    assert list(schema["properties"]) == ["source", "target", "usd"]
    assert schema["properties"]["usd"]["description"] == "US dollars."
    assert schema["required"] == ["source", "target", "usd"]


def test_what_it_does_not_say_of_itself_follows_from_its_steps() -> None:
    spec = transfer.spec
    assert (spec.effect, spec.kind, spec.sinks, spec.payload, spec.amount) == (
        "once",
        ("money",),
        ("target",),
        (),
        "usd",
    )
    assert (spec.trusted, spec.private) == (False, False)

    @us.composite
    def look(do: us.Steps, number: int) -> Order:
        """Look."""
        return do(order, number)

    assert (look.spec.effect, look.spec.kind, look.spec.trusted, look.spec.private) == ("read", ("read",), True, False)

    @us.composite
    def hidden(do: us.Steps) -> Any:
        """Look."""
        do(keep, "x", ["y"])
        return do(facts)

    assert (hidden.spec.effect, hidden.spec.kind, hidden.spec.private) == ("idempotent", ("read", "write"), True)


def test_what_it_says_of_itself_counts() -> None:
    @us.composite(
        name="pay2", kind="write", sinks=["b"], payload=["a"], trusted=True, private=True, version="2", tags=["legal"],
        amount="usd", after=["login"], excludes=["refund"], approve=True, undo=False,
    )  # fmt: skip
    def pay(do: us.Steps, a: str, b: str, usd: float) -> str:
        """Pay."""
        return do(deposit, account=a, usd=usd, memo=b)

    spec = pay.spec
    assert (spec.name, spec.kind, spec.sinks, spec.payload) == ("pay2", ("write",), ("b",), ("a",))
    assert (spec.trusted, spec.private, spec.version, spec.tags) == (True, True, "2", ("legal",))
    assert (spec.amount, spec.after, spec.excludes, pay.undo) == ("usd", ("login",), ("refund",), False)
    assert spec.policy
    assert "Only after login succeeded" in spec.description


def test_fields_and_items_of_results_and_parameters_are_handed_on() -> None:
    @us.composite
    def pick(do: us.Steps, number: int, wanted: Order, pairs: dict[str, list[int]]) -> dict[str, float]:
        """Pick."""
        found = do(order, number)
        any_of = do(facts)
        do(order, pairs["x"][0])
        do(keep, found.lines[1].name, [wanted.lines[0].name, "fixed", any_of["a"][1]["b"]], level="high")
        return {"price": found.lines[0].unit_price}

    step = pick.steps[3]
    arguments = {
        "number": 3,
        "wanted": {"number": 1, "lines": [{"unitPrice": 1, "name": "w"}]},
        "pairs": {"x": [7]},
    }
    given = [msgspec.Raw(msgspec.json.encode(v)) for v in (order(3), facts(), order(7), None)]
    assert {name: made(part, arguments, given) for name, part in step.args.items()} == {
        "text": "cup",
        "tags": ["w", "fixed", "x"],
        "level": "high",
    }
    assert made(pick.result, arguments, given) == {"price": 2.5}
    assert used(pick.steps, pick.result) == {0, 1}
    with pytest.raises(Absent, match="what step 1 gave\\['lines'\\] has no 5"):
        made(Part("step", step=0, path=("lines", 5)), arguments, given)
    assert pick(3, Order(1, [Line(1.0, "w")]), {"x": [7]}) == {"price": 2.5}


DECIDES: list[tuple[str, Callable[[Any], Any]]] = [
    ("decides on", lambda x: 1 if x else 2),
    ("decides on", lambda x: x and 1),
    ("decides on", lambda x: not x),
    ("compares", lambda x: x == "a"),
    ("compares", lambda x: x != "a"),
    ("compares", lambda x: x > 5),
    ("compares", lambda x: x in ["a", "b"]),
    ("looks something up by", lambda x: {"a": 1}[x]),
    ("goes through", lambda x: "a" in x),
    ("goes through", list),
    ("goes through", tuple),
    ("goes through", len),
    ("makes a text of", lambda x: f"{x}"),
    ("makes a text of", str),
    ("makes a text of", repr),
    ("makes a text of", "{}".format),
    ("makes a number of", int),
    ("makes a number of", float),
    ("makes a number of", lambda x: "ab"[x]),
    ("computes with", lambda x: x + 1),
    ("computes with", lambda x: "a" + x),
    ("computes with", lambda x: 2 * x),
    ("computes with", lambda x: -x),
    ("calls", lambda x: x()),
    ("asks for .upper", lambda x: x.upper()),
    ("asks for \\[0\\]", lambda x: x[0]),
    ("asks for an item", lambda x: x[1:]),
    ("looks at the class of", lambda x: isinstance(x, str)),
    ("changes", lambda x: setattr(x, "a", 1)),
    ('uses "is"', lambda x: 1 if x is None else 2),
]


@pytest.mark.parametrize(("words", "does"), DECIDES, ids=[str(n) for n in range(len(DECIDES))])
def test_whatever_would_have_to_look_at_a_value_is_refused_where_it_is_defined(
    words: str, does: Callable[[Any], Any]
) -> None:
    def bad(do: us.Steps, account: str) -> str:
        """Decide."""
        taken = do(withdraw, account, 1.0)
        does(taken)
        return taken

    if "is" in words and '"' in words:

        def bad(do: us.Steps, account: str) -> str:
            """Decide."""
            taken = do(withdraw, account, 1.0)
            return taken if account is not None else "never"  # pyright: ignore[reportUnnecessaryComparison]

    with pytest.raises(TypeError, match=words) as refused:
        us.composite(bad)
    assert isinstance(refused.value, us.DefinitionError)
    text = str(refused.value)
    assert "composite 'bad'" in text
    assert "runs once, where it is defined" in text
    assert "make that a step" in text


def test_what_the_function_swallows_is_refused_all_the_same() -> None:
    with pytest.raises(TypeError, match="decides on the parameter 'account'"):

        @us.composite
        def bad(do: us.Steps, account: str) -> str:
            """Decide."""
            try:
                if account:
                    return "x"
            except TypeError:
                pass
            return do(withdraw, account, 1.0)


def test_a_step_is_checked_by_its_tools_own_parameters() -> None:
    def refused(words: str, steps: Callable[[us.Steps, str, float, Any], Any]) -> None:
        with pytest.raises(TypeError, match=words) as error:

            @us.composite
            def bad(do: us.Steps, text: str, usd: float, any_of: Any) -> Any:
                """Bad."""
                return steps(do, text, usd, any_of)

        assert isinstance(error.value, us.DefinitionError)

    refused("step 1: withdraw has no parameter 'to'", lambda do, t, u, a: do(withdraw, account=t, usd=u, to=t))  # type: ignore[call-arg]
    refused("step 1: withdraw is not given usd", lambda do, t, u, a: do(withdraw, account=t))  # type: ignore[call-arg]
    refused("takes 2 arguments, 3 were given", lambda do, t, u, a: do(withdraw, t, u, t))  # type: ignore[call-arg]
    refused("got account twice", lambda do, t, u, a: do(withdraw, t, account=t, usd=u))  # type: ignore[misc]
    refused(
        r"withdraw\(usd=…\) takes float, and is given the parameter 'text', of type str",
        lambda do, t, u, a: do(withdraw, t, t),  # type: ignore[arg-type]
    )
    refused(r"keep\(level=…\): the constant does not fit", lambda do, t, u, a: do(keep, t, [], "mid"))  # type: ignore[arg-type]
    refused(r"withdraw\(usd=…\): the constant does not fit", lambda do, t, u, a: do(withdraw, t, "5"))  # type: ignore[arg-type]
    refused("names no tool", lambda do, t, u, a: do(print, t))  # type: ignore[arg-type]
    refused("names no tool", lambda do, t, u, a: do(a, t))
    refused("has no such field", lambda do, t, u, a: do(keep, do(order, 1).liens[0].name, []))  # type: ignore[attr-defined]
    refused(
        "of type str | None",
        lambda do, t, u, a: do(keep, do(order, 1).note, []),  # type: ignore[arg-type]
    )

    @us.composite
    def fine(do: us.Steps, a: Any) -> Any:
        """What is known of nothing is let through."""
        return do(withdraw, a, a)

    assert fine.steps[0].args["usd"] == Part("parameter", name="a")


def test_what_it_gives_must_come_from_a_step_or_a_parameter() -> None:
    with pytest.raises(TypeError, match="gives 'done', whatever its steps give"):

        @us.composite
        def constant(do: us.Steps) -> str:
            """Bad."""
            do(withdraw, "a", 1.0)
            return "done"

    with pytest.raises(TypeError, match=r"returns int, and gives what step 1 \(withdraw\) gave, of type str"):

        @us.composite
        def other(do: us.Steps) -> int:
            """Bad."""
            return do(withdraw, "a", 1.0)  # type: ignore[return-value]

    with pytest.raises(TypeError, match="gives None, whatever"):

        @us.composite
        def forgot(do: us.Steps) -> str:  # type: ignore[return]
            """Bad."""
            do(withdraw, "a", 1.0)

    @us.composite
    def nothing(do: us.Steps, a: str) -> None:
        """Fine."""
        do(withdraw, a, 1.0)

    @us.composite
    def parameter(do: us.Steps, a: str) -> str:
        """Fine."""
        do(withdraw, a, 1.0)
        return a

    assert nothing.result.value == msgspec.Raw(b"null")
    assert parameter.result == Part("parameter", name="a")


def test_what_is_no_composite_is_said_to_be_none() -> None:
    def refused(words: str, function: Any, **options: Any) -> None:
        with pytest.raises(us.DefinitionError, match=words):
            us.composite(**options)(function) if options else us.composite(function)

    def empty(do: us.Steps, a: str) -> str:
        """No steps."""
        return a

    def without(a: str) -> str:
        """No do."""
        return a

    def no_do() -> None:
        """No do."""

    async def waits(do: us.Steps) -> None:
        """Async."""

    def calls(do: us.Steps, call: us.Call) -> None:
        """With a call."""
        do(keep, "a", [])

    def fine(do: us.Steps, a: str) -> None:
        """Fine."""
        do(keep, a, [])

    def many(do: us.Steps) -> None:
        """Many."""
        for _ in range(51):
            do(keep, "a", [])

    refused("has no steps", empty)
    refused("takes no us.Steps", without)
    refused("takes no us.Steps", no_do)
    refused("is an async def", waits)
    refused("takes a us.Call", calls)
    refused("more than 50 steps", many)

    def hands_on(do: us.Steps, a: str) -> Any:
        """Hand it on."""
        return do(us.hand_over, "ada", a)

    refused("hands a task on", hands_on)
    refused("is no function", 5)
    refused("is no function", withdraw)
    refused("undo='yes'", fine, undo="yes")
    refused("sinks names 'b'", fine, sinks=["b"])
    refused("kind='fly'", fine, kind="fly")
    refused("part of an address", fine, name="a b")
    refused("is a step of it", fine, after=[keep])
    tool: CompositeTool[..., Any] = us.composite(fine)
    with pytest.raises(us.DefinitionError, match="step by step"):
        tool.compensate(withdraw)
    with pytest.raises(us.DefinitionError, match="declare under_lease on the tools"):
        tool.under_lease()
    fall: Tool[..., Any] = us.tool(kind="send", fallback=[us.composite(_sends)])(_send)
    with pytest.raises(us.DefinitionError, match="takes nobody's place"):
        complete("agent 'a'", [fall, us.composite(_sends)])


def _send(to: str) -> str:
    """Send."""
    return to


@us.tool(kind="send", sinks=["to"])
def post(to: str) -> str:
    """Post."""
    return to


def _sends(do: us.Steps, to: str) -> str:
    """Send it otherwise."""
    return do(post, to)


def test_one_tool_may_be_called_twice_and_two_of_one_name_may_not() -> None:
    @us.composite
    def twice(do: us.Steps, a: str) -> None:
        """Twice."""
        do(withdraw, a, 1.0)
        do(withdraw, a, 1.0)

    assert len(twice.steps) == 2
    assert twice.tools == (withdraw,)
    other: Any = us.tool(effect="once", name="withdraw")(_send)
    with pytest.raises(us.DefinitionError, match="two tools named 'withdraw'"):

        @us.composite
        def bad(do: us.Steps, a: str) -> None:
            """Bad."""
            do(withdraw, a, 1.0)
            do(other, a)


def _around(inner: CompositeTool[..., Any], name: str) -> CompositeTool[..., Any]:
    @us.composite(name=name)
    def deep(do: us.Steps, a: str, b: str, usd: float) -> Any:
        """Deeper."""
        return do(inner, a, b, usd)

    return deep


def test_composites_may_be_steps_to_a_depth() -> None:
    tool: CompositeTool[..., Any] = transfer
    for depth in range(2, 5):
        tool = _around(tool, f"deep{depth}")
        assert (tool.spec.sinks, tool.spec.amount, tool.depth) == (("b",), "usd", depth)
    LOG.clear()
    assert tool("a", "b", 2.0) == "done m-1"
    with pytest.raises(us.DefinitionError, match="nested 5 deep, 4 at most"):

        @us.composite
        def deeper(do: us.Steps) -> Any:
            """Too deep."""
            return do(tool, "a", "b", 1.0)


def test_do_leads_nowhere_after_its_function_has_returned() -> None:
    kept: list[us.Steps] = []

    @us.composite
    def leaks(do: us.Steps, a: str) -> None:
        """Leak."""
        kept.append(do)
        do(withdraw, a, 1.0)

    with pytest.raises(TypeError, match="after its function had returned"):
        kept[0](withdraw, "a", 1.0)


def test_placeholders_of_another_composite_are_refused() -> None:
    kept: list[Any] = []

    @us.composite
    def one(do: us.Steps, a: str) -> str:
        """One."""
        kept.append(a)
        return do(withdraw, a, 1.0)

    with pytest.raises(TypeError, match="the parameter 'a' of another composite"):

        @us.composite
        def two(do: us.Steps) -> str:
            """Two."""
            return do(withdraw, kept[0], 1.0)


def test_a_lint_names_steps_that_stay_done_where_a_later_one_fails() -> None:
    @us.composite
    def risky(do: us.Steps, a: Annotated[str, "Where to."]) -> Annotated[str, "What it said."]:
        """Risky."""
        do(deposit, a, 1.0)
        do(withdraw, a, 1.0)
        return do(deposit, a, 1.0)

    found = [(f.field, f.level) for f in lint(risky)]
    assert found == [("step 1", "advice")]
    assert not [f for f in lint(transfer) if f.field.startswith("step")]


@pytest.mark.parametrize("name", ["a/b", "a b", "a{b}"])
def test_its_name_is_one_part_of_an_address(name: str) -> None:
    with pytest.raises(us.DefinitionError, match="its name is a part of an address"):
        us.composite(name=name)(_sends_again)


@pytest.mark.parametrize("said", [1, "yes", None, 0])
def test_what_is_no_approval_rule_is_refused_not_ignored(said: Any) -> None:
    with pytest.raises(us.DefinitionError, match=f"approve={said!r}"):
        us.composite(approve=said)(_sends_again)
    with pytest.raises(us.DefinitionError, match=f"approve={said!r}"):
        us.tool(effect="read", approve=said)(_send)


def _sends_again(do: us.Steps, to: str) -> str:
    """Send."""
    return do(post, to=to)
