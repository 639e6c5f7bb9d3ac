"""Memory-only actors: the same handlers, no rows, and the laws of the node kept."""

from __future__ import annotations

from typing import Any

import pytest

import understudy as us
from tests.actors.crew import Add, Note, Unhandled, said
from tests.actors.fleet import Break, Durable, Listed, Memory, Mixed, Pass, Send, Stop, cell, look, node
from understudy.actors.ephemeral_turn import EphemeralTurn
from understudy.actors.turn import Turn
from understudy.protocols.errors import DefinitionError
from understudy.protocols.ids import SYSTEM
from understudy.protocols.journal import RowKind
from understudy.testing import Simulated, take

BOTH = pytest.mark.parametrize(("asker", "other"), [("m/a", "m/b"), ("m/a", "d/b"), ("d/a", "m/b")])


def ask(board: Simulated, to: str, request: us.Request[Any]) -> Any:
    sent = board.ask(to, request)
    board.rest()
    return said(sent)


def streams(board: Simulated) -> set[str]:
    return {row.stream for row in board.journal.rows(limit=10_000)}


def kinds(board: Simulated, stream: str) -> list[RowKind]:
    return [row.kind for row in board.journal.rows(limit=10_000) if row.stream == stream]


def test_it_answers_and_remembers_and_leaves_no_row() -> None:
    board = node()
    assert [ask(board, "m/a", Add(2)), ask(board, "m/a", Add(3))] == [2, 5]
    board.tell("m/a", Note("hello"))
    assert ask(board, "m/a", Listed()) == ["hello", "5"]
    assert streams(board) == {SYSTEM, "root", "crew", "teller"}, (
        "it has none; the others are who keeps it going, and a child of theirs"
    )


def test_its_state_is_gone_after_a_crash() -> None:
    board = node()
    ask(board, "m/a", Add(2))
    board.crash()
    assert ask(board, "m/a", Add(3)) == 3


@BOTH
def test_it_asks_and_is_asked_by_both_kinds(asker: str, other: str) -> None:
    board = node()
    assert ask(board, asker, Pass(other, "7")) == "got 7"
    assert ask(board, other, Add(0)) == 7


@BOTH
def test_an_ask_inside_fails_with_a_typed_reason(asker: str, other: str) -> None:
    board = node()
    assert ask(board, asker, Pass(other, "unhandled")) == "unhandled"
    assert ask(board, asker, Pass(other, "-1")) == "rejected"
    assert ask(board, asker, Pass("nobody/there", "1")) == "no_such_actor"


def test_an_asker_is_told_that_a_memory_only_actor_failed() -> None:
    board = node()
    assert ask(board, "d/a", Pass("m/b", "break")) == "crashed"
    assert ask(board, "m/a", Pass("m/c", "break")) == "crashed"


@BOTH
def test_a_forwarded_request_is_answered_by_the_other(asker: str, other: str) -> None:
    board = node()
    assert ask(board, asker, Pass(other, "forward")).startswith(f"I am {other}, asked by {asker} for {asker}")


def test_a_request_is_answered_in_a_later_turn() -> None:
    board = node()
    kept = board.ask("m/a", Pass("", "keep"))
    board.rest()
    assert kept.reply is None
    assert ask(board, "m/a", Pass("", "release")) == "released"
    assert said(kept) == "at last"


@BOTH
def test_mail_from_inside_arrives_once_and_nothing_stays_open(asker: str, other: str) -> None:
    board = node()
    assert ask(board, asker, Pass(other, "tell")) == "told"
    assert ask(board, other, Listed()) == [f"from {asker}", "0"]
    assert not board.journal._mail


def test_a_turn_that_raises_leaves_nothing_and_its_supervisor_begins_it_anew() -> None:
    board = node()
    ask(board, "m/a", Add(5))
    assert ask(board, "m/a", Break()) == "crashed"
    assert ask(board, "m/a", Add(1)) == 1
    assert ask(board, "m/other", Listed()) == ["0"]
    assert "d/other" not in streams(board)
    assert board.kernel.memory.dead == {"crashed": 1}
    assert kinds(board, "crew")[-1] == "turn"


def test_mail_waits_while_the_supervisor_decides_and_is_taken_in_order_afterwards() -> None:
    board = node(backoff=us.Backoff(base=10.0))
    ask(board, "m/a", Break())
    ask(board, "m/a", Break())
    sent = [board.ask("m/a", Add(n)) for n in (1, 2, 3)]
    board.rest()
    assert [said(one) for one in sent] == [1, 3, 6]


@pytest.mark.parametrize("how", ["call", "think", "remind", "escalate"])
def test_effects_and_timers_fail_the_turn_with_a_clear_reason(how: str) -> None:
    board = node()
    sent = board.ask("m/a", Break(how))
    board.rest()
    assert sent.reply is not None
    assert sent.reply.failure is not None
    assert "memory-only (durable = False)" in sent.reply.failure.message
    assert not board.inbox()


@pytest.mark.parametrize("how", ["answer", "event", "message"])
def test_a_value_of_a_wrong_type_fails_the_turn_that_made_it(how: str) -> None:
    board = node()
    sent = board.ask("m/a", Break(how))
    board.rest()
    assert sent.reply is not None
    assert sent.reply.failure is not None
    assert sent.reply.failure.message.startswith("NotStorable")
    assert ask(board, "m/a", Add(0)) == 0


def test_what_can_be_changed_is_copied_on_its_way() -> None:
    board = node()
    message = Mixed([1])
    assert ask(board, "m/a", message) == [1, 0]
    assert message.values == [1]


def test_one_that_gives_up_waits_for_a_person_and_stopped_it_answers_so() -> None:
    board = node(intensity=us.Intensity(max_restarts=0))
    ask(board, "m/a", Break())
    held = board.ask("m/a", Add(1))
    board.rest()
    assert held.reply is None
    (item,) = board.inbox()
    board.answer(item.id, "reject", reason="enough")
    board.rest()
    assert said(held) == "stopped"
    assert ask(board, "m/a", Add(1)) == "stopped"
    assert board.kernel.memory.dead["stopped"] == 2


def test_started_and_restarted_are_handled_before_mail() -> None:
    board = node()
    assert ask(board, "s/a", Listed()) == ["started"]
    assert ask(board, "s/a", Listed()) == ["started"]
    ask(board, "s/a", Break())
    assert ask(board, "s/a", Listed()) == ["restarted 1", "started"]


def test_one_that_stops_itself_is_forgotten_and_its_address_is_free() -> None:
    board = node()
    ask(board, "m/a", Add(5))
    kept = board.ask("m/a", Pass("", "keep"))
    board.rest()
    assert ask(board, "m/a", Pass("", "stop")) == "gone"
    assert said(kept) == "stopped"
    assert "m/a" not in board.kernel.memory.cells
    assert ask(board, "m/a", Add(1)) == 1


def test_mail_behind_a_stop_is_for_the_next_one() -> None:
    for seed in range(20):
        board = node(seed)
        sent = [board.tell("m/a", Note("x")), board.tell("m/a", Stop()), board.tell("m/a", Note("y"))]
        board.rest()
        assert all(one.accepted for one in sent)
        assert ask(board, "m/a", Listed()) == ["y", "0"]


def test_one_that_stops_itself_when_it_begins_takes_no_mail() -> None:
    board = node()
    assert ask(board, "gone", Listed()) == "stopped"
    assert ask(board, "gone", Listed()) == "stopped"


@pytest.mark.parametrize("teller", ["teller", "m-teller"])
@pytest.mark.parametrize("to", ["gone", "nobody/there"])
def test_who_tells_in_vain_hears_of_it(teller: str, to: str) -> None:
    board = node()
    board.tell(teller, Send(to))
    board.rest()
    code = "stopped" if to == "gone" else "no_such_actor"
    assert ask(board, teller, Listed()) == [f"{to} Note {code}"]


def test_mail_from_a_durable_actor_that_comes_too_late_is_not_taken() -> None:
    board = node()
    for within in (0.0, 1_000.0):
        board.tell("teller", Send("m/a", within))
    board.rest()
    assert ask(board, "m/a", Listed()) == ["x", "0"]
    assert ask(board, "teller", Listed()) == ["m/a Note expired"]


@pytest.mark.parametrize("how", ["call", "think", "remind", "escalate"])
def test_one_turn_of_it_without_a_node_keeps_the_same_rules(how: str) -> None:
    taken = take(Memory, Break(how))
    assert taken.crashed
    assert taken.failure is not None
    assert "memory-only (durable = False)" in taken.failure.message
    assert not taken.calls
    assert take(Memory, Add(2)).reply == 2


def test_keys_are_refused() -> None:
    board = node()
    sent = board.ask("m/a", Add(1), key="k")
    board.rest()
    assert sent.error is not None
    assert "no_keys" in str(sent.error)


def test_what_it_tells_a_durable_actor_is_whole_in_the_row_that_takes_it() -> None:
    board = node()
    ask(board, "m/a", Pass("d/b", "tell"))
    board.crash()
    assert ask(board, "d/b", Listed()) == ["from m/a", "0"]


def test_a_durable_asker_is_told_when_the_node_died_before_the_answer() -> None:
    """At most once: the request is not given to the next life's actor, and nobody waits for ever."""
    lost = 0
    for seed in range(150):
        board = node(seed)
        asked = board.ask("d/a", Pass("m/b", "1"), key="k")
        for _ in range(seed % 15):
            board.step()
        board.crash()
        if asked.lost:
            board.again(asked)
        board.rest()
        assert said(asked) in {"got 1", "lost"}
        lost += said(asked) == "lost"
        assert not board.journal._mail
    assert lost  # and not all were


def test_mail_of_a_life_before_is_a_dead_letter_with_its_addressee() -> None:
    for seed in range(200):
        board = node(seed)
        told = board.ask("d/a", Pass("m/b", "tell"))
        while told.reply is None:
            board.step()
        if not any(mail.envelope.to == "m/b" for mail in board.journal._mail.values()):
            continue
        board.crash()
        board.rest()
        assert kinds(board, "m/b") == ["parked"]
        assert ask(board, "m/b", Listed()) == ["0"]
        return
    pytest.fail("no seed crashed between the tell and its being taken")


def test_an_answer_waits_for_the_rows_that_it_may_follow_from() -> None:
    """The causal prefix: what it heard of an uncommitted turn does not leave the node before that turn is durable."""
    waited = 0
    for seed in range(50):
        board = node(seed)
        board.ask("d/a", Pass("m/b", "tell"))
        heard = board.ask("m/b", Listed())
        while heard.reply is None:
            assert board.step()
        if said(heard) == ["from d/a", "0"]:
            assert "d/a" in streams(board)
            waited += 1
    assert waited > 5


def test_a_failed_commit_forgets_what_was_heard_with_it() -> None:
    board = node()
    ask(board, "m/a", Add(5))
    board.faults = us_faults(commit_fails=1.0)
    board.ask("d/a", Add(1), key="k")
    for _ in range(50):
        board.step()
    board.faults = us_faults()
    board.rest()
    assert ask(board, "m/a", Add(1)) == 1
    assert ask(board, "d/a", Add(0)) == 1


def us_faults(**faults: float) -> Any:
    from understudy.testing import Faults

    return Faults(**faults)


def test_memory_only_actors_share_the_queue_with_durable_ones() -> None:
    board = node()
    for _ in range(2_000):
        board.kernel.memory.put(cell(board, "m/a"), (Note("x"), "", None, None))  # type: ignore[arg-type]
    durable = board.ask("d/b", Add(1))
    board.rest()
    assert said(durable) == 1
    assert len(cell(board, "m/a").state.notes) == 2_000  # type: ignore[attr-defined]


def test_one_that_settles_effects_or_has_tools_is_refused_when_it_is_defined() -> None:
    with pytest.raises(DefinitionError, match="settles 'tool:look'"):

        class Calls(us.Actor):  # pyright: ignore[reportUnusedClass]
            durable = False

            @us.settles(look)
            def seen(self, turn: us.Turn[us.State], outcome: us.Outcome[str]) -> None: ...

    with pytest.raises(DefinitionError, match="calls no tools"):
        us.Child("m/{name}", Memory, tools=[look])
    with pytest.raises(DefinitionError, match="durable is 'no'"):

        class Odd(us.Actor):  # pyright: ignore[reportUnusedClass]
            durable = "no"  # type: ignore[assignment]


def test_every_way_to_act_in_a_turn_is_kept_or_refused_by_a_memory_only_one() -> None:
    """A method that only rows make true must not be inherited silently."""
    through = {"call", "call_named", "think", "escalate"}  # they all come to ``_intend``
    own = [kind for kind in Turn.__mro__ if kind.__module__.startswith("understudy.")]
    public = {
        name for kind in own for name, thing in vars(kind).items() if callable(thing) and not name.startswith("_")
    }
    mine = set(vars(EphemeralTurn))
    of_rows = {"respond", "next_id", "note", "post", "control", "call_off"}  # what a durable turn makes its row with
    assert public - mine - through == of_rows
    assert {"_intend", *public - through - of_rows} <= mine


def test_a_durable_class_and_a_memory_only_one_answer_the_same() -> None:
    assert us.Actor.durable
    assert Durable.durable
    board = node()
    for to in ("m/x", "d/x"):
        assert ask(board, to, Add(4)) == 4
        assert ask(board, to, Add(-1)) == "rejected"
        assert ask(board, to, Unhandled()) == "unhandled"
