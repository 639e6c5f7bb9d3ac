"""What the public methods and options are given by mistake is named at once, in words, and harms nobody."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from pathlib import Path
from typing import Any

import anyio
import pytest

import understudy as us
from understudy.protocols.errors import SystemStopped, UnknownItem, WrongAnswer


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


@pytest.mark.parametrize("name", MISTAKES)
async def test_a_mistake_is_named_and_the_node_goes_on(name: str) -> None:
    call, error, says = MISTAKES[name]
    async with node() as system:
        with anyio.fail_after(5), pytest.raises(error, match=says):
            await call(system)
        assert await system.ask("acc/a", Add(2), timeout=5) == 2


async def test_a_parked_message_is_sent_again_as_json_only() -> None:
    async with node() as system:
        await system.tell("acc/a", Note())
        await system.rest()
        (aside,) = await system.parked()
        with pytest.raises(WrongAnswer):
            await system.resend(aside.id, object())
        await system.drop(aside.id)
