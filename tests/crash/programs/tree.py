"""Supervisors that are killed after each commit of what they are in the middle of, and started again.

    python -m tests.crash.programs.tree FOLDER [--forget] [STORY …]

For each story, and for the first, second, third … commit after its trouble began: a journal of its own, on which one life is killed
right after that commit, the next one too, and a third one plays the story to its end. A life is a forked process. What each journal says
then is compared with what must have happened once, and in which order; each end is said as a line of JSON.

``--forget``: supervisors that forget what they are in the middle of when their rows are read again. With it this program must find
something.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anyio
import msgspec

import understudy as us
from tests.crash.programs.deadly import deadly_journal
from understudy.actors.actor import Reads
from understudy.protocols.codec import decoder
from understudy.protocols.envelope import Envelope
from understudy.protocols.errors import UnknownItem
from understudy.protocols.journal import Batch, Record, Row
from understudy.supervisor import commits, pump
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.supervision.roster import Doing, Roster, SupervisorState
from understudy.supervisor.supervision.supervisor import SupervisorActor


class End(msgspec.Struct, frozen=True):
    """How a story ended: how many of its lives were killed, after which commit; ``wrong``: what its journal says that must not be."""

    story: str
    commit: int
    killed: int
    wrong: tuple[str, ...] = ()


class Say(us.Message):
    how: str


class Call(us.Message):
    id: str


class Hand(us.Actor):
    """Fails when it is told to, or makes a call that takes its time."""

    @us.handles(Say)
    def say(self, turn: us.Turn[us.State], msg: Say) -> None:
        raise RuntimeError(msg.how)

    @us.handles(Call)
    def call(self, turn: us.Turn[us.State], msg: Call) -> None:
        turn.call(slow, msg.id)

    @us.settles(us.ANY_TOOL)
    def came(self, turn: us.Turn[us.State], outcome: us.Outcome[object]) -> None:
        """It is back."""


@us.tool(effect="idempotent", timeout=20.0)
async def slow(id: str) -> str:
    """Something that takes its time."""
    await anyio.sleep(0.3)
    return id


NEVER = us.Intensity(0, 60.0)
DEFINITIONS = (
    us.Supervisor("all", [us.Child(name, Hand) for name in ("one", "two", "three")], strategy="one_for_all"),
    us.Supervisor("patient", [us.Child("shaky", Hand)], backoff=us.Backoff(2.0, 2.0, 60.0)),
    us.Supervisor("yard", [us.Child("early", Hand), us.Child("busy", Hand, tools=[slow], shutdown=10.0)]),
    us.Supervisor("high", [us.Supervisor("low", [us.Pool("hands/{key}", Hand), us.Child("still", Hand)], intensity=NEVER)]),
    us.Supervisor(
        "upper", [us.Supervisor("lower", [us.Child("left", Hand), us.Child("right", Hand)], intensity=NEVER)], intensity=NEVER
    ),
)  # fmt: skip


class Here:
    """After which commit this life is to die, counted from where the trouble began."""

    armed = False
    left = 0
    patience = 30.0
    """Seconds that a life may take."""


def falls(batch: Batch) -> bool:
    """Whether this life dies after this commit."""
    if not Here.armed:
        return False
    Here.left -= 1
    return Here.left == 0


# -- the stories ------------------------------------------------------------------------------------------------------------


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Look again and again."""
    with anyio.fail_after(Here.patience):
        while not await true():  # noqa: ASYNC110 - another process writes what is looked at, or none
            await anyio.sleep(0.02)


async def runs(system: us.System, supervisor: str, incarnations: dict[str, int]) -> bool:
    """Whether all children run, in these incarnations."""
    found = await system.supervisor(supervisor).which()
    return {c.id: c.incarnation for c in found if c.status == "running"} == incarnations


async def restart(system: us.System, *, first: bool) -> None:
    """One of three fails: the others are stopped in reverse order, then all are started."""
    if first:
        await until(lambda: runs(system, "all", {"one": 0, "two": 0, "three": 0}))
    Here.armed = True
    await system.tell("two", Say("once"), key="once")
    await until(lambda: runs(system, "all", {"one": 1, "two": 1, "three": 1}))


async def backoff(system: us.System, *, first: bool) -> None:
    """It fails for the second time, and is to wait."""
    if first:
        await until(lambda: runs(system, "patient", {"shaky": 0}))
        await system.tell("shaky", Say("once"), key="once")
        await until(lambda: runs(system, "patient", {"shaky": 1}))
    Here.armed = True
    await system.tell("shaky", Say("twice"), key="twice")
    await until(lambda: runs(system, "patient", {"shaky": 2}))


async def shutdown(system: us.System, *, first: bool) -> None:
    """One is to end while a call of it is under way."""
    if first:
        await until(lambda: runs(system, "yard", {"early": 0, "busy": 0}))
    Here.armed = True
    await system.tell("busy", Call("c"), key="c")
    await system.supervisor("yard").stop("busy")


async def escalation(system: us.System, *, first: bool) -> None:
    """One of a pool is given up, and nobody on the way up decides: a person is asked."""
    if first:
        await until(lambda: runs(system, "low", {"still": 0}))
        await system.supervisor("low").start("hands/1")
    Here.armed = True
    await system.tell("hands/1", Say("once"), key="once")

    async def runs_again() -> bool:
        for item in system.inbox():
            with suppress(UnknownItem):  # answered in the life before
                await system.approve(item.id, by="ada")
        return await runs(system, "low", {"still": 0, "hands/1": 1})

    await until(runs_again)


async def climb(system: us.System, *, first: bool) -> None:
    """A supervisor gives up and ends, so does the one above; the root starts both again."""
    if first:
        await until(lambda: runs(system, "lower", {"left": 0, "right": 0}))
    Here.armed = True
    await system.tell("left", Say("once"), key="once")
    await until(lambda: runs(system, "lower", {"left": 1, "right": 1}))
    await until(lambda: runs(system, "root", {"all": 0, "patient": 0, "yard": 0, "high": 0, "upper": 1}))


STORIES: dict[str, Callable[..., Awaitable[None]]] = {
    "restart": restart, "backoff": backoff, "shutdown": shutdown, "escalation": escalation, "climb": climb,
}  # fmt: skip


# -- what must be true ------------------------------------------------------------------------------------------------------


class Told:
    """What a journal says."""

    def __init__(self, journal: Path) -> None:
        with read_only(journal) as reader:
            self.rows = reader.rows(limit=100_000)
        self.records = [msgspec.json.decode(row.payload, type=Record) for row in self.rows]

    def pairs(self, actor: str) -> list[tuple[Row, Record]]:
        return [(row, record) for row, record in zip(self.rows, self.records, strict=True) if row.stream == actor]

    def orders(self, by: str) -> list[str]:
        """Orders that a supervisor gave, after those of its own start."""
        sent = [envelope for _, record in self.pairs(by) for envelope in record.sends]
        return [
            f"{_word(envelope)} {envelope.to}" for envelope in sent if _word(envelope) in ("start", "shutdown", "stop")
        ]

    def events(self, by: str, wire: str) -> list[Any]:
        found = [e for _, record in self.pairs(by) for e in record.events if e.wire == f"supervisor.{wire}"]
        return [msgspec.json.decode(event.data) for event in found]

    def asked(self) -> int:
        """How often people were asked."""
        return sum(effect.verb == "person" for record in self.records for effect in record.effects)


def _word(envelope: Envelope) -> str:
    return envelope.wire.removeprefix("us.")


def wrong(story: str, journal: Path) -> list[str]:
    """What a journal says at the end that must not be."""
    told, found = Told(journal), list[str]()

    def must(is_: object, be: object, what: str) -> None:
        if is_ != be:
            found.append(f"{what}: {is_}, not {be}")

    match story:
        case "restart":
            starts = ["start one", "start two", "start three"]
            must(told.orders("all"), [*starts, "shutdown three", "shutdown one", *starts], "orders")
            must(len(told.events("all", "restarting")), 1, "restarts counted")
        case "backoff":
            must(told.orders("patient"), ["start shaky"] * 3, "orders")
            restarts = told.events("patient", "restarting")
            must([len(r["restarts"]) for r in restarts], [1, 2], "restarts in the window")
            due = restarts[-1]["at"] + restarts[-1]["delay"]
            at = told.events("patient", "starting")[-1]["at"]
            if at < due or not restarts[-1]["delay"]:
                found.append(f"started at {at}, which was due at {due}")
        case "shutdown":
            must(told.orders("yard"), ["start early", "start busy", "shutdown busy"], "orders")
            downs = [record.post.down for _, record in told.pairs("busy") if record.post is not None]
            must(downs.count(True), 1, "ends")
            must([down["how"] for down in told.events("yard", "down")], ["shutdown"], "how it ended")
            lives = [record.life for _, record in told.pairs("busy") if record.life is not None]
            must(lives[-1], "stopped", "its life")
        case "escalation":
            must(told.asked(), 1, "times that people were asked")
            must(len(told.events("low", "gave_up")), 1, "times that it was given up")
            must(told.orders("low"), ["start still", "start hands/1", "start hands/1"], "orders")
        case _:
            must(len(told.events("lower", "exhausted")), 1, "times that the lower one gave up")
            must(len(told.events("upper", "exhausted")), 1, "times that the upper one gave up")
            must(len(told.events("root", "restarting")), 1, "restarts by the root")
            starts = ["start left", "start right"]
            must(told.orders("lower"), [*starts, "shutdown right", *starts], "orders")
            must(told.asked(), 0, "times that people were asked")
    return found


# -- lives ------------------------------------------------------------------------------------------------------------------


def forget() -> None:
    """From now on a supervisor that reads its rows forgets what it was in the middle of."""
    Here.patience = 3.0
    doing = Roster.doing

    def forgetful(self: Roster, state: SupervisorState, event: Doing) -> SupervisorState:
        return doing(self, state, msgspec.structs.replace(event, job=None))

    SupervisorActor.behaviour.reads[Doing.__wire__] = Reads(Doing.__version__, decoder(Doing), forgetful)


@contextmanager
def one_at_a_time() -> Generator[None]:
    """Each turn has a commit of its own, and waits for the one before: there would be few moments to die at."""
    with (
        patch.object(pump, "AT_ONCE", -1.0),
        patch.object(pump, "GROUP", 1),
        patch.object(commits, "SECONDS_AHEAD", -1.0),
    ):
        yield


async def life(story: str, journal: Path, *, first: bool) -> None:
    with deadly_journal(after=falls), one_at_a_time():
        async with us.System(*DEFINITIONS, journal=journal) as system:
            with anyio.fail_after(Here.patience):
                await STORIES[story](system, first=first)
            await system.rest()


def live(story: str, journal: Path, commit: int, *, first: bool) -> bool:
    """Fork a life; true if it was killed."""
    child = os.fork()
    if not child:
        try:
            Here.left = commit
            anyio.run(lambda: life(story, journal, first=first))
            os._exit(0)
        except BaseException:  # noqa: BLE001 - a forked child must never come back
            traceback.print_exc()
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in (0, -signal.SIGKILL):
        raise RuntimeError(f"a life of {story!r} ended with {status}")
    return status != 0


def play(story: str, journal: Path, commit: int) -> End:
    """Two lives to be killed, and one to the end."""
    killed = 0
    try:
        for number, at in enumerate((commit, 1, 0)):
            if not live(story, journal, at, first=number == 0):
                break
            killed += 1
    except RuntimeError as error:
        return End(story, commit, killed, (str(error),))
    return End(story, commit, killed, tuple(wrong(story, journal)))


def main(folder: Path, options: Sequence[str]) -> None:
    """All stories, after each commit."""
    if "--forget" in options:
        forget()
    chosen = [option for option in options if not option.startswith("--")] or list(STORIES)
    lives: Counter[str] = Counter()
    for story in chosen:
        for commit in range(1, 1_000):
            place = folder / f"{story}-{commit}"
            place.mkdir()
            end = play(story, place / "tree.db", commit)
            lives[story] += 1
            print(msgspec.json.encode(end).decode(), flush=True)
            if not end.killed or end.wrong:
                break


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
