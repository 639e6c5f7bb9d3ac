"""The budget check by itself: what is reserved, what is charged, what is refused, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

import understudy as us
from understudy.protocols.approvals import Answer, Question
from understudy.protocols.books import Books, Entry, kept
from understudy.protocols.budget import NANO, Account, Allowance, Price, Spending, dollars, nano
from understudy.protocols.codec import encode
from understudy.protocols.effects import Attempt, Effect
from understudy.protocols.envelope import Context
from understudy.protocols.errors import DefinitionError
from understudy.protocols.failures import Failure
from understudy.protocols.ids import Address
from understudy.protocols.limits import Limits
from understudy.protocols.model import ModelMessage, ModelReply, ModelRequest, ToolOffer, Usage
from understudy.protocols.verdicts import Verdict
from understudy.tools.checks.budget import PATIENCE, Budgets
from understudy.tools.checks.case import Ruling
from understudy.tools.models.pricing import bound
from understudy.tools.models.rules import Rules
from understudy.tools.models.scripted import Scripted
from understudy.tools.starting import Ending, Starting
from understudy.tools.windows import begins, check_windows

REQUEST = ModelRequest("m", (ModelMessage("user", "x" * 904),))
BOUND = bound(REQUEST)
PRICE = Price(10.0, 30.0)
RUN = Context(Address("a/1"), "ada", "acme", "s1")


@us.tool(effect="once", cost=0.25)
def pay(to: str) -> str:
    """Pay."""
    return to


class Till:
    """Books, and the check over them."""

    def __init__(self, spending: Sequence[Spending] = (), model: Any = None) -> None:
        self.check = Budgets(spending, {"m": PRICE}, {"a/{run}": {"rules:r": model}} if model else None)
        self.standing: dict[str, Entry] = {}
        self.now = 1_700_000_000.0

    def start(self, effect: Effect, answer: int | None = 500) -> tuple[Ruling, Starting]:
        tool = pay if effect.verb == "call" else None
        request = None if effect.verb == "call" else REQUEST
        starting = Starting(effect, self.now, Books(self.standing), tool, request, Limits(answer=answer))
        ruling = self.check.start(starting)
        if ruling.verdict.verdict == "allow":
            self._keep(starting.books)
        return ruling, starting

    def book(self, effect: Effect, attempt: Attempt | None) -> tuple[Verdict, ...]:
        ending = Ending(effect, attempt, self.now, Books(self.standing), None)
        told = self.check.book(ending)
        self._keep(ending.books)
        return told

    def _keep(self, books: Books) -> None:
        for entry in books.changes:
            kept(self.standing, entry, 1)

    def account(self, key: str = "budget/run/a/1") -> Account:
        return Books(self.standing).read(key, Account) or Account()

    @property
    def left(self) -> list[str]:
        return [key for key in self.standing if key.startswith("budget/held/")]


def think(id: str = "1.0", budget: us.Budget | None = None, **more: Any) -> Effect:
    context = more.pop("context", RUN)
    if budget is not None:
        context = msgspec.structs.replace(context, budgets=(Allowance("a/1", budget),))
    args = msgspec.Raw(b'{"mark":1}')
    return Effect(id, Address("a/1"), "think", "m", args, "think", "a/{run}", context=context, **more)


def call(budget: us.Budget, id: str = "1.0", **more: Any) -> Effect:
    args = msgspec.Raw(b'{"to":"ada"}')
    context = msgspec.structs.replace(RUN, budgets=(Allowance("a/1", budget),))
    return Effect(
        id, Address("a/1"), "call", "pay", args, "tool:pay", "a/{run}", effect="once", context=context, **more
    )


def came(input: int, output: int, **more: Any) -> Attempt:
    return Attempt(encode(ModelReply("said", usage=Usage(input, output), **more)))


# -- what is reserved


def test_a_model_call_reserves_its_price_for_all_that_it_may_use() -> None:
    till, effect = Till(), think(budget=us.Budget(usd=1.0))
    ruling, starting = till.start(effect)
    assert ruling.verdict.verdict == "allow"
    assert (starting.answer, till.account().held_usd) == (500, PRICE.nano(BOUND, 500))
    assert till.book(effect, came(200, 100)) == ()
    account = till.account()
    assert (account.usd, account.tokens, account.held_usd) == (PRICE.nano(200, 100), 300, 0)
    assert till.left == []


def test_a_tool_call_reserves_what_it_is_said_to_cost_and_has_it_given_back_when_it_fails() -> None:
    till, effect = Till(), call(us.Budget(usd=1.0))
    till.start(effect)
    assert till.account().held_usd == nano(0.25)
    till.book(effect, Attempt(failure=Failure("retry_later", "busy", "busy")))
    assert (till.account().usd, till.account().held_usd) == (0, 0)
    for n, (attempt, spent) in enumerate(
        [
            (Attempt(b'"ada"'), 0.25),
            (Attempt(failure=Failure("retry_later", "timeout", "no answer"), unknown=True), 0.5),
            (Attempt(failure=Failure("abandon", "schema_drift", "it happened")), 0.75),
            (None, 1.0),
        ]
    ):
        again = msgspec.structs.replace(effect, id=f"{n}.1")
        assert till.start(again)[0].verdict.verdict == "allow"
        till.book(again, attempt)
        assert till.account().usd == nano(spent)
    assert till.start(msgspec.structs.replace(effect, id="9.0"))[0].verdict.verdict == "deny"


def test_every_byte_of_a_request_counts_as_a_token() -> None:
    text, tool = "héllo 你好 🙂", ToolOffer("look", "Look.", msgspec.Raw(b'{"type":"object"}'))
    one = bound(ModelRequest("m", (ModelMessage("user", text),)))
    assert one >= len(text.encode())
    assert bound(ModelRequest("m", (ModelMessage("user", text),), (tool,))) >= one + len(b'{"type":"object"}')
    lone = bound(ModelRequest("m", (ModelMessage("user", "\ud800"),)))
    assert lone > 0


def test_the_answer_gets_as_much_room_as_there_is_and_no_call_begins_with_none() -> None:
    till = Till()
    tokens = BOUND + 2_000
    _, starting = till.start(think(budget=us.Budget(tokens=tokens)), answer=None)
    assert starting.answer == 1_024, "8,192, halved until it fits"
    ruling, _ = Till().start(think(budget=us.Budget(tokens=BOUND + 100)), answer=None)
    assert ruling.failure is not None
    assert (ruling.failure.code, ruling.failure.where) == ("budget_exhausted", "a/1")
    _, starting = Till().start(think(budget=us.Budget(tokens=BOUND + 100)), answer=100)
    assert starting.answer == 100, "an agent whose answers are short says so"


def test_a_rule_costs_nothing_whatever_is_left() -> None:
    till = Till(model=Rules("r", []))
    ruling, _ = till.start(msgspec.structs.replace(think(budget=us.Budget(usd=0.0, tokens=0)), name="rules:r"))
    assert ruling.verdict.verdict == "allow"
    assert till.standing == {}


def test_an_unknown_price_under_a_money_budget_is_refused_and_a_token_budget_needs_none() -> None:
    effect = msgspec.structs.replace(think(budget=us.Budget(usd=1.0)), name="acme:never-heard-of")
    ruling, _ = Till().start(effect)
    assert ruling.failure is not None
    assert ruling.failure.code == "price_unknown"
    assert "us.Price" in ruling.failure.hint
    effect = msgspec.structs.replace(think(budget=us.Budget(tokens=9_000)), name="acme:never-heard-of")
    assert Till().start(effect)[0].verdict.verdict == "allow"


def test_a_model_may_say_itself_what_it_costs_and_the_price_lists_know_the_rest() -> None:
    check = Budgets((), {}, {"a/{run}": {"m": Scripted(price=Price(1.0, 1.0), name="m")}})
    starting = Starting(think(budget=us.Budget(usd=1.0)), 1.0, Books({}), None, REQUEST, Limits(answer=500))
    assert check.start(starting).verdict.verdict == "allow"
    listed = msgspec.structs.replace(think(budget=us.Budget(usd=1.0)), name="openai:gpt-5-mini")
    assert Till().start(listed)[0].verdict.verdict == "allow"


# -- what is charged


@pytest.mark.parametrize(
    ("attempt", "said"),
    [
        (came(0, 0), "does not say what it used"),
        (came(100, 0), "does not say what it used"),
        (Attempt(encode(ModelReply("said", usage=Usage(10, 10, estimated=True)))), "does not say"),
        (came(-5, 100), "says that it used -5"),
        (came(100, -1), "says that it used 100 + -1"),
        (came(100, 100, cost=-1.0), "tokens"),
        (Attempt(b'{"usage":{"input_tokens":"many"}}'), "cannot be read"),
        (Attempt(b"nonsense"), "cannot be read"),
        (None, "the process died over it"),
        (Attempt(failure=Failure("retry_later", "timeout", "no answer"), unknown=True), "nobody knows"),
        (Attempt(failure=Failure("retry_later", "broken_stream", "it broke off")), "may be billed"),
    ],
)
def test_what_nobody_knows_or_cannot_be_is_charged_as_reserved_and_said(attempt: Attempt | None, said: str) -> None:
    till, effect = Till(), think(budget=us.Budget(usd=1.0))
    till.start(effect)
    held = till.account().held_usd
    (alert,) = till.book(effect, attempt)
    assert alert.verdict == "alert"
    assert said in alert.reason
    assert (till.account().usd, till.account().held_usd) == (held, 0)


def test_ten_times_what_could_be_is_charged_as_it_says_and_said_and_nothing_more_begins() -> None:
    till, effect = Till(), think(budget=us.Budget(usd=0.1, tokens=5_000))
    till.start(effect)
    (alert,) = till.book(effect, came(10 * BOUND, 5_000))
    assert alert.verdict == "alert"
    assert "charged as it says" in alert.reason
    assert (till.account().usd, till.account().tokens) == (PRICE.nano(10 * BOUND, 5_000), 10 * BOUND + 5_000)
    assert till.start(think("2.0", us.Budget(usd=0.1, tokens=5_000)))[0].verdict.verdict == "deny"


def test_a_provider_that_names_a_higher_cost_than_the_price_list_is_believed() -> None:
    till, effect = Till(), think(budget=us.Budget(usd=1.0))
    till.start(effect)
    (alert,) = till.book(effect, came(200, 100, cost=0.5))
    assert till.account().usd == nano(0.5)
    assert "only" in alert.reason


def test_an_attempt_that_nothing_was_reserved_for_is_charged_nothing() -> None:
    till = Till()
    assert till.book(think(budget=us.Budget(usd=1.0)), came(200, 100)) == ()
    assert till.standing == {}


def test_a_declared_failure_of_a_model_costs_nothing() -> None:
    till, effect = Till(), think(budget=us.Budget(usd=1.0))
    till.start(effect)
    assert till.book(effect, Attempt(failure=Failure("retry_later", "rate_limited", "slow down"))) == ()
    assert (till.account().usd, till.account().held_usd) == (0, 0)


# -- several accounts, waiting, time


def test_all_accounts_are_drawn_on_and_the_narrowest_refuses() -> None:
    outer, inner = us.Budget(usd=1.0), us.Budget(usd=0.02)
    context = msgspec.structs.replace(RUN, budgets=(Allowance("team/1", outer), Allowance("a/1#task", inner)))
    till, effect = Till(), think(context=context)
    till.start(effect)
    till.book(effect, came(200, 100))
    spent = PRICE.nano(200, 100)
    assert {k: till.account(k).usd for k in till.standing} == {"budget/run/team/1": spent, "budget/run/a/1#task": spent}
    ruling, _ = till.start(think("2.0", context=context))
    assert ruling.failure is not None
    assert ruling.failure.where == "a/1#task"
    assert "$0.015 left" in ruling.failure.message
    assert till.left == []


def test_what_is_reserved_for_others_is_waited_for_and_not_for_ever() -> None:
    till, budget = Till(), us.Budget(tokens=BOUND + 500)
    first = think("1.0", budget)
    till.start(first)
    second, waited = think("2.0", budget), list[float]()
    while True:
        ruling, _ = till.start(second)
        if ruling.verdict.verdict != "wait":
            break
        assert ruling.due is not None
        waited.append(ruling.due - till.now)
        till.now = ruling.due
        second = msgspec.structs.replace(second, verdicts=(*second.verdicts, ruling.verdict))
    assert ruling.verdict.verdict == "deny"
    assert waited[:4] == [0.5, 1.0, 2.0, 4.0]
    assert max(waited) == 30.0
    assert PATIENCE <= sum(waited) < PATIENCE + 31.0
    till.book(first, Attempt(failure=Failure("retry_later", "busy", "busy")))
    assert till.start(think("3.0", budget))[0].verdict.verdict == "allow"


def test_time_is_counted_from_the_first_step_and_the_last_call_gets_what_is_left() -> None:
    till, budget = Till(), us.Budget(seconds=60.0)
    _, starting = till.start(think("1.0", budget))
    assert starting.timeout == 60.0
    till.now += 45.0
    assert till.start(think("2.0", budget))[1].timeout == 15.0
    assert till.start(call(budget))[1].timeout is None, "what would be in doubt runs to its own end"
    till.now += 15.0
    ruling, _ = till.start(think("3.0", budget))
    assert ruling.failure is not None
    assert (ruling.failure.code, ruling.failure.where) == ("budget_exhausted", "a/1")


def test_a_person_is_asked_once_for_as_much_again() -> None:
    till, budget = Till(), us.Budget(usd=0.4, hit=("person",))
    till.start(call(budget, "1.0"))
    till.book(call(budget, "1.0"), Attempt(b'"ada"'))
    effect = call(budget, "2.0")
    ruling, _ = till.start(effect)
    assert ruling.question is not None
    assert "$0.40" in ruling.question.text
    yes = Answer("2.0", "approve", by="ada")
    effect = msgspec.structs.replace(effect, question=ruling.question, answer=yes)
    assert till.start(effect)[0].verdict.verdict == "allow"
    assert (till.account().limit_usd, till.account().raised) == (nano(0.8), 1)
    till.book(effect, Attempt(b'"ada"'))
    assert till.start(call(budget, "3.0"))[0].verdict.verdict == "allow"
    till.book(call(budget, "3.0"), Attempt(b'"ada"'))
    assert till.start(effect)[0].verdict.verdict == "deny", "one answer is used once"
    other = msgspec.structs.replace(call(budget, "4.0"), question=Question("approval", "May it?"), answer=yes)
    assert till.start(other)[0].question is not None, "a yes to something else is none to this"


# -- windows


def test_each_user_tenant_and_session_has_a_window_of_its_own() -> None:
    windows = [Spending(per="user", usd=0.02), Spending(per="tenant", usd=0.03), Spending(per="session", usd=1.0)]
    till = Till(windows)

    def ask(id: str, user: str, tenant: str = "acme") -> str:
        effect = think(id, context=Context(Address("a/1"), user, tenant))
        ruling, _ = till.start(effect, answer=100)
        if ruling.verdict.verdict == "allow":
            till.book(effect, came(BOUND, 50))
        return ruling.failure.where if ruling.failure is not None else ruling.verdict.verdict

    assert [ask("1.0", "ada"), ask("2.0", "ada")] == ["allow", "window:user/ever/acme/ada"]
    assert (
        "the spending of user ada in all is used up"
        in (till.start(think("2.5"))[0].failure or Failure("abandon", "", "")).message
    )
    assert [ask("3.0", "bob"), ask("4.0", "eve")] == ["allow", "window:tenant/ever/acme"]
    assert ask("5.0", "ada", "globex") == "allow", "the same name with somebody else is somebody else"
    assert ask("6.0", "a/b", "g%h") == "allow"
    assert "budget/user/ever/g%25h/a%2Fb" in till.standing


def test_a_day_begins_anew_and_what_is_under_way_still_counts() -> None:
    till = Till([Spending(every="day", usd=0.05)])
    till.now = datetime(2026, 3, 1, 23, 59, tzinfo=UTC).timestamp()
    one, two = think("1.0"), think("2.0")
    till.start(one)
    till.book(one, came(BOUND, 500))
    till.start(two)
    held = till.account("budget/all/day").held_usd
    till.now += 120.0
    three = think("3.0")
    till.start(three)
    day = till.account("budget/all/day")
    assert (day.began, day.usd) == (datetime(2026, 3, 2, tzinfo=UTC).timestamp(), 0)
    assert day.held_usd == 2 * held
    till.book(two, came(200, 100))
    till.book(three, came(200, 100))
    day = till.account("budget/all/day")
    assert (day.usd, day.held_usd) == (2 * PRICE.nano(200, 100), 0)


@pytest.mark.parametrize(
    ("every", "tz", "now", "began"),
    [
        ("hour", "UTC", "2026-03-01T05:59:59", "2026-03-01T05:00"),
        ("day", "UTC", "2026-03-01T00:00:00", "2026-03-01T00:00"),
        ("day", "Europe/Oslo", "2026-03-29T12:00:00", "2026-03-29T00:00"),
        ("day", "Europe/Oslo", "2026-10-25T23:00:00", "2026-10-25T00:00"),
        ("week", "UTC", "2026-03-01T12:00:00", "2026-02-23T00:00"),
        ("month", "America/New_York", "2026-03-31T23:30:00", "2026-03-01T00:00"),
    ],
)
def test_windows_begin_by_the_calendar_of_their_time_zone(every: Any, tz: str, now: str, began: str) -> None:
    zone = ZoneInfo(tz)
    at = datetime.fromisoformat(now).replace(tzinfo=zone).timestamp()
    assert begins(every, tz, at) == datetime.fromisoformat(began).replace(tzinfo=zone).timestamp()


# -- bad input


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, True, "1", 1e400, 2e9])
def test_limits_that_are_no_amount_are_refused_where_they_are_written(value: Any) -> None:
    for make in (
        lambda: us.Budget(usd=value),
        lambda: us.Spending(usd=value),
        lambda: us.Price(value, 1.0),
        lambda: us.Price(1.0, value),
    ):
        with pytest.raises(DefinitionError, match=r"usd=|input=|output="):
            make()


@pytest.mark.parametrize("value", [-1, 1.5, True, "1", 10**16])
def test_tokens_are_whole_numbers(value: Any) -> None:
    with pytest.raises(DefinitionError, match="tokens="):
        us.Budget(tokens=value)


@pytest.mark.parametrize("value", [-1.0, math.nan, True, "1", math.inf])
def test_seconds_are_a_time(value: Any) -> None:
    with pytest.raises(DefinitionError, match="seconds="):
        us.Budget(seconds=value)


def test_what_limits_nothing_or_names_what_is_not_there_is_refused() -> None:
    wrong: list[Any] = [
        us.Budget,
        us.Spending,
        lambda: us.Budget(usd=1.0, hit=("pray",)),  # type: ignore[arg-type]
        lambda: us.Budget(usd=1.0, hit="person"),  # type: ignore[arg-type]
        lambda: us.Budget(usd=1.0, hit=("person", "person")),
        lambda: us.Spending(usd=1.0, per="dog"),  # type: ignore[arg-type]
        lambda: us.Spending(usd=1.0, every="year"),  # type: ignore[arg-type]
        lambda: check_windows([Spending(usd=1.0, every="day", tz="Mars/Base")]),
        lambda: check_windows([Spending(usd=1.0), Spending(usd=2.0)]),
        lambda: check_windows([5]),
        lambda: us.Agent("a", "x", model="openai:gpt-5-mini", budget=1.0),  # type: ignore[call-overload]
        lambda: us.Agent("a", "x", model="openai:gpt-5-mini", limits=us.Limits(answer=0)),
        lambda: us.Task("x", budget=1.0),  # type: ignore[arg-type]
        lambda: us.System(us.Agent("a", "x", model="openai:x"), prices={"openai:x": 3}),  # type: ignore[dict-item]
    ]
    for make in wrong:
        with pytest.raises(DefinitionError):
            make()


def test_money_is_written_as_people_read_it() -> None:
    assert [dollars(n) for n in (0, NANO, nano(0.0123), nano(1234.5), 1)] == [
        "$0.00", "$1.00", "$0.0123", "$1,234.50", "$0.00",
    ]  # fmt: skip
