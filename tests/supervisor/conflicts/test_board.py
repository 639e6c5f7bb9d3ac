"""The board: versions, compare-and-set, and lost races that are decided as declared."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from msgspec import Raw

import understudy as us
from tests.supervisor.conflicts.experts import events, state
from understudy.protocols.codec import decode
from understudy.protocols.conflicts import ConflictResolved
from understudy.supervisor.conflicts.resolver import Resolver
from understudy.testing import Faults, Sent, Simulated

BOARD = us.board_of("desk")


class Note(us.Request[us.BoardWritten]):
    value: str
    expected: int = 0


class Writer(us.Actor):
    """Writes what it is told to."""

    @us.handles(Note)
    def note(self, turn: us.Turn[us.State], msg: Note) -> us.Later[us.BoardWritten]:
        later = turn.later(msg)
        turn.ask(BOARD, us.BoardWrite.of("plan", msg.value, msg.expected), tag=later)
        return later

    @us.settles(us.BoardWrite)
    def noted(self, turn: us.Turn[us.State], outcome: us.Outcome[us.BoardWritten]) -> None:
        turn.reply(outcome.tag, outcome.value)


def node(entries: Resolver | None = None, seed: int = 0, faults: Faults | None = None) -> Simulated:
    team = us.Supervisor("desk", [us.Child("writers/{name}", Writer)], conflicts=us.Conflicts(entries=entries))
    return Simulated(team, seed=seed, faults=faults)


def soon(board: Simulated, sent: Sent) -> Sent:
    board.pass_time(1)
    return sent


def read(board: Simulated, key: str = "plan") -> us.BoardEntry:
    sent = soon(board, board.ask(BOARD, us.BoardRead(key)))
    assert sent.reply is not None
    entry: us.BoardEntry = decode(sent.reply.value, us.BoardEntry)
    return entry


def came(sent: Sent) -> us.BoardWritten:
    assert sent.reply is not None
    assert sent.reply.failure is None, sent.reply.failure
    found: us.BoardWritten = decode(sent.reply.value, us.BoardWritten)
    return found


def write(board: Simulated, value: object, expected: int, key: str = "plan", **more: Any) -> Sent:
    return soon(board, board.ask(BOARD, us.BoardWrite(key, Raw(json.dumps(value).encode()), expected, **more)))


def code(sent: Sent) -> str:
    assert sent.reply is not None
    assert sent.reply.failure is not None
    return sent.reply.failure.code


def test_readers_see_value_and_version_and_a_write_names_the_version_it_goes_out_from() -> None:
    board = node()
    assert read(board) == us.BoardEntry("plan")
    assert came(write(board, "go", 0, by="ada")).entry.version == 1
    entry = read(board)
    assert (entry.plain, entry.version, entry.by) == ("go", 1, "ada")
    won = came(soon(board, board.ask("writers/w", Note("wait", 1))))
    assert won.won
    assert (read(board).plain, read(board).version, read(board).by) == ("wait", 2, "writers/{name}")


def test_a_lost_race_is_a_conflict_with_both_values_and_what_stands_stays_by_default() -> None:
    board = node()
    write(board, 5, 0, by="ada")
    write(board, 6, 1, by="ada")
    lost = came(write(board, 6, 1, by="bob", reason="I counted too"))
    assert not lost.won, "an equal value is no excuse: two who count up from 5 are at 7"
    assert lost.entry.version == 2
    (event,) = events(board, BOARD, ConflictResolved)
    assert [(c.who, c.plain, c.reason) for c in event.conflict.claims] == [("ada", 6, ""), ("bob", 6, "I counted too")]
    assert event.conflict.subject == "plan"
    assert (event.decided.by, event.decided.winner) == ("first_come()", 0)


def test_a_lost_race_is_merged_where_that_is_declared() -> None:
    def both(claims: tuple[us.Claim, ...]) -> object:
        return sorted({name for claim in claims for name in claim.plain})

    board = node(us.merge(both))
    write(board, ["a"], 0)
    merged = came(write(board, ["b"], 0))
    assert (merged.entry.plain, merged.entry.version) == (["a", "b"], 2)
    assert merged.decided is not None
    assert merged.decided.made


def test_by_priority_the_later_writer_may_win() -> None:
    board = node(us.priority(["writers/{name}"]))
    write(board, "go", 0, by="ada")
    assert came(soon(board, board.ask("writers/w", Note("wait", 0)))).won
    assert read(board).plain == "wait"
    assert not came(write(board, "stay", 1, by="ada")).won


def test_by_confidence_only_where_both_said_how_sure_they_are() -> None:
    board = node(us.weighted() | us.first_come())
    write(board, "go", 0, confidence=0.2)
    assert not came(write(board, "wait", 0)).won
    assert not came(write(board, "wait", 0, confidence=0.1)).won
    assert came(write(board, "wait", 0, confidence=0.9)).won
    assert read(board).confidence == 0.9


def test_a_person_decides_and_until_then_it_can_be_read_but_not_written() -> None:
    board = node(us.person())
    write(board, "go", 0)
    lost = write(board, "wait", 0)
    assert lost.reply is None
    assert read(board).plain == "go"
    assert read(board).disputed
    assert code(write(board, "later", 1)) == "disputed"
    assert came(write(board, "x", 0, key="other")).won
    board.crash(down=3)
    board.pass_time(1)
    (item,) = board.inbox()
    board.answer(item.id, "answer", value={"my": "own"}, by="eve")
    board.pass_time(1)
    entry = read(board)
    assert (entry.plain, entry.by, entry.disputed) == ({"my": "own"}, "eve", False)
    assert entry.version == 3


def test_an_entry_that_is_being_decided_about_is_not_dropped() -> None:
    board = node(us.person())
    write(board, "north", 0)
    write(board, "south", 0)
    assert code(soon(board, board.ask(BOARD, us.BoardDrop("plan", 1)))) == "disputed"
    (item,) = board.inbox()
    board.answer(item.id, "reject", reason="neither")
    board.pass_time(1)
    assert came(soon(board, board.ask(BOARD, us.BoardDrop("plan", 1)))).won


def test_only_so_many_lost_races_are_decided_at_a_time() -> None:
    board = node(us.person())
    for n in range(17):
        write(board, "north", 0, key=f"k{n}")
    sent = [write(board, "south", 0, key=f"k{n}") for n in range(17)]
    assert len(board.inbox()) == 16
    assert code(sent[16]) == "disputed"
    assert not read(board, "k16").disputed


def test_what_has_no_room_any_more_when_it_is_decided_is_not_written() -> None:
    board = node(us.person())
    large = "x" * 60_000
    write(board, "north", 0)
    wants = write(board, large, 0)
    for n in range(33):
        write(board, large, 0, key=f"k{n}")
    assert code(write(board, large, 0, key="another")) == "board_full"
    (item,) = board.inbox()
    board.answer(item.id, "answer", value="outside#2")
    board.pass_time(1)
    lost = came(wants)
    assert not lost.won
    assert lost.decided is not None
    assert "2,000,000 bytes" in lost.decided.reason
    assert read(board).plain == "north"


def test_a_writer_who_waits_no_more_leaves_it_as_it_is() -> None:
    board = node(us.person())
    write(board, "go", 0)
    lost = write(board, "wait", 0)
    board.give_up(lost)
    board.pass_time(1)
    assert board.inbox() == ()
    assert came(write(board, "on", 1)).won


def test_an_entry_that_is_dropped_and_made_again_never_has_an_old_version() -> None:
    board = node()
    write(board, "go", 0)
    gone = came(soon(board, board.ask(BOARD, us.BoardDrop("plan", 1))))
    assert gone.won
    assert gone.entry.version == 0
    assert came(write(board, "new", 0)).entry.version == 3
    assert not came(write(board, "old", 1)).won
    assert not came(soon(board, board.ask(BOARD, us.BoardDrop("plan", 1)))).won
    sent = soon(board, board.ask(BOARD, us.BoardKeys()))
    assert sent.reply is not None
    assert decode(sent.reply.value, dict[str, int]) == {"plan": 3}


def test_it_is_bounded_and_says_so() -> None:
    board = node()
    assert code(write(board, "x" * 64_000, 0)) == "entry_too_large"
    assert code(write(board, "x", 0, key="k" * 201)) == "bad_key"
    assert code(write(board, "x", 0, key="")) == "bad_key"
    assert code(write(board, "x", 0, confidence=1.5)) == "bad_confidence"
    for n in range(1_000):
        board.ask(BOARD, us.BoardWrite(f"k{n}", Raw(b"1"), 0))
    board.rest()
    assert code(write(board, 1, 0)) == "board_full"
    assert came(write(board, 2, read(board, "k0").version, key="k0")).won
    big = node()
    large = Raw(b'"' + b"x" * 60_000 + b'"')
    sent = [soon(big, big.ask(BOARD, us.BoardWrite(f"k{n}", large, 0))) for n in range(40)]
    assert code(sent[-1]) == "board_full"


def test_values_that_json_does_not_hold_are_refused_where_they_are_made() -> None:
    with pytest.raises(us.UnderstudyError):
        us.BoardWrite.of("plan", float("nan"), 0)
    with pytest.raises(us.UnderstudyError):
        us.BoardWrite.of("plan", object(), 0)
    with pytest.raises(us.UnderstudyError):
        us.BoardWrite.of("plan", (1, 2), 0)
    assert bytes(us.BoardWrite.of("plan", [us.Route("a")], 0).value) == b'[{"to":"a"}]'


@pytest.mark.parametrize("value", [b"1e999", b"1" * 5_000, b'"\xff"'], ids=["too large", "too long", "no text"])
def test_a_value_that_nobody_could_read_again_is_refused_and_the_board_goes_on(value: bytes) -> None:
    board = node()
    for _ in range(5):
        assert code(soon(board, board.ask(BOARD, us.BoardWrite("plan", Raw(value), 0)))) == "bad_value"
    assert came(write(board, "north", 0)).won
    for _ in range(5):
        assert code(soon(board, board.ask(BOARD, us.BoardWrite("plan", Raw(value), 0)))) == "bad_value"
    assert read(board).plain == "north"
    assert board.inbox() == ()


def test_a_reason_is_a_line_and_a_name_is_a_name() -> None:
    board = node(us.person())
    write(board, "north", 0)
    assert code(write(board, "south", 0, reason="x" * 1_001)) == "bad_reason"
    assert code(write(board, "south", 0, by="x" * 201)) == "rejected"
    assert read(board).version == 1


def test_a_caller_outside_takes_nobodys_name_and_counts_as_outside_whatever_it_is_called() -> None:
    board = node(us.priority(["outside", "writers/{name}"]))
    soon(board, board.ask("writers/a", Note("north")))
    for name in ("writers/{name}", "writers/a"):
        assert code(write(board, "south", 0, by=name)) == "rejected"
        assert code(soon(board, board.ask(BOARD, us.BoardDrop("plan", 1, by=name)))) == "rejected"
    won = came(write(board, "south", 0, by="dispatcher"))
    assert (won.won, won.entry.by) == (True, "dispatcher")
    lost = came(soon(board, board.ask("writers/a", Note("north"))))
    assert not lost.won, "the entry as it stands is from outside, too"


def test_it_is_linearizable_against_a_model_under_any_crash() -> None:
    """Whoever was told that it won did win, in the order of versions; who was told that it lost changed nothing."""
    for seed in range(30):
        draw = random.Random(seed)
        board = node(seed=seed, faults=Faults(crash=0.02, commit_fails=0.05, commit_unknown=0.05))
        sent: list[tuple[str, int, str, Sent]] = []
        seen = {"x": 0, "y": 0}
        for n in range(40):
            key = draw.choice("xy")
            expected = draw.choice((seen[key], seen[key], draw.randint(0, 12)))
            sent.append(
                (
                    key,
                    expected,
                    f"v{n}",
                    board.ask(BOARD, us.BoardWrite(key, Raw(f'"v{n}"'.encode()), expected), key=f"k{n}"),
                )
            )
            for _ in range(draw.randint(0, 12)):
                board.step()
            entries: dict[str, us.BoardEntry] = state(board, BOARD).entries
            seen = {k: entries[k].version if k in entries else 0 for k in "xy"}
        board.faults = Faults()
        for *_, one in sent:
            board.pass_time(5)
            if one.lost or one.reply is None:
                board.again(one)
        board.pass_time(60)
        won = {came(one).entry.version: (key, value, expected) for key, expected, value, one in sent if came(one).won}
        assert sorted(won) == list(range(1, len(won) + 1)), "every version was won once"
        model = {"x": (0, ""), "y": (0, "")}
        for version in sorted(won):
            key, value, expected = won[version]
            assert model[key][0] == expected, "nobody wrote over what it had not seen"
            model[key] = (version, value)
        for key, (version, value) in model.items():
            entry = read(board, key)
            assert (entry.version, entry.plain or "") == (version, value)
