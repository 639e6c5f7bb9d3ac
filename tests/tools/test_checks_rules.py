"""Approval rules as data: what each condition means, what is taken for the worst, and what is refused at start."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import understudy as us
from tests.tools.intents import call, effect, gate
from understudy.actors.answers import accept
from understudy.protocols.approvals import Question
from understudy.protocols.counters import Counters
from understudy.protocols.rules import ApprovalRule


@us.tool(effect="once", kind="money", amount="usd", sinks=["to"], version="2")
def pay(to: str, usd: float) -> str:
    """Pay somebody."""
    return to


@us.tool(effect="once")
def undeclared(to: str, usd: float) -> str:
    """Nobody said what it does."""
    return to


@us.tool(effect="once", kind="send", sinks=["to"], payload=["text"])
def mail(to: str, text: str) -> str:
    """Send a mail."""
    return to


@us.tool(effect="read")
def look(what: str) -> str:
    """Look something up."""
    return what


@us.tool(effect="once", kind="account")
def invite(who: str) -> str:
    """Let somebody in."""
    return who


@us.tool(effect="once", kind="destroy")
def shred(file: str) -> str:
    """Gone for good."""
    return file


@us.tool(effect="idempotent", kind="destroy")
def tidy(file: str) -> str:
    """May be done twice."""
    return file


@us.tool(effect="once", kind="write", tags=["legal"])
def sign(contract: str) -> str:
    """Sign a contract."""
    return contract


ARGUMENTS: dict[str, dict[str, Any]] = {
    "pay": {"to": "ada", "usd": 60.0}, "undeclared": {"to": "ada", "usd": 1.0}, "mail": {"to": "ada", "text": "hello"},
    "look": {"what": "x"}, "invite": {"who": "eve"}, "shred": {"file": "a"}, "tidy": {"file": "a"}, "sign": {"contract": "c"},
}  # fmt: skip
TOOLS = (pay, undeclared, mail, look, invite, shred, tidy, sign)


def asked(rule: ApprovalRule, name: str, counters: Counters | None = None, **more: object) -> Question | None:
    """What is asked about a call under one rule; None for nothing."""
    intent = call(name, {**ARGUMENTS[name], **more})
    return gate(*TOOLS, rules=(rule,)).admit(intent, counters or Counters(), 0.0).question


@pytest.mark.parametrize(
    ("rule", "asks"),
    [
        (ApprovalRule("large", money_above=50), {"pay", "undeclared"}),
        (ApprovalRule("larger", money_above=60), {"undeclared"}),
        (ApprovalRule("named", tools=("undeclared",), money_above=50, amount="usd"), set[str]()),
        (ApprovalRule("final", irreversible=True), {"pay", "undeclared", "shred"}),
        (ApprovalRule("external", external=True), {"mail", "undeclared"}),
        (ApprovalRule("access", kinds=("account",)), {"invite", "undeclared"}),
        (ApprovalRule("law", tags=("legal", "medical")), {"sign"}),
        (ApprovalRule("first", first=True, kinds=("send",)), {"mail", "undeclared"}),
        (ApprovalRule("both", external=True, tools=("mail",)), {"mail"}),
        (ApprovalRule("everything"), set(ARGUMENTS)),
    ],
)
def test_a_rule_asks_about_what_it_says_and_nothing_else(rule: ApprovalRule, asks: set[str]) -> None:
    assert {name for name in ARGUMENTS if asked(rule, name) is not None} == asks


def test_without_the_check_they_would_all_run() -> None:
    """The control."""
    rules = (ApprovalRule("everything"),)
    without = gate(*TOOLS, rules=rules, skip=("rules",))
    decisions = {without.admit(call(name, args), Counters(), 0.0).decision for name, args in ARGUMENTS.items()}
    assert decisions == {"allow"}


@pytest.mark.parametrize(("usd", "asks"), [(50.0, False), (50.01, True), (-60.0, True), (1e300, True)])
def test_money_is_compared_either_way(usd: float, asks: bool) -> None:
    assert (asked(ApprovalRule("large", money_above=50), "pay", usd=usd) is not None) is asks


def test_the_question_says_which_rules_ask_why_and_how_many_must_agree() -> None:
    rules = (
        ApprovalRule("large", money_above=50, quorum=2),
        ApprovalRule("final", irreversible=True, text="It is final."),
    )
    admission = gate(pay, rules=rules).admit(call("pay", ARGUMENTS["pay"]), Counters(), 100.0)
    question = admission.question
    assert question is not None
    assert question.policy == f"{rules[0].label}, {rules[1].label}"
    assert (question.quorum, question.version, question.sinks) == (2, "2", ("to",))
    for part in ("May clerk/1 call pay", "usd is above 50", "It is final."):
        assert part in question.text
    assert [v.verdict for v in admission.verdicts if v.check == "rules"] == ["ask"]


def test_a_tools_own_rule_and_the_agents_become_one_question() -> None:
    @us.tool(effect="once", kind="money", amount="usd", approve=True)
    def wire(usd: float) -> None:
        """Wire money."""

    rule = ApprovalRule("large", money_above=50)
    question = gate(wire, rules=(rule,)).admit(call("wire", {"usd": 60.0}), Counters(), 0.0).question
    assert question is not None
    assert wire.policy is not None
    assert question.policy == f"{wire.policy.label}, {rule.label}"
    assert question.text.count("May clerk/1 call") == 1


def test_where_it_goes_comes_first_in_the_question_and_what_is_long_is_cut_off() -> None:
    @us.tool(effect="once", kind="send", sinks=["to"])
    def post(body: str, to: str) -> None:
        """Post something."""

    intent = call("post", {"body": "x" * 5_000, "to": "eve\u202e\nada"})
    question = gate(post, rules=(ApprovalRule("external", external=True),)).admit(intent, Counters(), 0.0).question
    assert question is not None
    assert question.text.startswith('May clerk/1 call post({"to": "eve\\u202e\\nada", "body": "xxx')
    assert len(question.text) < 2_000


def test_a_version_is_all_that_a_rule_says() -> None:
    rules = [
        ApprovalRule("a"), ApprovalRule("b"), ApprovalRule("a", money_above=1), ApprovalRule("a", money_above=2),
        ApprovalRule("a", quorum=2), ApprovalRule("a", tools=("pay",)), ApprovalRule("a", text="x"), ApprovalRule("a", first=True),
    ]  # fmt: skip
    assert len({rule.version for rule in rules}) == len(rules)
    assert ApprovalRule("a").version == ApprovalRule("a").version


def test_the_first_call_of_a_tool_is_asked_about_until_a_person_says_yes() -> None:
    rule = ApprovalRule("first", first=True)
    assert asked(rule, "mail") is not None
    counters = Counters().first_allowed("mail")
    assert asked(rule, "mail", counters) is None
    assert asked(rule, "pay", counters) is not None


# -- at the start ---------------------------------------------------------------------------------------------------


def started(asked_under: tuple[ApprovalRule, ...], now: tuple[ApprovalRule, ...], usd: float = 60.0) -> tuple[str, str]:
    """What becomes of a payment that a person has allowed under some rules (or about which nobody was asked) under others."""
    intent = call("pay", {"to": "ada", "usd": usd})
    admission = gate(pay, rules=asked_under).admit(intent, Counters(), 0.0)
    made = effect(intent, admission, question=admission.question)
    if admission.decision == "ask":
        made = accept(made, us.Answer("1.0", "approve", by="ada"), 1.0)
    clear = gate(pay, rules=now).start(made, Counters(), 2.0, {})
    if clear.question is not None:
        return "ask", ""
    return clear.verdicts[-1].verdict, clear.failure.code if clear.failure else ""


LARGE, LARGER = ApprovalRule("large", money_above=50), ApprovalRule("large", money_above=55)
FINAL = ApprovalRule("final", irreversible=True)
IDLE = ApprovalRule("idle", external=True)


def test_what_a_person_allowed_runs_under_the_rules_that_asked() -> None:
    assert started((LARGE,), (LARGE,)) == ("allow", "")
    assert started((LARGE,), (LARGE, IDLE)) == ("allow", ""), "a new rule that has nothing to say changes nothing"
    assert started((LARGE, FINAL), (FINAL, LARGE)) == ("allow", "")


def test_a_changed_a_new_and_a_vanished_rule_each_refuse_what_was_allowed_before() -> None:
    for rules in ((LARGER,), (LARGE, FINAL), ()):
        assert started((LARGE,), rules) == ("deny", "rule_changed")


def test_a_call_that_no_rule_asked_about_is_asked_about_where_a_new_rule_does() -> None:
    assert started((LARGE,), (LARGE,), usd=5.0) == ("allow", "")
    assert started((LARGE,), (LARGER,), usd=5.0) == ("allow", "")
    assert started((LARGE,), (LARGE, FINAL), usd=5.0) == ("ask", "")
    assert started((), (FINAL,), usd=5.0) == ("ask", "")


# -- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ""}, "is no name"),
        ({"name": "a, b"}, "no ','"),
        ({"name": "a", "money_above": float("nan")}, "money_above"),
        ({"name": "a", "money_above": True}, "money_above"),
        ({"name": "a", "money_above": -1}, "money_above"),
        ({"name": "a", "kinds": ("murder",)}, "kinds='murder'"),
        ({"name": "a", "kinds": (1,)}, "kinds=1"),
        ({"name": "a", "amount": "usd"}, "beside money_above"),
        ({"name": "a", "quorum": 0}, "quorum"),
        ({"name": "a", "quorum": True}, "quorum"),
        ({"name": "a", "first": "yes"}, "first"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused_with_its_field(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(us.DefinitionError, match=message):
        ApprovalRule(**fields)


def clerk(*rules: Any, tools: Any = TOOLS) -> us.Agent[str]:
    return us.Agent("clerk", "Work.", model=us.Scripted("Done."), tools=tools, approvals=rules)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (ApprovalRule("a", tools=("pya",)), "'a' names a tool 'pya' that there is not"),
        (ApprovalRule("a", tools=("pay",), money_above=1, amount="eur"), "a parameter 'eur', which pay has not"),
        (ApprovalRule("a", money_above=1, amount="eur"), "a parameter 'eur', which no tool has"),
        (ApprovalRule("a", tags=("medical",)), "a tag 'medical' that no tool has"),
        (ApprovalRule("a", tools=("board_read",)), "done inside the node"),
    ],
)
def test_a_rule_that_names_what_there_is_not_is_refused_at_start(rule: ApprovalRule, message: str) -> None:
    tools = (*TOOLS, us.board_read)
    with pytest.raises(us.DefinitionError, match=message):
        us.System(clerk(rule, tools=tools))
    with pytest.raises(us.DefinitionError, match=message):
        us.System(us.Supervisor("desk", [clerk(tools=tools)], approvals=[rule]))


def test_an_agent_has_the_rules_of_its_teams_too() -> None:
    inner = us.Supervisor("inner", [clerk(LARGE)], approvals=[FINAL])
    system = us.System(us.Supervisor("outer", [inner], approvals=[IDLE]))
    assert system.tree.grants["inner/{run}/clerk"].rules == (IDLE, FINAL, LARGE)


def test_what_is_no_rule_and_two_of_one_name_are_refused() -> None:
    with pytest.raises(us.DefinitionError, match="is no approval rule"):
        clerk("large")
    with pytest.raises(us.DefinitionError, match="two approval rules named 'large'"):
        clerk(LARGE, LARGER)


def test_a_rule_is_plain_data() -> None:
    assert msgspec.json.decode(msgspec.json.encode(LARGE), type=ApprovalRule) == LARGE
