"""The stories that matter most, with a crash after each of their steps in turn."""

from __future__ import annotations

from msgspec import Raw

import understudy as us
from tests.supervisor.conflicts.experts import resolved, state
from tests.supervisor.conflicts.experts import with_a_crash_after_every_step as crashes
from tests.supervisor.conflicts.test_fences import Turn, plant
from tests.supervisor.conflicts.test_leases import Take, check, crews
from understudy.protocols.codec import decode
from understudy.testing import Sent, Simulated


def test_a_lease_goes_from_one_to_the_next_wherever_the_process_dies() -> None:
    def drive(node: Simulated) -> Sent:
        node.ask("crew/a", Take(20.0, 0.0), key="a")
        return node.ask("crew/b", Take(20.0, 100.0), key="b")

    def over(node: Simulated, sent: Sent) -> None:
        assert sent.reply is not None
        assert sent.reply.failure is None
        node.pass_time(200)
        assert 1 <= check(node) <= 2

    assert crashes(crews, drive, over) > 20


def test_a_lost_race_is_decided_once_wherever_the_process_dies() -> None:
    board = us.board_of("desk")

    def make() -> us.Supervisor:
        judge = us.Agent("judge", "Be fair.", model=us.Scripted(*["outside#2"] * 500))
        return us.Supervisor("desk", [us.Child("x/{name}", us.Actor)], conflicts=us.Conflicts(entries=us.judge(judge)))

    def drive(node: Simulated) -> Sent:
        node.ask(board, us.BoardWrite("plan", Raw(b'"go"'), 0), key="first")
        node.pass_time(0.5)
        return node.ask(board, us.BoardWrite("plan", Raw(b'"stay"'), 0), key="second")

    def over(node: Simulated, sent: Sent) -> None:
        assert sent.reply is not None
        written = decode(sent.reply.value, us.BoardWritten)
        assert (written.won, written.entry.plain, written.entry.version) == (True, "stay", 2)
        assert len(resolved(node, board)) == 1
        assert state(node, board).disputes == {}

    assert crashes(make, drive, over) > 10


def test_what_is_done_under_a_lease_carries_a_token_that_never_goes_back_wherever_the_process_dies() -> None:
    seen: list[list[tuple[str, int]]] = []

    def make() -> us.Supervisor:
        team, valve = plant(hold=5.0)
        seen.append(valve.turned)
        return team

    def drive(node: Simulated) -> Sent:
        node.ask("workers/a", Turn(), key="a")
        return node.ask("workers/b", Turn(), key="b")

    def over(node: Simulated, sent: Sent) -> None:
        tokens = [token for _, token in seen[-1]]
        assert tokens == sorted(tokens)
        assert len({run for run, token in seen[-1] if token == max(tokens)}) == 1

    assert crashes(make, drive, over) > 10
