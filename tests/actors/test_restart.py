"""What is left after a failed turn, a restart, a crash of the process, and under code that cannot read the rows."""

from __future__ import annotations

import pytest

import understudy as us
from tests.actors.crew import Actor, Add, Break, Forget, Later, Note, nobody_settles, node, rows, said, state
from understudy.actors.aside import POISON_MARKS
from understudy.protocols.ids import Address
from understudy.supervisor.journal.memory import MemoryJournal
from understudy.testing import Faults, Simulated


def deliver_and_append(board: Simulated) -> None:
    """One step and its rows, and nothing that comes of them."""
    while board.kernel.loads:
        board._load()
    board.kernel.step(board.now)
    batch = board.kernel.cut()
    assert batch is not None
    board.journal.append(batch)


@pytest.mark.parametrize(("policy", "total"), [("keep", 8), ("fresh", 3)])
def test_a_restart_keeps_the_state_or_begins_fresh_as_declared(policy: str, total: int) -> None:
    board = node(on_restart=policy)
    board.ask("a/ada", Add(5))
    board.rest()
    board.ask("a/ada", Break("raise"))
    after = board.ask("a/ada", Add(3))
    board.rest()
    assert said(after) == total
    assert board.actor("a/ada").memory.incarnation == 1
    board.crash()
    again = board.ask("a/ada", Add(0))
    board.rest()
    assert said(again) == total, "and the same after the process died"


def test_a_message_is_parked_at_its_first_failure() -> None:
    board = node()
    board.ask("a/ada", Break("raise"))
    board.rest()
    board.crash()
    board.rest()
    assert [row.kind for row, _ in rows(board, "a/ada")].count("failed") == 1


def test_a_restarted_actor_is_told() -> None:
    class Told(us.Actor):
        class State(us.State):
            heard: tuple[str, ...] = ()

        @us.handles(us.Started)
        def started(self, turn: us.Turn[State], msg: us.Started) -> None:
            turn.emit(Heard("started"))

        @us.handles(us.Restarted)
        def restarted(self, turn: us.Turn[State], msg: us.Restarted) -> None:
            turn.emit(Heard(f"restarted {msg.incarnation} {msg.cause.code if msg.cause else ''}"))

        @us.handles(Break)
        def break_it(self, turn: us.Turn[State], msg: Break) -> int:
            raise ValueError(msg.how)

        @us.handles(Note)
        def note(self, turn: us.Turn[State], msg: Note) -> None:
            turn.emit(Heard(msg.text))

        @us.applies(Heard)
        def hears(self, state: State, event: Heard) -> State:
            return state.evolve(heard=(*state.heard, event.what))

    board = Simulated(us.Child("t/{name}", Told))
    board.tell("t/ada", Note("one"))
    board.ask("t/ada", Break("x"))
    board.tell("t/ada", Note("two"))
    board.rest()
    found = board.actor("t/ada").state
    assert isinstance(found, Told.State)
    assert found.heard == ("started", "one", "restarted 1 crashed", "two")


class Heard(us.Event):
    what: str


def test_reminders_ring_when_their_time_has_come_and_survive_a_crash() -> None:
    board = node()
    began = board.now
    board.tell("a/ada", Later(3_600.0, "an hour later"))
    while not board.journal._timers:
        board.step()
    board.crash()
    assert state(board, "a/ada").notes == ()
    board.rest()
    assert state(board, "a/ada").notes == ("an hour later",)
    assert board.now >= began + 3_600.0
    board.crash()
    board.rest()
    assert state(board, "a/ada").notes == ("an hour later",), "once"


def test_a_reminder_can_be_forgotten() -> None:
    board = node()
    board.tell("a/ada", Later(10.0, "never"))
    board.tell("a/ada", Forget())
    board.rest()
    assert state(board, "a/ada").notes == ()
    assert not board.journal._timers


def test_a_message_that_kills_the_process_again_and_again_is_put_aside() -> None:
    seed, sent, board = 0, None, node()
    while not board.journal._mail:  # until there is one that was accepted and that no turn has taken
        if sent is None or sent.reply is not None:
            seed += 1
            board = node(seed)
            sent = board.ask("a/ada", Add(1), key="killer")
        board.step()
    assert sent is not None
    board.crash()
    for mark in range(1, POISON_MARKS + 1):
        deliver_and_append(board)
        (mail,) = board.journal._mail.values()
        assert mail.marks == mark, "the mark is durable before the message is delivered"
        board.crash()
    board.again(sent)
    board.rest()
    assert said(sent) == "poison"
    assert state(board, "a/ada").total == 0


class RenamedActor(us.Actor):
    """The same actor in a later version of its program, which no longer knows one of its events."""

    @us.handles(Add)
    def add(self, turn: us.Turn[us.State], msg: Add) -> int:
        return 0


def test_rows_that_this_code_cannot_read_park_the_actor_with_a_report_and_stay_as_they_are() -> None:
    journal = MemoryJournal(seed="s")
    old = Simulated(us.Child("a/{name}", Actor, tools=[nobody_settles]), journal=journal)
    old.ask("a/ada", Add(5))
    old.rest()
    journal.close()
    before = journal._streams[Address("a/ada")][:]
    new = Simulated(us.Child("a/{name}", RenamedActor), journal=journal)
    ada, bob = new.ask("a/ada", Add(1)), new.ask("a/bob", Add(1))
    new.rest()
    assert said(bob) == 0, "others are not affected"
    assert said(ada) == "unreadable"
    assert ada.reply is not None
    assert ada.reply.failure is not None
    assert ada.reply.failure.cause is not None
    assert "'Added'" in ada.reply.failure.cause.message
    assert journal._streams[Address("a/ada")][: len(before)] == before
    assert [row.kind for row in journal._streams[Address("a/ada")][len(before) :]] == ["parked"]
    (item,) = new.inbox()
    assert item.kind == "escalation"
    assert "cannot be read" in item.text
    new.journal.close()
    back = Simulated(us.Child("a/{name}", Actor, tools=[nobody_settles]), journal=journal)
    again = back.ask("a/ada", Add(1))
    back.rest()
    assert said(again) == 6, "the code that can read them goes on where they end"


def test_mail_of_a_supervisor_is_never_put_aside() -> None:
    """Others are suspended until it is taken: a supervisor that lost it would leave them so for ever."""
    board = node()
    board.ask("a/ada", Break("raise"), key="k")
    while not any(mail.envelope.wire == "us.child_failed" for mail in board.journal._mail.values()):
        if not board.step():
            board = node(board.seed + 1)
            board.ask("a/ada", Break("raise"), key="k")
    for _ in range(POISON_MARKS + 2):
        board.crash()
        deliver_and_append(board)
    board.crash()
    after = board.ask("a/ada", Add(1))
    board.rest()
    assert said(after) == 1
    assert board.actor("a/ada").memory.incarnation == 1


def test_a_commit_that_fails_is_no_death_of_the_process() -> None:
    """A full disk must not put innocent messages under suspicion."""
    board = Simulated(us.Child("a/{name}", Actor, tools=[nobody_settles]), seed=1, faults=Faults(commit_fails=0.8))
    sent = [board.ask("a/ada", Add(1), key=str(number)) for number in range(5)]
    board.rest()
    assert sorted(said(one) for one in sent) == [1, 2, 3, 4, 5]
    assert board.hits.total() > 5
    assert not any(record.marked for _, record in rows(board, "system"))
