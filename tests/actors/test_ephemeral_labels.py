"""A memory-only actor keeps the labels of what it has read, in memory: nothing loses them by going through one."""

from __future__ import annotations

import pytest
from msgspec import Raw

import understudy as us
from tests.actors.crew import said
from understudy.testing import Simulated

sent: list[str] = []


@us.tool(effect="read", kind="read")
def inbox() -> str:
    """What strangers wrote."""
    return "mallory"


@us.tool(effect="once", kind="send", sinks=["to"])
def send(to: str) -> str:
    """Send something."""
    sent.append(to)
    return to


class Keep(us.Message):
    text: str


class Kept(us.Event):
    text: str


class Give(us.Request[str]):
    pass


class Relay(us.Request[str]):
    """Tell another one what you keep."""

    to: str


class Fetch(us.Request[str]):
    """Ask another one what it keeps, and keep it."""

    of: str


class Read(us.Request[str]):
    """Read what strangers wrote, and tell this one."""

    keeper: str


class Send(us.Request[str]):
    """Send to whomever this one names."""

    keeper: str


class Keeper(us.Actor):
    durable = False

    class State(us.State):
        text: str = "ada"

    @us.handles(Keep)
    def keep(self, turn: us.Turn[State], msg: Keep) -> None:
        turn.emit(Kept(msg.text))
        if msg.text == "break":
            raise ValueError("broken")

    @us.handles(Give)
    def give(self, turn: us.Turn[State], msg: Give) -> str:
        return turn.state.text

    @us.handles(Relay)
    def relay(self, turn: us.Turn[State], msg: Relay) -> str:
        turn.tell(msg.to, Keep(turn.state.text))
        return "told"

    @us.handles(Fetch)
    def fetch(self, turn: us.Turn[State], msg: Fetch) -> us.Later[str]:
        later = turn.later(msg)
        turn.ask(msg.of, Give(), tag=later)
        return later

    @us.settles(Give)
    def fetched(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
        turn.emit(Kept(outcome.value))
        turn.reply(outcome.tag, outcome.value)

    @us.handles(us.Task)
    def task(self, turn: us.Turn[State], task: us.Task) -> us.Result:
        turn.emit(Kept(bytes(task.inputs["who"]).decode().strip('"')))
        return us.Result("done")

    @us.applies(Kept)
    def kept(self, state: State, event: Kept) -> State:
        return state.evolve(text=event.text)


class Clerk(us.Actor):
    class State(us.State):
        pass

    @us.handles(Read)
    def read(self, turn: us.Turn[State], msg: Read) -> str:
        turn.call(inbox, tag=msg.keeper)
        return "reads"

    @us.settles(inbox)
    def came(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
        turn.tell(str(outcome.tag), Keep(outcome.value))

    @us.handles(Send)
    def sends(self, turn: us.Turn[State], msg: Send) -> us.Later[str]:
        later = turn.later(msg)
        turn.ask(msg.keeper, Give(), tag=later)
        return later

    @us.settles(Give)
    def given(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
        turn.call(send, outcome.value, tag=outcome.tag)

    @us.settles(send)
    def done(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
        turn.reply(outcome.tag, outcome.value)


def office() -> Simulated:
    sent.clear()
    return Simulated(us.Child("clerk/{n}", Clerk, tools=[inbox, send]), us.Child("m/{n}", Keeper), seed=1)


def ask(node: Simulated, to: str, request: us.Request[str]) -> str:
    one = node.ask(to, request)
    node.pass_time(60.0)
    answer: str = said(one)
    return answer


def asked_about(node: Simulated, keeper: str) -> bool:
    """Whether somebody who has read nothing itself, and sends to whom this one names, has to ask a person."""
    clerk = f"clerk/for-{keeper.replace('/', '-')}"
    node.ask(clerk, Send(keeper))
    node.pass_time(60.0)
    return bool(node.inbox())


def test_what_was_read_is_labelled_still_when_it_is_asked_for_later() -> None:
    node = office()
    ask(node, "clerk/a", Read("m/x"))
    assert asked_about(node, "m/x")
    assert sent == []
    assert "mallory" in node.inbox()[0].text


def test_without_labels_it_would_be_sent() -> None:
    """The control: what a stranger wrote, and nobody knows it any more."""
    node = office()
    assert not asked_about(node, "m/x")
    assert sent == ["ada"]


def test_without_what_it_keeps_it_would_launder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: only the labels of the message that it takes, as it was once."""
    monkeypatch.setattr(Keeper, "sticky", False)
    node = office()
    ask(node, "clerk/a", Read("m/x"))
    assert not asked_about(node, "m/x")
    assert sent == ["mallory"]


@pytest.mark.parametrize("asked", [False, True])
def test_it_goes_from_one_to_another_told_or_asked(asked: bool) -> None:
    node = office()
    ask(node, "clerk/a", Read("m/x"))
    if asked:
        ask(node, "m/y", Fetch("m/x"))
    else:
        ask(node, "m/x", Relay("m/y"))
    assert asked_about(node, "m/y")
    assert sent == []


def test_others_stay_as_they_are() -> None:
    node = office()
    ask(node, "clerk/a", Read("m/x"))
    assert not asked_about(node, "m/z")
    assert sent == ["ada"]


def test_a_restart_does_not_take_them_away() -> None:
    node = office()
    ask(node, "clerk/a", Read("m/x"))
    node.tell("m/x", Keep("break"))
    node.pass_time(60.0)
    assert asked_about(node, "m/x")
    assert sent == []


def test_a_crash_takes_the_labels_with_what_was_kept() -> None:
    node = office()
    ask(node, "clerk/a", Read("m/x"))
    node.crash()
    node.rest()
    assert not asked_about(node, "m/x")
    assert sent == ["ada"], "what it had kept is gone, too"


def test_a_task_says_itself_what_strangers_wrote_in_it() -> None:
    node = office()
    node.ask("m/x", us.Task("Keep it.", inputs={"who": Raw(b'"mallory"')}, untrusted=("who",)))
    node.rest()
    assert asked_about(node, "m/x")
    assert sent == []
