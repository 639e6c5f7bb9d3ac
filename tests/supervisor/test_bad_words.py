"""Words of people's code that cannot be kept as they are: halves of characters, exceptions that cannot say what they are."""

from __future__ import annotations

from typing import Any

import pytest

import understudy as us
from understudy.protocols.errors import NotStorable
from understudy.protocols.failures import DEEPEST, RAISED, of_exception
from understudy.tools.models.scripted import call

HALF = "\ud800"


class Say(us.Request[str]):
    how: str


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


def raise_it(how: str) -> str:
    if how == "mute":
        raise Mute
    if how == "half":
        raise RuntimeError(f"a {HALF}")
    if how == "long":
        raise RuntimeError("x" * 10_000_000)
    if how == "declared half":
        raise us.Abandon(HALF, hint=HALF, code=HALF)
    if how == "declared long":
        raise us.Abandon("x" * 10_000_000)
    if how == "refused half":
        raise us.Rejected(HALF, hint=HALF)
    if how == "refused long":
        raise us.Rejected("x" * 10_000_000)
    if how == "refused mute":
        error: Any = Mute()
        raise us.Rejected(error)
    return how


@us.tool(effect="read")
def plain(how: str) -> str:
    """Raise."""
    return raise_it(how)


@us.tool(effect="read")
async def waiting(how: str) -> str:
    """Raise."""
    return raise_it(how)


class Speaker(us.Actor):
    @us.handles(Say)
    def say(self, turn: us.Turn[us.State], msg: Say) -> us.Later[str] | str:
        kind, _, how = msg.how.partition(": ")
        if kind == "turn":
            return raise_it(how)
        later = turn.later(msg)
        turn.call(plain if kind == "plain" else waiting, how, tag=later)
        return later

    @us.settles(plain)
    def said(self, turn: us.Turn[us.State], outcome: us.Outcome[str]) -> None:
        turn.reply(outcome.tag, outcome.value)

    @us.settles(waiting)
    def said_later(self, turn: us.Turn[us.State], outcome: us.Outcome[str]) -> None:
        turn.reply(outcome.tag, outcome.value)


class Fleeting(us.Actor):
    durable = False

    @us.handles(Say)
    def say(self, turn: us.Turn[us.State], msg: Say) -> str:
        return raise_it(msg.how.partition(": ")[2])


RAISING = ("mute", "half", "long", "declared half", "declared long")
REFUSING = ("refused mute", "refused half", "refused long")


@pytest.mark.parametrize("to", ["speaker/{}", "fleeting/{}"])
@pytest.mark.parametrize("how", [*RAISING, *REFUSING])
async def test_whatever_a_handler_raises_is_a_failure_and_the_node_goes_on(to: str, how: str) -> None:
    async with us.System(us.Child("speaker/{key}", Speaker), us.Child("fleeting/{key}", Fleeting)) as system:
        with pytest.raises(us.AskFailed) as failed:
            await system.ask(to.format("a"), Say(f"turn: {how}"), timeout=5)
        assert len(failed.value.failure.message) <= 20_000
        failed.value.failure.message.encode()
        if how in ("mute", "refused mute"):
            assert "Mute" in failed.value.failure.message
        assert await system.ask(to.format("b"), Say("turn: fine"), timeout=5) == "fine"


@pytest.mark.parametrize("kind", ["plain", "async"])
@pytest.mark.parametrize("how", RAISING)
async def test_whatever_a_tool_raises_is_its_outcome_at_once(kind: str, how: str) -> None:
    async with us.System(us.Child("speaker/{key}", Speaker, tools=[plain, waiting])) as system:
        with pytest.raises(us.AskFailed) as failed:
            await system.ask("speaker/a", Say(f"{kind}: {how}"), timeout=5)
        assert failed.value.failure.code != "timeout"
        assert await system.ask("speaker/b", Say(f"{kind}: fine"), timeout=5) == "fine"


@pytest.mark.parametrize("after", [True, "soon", float("nan"), float("inf"), -5.0, [1], 10**400])
async def test_a_tool_that_says_no_number_of_seconds_does_not_end_the_node(after: Any) -> None:
    @us.tool(effect="read", retry=us.Retry(attempts=2, base=0.0))
    def busy() -> str:
        """It is always busy."""
        raise us.RetryLater("busy", after=after)

    agent = us.Agent("a", "Ask.", model=us.Scripted(call("busy"), "It is busy."), tools=[busy])
    async with us.System(agent) as system:
        assert (await system.run(agent, "Ask.", timeout=5)).output == "It is busy."


def test_a_circle_of_causes_has_an_end() -> None:
    one, other = RuntimeError("one"), RuntimeError("x" * 5_000)
    one.__cause__, other.__cause__ = other, one
    chain = of_exception(one).chain()
    assert len(chain) == DEEPEST + 1
    assert len(chain[1].message) == RAISED


async def test_half_a_character_is_no_part_of_an_address_or_a_key() -> None:
    async with us.System(us.Child("speaker/{key}", Speaker), us.Child("fleeting/{key}", Fleeting)) as system:
        for to in ("speaker", "fleeting"):
            with pytest.raises(ValueError, match="is not an address"):
                await system.ask(f"{to}/{HALF}", Say("turn: fine"))
            with pytest.raises(ValueError, match="is not an address"):
                await system.tell(f"{to}/{HALF}", Say("turn: fine"))
            with pytest.raises(ValueError, match="is not an address"):
                await system.spawn(f"{to}/{{key}}", HALF)
        with pytest.raises(ValueError, match="cannot be an id"):
            await system.tell("speaker/a", Say("turn: fine"), key=HALF)
        assert await system.ask("speaker/a", Say("turn: fine")) == "fine"


async def test_half_a_character_in_a_decision_is_refused_before_anything_is_written() -> None:
    async with us.System(us.Child("speaker/{key}", Speaker)) as system:
        with pytest.raises(us.AskFailed):
            await system.ask("speaker/a", Say("turn: mute"))
        (aside,) = await system.parked()
        with pytest.raises(NotStorable):
            await system.drop(aside.id, reason=HALF)
        with pytest.raises(NotStorable):
            await system.resend(aside.id, by=HALF)
        await system.drop(aside.id)
        assert await system.ask("speaker/a", Say("turn: fine")) == "fine"


@pytest.mark.parametrize("template", ["system", "root", "{key}"])
def test_the_journals_stream_and_the_root_are_nobodys_address(template: str) -> None:
    with pytest.raises(us.DefinitionError, match=r"system|root"):
        us.System(us.Child(template, Speaker))


@pytest.mark.parametrize("template", ["speaker/{key}/{key}", 5, HALF])
def test_a_template_that_is_none_is_refused_where_it_is_written(template: Any) -> None:
    with pytest.raises(us.DefinitionError, match="is not"):
        us.Child(template, Speaker)
