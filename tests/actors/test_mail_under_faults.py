"""All that is done with mail, under crashes and failed commits, is done once; and every turn of it is decided the same again."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.actors.post import Do, Fetch, Say, heard, office
from understudy.actors.aside import put_aside
from understudy.actors.cell import Cell, read_record
from understudy.actors.draft import Draft
from understudy.actors.execute import execute
from understudy.actors.mailbox import Item
from understudy.protocols.codec import decode
from understudy.protocols.envelope import OUTCOME, Envelope, OutcomeBody
from understudy.protocols.ids import Address
from understudy.testing import Faults, Sent, Simulated


def decided_again(board: Simulated) -> Counter[str]:
    """Decide every turn in the journal again, and compare to the byte. Gives how many rows said what about mail."""
    rows = board.journal.rows(limit=1_000_000)
    mail: dict[str, Envelope] = {}
    for row in rows:
        record = read_record(row)
        mail.update((e.id, e) for e in record.sends)
        mail.update((t.id, t.envelope) for t in record.timers)
        if record.message is not None:
            mail[record.message.id] = record.message
    cells: dict[str, Cell] = {}
    said = Counter[str]()
    for row in rows:
        record = read_record(row)
        cell = cells.setdefault(row.stream, Cell(row.stream, board.tree.directory.find(row.stream)))
        if row.kind in ("turn", "failed"):
            durable = record.message is None
            envelope = mail[record.took] if record.message is None else record.message
            settles = decode(envelope.body, OutcomeBody).of if envelope.wire == OUTCOME and not durable else ""
            item = Item(
                envelope, durable=durable, marks=record.attempts, settles=settles if settles in cell.memory.effects else ""
            )  # fmt: skip
            draft = put_aside(cell, item, row.gid, row.at) or execute(
                cell, item, board.gate, row.gid, row.at, f"simulated:{board.seed}"
            )
            assert isinstance(draft, Draft)
            assert draft.payload == bytes(row.payload), f"row {row.gid} of {row.stream}"
            said[row.kind] += 1
        if record.post is not None:
            said.update(name for name in record.post.__struct_fields__ if getattr(record.post, name))
        if row.stream != "system":
            cell.fold(row, record)
    return said


def brought(board: Simulated) -> list[Sent]:
    """Some of everything, with keys."""
    sent = [board.ask("p/ada", Do("watch", "p/zoe"), key="watch"), board.ask("p/ada", Do("lock"), key="lock")]
    sent += [board.tell("p/ada", Say(f"s{n}"), key=f"say {n}", priority=n % 2) for n in range(4)]
    sent.append(board.ask("p/ada", Fetch("f"), key="fetch"))
    sent.append(board.ask("p/eve", Do("ask", "p/bob", within=30.0), key="ask"))
    sent.append(board.ask("p/eve", Do("tell", "p/gone", text="x"), key="tell"))
    sent.append(board.ask("p/eve", Do("tell", "p/ada", text="t"), key="tell ada"))
    sent.append(board.ask("p/bob", Do("raise"), key="raise"))
    sent.append(board.ask("p/zoe", Do("stop"), key="stop"))
    return sent


@pytest.mark.parametrize("seed", range(60))
def test_stash_watch_asks_and_deadlines_under_crashes_and_failed_commits(seed: int) -> None:
    board = office(seed)
    board.ask("p/gone", Do("stop"))
    board.rest()
    board.faults = Faults(crash=0.03, commit_fails=0.1, commit_unknown=0.1)
    sent = brought(board)
    for _ in range(400):
        board.step()
        if sum(count for (fault, _), count in board.hits.items() if fault == "crash") >= 2:
            board.faults = Faults(commit_fails=0.1, commit_unknown=0.1)  # at three, innocent mail may be put aside
        for one in sent:
            if one.lost:
                board.again(one)
    board.faults = Faults()
    for _ in range(3):
        for one in sent:
            if one.lost:
                board.again(one)
        board.rest()
    board.ask("p/ada", Do("unlock"), key="unlock")
    board.rest()
    ada, eve = heard(board, "p/ada"), heard(board, "p/eve")
    assert sorted(ada) == ["f", "s0", "s1", "s2", "s3", "t", "terminated p/zoe finished"]
    for rank in (("s0", "s2"), ("s1", "s3")):
        assert [one for one in ada if one in rank] == list(rank), "in order for each priority"
    assert "undelivered p/gone Say finished" in eve
    assert len([one for one in eve if one.startswith("came")]) == 1
    assert [one.reply is not None for one in sent if one.thing.reply_to] == [True] * 8  # type: ignore[union-attr]
    assert not board.journal._mail
    assert not board.journal._timers
    said = decided_again(board)
    assert said["turn"] > 10


def test_everything_that_rows_say_about_mail_is_decided_the_same_again() -> None:
    said = Counter[str]()
    for seed in range(10):
        board = office(seed)
        sent = brought(board)
        board.rest()
        board.give_up(sent[6])
        board.ask("p/bob", Do("answer", text="late"))
        board.ask("p/ada", Do("unwatch", "p/zoe"))
        board.ask("p/ada", Do("watch", "p/kim"))
        board.ask("p/ada", Do("watch", "p/liv"))
        board.rest()
        board.ask("p/ada", Do("unwatch", "p/liv"))
        board.ask("p/ada", Do("unlock"))
        board.ask("p/ada", Do("raise"))
        board.rest()
        said += decided_again(board)
    assert set(said) >= {"turn", "failed", "heard", "late", "stashed", "unstashed", "watches", "watched", "unwatches"}


def test_a_stashed_actor_that_left_memory_comes_back_with_its_stash() -> None:
    board = office()
    board.ask("p/ada", Do("lock"))
    board.tell("p/ada", Say("one"))
    board.tell("p/ada", Say("two"))
    board.rest()
    cell = board.kernel._cells.pop(Address("p/ada"))
    assert not cell.mailbox
    board.ask("p/ada", Do("unlock"))
    board.rest()
    assert heard(board, "p/ada") == ("one", "two")
    assert not board.journal._mail
