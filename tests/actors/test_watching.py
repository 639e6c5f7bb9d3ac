"""Watching: whoever watches is told once when the other ends, at once if it has ended; across crashes, until a restart."""

from __future__ import annotations

import pytest

import understudy as us
from tests.actors.crew import Actor, Add, crash_and_go_on, nobody_settles, said
from tests.actors.post import Clerk, Do, Say, heard, lookup, office
from tests.actors.test_restart import RenamedActor
from understudy.actors.cell import read_record
from understudy.supervisor.journal.memory import MemoryJournal
from understudy.testing import Simulated, take


@pytest.mark.parametrize("crash", [False, True])
def test_whoever_watches_is_told_when_the_other_finishes(crash: bool) -> None:
    for seed in range(10):
        board = office(seed)
        for name in ("ada", "bob"):
            board.ask(f"p/{name}", Do("watch", "p/eve"))
            board.ask(f"p/{name}", Do("watch", "p/eve"))
        board.rest()
        if crash:
            board.crash()
        board.ask("p/eve", Do("stop"))
        board.rest()
        for name in ("ada", "bob"):
            assert heard(board, f"p/{name}") == ("terminated p/eve finished",)


def test_at_once_where_it_has_ended_before_or_never_was() -> None:
    board = office()
    board.ask("p/eve", Do("stop"))
    board.rest()
    for whom in ("p/eve", "nobody/there"):
        board.ask("p/ada", Do("watch", whom))
    board.rest()
    assert sorted(heard(board, "p/ada")) == ["terminated nobody/there no_such_actor", "terminated p/eve finished"]


def test_when_it_is_stopped_and_when_its_supervisor_gives_up_on_it() -> None:
    board = office(intensity=us.Intensity(max_restarts=0))
    board.ask("p/ada", Do("watch", "p/eve"))
    board.rest()
    board.ask("p/eve", Do("raise"))
    board.rest()
    assert heard(board, "p/ada") == ("terminated p/eve parked",)
    board.ask("p/ada", Do("watch", "p/eve"))
    board.rest()
    (item,) = board.inbox()
    board.answer(item.id, "reject", reason="enough")
    board.rest()
    assert heard(board, "p/ada") == ("terminated p/eve parked", "terminated p/eve stopped")


def test_when_this_code_cannot_read_it() -> None:
    journal = MemoryJournal(seed="s")

    def board(actor: type[us.Actor]) -> Simulated:
        return Simulated(
            us.Child("p/{name}", Clerk, tools=[lookup]), us.Child("a/{name}", actor, tools=[nobody_settles]), journal=journal
        )  # fmt: skip

    old = board(Actor)
    old.ask("p/ada", Do("watch", "a/eve"))
    old.rest()
    old.ask("a/eve", Add(1))
    old.rest()
    journal.close()
    new = board(RenamedActor)
    unread = new.ask("a/eve", Add(1))
    new.ask("p/bob", Do("watch", "a/eve"))
    new.rest()
    assert said(unread) == "unreadable"
    assert heard(new, "p/ada") == heard(new, "p/bob") == ("terminated a/eve parked",)


def test_no_more_after_unwatch_or_a_restart_of_the_watcher() -> None:
    board = office()
    for name in ("ada", "bob", "eve"):
        board.ask(f"p/{name}", Do("watch", "p/zoe"))
    board.rest()
    board.ask("p/ada", Do("unwatch", "p/zoe"))
    board.ask("p/bob", Do("raise"))
    board.rest()
    zoe = board.actor("p/zoe").memory.postal
    assert zoe is not None
    assert list(zoe.watchers) == ["p/eve"]
    board.ask("p/zoe", Do("stop"))
    board.rest()
    assert (heard(board, "p/ada"), heard(board, "p/bob")) == ((), ())
    assert heard(board, "p/eve") == ("terminated p/zoe finished",)


def test_who_takes_a_watch_up_again_as_it_is_restarted_is_told() -> None:
    class Again(Clerk):
        @us.handles(us.Restarted)
        def again(self, turn: us.Turn[Clerk.State], msg: us.Restarted) -> None:
            turn.watch("p/eve")

    board = Simulated(us.Supervisor("post", [us.Child("p/{name}", Again, tools=[lookup])]), seed=1)
    board.ask("p/ada", Do("watch", "p/eve"))
    board.rest()
    board.ask("p/ada", Do("raise"))
    board.rest()
    board.ask("p/eve", Do("stop"))
    board.rest()
    assert heard(board, "p/ada") == ("terminated p/eve finished",)


def test_word_to_a_watcher_that_has_ended_is_no_dead_letter() -> None:
    board = office()
    board.ask("p/ada", Do("watch", "p/zoe"))
    board.rest()
    board.ask("p/ada", Do("stop"))
    board.ask("p/zoe", Do("stop"))
    board.rest()
    assert not board.journal._mail
    assert all_failures(board) == []


def all_failures(board: Simulated) -> list[str]:
    records = [read_record(row) for row in board.journal.rows(limit=10_000)]
    return [record.failure.code for record in records if record.failure is not None]


def test_who_does_not_handle_the_word_cannot_watch() -> None:
    class Deaf(us.Actor):
        @us.handles(Say)
        def say(self, turn: us.Turn[us.State], msg: Say) -> None:
            turn.watch(msg.text)

    taken = take(Deaf, Say("p/ada"))
    assert taken.failure is not None
    assert "would not hear of it" in taken.failure.message
    itself = take(Clerk, Do("watch", "actor"))
    assert itself.failure is not None
    assert "cannot watch itself" in itself.failure.message


def test_a_watch_survives_crashes_at_every_step() -> None:
    for seed in range(60):
        board = office(seed)
        sent = [board.ask("p/ada", Do("watch", "p/eve"), key="w"), board.ask("p/eve", Do("stop"), key="s")]
        for _ in range(seed // 3):
            board.step()
        crash_and_go_on(board, sent)
        assert heard(board, "p/ada") == ("terminated p/eve finished",), f"seed {seed}"


def test_a_memory_only_actor_cannot_be_watched_and_says_so_at_once() -> None:
    class Fleeting(us.Actor):
        durable = False

        @us.handles(Say)
        def say(self, turn: us.Turn[us.State], msg: Say) -> None:
            turn.watch(msg.text)

    board = Simulated(us.Child("p/{name}", Clerk, tools=[lookup]), us.Child("m/{name}", Fleeting))
    board.ask("p/ada", Do("watch", "m/eve"))
    board.rest()
    assert heard(board, "p/ada") == ("terminated m/eve memory_only",)
    with pytest.raises(us.DefinitionError, match="no mailbox policy"):
        type("Policy", (us.Actor,), {"durable": False, "mailbox": us.MailboxPolicy(bound=5)})
