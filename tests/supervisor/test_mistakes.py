"""What the public methods and options are given by mistake is named at once, in words, and harms nobody."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan
from pathlib import Path
from typing import Any

import anyio
import pytest

import understudy as us
from understudy.protocols.errors import BadArgument, SystemStopped, UnknownItem, WrongAnswer


class Add(us.Request[int]):
    amount: int = 1


class Note(us.Message):
    pass


class Account(us.Actor):
    @us.handles(Add)
    def add(self, turn: us.Turn[us.State], msg: Add) -> int:
        return msg.amount

    @us.handles(Note)
    def note(self, turn: us.Turn[us.State], msg: Note) -> None:
        raise ZeroDivisionError


class Fleeting(us.Actor):
    durable = False

    @us.handles(Add)
    def add(self, turn: us.Turn[us.State], msg: Add) -> int:
        return msg.amount


def node(**wrong: Any) -> us.System:
    return us.System(us.Child("acc/{key}", Account), us.Child("mem/{key}", Fleeting), **wrong)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("idle", value) for value in (nan, -1, "x", None, True)),
        *(("drain", value) for value in (nan, -1, "x", None)),
        *(("in_memory", value) for value in (0, 2.5, nan, "2", True)),
        *(("journal", value) for value in ("", 5)),
        ("durability", "foo"),
        *(("model", value) for value in (5, "nobody:model", "no provider")),
        ("target", 5),
        ("control", "x"),
        ("on_stop", 3),
    ],
)
def test_an_option_that_makes_no_sense_is_named(option: str, value: Any) -> None:
    with pytest.raises(us.DefinitionError, match=option):
        node(**{option: value})


@pytest.mark.parametrize("field", ["bound", "max_backlog"])
@pytest.mark.parametrize("value", [0, nan, 1.5, "x", True])
def test_a_bound_that_makes_no_sense_is_named(field: str, value: Any) -> None:
    with pytest.raises(us.DefinitionError, match=field):
        us.MailboxPolicy(**{field: value})


def test_poison_after_is_a_number() -> None:
    with pytest.raises(us.DefinitionError, match="poison_after"):
        type("Bad", (us.Actor,), {"poison_after": True})


async def test_a_folder_is_no_journal(tmp_path: Path) -> None:
    with pytest.raises(us.JournalError, match="is a folder"):
        async with node(journal=tmp_path):
            pass


CALLS: dict[str, Callable[[us.System], Any]] = {
    "ask": lambda s: s.ask("acc/a", Add()),
    "ask in memory": lambda s: s.ask("mem/a", Add()),
    "tell": lambda s: s.tell("acc/a", Note()),
    "spawn": lambda s: s.spawn("acc/a"),
    "submit": lambda s: s.submit("acc", us.Task("x")),
    "rest": lambda s: s.rest(),
    "parked": lambda s: s.parked(),
    "drop": lambda s: s.drop("1"),
    "approve": lambda s: s.approve("1.0"),
    "rows": lambda s: s.rows("acc/a"),
    "actors": lambda s: s.actors(),
    "watch": lambda s: s.watch().__aenter__(),
}


@pytest.mark.parametrize("name", CALLS)
async def test_a_system_that_is_not_open_says_so(name: str) -> None:
    system = node()
    with anyio.fail_after(5), pytest.raises(SystemStopped, match="not open"):
        await CALLS[name](system)
    async with system:
        assert await system.ask("acc/a", Add()) == 1
        assert await system.ask("mem/a", Add()) == 1
    with anyio.fail_after(5), pytest.raises(SystemStopped, match="closed"):
        await CALLS[name](system)
    with pytest.raises(SystemStopped, match="before"):
        await system.__aenter__()


async def test_looking_ending_and_draining_before_it_is_open_say_so() -> None:
    system = node()
    for look in (system.stats, system.inbox, lambda: system.opened):
        with pytest.raises(SystemStopped, match="not open"):
            look()
    for end in (system.ended, lambda: system.drain(1.0)):
        with pytest.raises(SystemStopped, match="not open"):
            await end()


wrong: Any = object()
"""Nothing that anything takes."""

MISTAKES: dict[str, tuple[Callable[[us.System], Any], type[Exception], str]] = {
    "timeout of text": (lambda s: s.ask("acc/a", Add(), timeout=wrong), TypeError, "timeout="),
    "timeout of text in memory": (lambda s: s.ask("mem/a", Add(), timeout=wrong), TypeError, "timeout="),
    "timeout nan": (lambda s: s.ask("acc/a", Add(), timeout=nan), ValueError, "timeout=nan"),
    "timeout nan in memory": (lambda s: s.ask("mem/a", Add(), timeout=nan), ValueError, "timeout=nan"),
    "timeout nan of spawn": (lambda s: s.spawn("acc/a", timeout=nan), ValueError, "timeout=nan"),
    "timeout below nothing": (lambda s: s.ask("acc/a", Add(), timeout=-1), BadArgument, "timeout=-1"),
    "timeout below nothing in memory": (lambda s: s.ask("mem/a", Add(), timeout=-1), BadArgument, "timeout=-1"),
    "timeout below nothing of spawn": (lambda s: s.spawn("mem/a", timeout=-0.5), BadArgument, "timeout=-0.5"),
    "timeout below nothing of run": (
        lambda s: s.run(us.Agent("x", "y", model="openai:z"), "t", timeout=-inf),
        BadArgument,
        "timeout=-inf",
    ),
    "timeout that is a word": (
        lambda s: s.run(us.Agent("x", "y", model="openai:z"), "t", timeout=True),
        BadArgument,
        "timeout=True",
    ),
    "priority that is a word": (lambda s: s.ask("acc/a", Add(), priority=True), BadArgument, "priority=True"),
    "priority of tell": (lambda s: s.tell("acc/a", Note(), priority=False), BadArgument, "priority=False"),
    "priority too high": (lambda s: s.ask("acc/a", Add(), priority=2**63), BadArgument, "64 bits"),
    "submit what": (lambda s: s.submit("acc", wrong), TypeError, "us.Task"),
    "decision": (lambda s: s.answer("1.0", wrong), WrongAnswer, "approve"),
    "the same of what": (lambda s: s.approve("1.0", scope="pattern", same=wrong), us.DefinitionError, "same="),
    "the same of letters": (lambda s: s.approve("1.0", scope="pattern", same="to"), us.DefinitionError, "same="),
    "rows of whom": (lambda s: s.rows(wrong), BadArgument, "actor="),
    "rows after": (lambda s: s.rows("acc/a", -1), BadArgument, "after=-1"),
    "actors below": (lambda s: s.actors(wrong), BadArgument, "prefix="),
    "overview": (lambda s: s.overview(idle=-1), BadArgument, "idle=-1"),
    "progress": (lambda s: s.progress(""), BadArgument, "actor="),
    "key": (lambda s: s.ask("acc/a", Add(), key=wrong), TypeError, "key"),
    "no key": (lambda s: s.tell("acc/a", Note(), key=None), TypeError, "key"),  # type: ignore[arg-type]
    "to": (lambda s: s.ask(wrong, Add()), TypeError, "is not an address"),
    "to of tell": (lambda s: s.tell(None, Note()), TypeError, "is not an address"),  # type: ignore[arg-type]
    "run id": (lambda s: s.run(us.Agent("x", "y", model="openai:z"), "t", id=wrong), TypeError, "cannot be an id"),
    "run whom": (lambda s: s.run(wrong, "t"), TypeError, "us.Agent"),
    "run what": (lambda s: s.run(us.Agent("x", "y", model="openai:z"), wrong), TypeError, "us.Task"),
    "drop": (lambda s: s.drop(wrong), UnknownItem, "is not the id"),
    "spawn key": (lambda s: s.spawn("acc/{key}", wrong), TypeError, "is no key"),
    "watch": (lambda s: s.watch("a b").__aenter__(), ValueError, "is not an address"),
}


async def test_a_timeout_that_no_float_can_hold_is_endless() -> None:
    async with node() as system:
        assert await system.ask("acc/a", Add(), timeout=10**400) == 1
        with pytest.raises(BadArgument, match="expires="):
            await system.approve("1.0", expires=10**400)


def test_a_deadline_that_no_float_can_hold_is_no_time() -> None:
    with pytest.raises(us.DefinitionError, match="is no time"):
        us.Task("wait", deadline=10**400)


@pytest.mark.parametrize("name", MISTAKES)
async def test_a_mistake_is_named_and_the_node_goes_on(name: str) -> None:
    call, error, says = MISTAKES[name]
    async with node() as system:
        with anyio.fail_after(5), pytest.raises(error, match=says):
            await call(system)
        assert await system.ask("acc/a", Add(2), timeout=5) == 2


async def test_a_priority_that_was_refused_leaves_a_journal_that_can_be_read(tmp_path: Path) -> None:
    """``True`` was stored as it is, and no row holds such a number: the actor could not be loaded any more."""
    async with node(journal=tmp_path / "a.db") as system:
        with pytest.raises(BadArgument):
            await system.ask("acc/a", Add(), priority=True)
        assert await system.ask("acc/a", Add(1), priority=2**63 - 1) == 1
    async with node(journal=tmp_path / "a.db") as system:
        assert await system.ask("acc/a", Add(2)) == 2
        assert len(await system.rows("acc/a")) == 2


async def test_an_endless_timeout_waits_for_ever() -> None:
    async with node() as system:
        assert await system.ask("acc/a", Add(2), timeout=inf) == 2
        assert await system.ask("mem/a", Add(2), timeout=inf) == 2


class Within(us.Request[int]):
    what: str


class Turns(us.Actor):
    """Does what nobody should, in its turns. (What is wrong is on the class: a message could not hold it.)"""

    wrong: Any = None

    @us.handles(Within)
    def do(self, turn: us.Turn[us.State], msg: Within) -> int:
        if msg.what == "within":
            turn.ask("acc/a", Add(), within=self.wrong)
        elif msg.what == "priority":
            turn.tell("acc/a", Note(), priority=self.wrong)
        elif msg.what == "after":
            turn.remind(Note(), after=self.wrong)
        elif msg.what == "at":
            turn.remind(Note(), at=self.wrong)
        return 1

    @us.handles(Note)
    def note(self, turn: us.Turn[us.State], msg: Note) -> None:
        pass

    @us.settles(Add)
    def added(self, turn: us.Turn[us.State], outcome: us.Outcome[int]) -> None:
        pass


@pytest.mark.parametrize("value", [nan, inf, True, "5", [1]], ids=repr)
async def test_a_turn_that_is_given_no_time_fails_with_the_argument_named_and_the_node_goes_on(value: Any) -> None:
    turns = us.Child("bad/{key}", type("Wrong", (Turns,), {"wrong": value})())
    async with us.System(turns, us.Child("acc/{key}", Account)) as system:
        for what in ("within", "after", "at", "priority"):
            with anyio.fail_after(5), pytest.raises(us.AskFailed, match=f"{what}=") as caught:
                await system.ask(f"bad/{what}", Within(what))
            assert caught.value.failure.code == "crashed"
        assert await system.ask("acc/a", Add(2), timeout=5) == 2


NOBODY: list[Any] = ["", "a b", "a//b", None, 5, []]
NO_WORDS: list[Any] = ["nonsense", "", 5, True, ["permanent"], nan]
NO_FLAGS: list[Any] = ["yes", 1, 0, nan, []]
NONSENSE: list[tuple[str, dict[str, Any], str]] = [
    *(
        (method, {"child": who}, "child=")
        for method in ("start", "stop", "restart", "delete", "spec")
        for who in NOBODY
    ),
    *(("start", {"child": "jobs/1", "restart": word}, "restart=.*\\n.*transient") for word in NO_WORDS),
    *(("start", {"child": "jobs/1", "significant": flag}, "significant=") for flag in NO_FLAGS),
]


@pytest.mark.parametrize(("method", "given", "says"), NONSENSE)
async def test_nonsense_about_children_by_name_is_a_definition_error_and_nothing_is_sent(
    method: str, given: dict[str, Any], says: str
) -> None:
    team = us.Supervisor("team", [us.Child("a", Account), us.Pool("jobs/{key}", Account)])
    async with us.System(team) as system:
        handle = system.supervisor("team")
        await handle.count()
        before = len(await system.rows("team"))
        with anyio.fail_after(5), pytest.raises(us.DefinitionError, match=says):
            await getattr(handle, method)(**given)
        assert len(await system.rows("team")) == before
        assert (await handle.start("jobs/1", restart="permanent", significant=False)).status == "running"


@pytest.mark.parametrize("value", [-1, -0.001, nan, -inf, True, "5", [], b"1"], ids=repr)
async def test_a_handle_with_a_bad_timeout_is_not_made(value: Any) -> None:
    async with us.System(us.Child("a", Account, restart="permanent")) as system:
        with pytest.raises(us.DefinitionError, match="timeout="):
            system.supervisor("root", timeout=value)
        assert (await system.supervisor("root", timeout=5).count()).active == 1


@pytest.mark.parametrize("value", ["", "a b", "/", None, 5, True, ["root"]], ids=repr)
async def test_a_handle_of_nobody_is_not_made(value: Any) -> None:
    async with us.System(us.Child("a", Account, restart="permanent")) as system:
        with pytest.raises(us.DefinitionError, match="name="):
            system.supervisor(value)


async def test_a_parked_message_is_sent_again_as_json_only() -> None:
    async with node() as system:
        await system.tell("acc/a", Note())
        await system.rest()
        (aside,) = await system.parked()
        with pytest.raises(WrongAnswer):
            await system.resend(aside.id, object())
        await system.drop(aside.id)
