"""To spawn is to begin an actor before anybody writes to it, and to be told that it has begun."""

from __future__ import annotations

from pathlib import Path

import pytest

import understudy as us
from tests.actors.crew import Add, Note, Noted, said
from tests.actors.fleet import Listed, Memory, Starts
from understudy.protocols.errors import AskFailed, DefinitionError, SystemStopped
from understudy.testing import Simulated, take


class DurableStarts(Starts):
    durable = True

    @us.handles(Note)
    def note(self, turn: us.Turn[Starts.State], msg: Note) -> None:
        turn.emit(Noted(msg.text))


class MemoryStarts(DurableStarts):
    durable = False


class Fragile(us.Actor):
    durable = False

    @us.handles(us.Started)
    def started(self, turn: us.Turn[us.State], msg: us.Started) -> None:
        raise ZeroDivisionError("still-born")


class DurableFragile(Fragile):
    durable = True


class Found(us.Request[str]):
    """Spawn somebody."""

    where: str
    key: str


class Founder(us.Actor):
    @us.handles(Found)
    def found(self, turn: us.Turn[us.State], msg: Found) -> str:
        return turn.spawn(msg.where, msg.key, Note("welcome"))


class MemoryFounder(Founder):
    durable = False


def team() -> us.Supervisor:
    return us.Supervisor(
        "crew",
        [
            us.Child("m/{name}", Memory),
            us.Child("s/{name}", MemoryStarts),
            us.Child("d/{name}", DurableStarts),
            us.Child("two/{a}/x/{b}", Memory()),
            us.Child("one", Memory),
            us.Child("f/{name}", Fragile),
            us.Child("df/{name}", DurableFragile),
            us.Child("founder", Founder),
            us.Child("m-founder", MemoryFounder),
        ],
    )


@pytest.mark.parametrize(
    ("where", "key", "address"),
    [
        ("s/{name}", "ada", "s/ada"),
        ("d/{name}", "ada", "d/ada"),
        ("m/{name}", "an odd-one"[3:], "m/odd-one"),
        (DurableStarts, "ada", "d/ada"),
        (MemoryStarts, "ada", "s/ada"),
        ("two/{a}/x/{b}", ("1", "2"), "two/1/x/2"),
        ("two/1/x/{b}", "2", "two/1/x/2"),
        ("one", "", "one"),
        ("d/ada", "", "d/ada"),
    ],
)
async def test_where_and_key_make_an_address(where: str, key: str, address: str) -> None:
    async with us.System(team()) as system:
        for _ in range(3):  # the same again is the same
            assert await system.spawn(where, key) == address


@pytest.mark.parametrize("where", ["s/{name}", "d/{name}"])
async def test_it_has_begun_once_when_spawn_returns_and_its_first_message_is_there(where: str) -> None:
    async with us.System(team()) as system:
        address = await system.spawn(where, "ada", Note("hello"))
        assert await system.spawn(where, "ada", Note("hello")) == address
        assert await system.ask(address, Listed()) == ("started", "hello", "hello")
        assert await system.spawn(where, "bob") == where.format(name="bob")
        assert await system.ask(where.format(name="bob"), Listed()) == ("started",)


async def test_a_durable_one_has_a_row_then_and_a_memory_only_one_has_none(tmp_path: Path) -> None:
    async with us.System(team(), journal=tmp_path / "j.db") as system:
        await system.spawn("d/{name}", "ada")
        await system.spawn("s/{name}", "ada")
        (line,) = await system.actors("d")
        assert (line.address, line.life, line.turns) == ("d/ada", "running", 1)
        assert not await system.actors("s")


@pytest.mark.parametrize(
    ("where", "key", "what"),
    [
        ("nobody/{name}", "ada", "nothing is mounted at 'nobody/ada'"),
        ("m", "", "nothing is mounted at 'm'"),
        ("m/{name}", ("a", "b"), "takes 1 keys, not 2"),
        ("m/{name}", "", "takes 1 keys, not 0"),
        ("m/ada", "bob", "takes 0 keys, not 1"),
        (Memory, "ada", "Memory is mounted at one, m/{name}, two/{a}/x/{b}"),
        (us.Actor, "ada", "mounted nowhere here"),
    ],
)
async def test_what_nothing_covers_is_refused(where: str, key: str, what: str) -> None:
    async with us.System(team()) as system:
        with pytest.raises(DefinitionError) as caught:
            await system.spawn(where, key)
        assert what in str(caught.value)
        for bad in ("a/b", "a b", "x" * 201):
            with pytest.raises(ValueError, match=r"key|address"):
                await system.spawn("m/{name}", bad)


@pytest.mark.parametrize("where", ["f/{name}", "df/{name}"])
async def test_whoever_spawns_is_told_that_it_could_not_begin(where: str) -> None:
    async with us.System(team()) as system:
        for name in ("ada", "bob"):
            with pytest.raises(AskFailed) as caught:
                await system.spawn(where, name)
            assert caught.value.failure.code == "crashed"


async def test_a_closed_system_begins_nobody() -> None:
    async with us.System(team()) as system:
        await system.spawn("m/{name}", "ada")
    for where in ("m/{name}", "s/{name}", "d/{name}"):
        with pytest.raises(SystemStopped):
            await system.spawn(where, "bob")


@pytest.mark.parametrize("founder", ["founder", "m-founder"])
@pytest.mark.parametrize("where", ["s/{name}", "d/{name}"])
def test_an_actor_spawns_others(founder: str, where: str) -> None:
    for seed in range(10):
        board = Simulated(team(), seed=seed)
        sent = [board.ask(founder, Found(where, "ada"))]
        board.rest()
        sent.append(board.ask(where.format(name="ada"), Listed()))
        board.rest()
        assert [said(one) for one in sent] == [where.format(name="ada"), ["started", "welcome"]]


@pytest.mark.parametrize("founder", ["founder", "m-founder"])
def test_a_turn_that_spawns_where_nothing_is_mounted_fails(founder: str) -> None:
    board = Simulated(team())
    sent = board.ask(founder, Found("nobody/{name}", "ada"))
    board.rest()
    assert said(sent) == "crashed"


def test_one_turn_of_a_founder_shows_whom_it_spawned() -> None:
    taken = take(Founder, Found("any/{name}", "ada"))
    assert taken.reply == "any/ada"
    assert [(to, wire) for to, wire, _ in taken.sent] == [("any/ada", "us.started"), ("any/ada", "Note")]


def test_memory_only_actors_of_a_mount_add_up_alone() -> None:
    board = Simulated(team())
    for name, amount in (("a", 1), ("b", 2), ("a", 3)):
        board.ask(f"m/{name}", Add(amount))
    board.rest()
    last = board.ask("m/a", Add(0))
    board.rest()
    assert said(last) == 4
