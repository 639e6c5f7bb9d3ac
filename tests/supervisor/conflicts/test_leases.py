"""Leases: one holder at a time, tokens that only grow, claims that are decided as declared, across any crash."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

import understudy as us
from tests.supervisor.conflicts.experts import events, state
from understudy.actors.cell import read_record
from understudy.protocols.codec import decode
from understudy.protocols.conflicts import ConflictResolved
from understudy.protocols.ids import Address
from understudy.protocols.leases import LeaseEnter
from understudy.supervisor.conflicts.claimants import LeaseEnded, LeaseGranted
from understudy.supervisor.conflicts.leases import LeaseActor
from understudy.supervisor.conflicts.resolver import Resolver
from understudy.testing import Faults, Sent, Simulated

UNIT = "unit A1"
WHERE = us.lease_of("desk", UNIT)


class Take(us.Request[us.Lease]):
    seconds: float = 60.0
    wait: float = 0.0


class End(us.Message):
    pass


class Break(us.Message):
    pass


class Crew(us.Actor):
    """Takes the unit when it is told to, and hears of its loss."""

    class State(us.State):
        lost: tuple[str, ...] = ()

    class Lost(us.Event, wire="crew.lost"):
        why: str

    @us.handles(Take)
    def take(self, turn: us.Turn[State], msg: Take) -> us.Later[us.Lease]:
        later = turn.later(msg)
        turn.ask(WHERE, us.LeaseAcquire(UNIT, msg.seconds, msg.wait, tell=True), tag=later)
        return later

    @us.settles(us.LeaseAcquire)
    def taken(self, turn: us.Turn[State], outcome: us.Outcome[us.Lease]) -> None:
        turn.reply(outcome.tag, outcome.value)

    @us.handles(us.LeaseLost)
    def lost(self, turn: us.Turn[State], msg: us.LeaseLost) -> None:
        turn.emit(Crew.Lost(msg.reason))

    @us.handles(End)
    def end(self, turn: us.Turn[State], msg: End) -> None:
        turn.stop()

    @us.handles(Break)
    def fail(self, turn: us.Turn[State], msg: Break) -> None:
        raise RuntimeError("broken")

    @us.applies(Lost)
    def was_lost(self, state: State, event: Lost) -> State:
        return state.evolve(lost=(*state.lost, event.why))


def crews(claims: Resolver | None = None) -> us.Supervisor:
    children = [us.Child("crew/{name}", Crew), us.Child("rescue/{name}", Crew)]
    return us.Supervisor("desk", children, conflicts=us.Conflicts(claims=claims))


def node(claims: Resolver | None = None, seed: int = 0, faults: Faults | None = None) -> Simulated:
    return Simulated(crews(claims), seed=seed, faults=faults)


def soon(board: Simulated, sent: Sent, seconds: float = 1.0) -> Sent:
    board.pass_time(seconds)
    return sent


def lease(sent: Sent) -> us.Lease:
    assert sent.reply is not None
    assert sent.reply.failure is None, sent.reply.failure
    found: us.Lease = decode(sent.reply.value, us.Lease)
    return found


def refusal(sent: Sent) -> us.Failure:
    assert sent.reply is not None
    assert sent.reply.failure is not None
    return sent.reply.failure


def stands(board: Simulated) -> us.LeaseStand:
    sent = soon(board, board.ask(WHERE, us.LeaseLook(UNIT)), 0.5)
    assert sent.reply is not None
    found: us.LeaseStand = decode(sent.reply.value, us.LeaseStand)
    return found


def get(board: Simulated, who: str, **more: Any) -> Sent:
    return soon(board, board.ask(f"crew/{who}", Take(**more)))


def test_one_has_it_and_another_is_refused_with_who_and_how_long() -> None:
    board = node()
    assert lease(get(board, "a", seconds=100.0)).token == 1
    why = refusal(get(board, "b"))
    assert (why.code, why.kind) == ("lease_held", "retry_later")
    assert "crew/a" in why.message
    assert why.after is not None
    assert 90 < why.after <= 100
    (event,) = events(board, WHERE, ConflictResolved)
    assert [claim.plain for claim in event.conflict.claims] == ["crew/a", "crew/b"]
    assert (event.decided.by, event.decided.winner) == ("first_come()", 0)


def test_who_has_it_and_asks_again_keeps_its_token_and_has_it_longer() -> None:
    board = node()
    first = lease(get(board, "a", seconds=10.0))
    again = lease(get(board, "a", seconds=50.0))
    assert again.token == first.token
    assert again.until > first.until + 30


def test_it_expires_though_nobody_is_connected_and_the_process_was_down() -> None:
    board = node()
    get(board, "a", seconds=10.0)
    board.crash(down=100)
    board.pass_time(1)
    (ended,) = events(board, WHERE, LeaseEnded)
    assert ended.reason == "expired"
    assert state(board, "crew/a").lost == ("expired",)
    assert lease(get(board, "b")).token == 2


def test_renewed_it_lasts_and_a_lost_one_is_not_renewed() -> None:
    board = node()
    held = lease(soon(board, board.ask(WHERE, us.LeaseAcquire(UNIT, 10.0, holder="ada"))))
    board.pass_time(5)
    assert lease(soon(board, board.ask(WHERE, us.LeaseRenew(UNIT, held.token, 10.0, holder="ada")))).token == 1
    board.pass_time(8)
    assert stands(board).lease is not None
    board.pass_time(5)
    assert stands(board).lease is None
    why = refusal(soon(board, board.ask(WHERE, us.LeaseRenew(UNIT, held.token, 10.0, holder="ada"))))
    assert why.code == "lease_lost"


def test_released_it_goes_to_who_waits_and_to_release_it_twice_is_no_error() -> None:
    board = node()
    board.ask(WHERE, us.LeaseAcquire(UNIT, holder="ada"))
    board.pass_time(1)
    waits = board.ask("crew/b", Take(wait=30.0))
    board.pass_time(1)
    assert stands(board).waiting == ("crew/b",)
    given = [soon(board, board.ask(WHERE, us.LeaseRelease(UNIT, 1, holder="ada"))) for _ in range(2)]
    assert [bytes(one.reply.value) for one in given if one.reply is not None] == [b"true", b"false"]
    assert lease(waits).token == 2


def test_who_waits_too_long_is_told_and_waits_no_more() -> None:
    board = node()
    get(board, "a", seconds=100.0)
    late = board.ask("crew/b", Take(wait=20.0))
    board.pass_time(10)
    assert late.reply is None
    board.pass_time(15)
    assert refusal(late).code == "lease_held"
    assert stands(board).waiting == ()


@pytest.mark.parametrize("how", ["finishes", "is given up"])
def test_what_a_dead_holder_had_goes_to_another(how: str) -> None:
    board = node()
    get(board, "a", seconds=1_000.0)
    waits = board.ask("crew/b", Take(wait=100.0))
    board.pass_time(1)
    if how == "finishes":
        board.tell("crew/a", End())
    else:
        for _ in range(5):
            board.tell("crew/a", Break())
        board.pass_time(5)
        assert board.inbox(), "its supervisor gave it up"
    board.pass_time(5)
    assert lease(waits).token == 2
    assert "crew/a" not in str(stands(board))


def test_a_dead_claimant_waits_no_more() -> None:
    board = node()
    get(board, "a", seconds=20.0)
    board.ask("crew/b", Take(wait=100.0))
    board.pass_time(1)
    board.tell("crew/b", End())
    board.pass_time(1)
    assert stands(board).waiting == ()


def test_by_priority_it_is_taken_from_the_holder_who_is_told() -> None:
    board = node(us.priority(["rescue/{name}"]) | us.first_come())
    get(board, "a", seconds=100.0)
    taken = soon(board, board.ask("rescue/r", Take()))
    assert lease(taken).token == 2
    assert state(board, "crew/a").lost == ("taken",)
    (event,) = events(board, WHERE, ConflictResolved)
    assert [claim.who for claim in event.conflict.claims] == ["crew/{name}", "rescue/{name}"]
    assert event.decided.winner == 1
    assert refusal(get(board, "a")).code == "lease_held", "and it cannot be taken back"


def test_the_greater_need_has_it_among_those_who_wait() -> None:
    board = node(us.weighted(margin=0.1) | us.first_come())
    wishes = (("a", 0.9, 0.0), ("b", 0.2, 50.0), ("c", 0.8, 50.0))
    asks = [us.LeaseAcquire(UNIT, 10.0, wait, need, holder=who) for who, need, wait in wishes]
    sent = [soon(board, board.ask(WHERE, ask)) for ask in asks]
    assert lease(sent[0]).token == 1
    board.pass_time(9)
    assert lease(sent[2]).token == 2, "the first one's is over; c needs it more than b, who came before"
    board.pass_time(10)
    assert lease(sent[1]).token == 3


def test_a_person_decides_and_the_holder_keeps_it_until_then() -> None:
    board = node(us.person())
    get(board, "a", seconds=10_000.0)
    wants = get(board, "b")
    (item,) = board.inbox()
    assert item.options == ("crew/a", "crew/b")
    assert wants.reply is None
    held = stands(board)
    assert held.disputed
    assert held.lease is not None
    assert held.lease.holder == "crew/a"
    board.crash(down=5)
    board.pass_time(1)
    board.answer(item.id, "answer", value="nobody")
    board.pass_time(1)
    (again,) = board.inbox()
    assert "name of nobody" in again.text
    board.answer(again.id, "answer", value="crew/b")
    board.pass_time(1)
    now = stands(board).lease
    assert now is not None
    assert (now.holder, now.token) == ("crew/b", 2)


def test_a_question_of_no_account_any_more_is_taken_back() -> None:
    board = node(us.person())
    get(board, "a", seconds=100.0)
    wants = get(board, "b")
    assert board.inbox()
    board.tell("crew/a", End())
    board.pass_time(5)
    assert lease(wants).token == 2
    assert board.inbox() == ()


def test_silence_leaves_it_with_the_holder() -> None:
    board = node(us.person(within=30))
    get(board, "a", seconds=1_000.0)
    wants = get(board, "b")
    board.pass_time(31)
    assert refusal(wants).code == "lease_refused"
    assert stands(board).last == 1


@pytest.mark.parametrize(
    "wrong",
    [
        us.LeaseAcquire(UNIT),
        us.LeaseAcquire(UNIT, 0.0, holder="ada"),
        us.LeaseAcquire(UNIT, 1e9, holder="ada"),
        us.LeaseAcquire(UNIT, 1.0, -1.0, holder="ada"),
        us.LeaseAcquire(UNIT, 1.0, need=2.0, holder="ada"),
        us.LeaseAcquire("another", holder="ada"),
        us.LeaseAcquire("", holder="ada"),
        us.LeaseRelease(UNIT),
    ],
    ids=repr,
)
def test_what_makes_no_sense_is_refused(wrong: us.Request[Any]) -> None:
    board = node()
    assert refusal(soon(board, board.ask(WHERE, wrong))).code == "rejected"


def test_only_so_many_may_wait() -> None:
    board = node()
    sent = [board.ask(WHERE, us.LeaseAcquire(UNIT, 1_000.0, 1_000.0, holder=f"h{n}")) for n in range(102)]
    board.pass_time(5)
    assert len(stands(board).waiting) == 100
    (full,) = [one for one in sent if one.reply is not None and one.reply.failure is not None]
    assert refusal(full).code == "lease_queue_full"


def test_a_caller_who_gives_up_waits_no_more() -> None:
    board = node()
    board.ask(WHERE, us.LeaseAcquire(UNIT, 1_000.0, holder="a"))
    waits = board.ask(WHERE, us.LeaseAcquire(UNIT, 1_000.0, 500.0, holder="b"))
    board.pass_time(1)
    board.give_up(waits)
    board.pass_time(1)
    assert stands(board).waiting == ()


def test_a_caller_outside_has_nobodys_name_and_nobodys_lease() -> None:
    board = node(us.priority(["rescue/{name}"]) | us.first_come())
    held = lease(get(board, "a", seconds=100.0))
    for name in ("rescue/{name}", "crew/a"):
        for wrong in (
            us.LeaseAcquire(UNIT, holder=name),
            us.LeaseRelease(UNIT, holder=name),
            us.LeaseRenew(UNIT, held.token, holder=name),
        ):
            assert refusal(soon(board, board.ask(WHERE, wrong))).code == "rejected"
    assert stands(board).last == 1


def test_by_priority_callers_outside_are_known_as_that() -> None:
    board = node(us.priority(["outside"]) | us.first_come())
    get(board, "a", seconds=100.0)
    assert lease(soon(board, board.ask(WHERE, us.LeaseAcquire(UNIT, holder="dispatcher")))).token == 2
    assert refusal(get(board, "a")).code == "lease_held"


def test_silence_may_count_for_callers_outside() -> None:
    board = node(us.person(within=30, otherwise="outside"))
    get(board, "a", seconds=1_000.0)
    wants = soon(board, board.ask(WHERE, us.LeaseAcquire(UNIT, holder="dispatcher")), 31)
    assert lease(wants).token == 2


def test_what_it_asked_for_when_it_acquired_it_again_counts() -> None:
    board = node()
    board.ask("crew/a", Take(seconds=5.0))
    board.pass_time(1)
    assert state(board, WHERE).owner.tell
    again = us.LeaseAcquire(UNIT, 5.0, need=0.25, holder="x")
    board.pass_time(10)
    for ask in (us.LeaseAcquire(UNIT, 5.0, holder="x"), again):
        assert lease(soon(board, board.ask(WHERE, ask))).token == 2
    assert state(board, WHERE).owner.need == 0.25


def test_a_name_is_one_however_its_letters_are_composed() -> None:
    board = node()
    one, other = "caf\u00e9", "cafe\u0301"
    assert us.lease_of("desk", one) == us.lease_of("desk", other)
    where = us.lease_of("desk", one)
    assert lease(soon(board, board.ask(where, us.LeaseAcquire(one, holder="x")))).token == 1
    assert refusal(soon(board, board.ask(where, us.LeaseAcquire(other, holder="y")))).code == "lease_held"


def test_nobody_is_asked_between_two_wishes_of_the_same_one() -> None:
    board = node(us.person())
    board.ask(WHERE, us.LeaseAcquire(UNIT, 10.0, holder="x"))
    board.pass_time(1)
    waits = [soon(board, board.ask(WHERE, us.LeaseAcquire(UNIT, 10.0, 1_000.0, holder="y"))) for _ in range(2)]
    board.pass_time(10)
    assert [lease(sent).token for sent in waits] == [2, 2]
    assert board.inbox() == ()


@pytest.mark.parametrize("ends", ["decided", "given up"])
def test_who_comes_while_something_is_being_decided_is_weighed_after_that(ends: str) -> None:
    board = node(us.priority(["rescue/{name}"]) | us.person())
    soon(board, board.ask(WHERE, us.LeaseAcquire(UNIT, 1_000.0, holder="x")))
    waits = soon(board, board.ask(WHERE, us.LeaseAcquire(UNIT, 10.0, 5_000.0, holder="y")))
    late = soon(board, board.ask("rescue/r", Take(wait=5_000.0)))
    assert late.reply is None
    (item,) = board.inbox()
    if ends == "decided":
        board.answer(item.id, "answer", value="x")
    else:
        board.give_up(waits)
    board.pass_time(1)
    assert lease(late).token == 2, "it comes before the one who has it"
    assert board.inbox() == ()


class Ask(us.Message):
    """Ask this of who gives the unit's lease."""

    what: str


class Liar(us.Actor):
    """Asks in another one's name."""

    class State(us.State):
        told: str = ""

    class Told(us.Event, wire="liar.told"):
        code: str

    @us.handles(Ask)
    def ask(self, turn: us.Turn[State], msg: Ask) -> None:
        if msg.what == "enter":
            turn.ask(WHERE, LeaseEnter(UNIT, Address("crew/a"), "call", claim=True))
        else:
            turn.ask(WHERE, us.LeaseAcquire(UNIT, holder=msg.what))

    @us.settles(us.LeaseAcquire)
    def acquired(self, turn: us.Turn[State], outcome: us.Outcome[us.Lease]) -> None:
        turn.emit(Liar.Told(outcome.failure.code if outcome.failure else "got it"))

    @us.settles(LeaseEnter)
    def entered(self, turn: us.Turn[State], outcome: us.Outcome[us.Lease]) -> None:
        turn.emit(Liar.Told(outcome.failure.code if outcome.failure else "got it"))

    @us.applies(Told)
    def was_told(self, state: State, event: Told) -> State:
        return state.evolve(told=event.code)


@pytest.mark.parametrize(("what", "told"), [("enter", "rejected"), ("crew/a", "rejected"), ("liars/x", "got it")])
def test_an_actor_asks_in_its_own_name_and_never_in_the_gates(what: str, told: str) -> None:
    board = Simulated(us.Supervisor("desk", [us.Child("crew/{name}", Crew), us.Child("liars/{name}", Liar)]))
    soon(board, board.ask("crew/a", Take(seconds=5.0)))
    board.pass_time(10)
    board.tell("liars/x", Ask(what))
    board.pass_time(1)
    assert state(board, "liars/x").told == told


def test_an_old_token_neither_renews_nor_releases_what_its_holder_has_anew() -> None:
    board = node()
    for token in (1, 2):
        held = lease(soon(board, board.ask(WHERE, us.LeaseAcquire(UNIT, 10.0, holder="x"))))
        assert held.token == token
        board.pass_time(11 if token == 1 else 0)
    assert refusal(soon(board, board.ask(WHERE, us.LeaseRenew(UNIT, 1, holder="x")))).code == "lease_lost"
    released = soon(board, board.ask(WHERE, us.LeaseRelease(UNIT, 1, holder="x")))
    assert released.reply is not None
    assert bytes(released.reply.value) == b"false"
    now = stands(board).lease
    assert now is not None
    assert now.token == 2


def test_who_did_not_want_to_be_told_gets_no_mail_when_its_lease_is_over() -> None:
    board = Simulated(us.Supervisor("desk", [us.Child("crew/{name}", Crew), us.Child("liars/{name}", Liar)]))
    board.tell("liars/x", Ask("liars/x"))
    board.pass_time(1)
    soon(board, board.ask("crew/b", Take(wait=100.0)))
    board.pass_time(200)
    assert stands(board).last == 2
    sends = [send for row in board.journal.stream(Address(WHERE)) for send in read_record(row).sends]
    assert [send.to for send in sends if send.wire == "us.lease_lost"] == ["crew/b"]


class Fleeting(us.Actor):
    """Takes the unit, and is kept in memory only."""

    durable = False

    @us.handles(Ask)
    def take(self, turn: us.Turn[us.State], msg: Ask) -> None:
        turn.ask(WHERE, us.LeaseAcquire(UNIT, 50.0))

    @us.settles(us.LeaseAcquire)
    def acquired(self, turn: us.Turn[us.State], outcome: us.Outcome[us.Lease]) -> None:
        pass


def test_a_memory_only_holder_keeps_its_lease_until_it_expires() -> None:
    board = Simulated(us.Supervisor("desk", [us.Child("crew/{name}", Crew), us.Child("fleeting/{name}", Fleeting)]))
    board.tell("fleeting/a", Ask("take"))
    board.pass_time(40)
    now = stands(board).lease
    assert now is not None, "that it is nowhere but in memory does not end it"
    assert now.holder == "fleeting/a"
    board.pass_time(20)
    assert stands(board).lease is None


STORM = Faults(crash=0.02, commit_fails=0.05, commit_unknown=0.05)


def storm(seed: int, claims: Resolver | None) -> Simulated:
    """Crews and callers who claim, wait, end and are killed with the process, in any order."""
    board, draw = node(claims, seed, STORM), random.Random(seed)
    for _ in range(40):
        who = draw.choice("abcd")
        what = draw.random()
        if what < 0.5:
            board.ask(
                f"{draw.choice(('crew', 'rescue'))}/{who}", Take(draw.choice((0.5, 5.0, 50.0)), draw.choice((0.0, 5.0)))
            )
        elif what < 0.7:
            board.ask(
                WHERE, us.LeaseAcquire(UNIT, draw.choice((0.5, 5.0)), draw.choice((0.0, 9.0)), holder=f"out-{who}")
            )
        elif what < 0.8:
            board.ask(WHERE, us.LeaseRelease(UNIT, holder=f"out-{who}"))
        elif what < 0.9:
            board.ask(WHERE, us.LeaseRenew(UNIT, draw.randint(1, 9), 5.0, holder=f"out-{who}"))
        else:
            board.tell(f"crew/{who}", End())
        for item in board.inbox():
            if draw.random() < 0.5:
                board.answer(item.id, "answer", value=draw.choice((*item.options, "nobody")))
        board.pass_time(draw.choice((0.0, 0.5, 3.0)))
    board.faults = Faults()
    board.pass_time(100_000)
    return board


def check(board: Simulated) -> int:
    """No two leases overlap, and tokens only grow. Gives the last token."""
    now: int | None = None
    last = 0
    for row in board.journal.stream(board.actor(WHERE).address):
        for event in read_record(row).events:
            if event.wire == LeaseGranted.__wire__:
                given = decode(event.data, LeaseGranted).lease
                assert now is None, "two have it"
                assert given.token > last, "a token went back"
                now, last = given.token, given.token
            elif event.wire == LeaseEnded.__wire__:
                assert decode(event.data, LeaseEnded).token == now
                now = None
    after = state(board, WHERE)
    assert now is None
    assert after.lease is None
    assert after.waiting == ()
    assert after.dispute is None
    assert after.last == last
    return last


def check_all(claims: Resolver | None) -> int:
    most = 0
    for seed in range(25):
        board = storm(seed, claims)
        most = max(most, check(board))
        assert not board.journal._timers, f"seed {seed}: {board.journal._timers}"
    return most


@pytest.mark.parametrize(
    "claims", [None, us.priority(["rescue/{name}"]), us.person(within=20)], ids=["first", "priority", "person"]
)
def test_tokens_only_grow_and_no_two_have_it_at_once_under_any_crash(claims: Resolver | None) -> None:
    assert check_all(claims) > 5


def test_it_would_be_seen_if_a_lease_were_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: an actor that forgets its last token."""

    def forgets(self: LeaseActor, state: Any, event: LeaseEnded) -> Any:
        return state.evolve(lease=None, owner=None, alarm="", last=0)

    applied = LeaseActor.behaviour.appliers[LeaseEnded.__wire__]
    monkeypatch.setitem(LeaseActor.behaviour.appliers, LeaseEnded.__wire__, (applied[0], forgets))
    monkeypatch.setattr(LeaseActor.behaviour, "reads", {})
    with pytest.raises(AssertionError, match="a token went back"):
        check_all(None)


def test_tokens_grow_through_a_hundred_holders_and_as_many_crashes() -> None:
    board = node()
    for n in range(1, 60):
        held = lease(soon(board, board.ask(WHERE, us.LeaseAcquire(UNIT, 1.0, holder=f"h{n}"))))
        assert held.token == n
        board.crash(down=2)
        board.pass_time(1)


def test_a_lease_keeps_nobodys_run_from_being_over() -> None:
    board = node()
    get(board, "a", seconds=100.0)
    assert board.kernel.standing(board.actor("crew/a").address) == "idle"
    assert msgspec.structs.asdict(stands(board))["last"] == 1
