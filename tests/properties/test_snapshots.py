"""Snapshot and tail give what all rows give, for every row of any history; what cannot be believed is as if it were not there."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import understudy as us
from tests import soak
from tests.actors.crew import Actor, Add, Added, Break, Close, Later, Note, Relay, nobody_settles
from tests.simulation import bank
from tests.simulation.run_bank import run
from understudy.actors.cell import Cell, read_record
from understudy.actors.fingerprint import _fingerprint, fingerprint
from understudy.actors.snapshots import alike, restore, snapshot
from understudy.protocols.codec import encode
from understudy.protocols.journal import MAX_STATE, Row, Snapshot
from understudy.supervisor.journal.sqlite import SqliteJournal
from understudy.supervisor.replay.verify import replay
from understudy.testing import Simulated

HISTORIES = soak.count("histories")
PROGRESS = soak.Progress("histories", HISTORIES)

MESSAGES = st.one_of(
    st.builds(Add, st.integers(-5, 5)),
    st.builds(Note, st.text("ab\u20ac", max_size=3)),
    st.builds(Break, st.sampled_from(["raise", "nan", "applies"])),
    st.builds(Later, st.sampled_from([1.0, 90.0]), st.just("ring")),
    st.builds(Relay, st.sampled_from(["a/ada", "a/bob"]), st.sampled_from(["add", "unhandled", "raise", "close"])),
    st.builds(Close),
)


def crew(seed: int, **options: Any) -> Simulated:
    children = [us.Child("a/{name}", Actor, tools=[nobody_settles])]
    return Simulated(us.Supervisor("crew", children), seed=seed, **options)


def folded(node: Simulated, rows: tuple[Row, ...], cell: Cell | None = None) -> Cell:
    if cell is None:
        cell = Cell(rows[0].stream, node.tree.directory.find(rows[0].stream))
    for row in rows:
        cell.fold(row, read_record(row))
    return cell


def every_row_of(node: Simulated, rows: tuple[Row, ...]) -> int:
    """Compare for every row; gives how many snapshots were taken."""
    whole = folded(node, rows)
    growing = Cell(whole.address, whole.mount)
    for n, row in enumerate(rows, 1):
        folded(node, (row,), growing)
        kept = snapshot(growing)
        assert kept is not None, f"row {row.gid} of {row.stream}: {growing.state} {growing.memory}"
        new = Cell(whole.address, whole.mount)
        assert restore(new, kept)
        folded(node, rows[n:], new)
        assert alike(new.state, whole.state)
        assert encode(new.memory) == encode(whole.memory)
        assert (new.gid, new.address) == (whole.gid, whole.address)
    return len(rows)


@given(st.lists(st.tuples(st.sampled_from(["ada", "bob"]), MESSAGES), max_size=12), st.integers(0, 99))
@settings(max_examples=HISTORIES, deadline=None)
def test_snapshot_and_tail_are_the_whole_history_at_every_row(said: list[tuple[str, Any]], seed: int) -> None:
    PROGRESS.step()
    node = crew(seed, idle=0.0, in_memory=1, snapshot_every=1)
    draw = random.Random(seed)
    for n, (name, message) in enumerate(said):
        if isinstance(message, us.Request):
            node.ask(f"a/{name}", message, key=draw.choice(["", f"k{n}"]))  # pyright: ignore[reportUnknownArgumentType]
        else:
            node.tell(f"a/{name}", message)
        for _ in range(draw.randrange(20)):
            node.step()
    node.rest()
    for stream, rows in node.journal._streams.items():
        if stream != "system":
            every_row_of(node, tuple(rows))


@pytest.mark.parametrize("seed", range(6))
def test_the_same_for_every_row_of_a_bank_in_a_storm(seed: int) -> None:
    made = run(seed)
    compared = sum(
        every_row_of(made.node, tuple(rows)) for name, rows in made.node.journal._streams.items() if name != "system"
    )
    assert compared > 100


def one_with_rows(**options: Any) -> tuple[Simulated, Cell]:
    node = crew(0, **options)
    for _ in range(5):
        node.ask("a/ada", Add(1))
        node.rest()
    return node, node.actor("a/ada")


def test_a_snapshot_of_other_code_is_as_if_it_were_not_there() -> None:
    node, cell = one_with_rows()
    kept = snapshot(cell)
    assert kept is not None

    class Other(Actor):
        @us.applies(Added)
        def added(self, state: Actor.State, event: Added) -> Actor.State:
            return state.evolve(total=state.total + 2 * event.amount)

    class Same(Actor):
        pass

    class Wider(us.State):
        total: int = 1

    class Larger(Actor):
        State = Wider  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]

    prints = [_fingerprint(cls.behaviour) for cls in (Actor, Same, Other, Larger)]
    assert prints[0] == prints[1], "the class's name does not matter"
    assert len(set(prints)) == 3, "what its methods do and what its state holds does"
    node.journal.close()
    other = Simulated(us.Supervisor("crew", [us.Child("a/{name}", Other)]), journal=node.journal)
    new = Cell(cell.address, other.tree.directory.find(cell.address))
    assert not restore(new, kept)
    node.journal.put_snapshots((kept,))
    sent = other.ask("a/ada", Add(1))
    other.rest()
    assert sent.reply is not None
    assert bytes(sent.reply.value) == b"12", "all five rows folded by the new code"


@pytest.mark.parametrize(
    "value", [b"{}", b"[", b'{"state":{"total":"x"},"memory":{}}', b'{"state":{},"memory":{"seq":1}}']
)
def test_a_snapshot_that_cannot_be_read_is_as_if_it_were_not_there(value: bytes) -> None:
    node, cell = one_with_rows()
    assert cell.mount is not None
    rows = node.journal.stream(cell.address)
    broken = Snapshot(cell.address, rows[-1].gid, rows[-1].seq, fingerprint(cell.mount.actor), value.decode())
    assert not restore(Cell(cell.address, cell.mount), broken)
    node.journal.put_snapshots((broken,))
    node.kernel.rest(node.now + 61.0)
    sent = node.ask("a/ada", Add(1))
    node.rest()
    assert sent.reply is not None
    assert bytes(sent.reply.value) == b"6"


def test_snapshots_are_taken_of_actors_with_many_rows_and_believed_when_they_come_back() -> None:
    node, _ = one_with_rows(snapshot_every=3)
    assert node.hits["snapshot", "taken"] >= 1
    node.kernel.rest(node.now + 61.0)
    sent = node.ask("a/ada", Add(1))
    node.rest()
    assert sent.reply is not None
    assert bytes(sent.reply.value) == b"6"
    assert node.hits["snapshot", "believed"] == 1


def test_what_would_not_come_back_as_it_is_gets_no_snapshot() -> None:
    _, cell = one_with_rows()
    assert isinstance(cell.state, Actor.State)

    class Loose(us.State):
        total: Any = 0

    cell.state = Loose((1, 2))  # would come back as a list
    assert snapshot(cell) is None
    cell.state = Loose(float("nan"))
    assert snapshot(cell) is None
    cell.state = Loose(object())
    assert snapshot(cell) is None
    cell.state = Loose([1, 2])
    assert snapshot(cell) is not None


class Grow(us.Request[int]):
    bytes: int


class Grew(us.Event):
    text: str


class Shrink(us.Request[int]):
    pass


class Shrunk(us.Event):
    pass


class Hoarder(us.Actor):
    class State(us.State):
        texts: tuple[str, ...] = ()

    @us.handles(Grow)
    def grow(self, turn: us.Turn[State], msg: Grow) -> int:
        return len(turn.emit(Grew("x" * msg.bytes)).texts)

    @us.handles(Shrink)
    def shrink(self, turn: us.Turn[State], msg: Shrink) -> int:
        return len(turn.emit(Shrunk()).texts)

    @us.applies(Grew)
    def grew(self, state: State, event: Grew) -> State:
        return state.evolve(texts=(*state.texts, event.text))

    @us.applies(Shrunk)
    def shrunk(self, state: State, event: Shrunk) -> State:
        return state.evolve(texts=state.texts[1:])


@pytest.mark.parametrize("leaves", [False, True])
def test_a_turn_that_makes_the_state_too_large_fails_typed_and_a_smaller_state_goes_on(leaves: bool) -> None:
    node = Simulated(us.Supervisor("crew", [us.Child("a/{name}", Hoarder)]), snapshot_every=2)
    sizes, refused = 0, None
    for _ in range(10):
        sent = node.ask("a/ada", Grow(900_000))
        node.rest()
        if leaves:
            node.kernel.rest(node.now + 61.0)
        assert sent.reply is not None
        if sent.reply.failure is not None:
            refused = sent.reply.failure
            break
        sizes += 900_000
    assert refused is not None
    assert refused.code == "state_too_large"
    assert "more than 4,000,000" in refused.message
    assert MAX_STATE - 900_000 <= sizes <= MAX_STATE
    sent = node.ask("a/ada", Shrink())
    node.rest()
    assert sent.reply is not None
    assert bytes(sent.reply.value) == b"3"


async def test_replay_ignores_snapshots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("understudy.supervisor.pump.SNAPSHOTS_EVERY", 0.001)
    path = tmp_path / "bank.db"
    target = f"{bank.__name__}:TEAM"
    monkeypatch.setattr(bank, "TEAM", us.Supervisor("bank", [us.Child("accounts/{name}", bank.Account)]), raising=False)
    async with us.System(bank.TEAM, journal=path, target=target) as system:  # type: ignore[attr-defined]
        for n in range(205):
            await system.ask("accounts/ada", bank.Deposit(str(n), 1))
        while not await system._shell.journal._hop(kept, system):
            await anyio.lowlevel.checkpoint()
    report = replay(path, "accounts/ada", target)
    assert (report.difference, report.turns) == (None, 205)


def kept(system: us.System) -> int:
    core = system._shell.journal._core
    assert isinstance(core, SqliteJournal)
    found = core._must_be_open().execute("SELECT COUNT(*) FROM snapshots").fetchone()
    return int(found[0]) if found else 0


def test_nothing_else_hides_in_a_cell() -> None:
    """Whoever gives a cell a field of its own has to say how it comes back: by the journal, by `restore`, or not at all."""
    by_restore = {"state", "memory", "gid", "kept", "weight"}
    of_this_life = {"address", "mount", "mailbox", "loaded", "queued", "broken", "at"}
    by_state = {"vouched"}  # what the state says, read once
    assert set(Cell.__slots__) == by_restore | of_this_life | by_state
