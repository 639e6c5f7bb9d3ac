"""Old events and messages are read by newer code, or their actor is parked with a report; nothing stored is rewritten."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw

import understudy as us
from understudy.protocols.codec import encode
from understudy.protocols.errors import Unreadable
from understudy.protocols.ids import Address
from understudy.protocols.messages import WireMeta
from understudy.protocols.upcasting import lift
from understudy.supervisor.journal.memory import MemoryJournal
from understudy.testing import Faults, Sent, Simulated, outcome, take


class Put(us.Request[int], wire="put"):
    euros: int


class Was(us.Event, wire="deposit"):
    euros: int


class Quote(us.Request[int], wire="quote"):
    pass


class Old(us.Actor):
    """The code of the first release."""

    class State(us.State):
        euros: int = 0

    @us.handles(Put)
    def put(self, turn: us.Turn[State], msg: Put) -> int:
        return turn.emit(Was(msg.euros)).euros

    @us.applies(Was)
    def was(self, state: State, event: Was) -> State:
        return state.evolve(euros=state.euros + event.euros)


def cents(data: dict[str, Any]) -> dict[str, Any]:
    return {"cents": data["euros"] * 100}


def named(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "by": "nobody"}


class PutCents(us.Request[int], wire="put", version=2, upcasters={1: cents}):
    cents: int


class Deposited(us.Event, version=3, upcasters={1: cents, 2: named}, was=("deposit",)):
    cents: int
    by: str


class New(us.Actor):
    """The code of the third: the event has another name, other fields and two versions more."""

    class State(us.State):
        cents: int = 0
        by: tuple[str, ...] = ()

    @us.handles(PutCents)
    def put(self, turn: us.Turn[State], msg: PutCents) -> int:
        return turn.emit(Deposited(msg.cents, "ada")).cents

    @us.applies(Deposited)
    def deposited(self, state: State, event: Deposited) -> State:
        return state.evolve(cents=state.cents + event.cents, by=(*state.by, event.by))


class Renamed(us.Actor):
    """Code that forgot the old name."""

    class State(us.State):
        pass

    @us.handles(PutCents)
    def put(self, turn: us.Turn[State], msg: PutCents) -> int:
        return 0


def node(actor: type[us.Actor], journal: MemoryJournal, faults: Faults | None = None) -> Simulated:
    return Simulated(
        us.Supervisor("bank", [us.Child("a/{name}", actor)]), seed=1, journal=journal, faults=faults or Faults()
    )


def left_by_old_code(*, waiting: bool = False) -> MemoryJournal:
    journal = MemoryJournal(seed="old")
    board = node(Old, journal)
    board.ask("a/ada", Put(3))
    board.rest()
    if waiting:  # a message that no turn takes before the process ends
        board.ask("a/ada", Put(4), key="k")
        board._feed()
        board._commit()
        assert any(mail.envelope.wire == "put" for mail in journal._mail.values())
    board.kernel.stop("upgrade")
    board._commit()
    journal.close()
    return journal


def said(sent: Sent) -> bytes:
    assert sent.reply is not None
    return bytes(sent.reply.value)


def test_old_events_are_lifted_version_by_version_under_their_old_name() -> None:
    board = node(New, left_by_old_code())
    sent = board.ask("a/ada", PutCents(5))
    board.rest()
    assert said(sent) == b"305"
    state = board.actor("a/ada").state
    assert isinstance(state, New.State)
    assert state.by == ("nobody", "ada")
    stored = [row for row in board.journal.stream(Address("a/ada")) if b'"deposit"' in bytes(row.payload)]
    assert len(stored) == 1, "what was stored is as it was"


def test_messages_in_an_old_inbox_are_lifted_too() -> None:
    board = node(New, left_by_old_code(waiting=True))
    board.rest()
    state = board.actor("a/ada").state
    assert isinstance(state, New.State)
    assert state.cents == 700


def test_an_event_that_nobody_knows_parks_its_actor_with_a_report_that_says_what_to_do() -> None:
    journal = left_by_old_code()
    before = journal._rows[:]
    board = node(Renamed, journal)
    sent = board.ask("a/ada", PutCents(5))
    board.rest()
    assert sent.reply is not None
    failure = sent.reply.failure
    assert failure is not None
    assert failure.code == "unreadable"
    assert failure.cause is not None
    assert "'deposit' version 1" in failure.cause.message
    assert "row " in failure.cause.message
    assert 'was=("deposit",)' in failure.cause.hint
    assert journal._rows[: len(before)] == before, "untouched"


def test_a_version_from_the_future_is_refused_and_named() -> None:
    with pytest.raises(Unreadable, match="version 9 cannot be read: this code knows version 3"):
        lift(Raw(b"{}"), Deposited, 9)


def test_an_upcaster_that_gives_no_object_is_named() -> None:
    def nothing(data: dict[str, Any]) -> Any:
        return None

    class Broken(us.Event, version=2, upcasters={1: nothing}):
        pass

    with pytest.raises(Unreadable, match="version 1 gave NoneType"):
        lift(Raw(encode({})), Broken, 1)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"version": 3, "upcasters": {1: cents}}, "none for version 2"),
        ({"version": 3, "upcasters": {2: cents}}, "none for version 1"),
        ({"version": 2, "upcasters": {1: cents, 2: named}}, "2 is not older"),
        ({"version": 2, "upcasters": {1: "cents"}}, "is no function"),
        ({"version": 0}, "whole number"),
        ({"was": "deposit"}, "tuple of wire names"),
    ],
)
def test_a_chain_with_a_gap_is_refused_where_it_is_declared(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(us.DefinitionError, match=complaint):
        WireMeta("Gap", (us.Event,), {}, **options)


def test_two_events_of_one_name_are_refused_also_by_an_old_name() -> None:
    with pytest.raises(us.DefinitionError, match="wire name 'deposit'"):

        class Both(us.Actor):  # pyright: ignore[reportUnusedClass]
            @us.applies(Was)
            def one(self, state: us.State, event: Was) -> us.State:
                return state

            @us.applies(Deposited)
            def other(self, state: us.State, event: Deposited) -> us.State:
                return state


def test_the_answer_to_a_request_of_an_old_name_finds_its_settler() -> None:
    class Price(us.Request[int], was=("quote",)):
        pass

    class Asker(us.Actor):
        class State(us.State):
            pass

        @us.settles(Price)
        def priced(self, turn: us.Turn[State], outcome: us.Outcome[int]) -> None:
            turn.tell("a/bob", PutCents(outcome.value))

    for subject in (Quote, Price):
        taken = take(Asker, outcome(subject, 5))
        assert [message for _, _, message in taken.sent] == [{"cents": 5}]
